"""Milliseconds of a single row through onnxruntime and through the estimator itself.

Digits, 64-256, at the start: training does not change the cost. The two take turns in one
process, on one thread.
"""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np

from benchmarks.common import Report, load_table
from benchmarks.inference import take_turns
from skvae import VariationalAutoencoder
from skvae.onnx import to_onnx

METHODS = ("transform", "inverse_transform", "score_samples", "impute")
FORMATS = {
    "method": "s",
    "estimator": ".3f",
    "onnxruntime": ".3f",
    "kB": ".0f",
    "largest difference": ".1e",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument("--repeats", type=int, default=200, help="rounds (default: 200)")
    parser.add_argument("--n-components", type=int, default=10, help="latents (default: 10)")


def run(args: argparse.Namespace) -> Report:
    """Export each method, and compare medians."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    X = load_table("digits")[0].astype(np.float32)
    vae = VariationalAutoencoder(args.n_components, max_iter=0).fit(X)
    rows = []
    for method in METHODS:
        given = X[:200]
        if method == "inverse_transform":
            given = vae.transform(given)
        if method == "impute":
            given = np.where(np.arange(64) % 5 == 0, np.float32(np.nan), given)
        content = to_onnx(vae, method=method).SerializeToString()
        session = onnxruntime.InferenceSession(content, options)
        name = session.get_inputs()[0].name
        wanted = getattr(vae, method)(given)
        (found,) = session.run(None, {name: given})
        one = given[:1]
        seconds = take_turns(
            {
                "estimator": partial(getattr(vae, method), one),
                "onnxruntime": partial(session.run, None, {name: one}),
            },
            args.repeats,
        )
        rows.append(
            {
                "method": method,
                **{each: 1e3 * float(np.median(values)) for each, values in seconds.items()},
                "kB": len(content) / 1e3,
                "largest difference": float(np.abs(found - wanted).max() / np.abs(wanted).max()),
            }
        )
    return Report("deploy", FORMATS, rows)
