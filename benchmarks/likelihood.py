"""Log-likelihood of statically binarised MNIST: 784-200-200 tanh, 50 latents, as in Burda et al.

The training and the validation images of Larochelle's split are one training set, of which the
estimator holds a fiftieth out. NLL is that of the 10,000 test images by 5000 importance samples.
Takes half an hour to hours a model on a core: choose with --models, and shorten with --epochs.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from benchmarks.common import Report, load_binarized_mnist, timed_fit
from skvae import VariationalAutoencoder
from skvae.objectives import ImportanceWeighted
from skvae.priors import VampPrior
from skvae.schedules import WarmUp

FORMATS = {
    "model": "s",
    "NLL": ".2f",
    "error": ".2f",
    "active": "d",
    "epochs": "d",
    "best": "d",
    "minutes": ".1f",
}
MODELS: dict[str, dict[str, Any]] = {
    "elbo": {},
    "importance_weighted": {"objective": ImportanceWeighted(5)},
    "vamp": {"prior": VampPrior(500)},
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--alpha", type=float, default=10.0, help="L2 penalty (default: 10)")
    parser.add_argument("--init", default="random", help="start of the networks (default: random)")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--warm-up", type=float, default=0.0, help="epochs until beta is 1")
    parser.add_argument("--draws", type=int, default=5000, help="importance samples of an image")
    parser.add_argument("--device", default="auto", help="as the estimator's (default: auto)")


def run(args: argparse.Namespace) -> Report:
    """Fit each model, and score the test images."""
    X, X_test = load_binarized_mnist(validation=True)
    rows = []
    for name in args.models:
        vae = VariationalAutoencoder(
            50,
            hidden_layer_sizes=(200, 200),
            activation="tanh",
            likelihood="bernoulli",
            alpha=args.alpha,
            init=args.init,
            learning_rate_init=args.learning_rate,
            beta=WarmUp(args.warm_up) if args.warm_up else 1.0,
            validation_fraction=0.02,
            batch_size=100,
            max_iter=args.epochs,
            n_iter_no_change=args.epochs,
            device=args.device,
            random_state=0,
            verbose=1,
            **MODELS[name],
        )
        fit = timed_fit(vae, X)
        nll = -vae.score_samples(X_test, n_draws=args.draws).astype(float)
        scores = vae.validation_scores_ or []
        rows.append(
            {
                "model": name,
                "NLL": nll.mean(),
                "error": nll.std() / np.sqrt(len(nll)),
                "active": vae.n_active_components_,
                "epochs": vae.n_iter_,
                "best": int(np.argmax(scores)),
                "minutes": fit.seconds / 60.0,
                "validation scores": scores,
                "warnings": fit.messages,
            }
        )
    name = "likelihood" if args.models == list(MODELS) else f"likelihood_{'_'.join(args.models)}"
    return Report(name, FORMATS, rows)
