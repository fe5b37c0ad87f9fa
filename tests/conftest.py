"""Settings that must stand before NumPy, torch and matplotlib are imported, and the CUDA marker."""

import os

os.environ.setdefault("SCIPY_ARRAY_API", "1")  # without it scikit-learn skips its array API check
os.environ.setdefault("MPLBACKEND", "Agg")
# Two processes run side by side, and the threads of each would wait for those of the other. Tests
# of threads ask for theirs.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("cuda") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
