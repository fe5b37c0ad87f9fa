"""Threads, forks and torch's switches: nothing around a call matters, and a call changes nothing.

What may hang runs in a process of its own with two OpenMP threads and a time limit.
"""

import os
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
import walking
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_info

import skvae
from skvae._core.process import one_thread
from skvae.inference import built

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

PREAMBLE = """
import os, signal, warnings
warnings.simplefilter("ignore")
import numpy as np, walking, skvae

def in_child(job, seconds=30):
    pid = os.fork()
    if pid == 0:
        signal.alarm(seconds)
        try:
            job()
        finally:
            os._exit(0)
    status = os.waitpid(pid, 0)[1]
    return "ended" if status == 0 else f"status {status}"
"""


def run(program, seconds=240):
    """Lines that a program prints."""
    threads = dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"], "2")
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    result = subprocess.run(
        [sys.executable, "-c", PREAMBLE + program],
        capture_output=True,
        text=True,
        timeout=seconds,
        env={**os.environ, **threads, "PYTHONPATH": path},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


# ------------------------------------------------------------------ forks


def test_every_call_survives_a_fork_after_every_call():
    """As under ``gunicorn --preload``, ``Pool`` or joblib's multiprocessing backend."""
    lines = run("""
for way in walking.FITS:
    model, y = walking.fits(way[0])[way[1]]
    before = walking.every_bit(model.fit(walking.X, y), y)
    def job():
        assert walking.every_bit(model, y) == before
        walking.whole_life(*way)
        print(*way, "right", flush=True)
    print(*way, in_child(job), flush=True)
""")
    assert lines == [
        f"{estimator} {name} {word}"
        for estimator, name in walking.FITS
        for word in ("right", "ended")
    ]


def test_large_steps_survive_a_fork_after_large_steps():
    lines = run("""
from skvae import VariationalAutoencoder, CanonicalCorrelatedAutoencoder
X = np.random.RandomState(0).randn(600, 100).astype("f4")
Y = (X[:, :40] > 0).astype(int)
wide = {"hidden_layer_sizes": (256,), "max_iter": 1, "batch_size": 256, "random_state": 0}
for estimator in (
    VariationalAutoencoder(20, **wide),
    VariationalAutoencoder(20, encoder=walking.PlainNet, **wide),
    CanonicalCorrelatedAutoencoder(n_folds=1, **wide),
):
    estimator.fit(X, Y).transform(X)
    def job():
        estimator.fit(X, Y).transform(X)
    print(in_child(job), flush=True)
""")
    assert lines == ["ended"] * 3


# ------------------------------------------------------------------ threads


def limits():
    return torch.get_num_threads(), [pool["num_threads"] for pool in threadpool_info()]


def test_fits_that_overlap_in_threads_leave_the_limits_as_they_were():
    lines = run("""
import threading
from test_process import limits
X = np.random.RandomState(0).normal(size=(500, 6))
before = limits()
started = threading.Event()
def fit(n):
    started.set()
    skvae.VariationalAutoencoder(max_iter=n, n_iter_no_change=n, tol=0, random_state=0).fit(X)
late = threading.Timer(0.1, fit, [60])  # begins during the fit below, and ends after it
late.start()
while not started.is_set():
    fit(10)
started.clear()
late.join()
print(before, limits(), sep="\\n")
""")
    before, after = lines
    assert "2" in before
    assert after == before


def test_limits_nest_and_overlap():
    def held(entered, leave):
        with one_thread():
            entered.set()
            leave.wait()

    before = limits()
    with one_thread():
        with one_thread():
            assert set(limits()[1]) == {1}
        assert set(limits()[1]) == {1}
    assert limits() == before
    entered, leave = threading.Event(), threading.Event()
    other = threading.Thread(target=held, args=(entered, leave))
    with one_thread():
        other.start()
        entered.wait()
    assert limits()[0] == before[0]  # this thread's OpenMP is free, whoever else is limited
    leave.set()
    other.join()
    assert limits() == before


@pytest.mark.parametrize("name", ["user's networks", "vamp prior", "flow prior"])
def test_networks_of_others_fit_alike_in_threads(name):
    """They draw from torch's global generator, which is one for all threads."""

    def fit(seed):
        vae = walking.fitted(skvae.VariationalAutoencoder, name, max_iter=1, random_state=seed)
        return vae.transform(walking.X).tobytes()

    alone = [fit(seed) for seed in range(4)]
    before = torch.get_rng_state()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(fit, range(4))) == alone
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(("estimator", "name"), walking.FITS)
def test_threads_read_one_fit_alike(estimator, name):
    """The model that is built for inference is one for all of them."""
    model, y = walking.fits(estimator)[name]
    alone = walking.every_bit(model.fit(walking.X, y), y)
    with ThreadPoolExecutor(3) as pool:
        for found in pool.map(lambda _: walking.every_bit(model, y), range(3)):
            assert found == alone


def test_model_is_built_once_for_a_fit():
    vae = skvae.VariationalAutoencoder(2, random_state=0)
    first = vae.partial_fit(walking.X)._fitted
    Z = vae.transform(walking.X)
    assert built(first, torch.float64) is built(first, torch.float64)
    assert built(first, torch.float32) is not built(first, torch.float64)
    assert not np.allclose(vae.partial_fit(walking.X).transform(walking.X), Z)
    # A module may keep what it sees.
    own = walking.fitted(skvae.VariationalAutoencoder, "user's networks")._fitted
    assert built(own, torch.float32) is not built(own, torch.float32)


# ------------------------------------------------------------------ switches


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    yield
    torch.set_default_dtype(before)


@contextmanager
def default_device(device):
    torch.set_default_device(device)
    yield
    torch.set_default_device(None)


@contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


SWITCHES = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "default device": lambda: default_device("meta"),
    "device context": lambda: torch.device("meta"),
    "default dtype float64": lambda: default_dtype(torch.float64),
    "default dtype bfloat16": lambda: default_dtype(torch.bfloat16),
    "deterministic algorithms": deterministic,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "anomaly detection": lambda: torch.autograd.set_detect_anomaly(True),
    "NumPy raises": lambda: np.errstate(all="raise"),
}


@pytest.fixture(scope="module")
def plain_bits():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return {way: walking.whole_life(*way) for way in walking.FITS}


@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize(("estimator", "name"), walking.FITS)
def test_switches_do_not_matter(estimator, name, switch, plain_bits):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Anomaly Detection has been enabled")
        with SWITCHES[switch]():
            found = walking.whole_life(estimator, name)
    assert found == plain_bits[estimator, name]


def test_walk_calls_every_public_method_and_metric(plain_bits):
    called = {}
    for (estimator, _), found in plain_bits.items():
        called.setdefault(estimator, set()).update(found)
    public = (getattr(skvae, name) for name in skvae.__all__)
    assert called.keys() | set(walking.APART) == {p for p in public if hasattr(p, "fit")}
    for estimator, names in called.items():
        assert set(walking.reading(estimator)) <= names, estimator
    assert {f.__name__ for f in walking.metric_functions()} <= set.union(*called.values())


def test_memory_that_is_not_there_is_a_memory_error():
    vae = skvae.VariationalAutoencoder(max_iter=0).fit(walking.X)
    with pytest.raises(MemoryError, match="n_components"):
        skvae.VariationalAutoencoder(n_components=2**40, max_iter=0).fit(walking.X)
    with pytest.raises(MemoryError, match="draws"):
        vae.score_samples(walking.X, n_draws=2**45)
