"""What the benchmarks share: data, a fit with its time and warnings, a table, its JSON."""

from __future__ import annotations

import ast
import json
import os
import platform
import re
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
from scipy.special import xlog1py, xlogy
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning

from skvae import VariationalAutoencoder, __version__
from skvae.fitting import _compiled

RESULTS = Path(__file__).parent / "results"

Row = Mapping[str, Any]


class Report(NamedTuple):
    """What a benchmark came to.

    Attributes
    ----------
    name : str
        Of the file that it is kept in.
    formats : dict of str to str
        Columns of the table, in order, each with the format of its values.
    rows : list of dict
        The table.
    summary : dict of str to float
        Lines below the table.
    """

    name: str
    formats: Mapping[str, str]
    rows: Sequence[Row]
    summary: Mapping[str, float] = {}


# ---------------------------------------------------------------------- data

BUNDLED = ("wine", "breast_cancer", "iris", "digits", "diabetes")
EXTRA = ("wine_red", "cardio", "ionosphere", "pima", "vowels", "letter")


def written_steps() -> AbstractContextManager[Any]:
    """Context in which steps are the written ones, whether numba is installed or not."""
    return mock.patch.object(_compiled, "find_kernels", return_value=None)


def data_file(name: str) -> Path:
    """Path of a file in the folder that SKVAE_DATA names.

    Raises
    ------
    SystemExit
        If there is no such folder or file.
    """
    folder = os.environ.get("SKVAE_DATA")
    if folder is None:
        raise SystemExit(f"Set SKVAE_DATA to the folder that holds {name}.")
    path = Path(folder) / name
    if not path.exists():
        raise SystemExit(f"There is no {name} in SKVAE_DATA={folder}.")
    return path


def load_table(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows and target of one of ``BUNDLED`` or ``EXTRA``."""
    if name in BUNDLED:
        return getattr(datasets, f"load_{name}")(return_X_y=True)
    if name == "wine_red":
        table = np.loadtxt(data_file("wine_red.csv"), delimiter=";", skiprows=1)
        return table[:, :-1], table[:, -1].astype(int)
    with np.load(data_file(f"outlier_{name}.npz")) as file:
        return file["X"].astype(float), file["y"]


def load_mnist() -> tuple[np.ndarray, np.ndarray]:
    """Grey training and test images of MNIST in [0, 1], float32."""
    with np.load(data_file("mnist.npz")) as file:
        return file["X_train"].astype(np.float32) / 255, file["X_test"].astype(np.float32) / 255


def load_binarized_mnist(validation: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Training and test images of Larochelle's static binarisation, float32.

    With ``validation`` its validation images are among the former.
    """
    with np.load(data_file("binarized_mnist.npz")) as file:
        parts = ["X_train", "X_valid"] if validation else ["X_train"]
        train = np.concatenate([np.unpackbits(file[key], axis=1) for key in parts])
        test = np.unpackbits(file["X_test"], axis=1)
    return train.astype(np.float32), test.astype(np.float32)


# ------------------------------------------------------------------- fitting


def setting(assignment: str) -> tuple[str, Any]:
    """Read ``NAME=VALUE``: a Python literal, or else a string."""
    name, _, text = assignment.partition("=")
    try:
        return name, ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return name, text


class TimedFit(NamedTuple):
    """Seconds that a fit took and the ConvergenceWarnings that it gave."""

    seconds: float
    messages: list[str]


def timed_fit(estimator: Any, *arguments: Any) -> TimedFit:
    """Fit, and keep the estimator's own warnings for the report; others are shown as ever."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        began = time.perf_counter()
        estimator.fit(*arguments)
        seconds = time.perf_counter() - began
    messages = []
    for warning in caught:
        if issubclass(warning.category, ConvergenceWarning):
            messages.append(str(warning.message))
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    return TimedFit(seconds, messages)


def squared_error(model: Any, X: np.ndarray) -> float:
    """Squared error of a reconstructed row, the mean over rows."""
    return float(np.square(model.inverse_transform(model.transform(X)) - X).sum(1).mean())


def bernoulli_bound(vae: VariationalAutoencoder, X: np.ndarray, n_draws: int = 5) -> float:
    """Mean evidence lower bound of rows in nats, by one draw a row, averaged over ``n_draws``."""
    X = X.astype(np.float64)
    mean, std = vae.encode(X)
    kl = 0.5 * (mean**2 + std**2 - 1.0 - 2.0 * np.log(std)).sum()
    generator = np.random.default_rng(0)
    log_p = 0.0
    for _ in range(n_draws):
        p = vae.decode(mean + std * generator.standard_normal(mean.shape))
        log_p += (xlogy(X, p) + xlog1py(1.0 - X, -p)).sum() / n_draws
    return float((log_p - kl) / len(X))


class PeakMemory:
    """Most anonymous memory, in bytes, that the process takes inside, above where it began.

    It reads /proc, so it needs Linux.
    """

    def __enter__(self) -> PeakMemory:
        self.stopped = threading.Event()
        self.before = self.now()
        self.peak = 0
        self.watcher = threading.Thread(target=self.watch, daemon=True)
        self.watcher.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stopped.set()
        self.watcher.join()
        self.peak = max(self.peak, self.now() - self.before)

    def watch(self) -> None:
        while not self.stopped.wait(0.01):
            self.peak = max(self.peak, self.now() - self.before)

    @staticmethod
    def now() -> int:
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.split("RssAnon:")[1].split()[0])


# ----------------------------------------------------------------- the report


def result_name(parts: Sequence[str], changed: Mapping[str, Any]) -> str:
    """Name of a file that tells which parameters were changed."""
    assignments = (f"{key}={value}" for key, value in changed.items())
    return re.sub("[^\\w.=+-]+", "-", "_".join([*parts, *assignments]))


def cell(value: Any, format_spec: str) -> str:
    """Text of a value; a dash where there is none."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "–"
    return format(value, format_spec)


def print_table(formats: Mapping[str, str], rows: Sequence[Row]) -> None:
    """Print a Markdown table, numbers to the right."""
    columns = [[name, *(cell(row[name], spec) for row in rows)] for name, spec in formats.items()]
    widths = [max(map(len, column)) for column in columns]
    rule = [
        "-" * w if s == "s" else "-" * (w - 1) + ":"
        for w, s in zip(widths, formats.values(), strict=True)
    ]
    lines = list(zip(*columns, strict=True))
    for line in [lines[0], rule, *lines[1:]]:
        cells = (
            text.ljust(w) if spec == "s" else text.rjust(w)
            for text, w, spec in zip(line, widths, formats.values(), strict=True)
        )
        print(f"| {' | '.join(cells)} |")


def plain(value: Any) -> Any:
    """Give what JSON knows: six significant digits, null where there is no number."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def publish(report: Report, settings: Mapping[str, Any]) -> None:
    """Print the table with its summary, and write both with settings and versions as JSON."""
    print_table(report.formats, report.rows)
    for name, value in report.summary.items():
        print(f"{name}: {value:.4g}")
    packages = ("numpy", "scikit-learn", "scipy", "torch")
    content = {
        "settings": dict(settings),
        "rows": report.rows,
        "summary": report.summary,
        "versions": {
            "skvae": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in packages},
        },
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs",
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{report.name}.json"
    path.write_text(json.dumps(plain(content), indent=1, ensure_ascii=False) + "\n")
    print(f"wrote {path.relative_to(RESULTS.parent.parent)}")
