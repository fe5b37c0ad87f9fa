"""Convolutional and residual networks beside dense ones, on images.

``likelihood``: statically binarised MNIST with 50 latents, as in ``python -m benchmarks
likelihood``: nats of a test image by 5000 importance samples, which are taken of some images drawn
at random (seed 0); all have 100 samples, to which the mean difference is added.
``mnist``, ``frey`` and ``olivetti``: squared error of a test row by 30 numbers, as in ``python -m
benchmarks autoencoder``; the last reads ``olivettifaces.mat``, which scikit-learn's
``fetch_olivetti_faces`` downloads. ``digits``: scikit-learn's by 8 numbers, three splits: squared
error of the autoencoder, and nats of a held-out row by the variational one. ``--copies`` gives each
training image that many distorted copies: turned by up to 8 degrees, sheared and stretched by up to
8 %. ``--pictures`` draws test images, what is rebuilt of them, and samples.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.io import loadmat
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from benchmarks.autoencoder import FREY, MNIST
from benchmarks.common import (
    Report,
    data_file,
    load_binarized_mnist,
    load_mnist,
    load_table,
    setting,
    squared_error,
    timed_fit,
)
from skvae import Autoencoder, VariationalAutoencoder
from skvae.nn import Convolutional, ResidualDense
from skvae.priors import Flow
from skvae.schedules import WarmUp

FORMATS = {
    "data": "s",
    "network": "s",
    "squared error": ".3f",
    "nats": ".2f",
    "PCA": ".3f",
    "error": ".2f",
    "parameters": "d",
    "epochs": "d",
    "best": "d",
    "minutes": ".1f",
}
CASES = ("likelihood", "mnist", "frey", "olivetti", "digits")
SHAPES = {
    "likelihood": (28, 28),
    "mnist": (28, 28),
    "frey": (28, 20),
    "olivetti": (64, 64),
    "digits": (8, 8),
}
LIKELIHOOD: dict[str, Any] = {
    "n_components": 50,
    "likelihood": "bernoulli",
    "prior": Flow(),
    "beta": WarmUp(3),
    "batch_size": 100,
    "max_iter": 36,
    "n_iter_no_change": 36,
    "validation_fraction": 0.02,
    "init": "random",
    "device": "cpu",
    "random_state": 0,
    "verbose": 1,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "likelihood": LIKELIHOOD,
    "mnist": MNIST | {"batch_size": 100, "alpha": 0.0, "learning_rate_init": 2e-3},
    "frey": FREY,
    "olivetti": FREY,
    "digits": {"n_components": 8, "random_state": 0},
}
NETWORKS: dict[str, dict[str, Any]] = {
    "convolutional": {
        "likelihood": {"channels": (16, 32, 64), "hidden_layer_sizes": ()},
        "mnist": {"channels": (16, 32)},
        "frey": {"channels": (64,), "hidden_layer_sizes": (400,)},
        "digits": {"channels": (64,)},
    },
    "residual": {"frey": {"width": 400, "n_blocks": 1}},
    "dense": {},
}
N_SPLITS = 3
N_FEW = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--draws", type=int, default=5000, help="importance samples of an image")
    parser.add_argument("--rows", type=int, default=100, help="test images that they are taken of")
    parser.add_argument("--copies", type=int, default=0, help="distorted copies of an image")
    parser.add_argument("--pictures", help="folder for pictures")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="NAME=VALUE", help="other parameters"
    )
    parser.add_argument(
        "--network", nargs="+", default=[], metavar="NAME=VALUE", help="parameters of the networks"
    )


def run(args: argparse.Namespace) -> Report:
    """Fit each network to each case."""
    changed = dict(map(setting, args.set))
    rows = []
    for case in args.cases:
        fitted = {}
        for name in args.networks:
            network = build(name, case, dict(map(setting, args.network)))
            settings = SETTINGS[case] | network | changed
            for X, X_test in splits(case):
                X = np.concatenate(
                    [X, *(distorted(X, SHAPES[case], k) for k in range(args.copies))]
                )
                if case != "likelihood":
                    model, row = rebuild(X, X_test, settings)
                    fitted[name] = model
                    rows.append({"data": case, "network": name, **row})
                if case in ("likelihood", "digits"):
                    model, row = evidence(X, X_test, settings, args)
                    fitted[name] = model
                    rows.append({"data": case, "network": name, **row})
        if args.pictures is not None:
            draw(case, fitted, X_test, Path(args.pictures))
    parts = [part for part in args.cases if set(args.cases) != set(CASES)]
    parts += [part for part in args.networks if set(args.networks) != set(NETWORKS)]
    parts += ["copies"] * (args.copies > 0)
    return Report("_".join(["images", *parts]), FORMATS, rows)


def build(name: str, case: str, changed: dict[str, Any]) -> dict[str, Any]:
    """Parameters of the estimator that choose a network."""
    if name == "dense":
        return {}
    params = NETWORKS[name].get(case, {}) | changed
    if name == "residual":
        network: Any = ResidualDense(**params)
    else:
        network = Convolutional(SHAPES[case], **params)
    return {"encoder": network, "decoder": network}


def splits(case: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training and test images, of one split or several."""
    if case == "likelihood":
        return [load_binarized_mnist(validation=True)]
    if case == "mnist":
        return [load_mnist()]
    if case == "frey":
        with np.load(data_file("frey_faces.npz")) as file:
            faces = file["X"].astype(np.float32) / 255
        return [tuple(train_test_split(faces, test_size=0.1, random_state=0))]
    if case == "olivetti":
        faces = loadmat(data_file("olivettifaces.mat"))["faces"].T.reshape(-1, 64, 64)
        faces = faces.transpose(0, 2, 1).reshape(-1, 4096).astype(np.float32) / 255
        return [tuple(train_test_split(faces, test_size=0.1, random_state=0))]
    digits = load_table("digits")[0] / 16
    return [tuple(train_test_split(digits, random_state=seed)) for seed in range(N_SPLITS)]


def distorted(X: np.ndarray, shape: tuple[int, int], seed: int) -> np.ndarray:
    """Turn each image by up to 8 degrees, and shear and stretch it by up to 8 %."""
    rng = np.random.RandomState(seed)
    centre = (np.array(shape) - 1) / 2
    copies = np.empty_like(X)
    for image, copy in zip(X, copies, strict=True):
        angle, shear = np.deg2rad(rng.uniform(-8, 8)), rng.uniform(-0.08, 0.08)
        cos, sin = np.cos(angle), np.sin(angle)
        change = np.array([[cos, -sin], [sin, cos]]) @ np.array([[1, shear], [0, 1]])
        change = change * rng.uniform(0.92, 1.08, 2)
        moved = ndimage.affine_transform(
            image.reshape(shape), change, centre - change @ centre, order=1
        )
        copy[:] = moved.clip(0, 1).ravel()
    return copies


def facts(model: Any, fit: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """What is told of every fit."""
    return {
        "parameters": model._fitted.parameters.size,
        "epochs": model.n_iter_,
        "best": model.best_epoch_,
        "minutes": fit.seconds / 60.0,
        "validation scores": model.validation_scores_,
        "settings": {key: repr(value) for key, value in settings.items()},
        "warnings": fit.messages,
    }


def rebuild(X: np.ndarray, X_test: np.ndarray, settings: dict[str, Any]) -> tuple[Any, dict]:
    """Autoencoder, and the squared error of a test row."""
    model = Autoencoder(**settings)
    fit = timed_fit(model, X)
    pca = PCA(settings["n_components"], random_state=0).fit(X)
    row = {
        "squared error": squared_error(model, X_test),
        "PCA": squared_error(pca, X_test),
        "training error": squared_error(model, X[:10_000]),
        "nats": None,
        "error": None,
    }
    return model, row | facts(model, fit, settings)


def evidence(
    X: np.ndarray, X_test: np.ndarray, settings: dict[str, Any], args: argparse.Namespace
) -> tuple[Any, dict]:
    """Variational autoencoder, and minus the log-likelihood of a test row."""
    model = VariationalAutoencoder(**settings)
    fit = timed_fit(model, X)
    nats, error = nats_of(model, X_test, args.draws, args.rows)
    is_gaussian = "likelihood" not in settings
    pca = PCA(settings["n_components"], random_state=0).fit(X) if is_gaussian else None
    row = {
        "squared error": None,
        "PCA": None if pca is None else -pca.score(X_test),
        "nats": nats,
        "error": error,
        "active": model.n_active_components_,
    }
    return model, row | facts(model, fit, settings)


def nats_of(model: Any, X: np.ndarray, n_draws: int, n_rows: int) -> tuple[float, float]:
    """Minus the mean log-likelihood by ``n_draws`` samples, and its standard error over rows.

    The first hundred samples are a control variate: what more of them change varies by half a nat
    from row to row, where the log-likelihood itself varies by 20.
    """
    few = -model.score_samples(X, n_draws=N_FEW).astype(float)
    rows = np.random.RandomState(0).choice(len(X), min(n_rows, len(X)), replace=False)
    change = -model.score_samples(X[rows], n_draws=n_draws).astype(float) - few[rows]
    error = np.sqrt(few.var() / len(X) + change.var() / len(rows))
    return float(few.mean() + change.mean()), float(error)


def draw(case: str, fitted: dict[str, Any], X_test: np.ndarray, folder: Path) -> None:
    """Draw test images, what each model makes of them, and samples of the last one."""
    import matplotlib.pyplot as plt

    shape, n = SHAPES[case], 12
    chosen = X_test[np.random.RandomState(1).choice(len(X_test), n, replace=False)]
    lines = {"test images": chosen}
    for name, model in fitted.items():
        lines[name] = model.inverse_transform(model.transform(chosen))
        if isinstance(model, VariationalAutoencoder):
            means = model.sample(3 * n, random_state=0, observation_noise=False)
            lines |= {f"samples, {name} {k + 1}": means[k * n : (k + 1) * n] for k in range(3)}
    height = 0.7 * shape[0] / shape[1]
    figure, axes = plt.subplots(len(lines), n, figsize=(0.7 * n + 1.2, height * len(lines)))
    for line, (name, images) in zip(axes, lines.items(), strict=True):
        for ax, image in zip(line, images, strict=True):
            ax.imshow(image.reshape(shape), cmap="gray_r", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    figure.tight_layout(pad=0.3)
    figure.savefig(folder / f"images_{case}.png", dpi=80)
    plt.close(figure)
