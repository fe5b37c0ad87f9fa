"""Run one benchmark: print its table and keep it as JSON."""

from __future__ import annotations

import argparse

from benchmarks import (
    adult,
    autoencoder,
    callbacks,
    checkpoint,
    columns,
    deploy,
    disentangle,
    exports,
    gaps,
    gpu,
    hivae,
    images,
    import_time,
    inference,
    likelihood,
    mnist,
    multilabel,
    osmfish,
    outliers,
    pairs,
    parts,
    peers,
    quality,
    reach,
    scale,
    sharing,
    sources,
    start,
    step,
    wide,
)
from benchmarks.common import publish

BENCHMARKS = {
    "quality": quality,
    "start": start,
    "mnist": mnist,
    "step": step,
    "callbacks": callbacks,
    "parts": parts,
    "peers": peers,
    "reach": reach,
    "scale": scale,
    "sharing": sharing,
    "sources": sources,
    "gpu": gpu,
    "images": images,
    "import": import_time,
    "inference": inference,
    "likelihood": likelihood,
    "disentangle": disentangle,
    "multilabel": multilabel,
    "pairs": pairs,
    "wide": wide,
    "osmfish": osmfish,
    "autoencoder": autoencoder,
    "adult": adult,
    "columns": columns,
    "gaps": gaps,
    "hivae": hivae,
    "outliers": outliers,
    "deploy": deploy,
    "exports": exports,
    "checkpoint": checkpoint,
}


def main() -> None:
    """Parse the command line and hand over to the benchmark's own file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="benchmark", required=True)
    for name, module in BENCHMARKS.items():
        summary = (module.__doc__ or "").split("\n\n")[0]
        text, summary = ((t or "").replace("%", "%%") for t in (module.__doc__, summary))
        command = commands.add_parser(name, help=summary, description=text)
        module.add_arguments(command)
    args = parser.parse_args()
    publish(BENCHMARKS[args.benchmark].run(args), vars(args))


if __name__ == "__main__":
    main()
