"""scikit-learn's own tests of PCA, run on the linear start in PCA's place.

The functions are those of the installed scikit-learn, with their parameters; what is called PCA in
their module is here an estimator of ours with PCA's parameters.
"""

import types

import numpy as np
import pytest
import sklearn
from sklearn.utils.fixes import parse_version

from skvae import Autoencoder, VariationalAutoencoder

if parse_version(sklearn.__version__) < parse_version("1.9"):
    pytest.skip("the exceptions named here are those of scikit-learn 1.9", allow_module_level=True)
theirs = pytest.importorskip(
    "sklearn.decomposition.tests.test_pca",
    reason="this scikit-learn was installed without its tests",
    exc_type=ImportError,
)

# Tests that say nothing of ours.
LEFT_OUT = {
    "test_array_api_error_and_warnings_on_unsupported_params": "of PCA's solvers",
    "test_n_components_mle_error": "of PCA's solvers",
    "test_pca_svd_solver_auto": "of PCA's solvers",
    "test_pca_validation": "of what each solver takes; an int may exceed the features here",
    "test_sparse_pca_solver_error": "of PCA's solvers; a sparse X is always taken here",
    "test_pca_array_api_compliance": "its estimators are made at import, of scikit-learn's PCA",
    "test_pca_mle_array_api_compliance": "its estimators are made at import",
    "test_assess_dimension_bad_rank": "fits nothing",
    "test_assess_dimension_rank_one": "fits nothing",
    "test_small_eigenvalues_mle": "fits nothing",
    "test_pca_score": "asks whiten=True to score lower: PCA's covariance then has other units, "
    "and ours is that of X",
}

DIGITS = "the published variances and the transform pass through float32 parameters"

# Part of a test's name with its parameters -> why it fails, and whether it must.
EXCEPTIONS = {
    "test_pca_zero_noise_variance_edge_cases": ("a density needs some noise", True),
    "test_pca_score3": ("n_components=0 is no autoencoder", True),
    "test_fit_mle_too_few_samples": ("the message has other words", True),
    "arpack-3": ("the solver leaves out one component", True),
    "float64-False-False-tall-covariance_eigh": (DIGITS, True),
    "float64-False-True-tall-covariance_eigh": (DIGITS, True),
    "float64-True-False-tall-covariance_eigh": (DIGITS, True),
    "float64-True-True-tall-covariance_eigh": (DIGITS, True),
    "test_pca_explained_variance_empirical[VariationalAutoencoder-full-random-wide]": (
        DIGITS,
        False,
    ),
}

# One value is enough of parameters that the adapter does not read, and of the sparse containers,
# because validation makes one format of them: the last, which it must convert.
ONE_VALUE = {"svd_solver": slice(1), "solver": slice(1), "sparse_container": slice(-1, None)}


def borrowed(function):
    """Give a copy of a test function, with fewer values of some parameters."""
    copy = types.FunctionType(
        function.__code__, vars(theirs), function.__name__, function.__defaults__
    )
    copy.pytestmark = [
        mark
        if mark.name != "parametrize" or mark.args[0] not in ONE_VALUE
        else pytest.mark.parametrize(
            mark.args[0], list(mark.args[1])[ONE_VALUE[mark.args[0]]], **mark.kwargs
        ).mark
        for mark in getattr(function, "pytestmark", [])
    ]
    return copy


TESTS = {name: value for name, value in vars(theirs).items() if name.startswith("test_")}
globals().update(
    (name, borrowed(function)) for name, function in TESTS.items() if name not in LEFT_OUT
)


def in_place(base):
    """Class of PCA's name and parameters whose fit is the linear start of ``base``."""

    class PCA(base):
        def __init__(
            self,
            n_components=None,
            *,
            copy=True,
            whiten=False,
            svd_solver="auto",
            tol=0.0,
            iterated_power="auto",
            n_oversamples=10,
            power_iteration_normalizer="auto",
            random_state=None,
        ):
            super().__init__(
                n_components,
                hidden_layer_sizes=(),
                max_iter=0,
                whiten=whiten,
                tol=tol,
                random_state=random_state,
            )
            self.copy = copy
            self.svd_solver = svd_solver
            self.iterated_power = iterated_power
            self.n_oversamples = n_oversamples
            self.power_iteration_normalizer = power_iteration_normalizer

    return PCA


@pytest.fixture(
    autouse=True, params=[VariationalAutoencoder, Autoencoder], ids=lambda base: base.__name__
)
def pca(request, monkeypatch):
    monkeypatch.setattr(theirs, "PCA", in_place(request.param))
    for part, (reason, strict) in EXCEPTIONS.items():
        if part in request.node.name:
            request.applymarker(pytest.mark.xfail(reason=reason, strict=strict))


@pytest.fixture
def global_random_seed():
    return 42  # scikit-learn's own choice


@pytest.fixture(params=[np.float32, np.float64], ids=lambda dtype: dtype.__name__)
def global_dtype(request):
    return request.param


def test_every_test_left_out_is_one_of_theirs():
    assert set(LEFT_OUT) <= set(TESTS)
