"""Starts on statically binarised MNIST: 784-200-200 tanh, 50 latents, held-out bound in nats.

Takes minutes a start. Many latents and a deep network are where the PCA start alone could hold the
model in its linear basin.
"""

from __future__ import annotations

import argparse

from benchmarks.common import Report, bernoulli_bound, load_binarized_mnist, timed_fit
from skvae import VariationalAutoencoder

FORMATS = {
    "init": "s",
    "test bound": ".2f",
    "validation bound": ".2f",
    "after 5 epochs": ".2f",
    "active": "d",
    "epochs": "d",
    "seconds": ".0f",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    starts = ["auto", "pca", "random"]
    parser.add_argument("--init", nargs="+", default=["auto", "random"], choices=starts)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--device", default="auto", help="as the estimator's (default: auto)")


def run(args: argparse.Namespace) -> Report:
    """Fit from each start."""
    X, X_test = load_binarized_mnist()
    rows = []
    for init in args.init:
        vae = VariationalAutoencoder(
            50,
            hidden_layer_sizes=(200, 200),
            activation="tanh",
            likelihood="bernoulli",
            init=init,
            batch_size=100,
            max_iter=args.epochs,
            device=args.device,
            random_state=0,
        )
        fit = timed_fit(vae, X)
        scores = vae.validation_scores_ or []
        rows.append(
            {
                "init": init,
                "test bound": bernoulli_bound(vae, X_test),
                "validation bound": vae.best_validation_score_,
                "after 5 epochs": scores[min(5, len(scores) - 1)],
                "active": vae.n_active_components_,
                "epochs": vae.n_iter_,
                "seconds": fit.seconds,
                "validation scores": scores,
                "warnings": fit.messages,
            }
        )
    return Report("start", FORMATS, rows)
