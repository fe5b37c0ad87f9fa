"""Grey MNIST in two latents, 784-256-2 relu, batches of 100: held-out loss in nats, minutes.

The set-up of the Keras tutorial on variational autoencoders, whose loss is cross-entropy plus KL:
the mean negative bound on the 10,000 test images.
"""

from __future__ import annotations

import argparse

from benchmarks.common import Report, bernoulli_bound, load_mnist, squared_error, timed_fit
from skvae import VariationalAutoencoder

FORMATS = {
    "data": "s",
    "held-out loss": ".2f",
    "target": ".1f",
    "squared error": ".2f",
    "epochs": "d",
    "seconds": ".0f",
}
TARGET = 151.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument("--init", default="auto", choices=["auto", "pca", "random"])
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--device", default="auto", help="as the estimator's (default: auto)")


def run(args: argparse.Namespace) -> Report:
    """Fit, and judge on the test images."""
    X, X_test = load_mnist()
    vae = VariationalAutoencoder(
        2,
        likelihood="bernoulli",
        init=args.init,
        batch_size=100,
        max_iter=args.epochs,
        device=args.device,
        random_state=0,
    )
    fit = timed_fit(vae, X)
    row = {
        "data": "MNIST, grey",
        "held-out loss": -bernoulli_bound(vae, X_test),
        "target": TARGET,
        "squared error": squared_error(vae, X_test),
        "epochs": vae.n_iter_,
        "seconds": fit.seconds,
        "validation scores": vae.validation_scores_,
        "warnings": fit.messages,
    }
    name = "mnist" if args.init == "auto" else f"mnist_init={args.init}"
    return Report(name, FORMATS, [row])
