"""Seconds that importing skvae costs beyond torch and scikit-learn, in fresh processes."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

import numpy as np

from benchmarks.common import Report

FORMATS = {"import": "s", "seconds": ".3f", "least": ".3f", "most": ".3f"}
MODULES = ("torch", "sklearn.decomposition", "skvae")
PROGRAM = """
import importlib, json, time
seconds = []
for module in {modules!r}:
    began = time.perf_counter()
    importlib.import_module(module)
    seconds.append(time.perf_counter() - began)
print(json.dumps(seconds))
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument("--repeats", type=int, default=5, help="processes (default: 5)")


def run(args: argparse.Namespace) -> Report:
    """Import one after the other, each time in a new process."""
    command = [sys.executable, "-c", PROGRAM.format(modules=MODULES)]
    runs = []
    for _ in range(args.repeats):
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        runs.append(json.loads(output))
    rows = [
        {
            "import": module,
            "seconds": float(np.median(values)),
            "least": min(values),
            "most": max(values),
            "values": values,
        }
        for module, values in zip(MODULES, map(list, zip(*runs, strict=True)), strict=True)
    ]
    return Report("import", FORMATS, rows)
