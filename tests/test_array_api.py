"""PCA's own array API checks, run on our estimators.

What is adapted, and why: fitted attributes are NumPy arrays here whatever X was (docs/choices.md),
so the checks are shown none of them, and ``get_precision``, which reads no rows, gives an array.
Their values are compared here instead.
"""

from unittest import SkipTest

import numpy as np
import pytest
import sklearn
from sklearn import clone, config_context
from sklearn.datasets import load_iris
from sklearn.utils import estimator_checks
from sklearn.utils._array_api import yield_namespace_device_dtype_combinations
from sklearn.utils._testing import _array_api_for_tests
from sklearn.utils.fixes import parse_version
from walking import SMALL

from skvae import (
    Autoencoder,
    CanonicalCorrelatedAutoencoder,
    VAEImputer,
    VAEOutlierDetector,
    VariationalAutoencoder,
)

if parse_version(sklearn.__version__) < parse_version("1.9"):
    pytest.skip("what the checks take is that of scikit-learn 1.9", allow_module_level=True)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# The starts, in PCA's place as in test_pca.py; then what is trained, and what no PCA is.
STARTS = [
    estimator(k, max_iter=0, whiten=whiten, random_state=0)
    for estimator in (VariationalAutoencoder, Autoencoder)
    for k, whiten in ((2, False), (2, True), (0.1, True))
]
ESTIMATORS = [
    *STARTS,
    VariationalAutoencoder(**SMALL),
    Autoencoder(**SMALL),
    CanonicalCorrelatedAutoencoder(**SMALL),
    VAEImputer(VariationalAutoencoder(**SMALL), n_components=2),
    VAEOutlierDetector(max_iter=2, random_state=0),
]


def is_there(namespace, device, dtype):
    """Say whether a library is installed, and has the device."""
    try:
        _array_api_for_tests(namespace, device, dtype)
    except SkipTest:
        return False
    return True


NAMESPACES = [kind for kind in yield_namespace_device_dtype_combinations() if is_there(*kind)]


def attributes(estimator):
    """Public arrays that a fit has set."""
    found = {k: v for k, v in vars(estimator).items() if isinstance(v, np.ndarray)}
    return {name: value for name, value in found.items() if not name.startswith("_")}


def converted(array, namespace, device, dtype):
    """An array in a namespace and on a device; integers stay so."""
    xp, device = _array_api_for_tests(namespace, device, dtype)
    kind = array.dtype if array.dtype.kind == "i" else dtype or "float64"
    return xp.asarray(array.astype(kind), device=device)


def test_numpy_and_torch_are_there():
    """Without them nothing here would be checked."""
    assert {"numpy", "torch"} <= {namespace for namespace, _, _ in NAMESPACES}


@pytest.mark.parametrize(("namespace", "device", "dtype"), NAMESPACES)
@pytest.mark.parametrize("values", [False, True], ids=["", "values"])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_array_api_compliance(estimator, namespace, device, dtype, values, monkeypatch):
    monkeypatch.setattr(estimator_checks, "vars", lambda _: {}, raising=False)
    name = type(estimator).__name__
    if values:
        check, dtype = estimator_checks.check_array_api_input_and_values, dtype or "float64"
    else:
        check = estimator_checks.check_array_api_input
    check(name, estimator, namespace, device_name=device, dtype_name=dtype)


@pytest.mark.parametrize(("namespace", "device", "dtype"), NAMESPACES)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_fitted_attributes_are_those_of_the_array(estimator, namespace, device, dtype):
    """The half of the check that is adapted: the same bits, in NumPy's arrays."""
    iris, y = load_iris(return_X_y=True)
    X, y_xp = converted(iris, namespace, device, dtype), converted(y, namespace, device, dtype)
    expected = attributes(clone(estimator).fit(iris.astype(dtype or "float64"), y))
    with config_context(array_api_dispatch=True):
        found = attributes(clone(estimator).fit(X, y_xp))
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value, strict=True)


@pytest.mark.parametrize(("namespace", "device", "dtype"), NAMESPACES)
@pytest.mark.parametrize("estimator", [*STARTS[::3], VariationalAutoencoder("mle", max_iter=0)])
def test_array_api_get_precision(estimator, namespace, device, dtype):
    """As check_array_api_get_precision of test_pca.py, but for the arrays' library."""
    iris, estimator = load_iris().data, clone(estimator)
    X, iris = converted(iris, namespace, device, dtype), iris.astype(dtype or "float64")
    estimator.fit(iris)
    with config_context(array_api_dispatch=True):
        estimator_xp = clone(estimator).fit(X)
        for method in ("get_precision", "get_covariance"):
            found, expected = getattr(estimator_xp, method)(), getattr(estimator, method)()
            assert found.shape == (4, 4)
            assert found.dtype == iris.dtype
            np.testing.assert_allclose(found, expected, rtol=2e-4 if dtype == "float32" else 2e-7)


@pytest.mark.parametrize(("namespace", "device", "dtype"), NAMESPACES)
@pytest.mark.parametrize("estimator", ESTIMATORS[len(STARTS) :], ids=str)
def test_weights_and_targets_may_be_another_librarys(estimator, namespace, device, dtype):
    """Everything follows X, and a fit on one library reads the rows of another."""
    iris, y = load_iris(return_X_y=True)
    X, iris = converted(iris, namespace, device, dtype), iris.astype(dtype or "float64")
    weight = np.linspace(1.0, 2.0, len(y))
    reads = "transform" if hasattr(estimator, "transform") else "score_samples"
    expected = getattr(clone(estimator).fit(iris, y, sample_weight=weight), reads)(iris)
    with config_context(array_api_dispatch=True):
        fitted = clone(estimator).fit(X, y, sample_weight=weight)
        np.testing.assert_array_equal(getattr(fitted, reads)(iris), expected, strict=True)
        found = getattr(clone(estimator).fit(iris, y, sample_weight=weight), reads)(X)
    assert type(found) is type(X)
