"""A fit that is killed and resumed gives the model of a fit that was left alone, bit for bit."""

import io
import os
import re
import shutil
import subprocess
import sys
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from torch import nn

from skvae import (
    Autoencoder,
    CanonicalCorrelatedAutoencoder,
    VAEImputer,
    VAEOutlierDetector,
    VariationalAutoencoder,
)
from skvae._core import files
from skvae.callbacks import Checkpoint
from skvae.schedules import KLController

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, DIGIT = load_digits(return_X_y=True)
X, DIGIT = X[:400] / 16, DIGIT[:400]
LABELS = np.column_stack([DIGIT % 2 == 0, DIGIT > 4, DIGIT % 3 == 0]).astype(int)


def noisy(n_in, n_out):
    """Batch norm keeps running means, and dropout draws by torch's global generator."""
    layers = nn.Linear(n_in, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, n_out)
    return nn.Sequential(*layers).float()


SMALL = {"hidden_layer_sizes": (8,), "max_iter": 6, "random_state": 0}
ESTIMATORS = {
    "plain": VariationalAutoencoder(2, **SMALL),
    "race": VariationalAutoencoder(24, likelihood="bernoulli", **SMALL),
    "controller": VariationalAutoencoder(2, beta=KLController(3), **SMALL),
    "module": VariationalAutoencoder(2, encoder=noisy, prior="mixture_of_gaussians", **SMALL),
    # After the early stop it cools down.
    "cooldown": VariationalAutoencoder(2, **{**SMALL, "max_iter": 9}, tol=1.0, n_iter_no_change=3),
    "last": VariationalAutoencoder(2, early_stopping=False, **SMALL),
    "unseeded": VariationalAutoencoder(2, **{**SMALL, "random_state": None}),
    "autoencoder": Autoencoder(2, corruption="masking", **SMALL),
    "folds": CanonicalCorrelatedAutoencoder(n_folds=3, **SMALL),
    "one fold": CanonicalCorrelatedAutoencoder(n_folds=1, **SMALL),
}
every = pytest.mark.parametrize("name", ESTIMATORS)


class Killed(BaseException):
    """The fit is over, and nothing is put in order."""


class Fragile(Checkpoint):
    """Is killed after so many epochs."""

    def __init__(self, path, n_epochs, **options):
        super().__init__(path, **options)
        self.n_epochs = n_epochs

    def record(self):
        record, left, keep = super().record(), [self.n_epochs], None
        keep = record.keep

        def kept(progress):
            keep(progress)
            left[0] -= 1
            if left[0] == 0:
                raise Killed

        record.keep = kept
        return record


def fitted(estimator, *callbacks):
    return clone(estimator).set_callbacks(*callbacks).fit(X, LABELS)


def assert_same(one, other):
    assert one._fitted.parameters.tobytes() == other._fitted.parameters.tobytes()
    assert one.loss_curve_ == other.loss_curve_
    assert one.validation_scores_ == other.validation_scores_
    assert one.transform(X).tobytes() == other.transform(X).tobytes()


@every
@pytest.mark.parametrize("n_epochs", [1, 3, 4, 5])
def test_resumed_fit_is_the_one_left_alone(name, n_epochs, tmp_path):
    estimator, path = ESTIMATORS[name], tmp_path / "fit.npz"
    with pytest.raises(Killed):
        fitted(estimator, Fragile(path, n_epochs))
    if estimator.random_state is None:
        # Two that go on from one file are the same, though nobody knows the seed.
        content = path.read_bytes()
        whole = fitted(estimator, Checkpoint(path))
        path.write_bytes(content)
    else:
        whole = fitted(estimator)
    assert_same(fitted(estimator, Checkpoint(path)), whole)


def test_fit_that_is_done_is_not_done_again(tmp_path, monkeypatch):
    checkpoint = Checkpoint(tmp_path / "fit.npz")
    first = fitted(ESTIMATORS["race"], checkpoint)
    monkeypatch.setattr("skvae.training._loop._Run._take", lambda *_: 1 / 0)
    assert_same(fitted(ESTIMATORS["race"], checkpoint), first)


def test_interval(tmp_path):
    writes = []
    for options in ({}, {"every_n_epochs": 4}, {"every_seconds": 1e6}):
        path = tmp_path / f"{len(writes)}.npz"
        writes.append(0)

        class Counting(Checkpoint):
            def record(self):
                record = super().record()
                write = record._write

                def counted():
                    writes[-1] += 1
                    write()

                record._write = counted
                return record

        fitted(ESTIMATORS["last"], Counting(path, **options))
    assert writes == [7, 2, 1]  # the end is always written


def test_other_fits_and_files_are_refused(tmp_path):
    path = tmp_path / "fit.npz"
    estimator, checkpoint = ESTIMATORS["plain"], Checkpoint(path)
    fitted(estimator, checkpoint)
    content = path.read_bytes()

    def refusal(estimator, X=X, **options):
        with pytest.raises(ValueError, match="remove the file") as raised:
            clone(estimator).set_callbacks(checkpoint).fit(X, LABELS, **options)
        return str(raised.value)

    assert "a fit with max_iter=6. Got max_iter=9." in refusal(
        clone(estimator).set_params(max_iter=9)
    )
    assert "to another X." in refusal(estimator, X + 1)
    assert "to another sample_weight." in refusal(estimator, sample_weight=np.ones(len(X)))
    other = refusal(ESTIMATORS["one fold"])
    assert "of VariationalAutoencoder. Got CanonicalCorrelatedAutoencoder." in other
    stream = io.BytesIO()
    np.savez(stream, a=np.ones(3))
    middle = len(content) // 2
    changed = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    for wrong in (content[:-1], content[:middle], b"", b"hello", stream.getvalue(), changed):
        path.write_bytes(wrong)
        assert "is no checkpoint of skvae" in refusal(estimator)


@pytest.mark.parametrize("name", ["numpy.savez", "os.fsync", "os.replace"])
def test_failure_in_writing_leaves_the_former_file(name, tmp_path, monkeypatch):
    path = tmp_path / "file.npz"
    files.write_arrays(path, {"a": np.arange(9)})

    def fails(target, *_, **__):
        if hasattr(target, "write"):
            target.write(b"half of it")
        raise OSError("No space left on device")

    monkeypatch.setattr(name, fails)
    with pytest.raises(OSError, match="No space"):
        files.write_arrays(path, {"a": np.zeros(9)})
    assert files.read_arrays(path)["a"].tolist() == list(range(9))
    assert os.listdir(tmp_path) == ["file.npz"]


GAPS = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)[:, 20:30]
DAYS = pd.date_range("2024-03-01", periods=len(X), freq="h")
FRAME = pd.DataFrame(
    {"digit": DIGIT.astype(str), "ink": X.sum(1), "odd": DIGIT % 2 == 1, "day": DAYS}
)
SEVERAL = {
    # Three trainings on cells that are shown, and one on all rows.
    "imputer": (VAEImputer(VariationalAutoencoder(2, **SMALL), random_state=0), GAPS),
    "imputer that judges the start": (VAEImputer(random_state=0), GAPS[:30, :4]),
    "imputer of a frame": (
        VAEImputer(VariationalAutoencoder(2, likelihood="auto", **SMALL)),
        FRAME[:80],
    ),
    # Weights are renewed after five passes.
    "detector": (VAEOutlierDetector(2, max_iter=7, random_state=0), X),
    "detector of a frame": (VAEOutlierDetector(1, random_state=0), FRAME[:80]),
}


@pytest.mark.parametrize("name", SEVERAL)
@pytest.mark.parametrize("n_epochs", [2, 6])
def test_resumed_fit_of_several_models_is_the_one_left_alone(name, n_epochs, tmp_path):
    estimator, rows = SEVERAL[name]
    whole, path = clone(estimator).set_params(random_state=0).fit(rows), tmp_path / "fit.npz"
    resumed = clone(whole)
    n_done = getattr(whole, "n_iter_", 6)
    with pytest.raises(Killed):
        clone(whole).set_callbacks(Fragile(path, min(n_epochs, n_done))).fit(rows)
    resumed.set_callbacks(Checkpoint(path)).fit(rows)
    one, other = resumed.estimator_, whole.estimator_
    assert one._fitted.parameters.tobytes() == other._fitted.parameters.tobytes()
    assert one.loss_curve_ == other.loss_curve_
    if hasattr(whole, "weight_"):
        assert resumed.weight_.tobytes() == whole.weight_.tobytes()
        assert resumed.offset_ == whole.offset_
    with pytest.raises(ValueError, match="to another X"):
        resumed.fit(rows[1:])


def test_frames_are_told_apart_by_every_column():
    assert files.digest(FRAME.copy()) == files.digest(FRAME)
    for name in FRAME.columns:
        other = FRAME.assign(**{name: FRAME[name].to_numpy()[::-1]})
        assert files.digest(other) != files.digest(FRAME)


WRITER = """
import importlib.util, sys
from pathlib import Path
import numpy as np

spec = importlib.util.spec_from_file_location("files", sys.argv[1])
files = importlib.util.module_from_spec(spec)
spec.loader.exec_module(files)  # without torch: this is one of many processes
files.write_arrays(Path(sys.argv[2]), {"a": np.full(9000, 2.0)})
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="nothing makes system calls fail")
@pytest.mark.parametrize("fault", ["error=ENOSPC", "signal=KILL"])
def test_fault_in_any_system_call_loses_nothing(fault, tmp_path):
    folder, log = tmp_path / "folder", tmp_path / "log"
    folder.mkdir()
    path = folder / "fit.npz"
    watched = [f for name in ("", "fit.npz", "fit.npz.tmp") for f in ("-P", folder / name)]

    def write(*options):
        files.write_arrays(path, {"a": np.ones(9000)})
        writer = [sys.executable, "-c", WRITER, files.__file__, path]
        command = ["strace", "-f", "-o", log, *watched, *options, *writer]
        is_done = subprocess.run(command, capture_output=True, check=False).returncode == 0
        value = np.unique(files.read_arrays(path)["a"]).tolist()
        assert value == [2.0] or (value == [1.0] and not is_done)
        return is_done, log.read_text()

    is_done, calls = write()
    assert is_done
    n_failed = 0
    for name, count in Counter(re.findall(r"^\d+ +(\w+)\(", calls, re.MULTILINE)).items():
        for place in range(1, count + 1):
            inject = ("-e", f"trace={name}", "-e", f"inject={name}:{fault}:when={place}")
            # Other calls are then not stopped at; it does not go with signals.
            fast = ["--seccomp-bpf"] if fault.startswith("error") else []
            is_done, calls = write(*fast, *inject)
            n_failed += not is_done
            assert "(INJECTED)" in calls or "+++ killed by" in calls
    # Opening, writing, its way to the disk, the new name, and that one's way.
    assert n_failed >= 10


def test_arguments_are_checked(tmp_path):
    with pytest.raises(ValueError, match="every_n_epochs"):
        Checkpoint(tmp_path / "a", every_n_epochs=0)
    with pytest.raises(ValueError, match="every_seconds"):
        Checkpoint(tmp_path / "a", every_seconds=-1)


# Forks are cheap here: a process that has only imported what it needs.
PROGRAM = """
import os, random, signal, sys, time, warnings
import numpy as np
from sklearn.base import clone
sys.path.insert(0, sys.argv[1])
warnings.simplefilter("ignore")
from test_checkpoint import ESTIMATORS, Checkpoint, X
from skvae._core import files

path, name = sys.argv[2:]
vae = clone(ESTIMATORS["race"]).set_params(max_iter=40)

def child(work):
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    return pid

def fit():
    vae.set_callbacks(Checkpoint(path)).fit(X)

def dies(function):
    calls = [0]
    def dying(*args, **kwargs):
        calls[0] += 1
        if calls[0] == 3:
            if hasattr(args[0], "write"):
                args[0].write(b"half of it")
                args[0].flush()
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return dying

n_killed = 0
if name == "random times":
    rng = random.Random(0)
    for _ in range(10):
        pid = child(fit)
        time.sleep(rng.uniform(0.0, 0.4))
        os.kill(pid, signal.SIGKILL)
        n_killed += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
else:
    module, _, function = name.partition(".")
    def work():
        setattr(sys.modules[module], function, dies(getattr(sys.modules[module], function)))
        fit()
    for _ in range(3):
        n_killed += os.WIFSIGNALED(os.waitpid(child(work), 0)[1])
fit()
whole = clone(vae).set_callbacks().fit(X)
same = whole._fitted.parameters.tobytes() == vae._fitted.parameters.tobytes()
print(n_killed, same and whole.loss_curve_ == vae.loss_curve_)
"""


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL")
@pytest.mark.parametrize("point", ["random times", "numpy.savez", "os.fsync", "os.replace"])
def test_kill_loses_nothing(point, tmp_path):
    here = os.path.dirname(__file__)
    command = [sys.executable, "-c", PROGRAM, here, str(tmp_path / "fit.npz"), point]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr
    n_killed, is_same = result.stdout.split()
    assert int(n_killed) >= 3
    assert is_same == "True"
