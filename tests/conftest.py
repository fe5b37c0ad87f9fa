"""Settings that must stand before SciPy and matplotlib are imported, and the CUDA marker."""

import os

os.environ.setdefault("SCIPY_ARRAY_API", "1")  # without it scikit-learn skips its array API check
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
import torch


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("cuda") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
