"""Mutual information gap on dSprites: a penalty on the total correlation beside the plain bound.

46,080 images of the grid of 3 shapes, 6 sizes, 10 orientations and 16 x 16 places, two by two
pixels averaged to 32 x 32. The gap is that of the posterior means, in 20 bins. Takes minutes a fit.
"""

from __future__ import annotations

import argparse

import numpy as np

from benchmarks.common import Report, data_file, timed_fit
from skvae import VariationalAutoencoder
from skvae.metrics import bound_terms, mutual_information_gap
from skvae.regularizers import TotalCorrelation

FORMATS = {
    "regularizer": "s",
    "seed": "s",
    "gap": ".3f",
    "total correlation": ".2f",
    "mutual information": ".2f",
    "reconstruction": ".2f",
    "active": "d",
    "minutes": ".1f",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--weight", type=float, default=5.0, help="of the penalty (default: 5)")


def load_sprites() -> tuple[np.ndarray, np.ndarray]:
    """Images of 32 x 32 in [0, 1] and the classes of their factors."""
    with np.load(data_file("dsprites_downsampled.npz")) as file:
        packed, factors = file["imgs"], file["latents_classes"]
    n = len(packed)
    images = np.unpackbits(packed.reshape(n, -1), axis=1)[:, : 64 * 64].reshape(n, 32, 2, 32, 2)
    return images.mean((2, 4), dtype=np.float32).reshape(n, -1), factors


def run(args: argparse.Namespace) -> Report:
    """Fit both with each seed, in turns."""
    X, factors = load_sprites()
    few = np.random.default_rng(0).choice(len(X), 2000, replace=False)
    rows = []
    for seed in range(args.seeds):
        for name, regularizer in (
            ("none", None),
            ("total correlation", TotalCorrelation(args.weight)),
        ):
            vae = VariationalAutoencoder(
                10,
                hidden_layer_sizes=(256, 256),
                likelihood="bernoulli",
                regularizer=regularizer,
                init="random",
                batch_size=256,
                max_iter=args.epochs,
                random_state=seed,
            )
            fit = timed_fit(vae, X)
            terms = bound_terms(vae, X[few])
            rows.append(
                {
                    "regularizer": name,
                    "seed": str(seed),
                    "gap": mutual_information_gap(vae.encode(X)[0], factors),
                    "total correlation": terms.total_correlation,
                    "mutual information": terms.mutual_information,
                    "reconstruction": terms.reconstruction,
                    "active": vae.n_active_components_,
                    "minutes": fit.seconds / 60.0,
                }
            )
    gaps = {
        name: np.array([r["gap"] for r in rows if r["regularizer"] == name])
        for name in ("none", "total correlation")
    }
    difference = gaps["total correlation"] - gaps["none"]
    return Report(
        "disentangle",
        FORMATS,
        rows,
        {
            "mean gap, plain": gaps["none"].mean(),
            "mean gap, total correlation": gaps["total correlation"].mean(),
            "seeds in which it is larger": float((difference > 0).sum()),
        },
    )
