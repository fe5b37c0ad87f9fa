"""What warnings and errors say: short, whatever the data, and with what to do."""

import copy
import pickle
import re
import warnings

import numpy as np
import pytest
import skops.io
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from walking import CLASSES, LABELS, WATCHED, X, fits, small

from skvae import Autoencoder, CanonicalCorrelatedAutoencoder, VariationalAutoencoder, trusted_types
from skvae._core.checks import shown
from skvae.regularizers import LatentNorm
from skvae.training._device import available_devices

# The longest that a message may be: some five lines.
LONGEST = 600

autoencoders = pytest.mark.parametrize("estimator", [VariationalAutoencoder, Autoencoder])
every = pytest.mark.parametrize("estimator", WATCHED)


def warnings_of(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    assert {w.filename for w in caught if w.category is ConvergenceWarning} <= {__file__}
    return [str(w.message) for w in caught]


# ------------------------------------------------------------------- collapse


def collapse(messages):
    (message,) = [m for m in messages if "collapse" in m]
    return message


@autoencoders
@pytest.mark.parametrize("n_components", [8, 50, 400])
def test_collapsed_latents_are_counted(estimator, n_components):
    model = small(estimator, n_components=n_components)
    message = collapse(warnings_of(lambda: model.fit(X)))
    n_active = model.n_active_components_
    assert 0 < n_active <= X.shape[1]
    assert f"{n_components - n_active} of {n_components} latents collapsed" in message
    assert f"n_components={n_active}" in message
    assert "principal component" in message
    assert len(message) < LONGEST


def test_collapse_of_every_latent_is_said_to_be_harm_with_the_remedy():
    model = small(VariationalAutoencoder, beta=1000.0, init="random", max_iter=200)
    model.set_params(learning_rate_init=1e-2)
    message = collapse(warnings_of(lambda: model.fit(X)))
    assert model.n_active_components_ == 0
    assert "2 of 2 latents" in message
    assert "none is left" in message
    assert "less weight to the KL term (beta=1000.0)" in message
    assert "no harm" not in message


def test_collapse_under_a_regularizer_names_it():
    model = small(Autoencoder, n_components=9, regularizer=LatentNorm())
    assert "regularizer=LatentNorm()" in collapse(warnings_of(lambda: model.fit(X)))
    model = small(Autoencoder, n_components=9)
    assert "weight" not in collapse(warnings_of(lambda: model.fit(X)))


# ------------------------------------------------------------- no held-out rows


@autoencoders
@pytest.mark.parametrize(("fraction", "way"), [(0.01, "Raise"), (0.99, "Lower")])
@pytest.mark.parametrize("init", ["auto", "random"])
def test_too_few_held_out_rows_are_said(estimator, fraction, way, init):
    model = small(estimator, validation_fraction=fraction, max_iter=100, init=init)
    (message,) = [m for m in warnings_of(lambda: model.fit(X)) if "validation_fraction" in m]
    assert f"validation_fraction={fraction}" in message
    assert f"{way} validation_fraction" in message
    assert "early_stopping=False" in message
    assert f" {len(X)} rows" in message
    assert model.validation_scores_ is None
    assert model.n_iter_ == (0 if init == "auto" else 100)
    assert ("no epoch is run" in message) == (model.n_iter_ == 0)


@autoencoders
def test_three_rows_can_be_parted_by_no_fraction(estimator):
    (message,) = [
        m
        for m in warnings_of(lambda: small(estimator, n_components=1).fit(X[:3]))
        if "fraction" in m
    ]
    assert "Give more rows, or set early_stopping=False" in message


@autoencoders
@pytest.mark.parametrize("params", [{"early_stopping": False}, {"max_iter": 0}])
def test_nothing_is_said_where_no_rows_were_to_be_held_out(estimator, params):
    model = small(estimator, validation_fraction=0.01, **params)
    assert warnings_of(lambda: model.fit(X)) == []


@pytest.mark.parametrize(
    ("params", "rows", "words"),
    [
        ({}, 5, r"n_folds='auto' takes at least 2 .* 3 folds\. Got 5\."),
        ({"n_folds": 30}, 40, r"n_folds=30 takes .* 30 folds\. Got 40\."),
        ({"n_folds": 1, "validation_fraction": 0.01}, 40, r"validation_fraction=0\.01 .* Raise"),
    ],
)
@pytest.mark.parametrize("y", [CLASSES, LABELS], ids=["classes", "label sets"])
def test_classifier_says_what_it_could_not_hold_out(params, rows, words, y):
    model = small(CanonicalCorrelatedAutoencoder, **params)
    start = int(np.argmax(CLASSES[1:] != CLASSES[:-1]))
    part = np.arange(rows) if rows == len(X) else np.arange(start, start + rows)
    (message,) = [m for m in warnings_of(lambda: model.fit(X[part], y[part])) if "rows" in m]
    assert re.search(words, message)
    assert ("the threshold is not tuned" in message) == (y.ndim == 2)
    assert "the last of 2 is kept" in message
    assert len(message) < LONGEST


# ---------------------------------------------------------------------- length


@pytest.mark.parametrize(
    "value",
    ["x" * 10_000, list(range(10_000)), np.arange(900.0), {i: i for i in range(999)}, 10**4000],
    ids=["str", "list", "array", "dict", "int"],
)
def test_values_are_shown_in_bounded_length(value):
    assert len(shown(value)) < 300


@pytest.mark.parametrize("value", [-1.0, "gausian", (3, -1), None, LatentNorm(), True])
def test_short_values_are_shown_as_they_are(value):
    assert shown(value) == repr(value)


def long_network(n_in, n_out, text="x" * 10_000):
    return text


class LongName(torch.nn.Module):
    def __call__(self, n_in, n_out):
        return None

    def __repr__(self):
        return "x" * 10_000


FAILURES = {
    "y of long names": (CanonicalCorrelatedAutoencoder, {}, np.array([["a" * 9999, "b"]] * 40)),
    "one class of a long name": (CanonicalCorrelatedAutoencoder, {}, np.array(["a" * 9999] * 40)),
    "widths": (VariationalAutoencoder, {"hidden_layer_sizes": [-1] * 9999}, None),
    "a factory": (VariationalAutoencoder, {"encoder": LongName()}, None),
    "a device": (Autoencoder, {"device": "x" * 9999}, None),
    "a weight": (Autoencoder, {"regularizer": LatentNorm("x" * 9999)}, None),
}


@pytest.mark.parametrize(("estimator", "params", "y"), FAILURES.values(), ids=FAILURES.keys())
def test_errors_do_not_grow_with_what_is_wrong(estimator, params, y):
    with pytest.raises(ValueError, match=r"\w") as raised:
        small(estimator, **params).fit(X, y)
    assert len(str(raised.value)) < LONGEST


# --------------------------------------------------------------------- devices


@every
@pytest.mark.parametrize("name", ["cpu", "cpu:0", *available_devices()])
def test_device_is_given_by_name_or_as_torchs_object(estimator, name):
    device = torch.device(name)
    results = []
    for given in (name, device):
        model, y = next(iter(fits(estimator, device=given, early_stopping=False).values()))
        assert model.get_params()["device"] is given
        for copied in (clone(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert copied.get_params()["device"] == given
        assert repr(given) in repr(model)
        model._repr_html_()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, y)
        fitted = {k: v for k, v in vars(model).items() if k != "device"}
        assert b"torch" not in pickle.dumps(fitted)
        assert isinstance(model.device_, str)
        assert model.device_.startswith(device.type)
        results.append(pickle.loads(pickle.dumps(model)).transform(X))
        trusted = trusted_types() if given is name else [*trusted_types(), "torch.device"]
        skops.io.loads(skops.io.dumps(model), trusted=trusted).transform(X)
    np.testing.assert_array_equal(*results)


@every
@pytest.mark.parametrize(
    "device", [torch.device("meta"), torch.device("cuda:77"), "cuda:77", "tpu"]
)
def test_device_that_is_not_there_is_named_with_those_that_are(estimator, device):
    model, y = next(iter(fits(estimator, device=device).values()))
    with pytest.raises(ValueError, match=r"device=.*is not available.*'cpu'") as raised:
        model.fit(X, y)
    assert repr(device) in str(raised.value)
