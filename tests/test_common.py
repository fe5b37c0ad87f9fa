"""Every public estimator passes every check that scikit-learn has for it."""

import inspect
import re
from unittest import SkipTest

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import estimator_checks_generator

import skvae
from skvae import (
    Autoencoder,
    CanonicalCorrelatedAutoencoder,
    VAEImputer,
    VAEOutlierDetector,
    VariationalAutoencoder,
)

# The classifier and the imputer are small here, for there are a hundred fits of each.
ESTIMATORS = [
    VariationalAutoencoder(),
    Autoencoder(),
    CanonicalCorrelatedAutoencoder(
        hidden_layer_sizes=(32,), max_iter=40, learning_rate_init=5e-3, n_iter_no_change=5
    ),
    VAEImputer(VariationalAutoencoder(max_iter=5), n_components=1),
    VAEOutlierDetector(),
]

# The names are the same in scikit-learn 1.6 to 1.9.
EXPECTED_FAILED_CHECKS = {
    f"check_sample_weight_equivalence_on_{kind}_data": (
        "a weight and repeated rows give the same objective, but repeated rows draw more noise and"
        " fall into other batches: equal in expectation only"
    )
    for kind in ("dense", "sparse")
}


def expected_to_fail(estimator):
    """Names and reasons; a small fit that keeps the start takes weights exactly.

    An imputer's does, and a multi-label classifier's to a sparse X, of which no other is tried.
    """
    if isinstance(estimator, VAEImputer):
        return {}
    if isinstance(estimator, CanonicalCorrelatedAutoencoder):
        sparse = "check_sample_weight_equivalence_on_sparse_data"
        return {name: why for name, why in EXPECTED_FAILED_CHECKS.items() if name != sparse}
    return EXPECTED_FAILED_CHECKS


# The checks that check_estimator leaves out, which scikit-learn runs on its own estimators.
TRANSFORMER_CHECKS = [
    estimator_checks.check_get_feature_names_out_error,
    estimator_checks.check_transformer_get_feature_names_out,
    estimator_checks.check_transformer_get_feature_names_out_pandas,
    estimator_checks.check_set_output_transform,
    estimator_checks.check_set_output_transform_pandas,
    estimator_checks.check_set_output_transform_polars,
    estimator_checks.check_global_output_transform_pandas,
    estimator_checks.check_global_set_output_transform_polars,
]
FURTHER_CHECKS = [
    estimator_checks.check_dataframe_column_names_consistency,
    estimator_checks.check_param_validation,
    estimator_checks.check_inplace_ensure_writeable,
    estimator_checks.check_estimators_partial_fit_n_features,
]

pytestmark = [
    # The checks' data are noise, on which training may rightly end early or latents collapse.
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # Some fit a data frame and transform its array on purpose, or the other way round.
    pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning"),
    pytest.mark.filterwarnings("ignore:X has feature names, but:UserWarning"),
]


def class_name(estimator):
    return type(estimator).__name__


def check_name(check):
    return getattr(check, "func", check).__name__


def readable(value):
    """Test id of an estimator or of a check, which may be a partial with keywords."""
    if isinstance(value, BaseEstimator):
        return class_name(value)
    return "-".join([check_name(value), *getattr(value, "keywords", {})])


def run(check, *args):
    """A check that skips itself has checked nothing, and pytest would only count it."""
    try:
        check(*args)
    except SkipTest as skipped:
        pytest.fail(f"scikit-learn skipped this check: {skipped}")


# Not parametrize_with_checks: what 1.7 and 1.8 hand to pytest there, pytest 9 deprecates.
@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pair
        for estimator in ESTIMATORS
        for pair in estimator_checks_generator(
            estimator, expected_failed_checks=expected_to_fail(estimator), mark="xfail"
        )
    ],
    ids=readable,
)
def test_check_estimator(estimator, check):
    run(check, estimator)


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        (estimator, check)
        for estimator in ESTIMATORS
        for check in FURTHER_CHECKS + TRANSFORMER_CHECKS * hasattr(estimator, "transform")
    ],
    ids=readable,
)
def test_further_check(estimator, check):
    run(check, class_name(estimator), estimator)


def test_skipped_check_fails():
    def check():
        raise SkipTest("no pandas")

    with pytest.raises(pytest.fail.Exception, match="no pandas"):
        run(check)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=class_name)
def test_expected_failures_are_checks_that_run(estimator):
    checks = {check_name(check) for _, check in estimator_checks_generator(estimator)}
    assert set(expected_to_fail(estimator)) <= checks


def test_every_public_estimator_is_checked():
    public = [getattr(skvae, name) for name in skvae.__all__]
    estimators = {
        value
        for value in public
        if inspect.isclass(value) and issubclass(value, BaseEstimator) and hasattr(value, "fit")
    }
    assert estimators == {type(estimator) for estimator in ESTIMATORS}


def documented(value):
    """Names that the sections of a numpydoc docstring describe."""
    return set(re.findall(r"(?m)^ *\**(\w+) : ", value.__doc__))


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=class_name)
def test_every_parameter_and_fitted_attribute_is_documented(estimator):
    """scikit-learn's HTML representation takes its tooltips from the class docstring."""
    X, y = np.random.RandomState(0).rand(60, 4), np.arange(60) % 2
    short = {name: 1 for name in estimator.get_params() if name.endswith("max_iter")}
    fitted = clone(estimator).set_params(**short).fit(X, y)
    attributes = {name for name in vars(fitted) if re.fullmatch("[a-z].*_", name)}
    assert {*estimator.get_params(deep=False), *attributes} - documented(type(estimator)) == set()


def described(docstring):
    """Type and text, free of line breaks, of each name in a numpydoc docstring's sections."""
    entries = re.findall(r"(?m)^ {4}(\w+) : (.*\n(?: {8,}.*\n)+)", re.sub(r"\\\n", "\n", docstring))
    return {name: " ".join(text.split()) for name, text in entries}


# What the two autoencoders say in words of their own.
OWN_WORDS = {
    "encoder",
    "regularizer",
    "init",
    "latent_density",
    "alpha",
    "explained_variance_",
    "n_active_components_",
    "history_",
}


def test_autoencoders_describe_what_they_share_in_the_same_words():
    """scikit-learn's assert_docstring_consistency needs numpydoc, which the tests do without."""
    ours = described(VariationalAutoencoder.__doc__)
    theirs = described(Autoencoder.__doc__)
    assert set(ours) >= set(VariationalAutoencoder().get_params(deep=False))
    shared = set(ours) & set(theirs)
    assert len(shared) > 40
    assert {name for name in shared if ours[name] != theirs[name]} == OWN_WORDS


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=class_name)
def test_every_method_documents_its_parameters_and_result(estimator):
    methods = {
        name: method
        for name, method in inspect.getmembers(type(estimator), inspect.isfunction)
        if name[0] != "_" and method.__module__.startswith("skvae")
    }
    use = "transform" if hasattr(estimator, "transform") else "predict"
    assert {"fit", use} <= set(methods)
    for name, method in methods.items():
        parameters = set(inspect.signature(method).parameters) - {"self"}
        assert parameters - documented(method) == set(), name
        assert re.search(r"Returns\n *-------\n", method.__doc__), name
