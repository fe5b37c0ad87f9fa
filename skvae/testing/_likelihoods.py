"""The laws of a likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.base import clone

from skvae.estimators import VariationalAutoencoder
from skvae.likelihoods import Likelihood
from skvae.starts import PrincipalComponents
from skvae.testing._cells import Case, make_case, refusal
from skvae.testing._claims import claim, claim_close
from skvae.testing._density import check_density, check_samples
from skvae.testing._steps import check_step

# Two float64 orders of the same few dozen operations differ by some 1e-14.
_ROUNDING = 1e-10

_GRADIENTS = ("gradients by raw", *(f"gradients by parameter {i}" for i in range(9)))

# What a domain is asked about, beside X itself.
_PROBES = (-1e6, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 1e6)


def check_likelihood(likelihood: Likelihood, X: Any, *, outside: Sequence[float] = ()) -> None:
    """Hold a likelihood of independent cells against all laws that the library relies on.

    It calls each of the other functions about likelihoods: ``check_domain``, ``check_mask``,
    ``check_pullback``, ``check_density``, ``check_samples``, ``check_step`` and ``check_start``.
    Those that draw do so with a fixed seed, and raise with a chance of one in a million though
    their law holds. All is in float64, but for the estimator's start.

    Parameters
    ----------
    likelihood : Likelihood
        An object of a class of your own, with its parameters.
    X : array-like of shape (n_samples, n_features)
        Rows of its domain, with some structure: some hundred rows of a few features.
    outside : sequence of float, default=()
        Values that the domain leaves out, each of which has to be refused.

    Raises
    ------
    AssertionError
        If a law does not hold. The message says which, by which numbers, and what to do.

    Examples
    --------
    >>> import numpy as np
    >>> from skvae.likelihoods import Poisson
    >>> from skvae.testing import check_likelihood
    >>> rng = np.random.default_rng(0)
    >>> rate = np.exp(1.0 + 0.5 * rng.standard_normal((300, 1)) * [1.0, -1.0, 1.0])
    >>> check_likelihood(Poisson(), rng.poisson(rate), outside=[-1.0, 0.5])
    """
    check_domain(likelihood, X, outside=outside)
    check_mask(likelihood, X)
    check_pullback(likelihood, X)
    check_density(likelihood, X)
    check_samples(likelihood, X)
    check_step(likelihood, X)
    check_start(likelihood, X)


def check_domain(likelihood: Likelihood, X: Any, *, outside: Sequence[float] = ()) -> None:
    """Check that what ``check`` lets pass has a density, and that what it refuses is named.

    Parameters
    ----------
    likelihood : Likelihood
        What is checked.
    X : array-like of shape (n_samples, n_features)
        Rows of its domain.
    outside : sequence of float, default=()
        Values that the domain leaves out, each of which has to be refused.

    Raises
    ------
    AssertionError
        If X is refused, a value outside is not, the message leaves the column out, or a value that
        passes has no finite log-density.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skvae.likelihoods import Bernoulli
    >>> from skvae.testing import check_domain
    >>> check_domain(Bernoulli(), load_iris().data / 8, outside=[-0.1, 1.1])
    """
    name, X = type(likelihood).__name__, np.asarray(X, dtype=np.float64)
    case = make_case(likelihood, X)
    claim(
        likelihood.has_domain or not len(outside),
        f"{name}.has_domain is False, so check is never called. Set it to True.",
    )
    if likelihood.has_domain:
        for row in X:
            complaint = refusal(likelihood, row, None)
            claim(complaint is None, f"{name}.check refuses a row of X: {complaint}")
    kept = X[0]
    for value in dict.fromkeys((*outside, *_PROBES)):
        for column in case.cells():
            row = kept.copy()
            row[column] = value
            complaint = refusal(likelihood, row, None) if likelihood.has_domain else None
            if complaint is None:
                _claim_finite(case, column, value, value in outside)
            else:
                _claim_named(likelihood, row, column, complaint)


def _claim_finite(case: Case, column: int, value: float, is_outside: bool) -> None:
    name = type(case.likelihood).__name__
    claim(
        not is_outside,
        f"{name}.check lets {value:g} pass, which is outside the domain. Raise ValueError with "
        f"the name of the column.",
    )
    with torch.no_grad():
        log_p = case.log_density(column, np.array([value]))[0]
    claim(
        np.isfinite(log_p),
        f"{name}.check lets {value:g} pass, but its log-density is {log_p:g}. Refuse it, or set "
        f"has_domain = True if check is there.",
    )


def _claim_named(likelihood: Likelihood, row: np.ndarray, column: int, complaint: str) -> None:
    names = [f"feature {j} of these" for j in range(len(row))]
    for wanted, said in (
        (f"column {column}", complaint),
        (repr(names[column]), refusal(likelihood, row, names) or ""),
    ):
        claim(
            wanted in said,
            f"{type(likelihood).__name__}.check refuses {row[column]:g}, but leaves out which "
            f"column it is in: expected {wanted}. Got {said!r}. Write columns.name(j) into it.",
        )


def check_mask(likelihood: Likelihood, X: Any) -> None:
    """Check that cells with ``observed`` 0 count nothing, in value and gradient.

    And that the log-densities of two parts of the cells add up to that of all.

    Parameters
    ----------
    likelihood : Likelihood
        What is checked.
    X : array-like of shape (n_samples, n_features)
        Rows of its domain.

    Raises
    ------
    AssertionError
        If a missing cell counts.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skvae.likelihoods import StudentT
    >>> from skvae.testing import check_mask
    >>> check_mask(StudentT(), load_iris().data)
    """
    name, whole = type(likelihood).__name__, make_case(likelihood, X)
    remedy = "Multiply the cells by observed before they are summed."
    part = whole.with_mask()
    observed = part.observed
    assert observed is not None
    rest = replace(whole, observed=1.0 - observed)
    swapped = torch.where(observed > 0, whole.target, whole.target.roll(1, 0))
    expected = _by_autograd(part)
    found = _by_autograd(replace(part, target=swapped))
    for one, other, what in zip(found, expected, ("values", *_GRADIENTS), strict=False):
        about = f"{name}'s {what} with other targets in missing cells"
        claim_close(one, other, about, remedy, _ROUNDING)
    both = expected[0] + _by_autograd(rest)[0]
    claim_close(
        both, _by_autograd(whole)[0], f"{name}'s sums over two parts of the cells", remedy, 1e-9
    )
    nothing = replace(whole, observed=torch.zeros_like(observed))
    for one in _by_autograd(nothing):
        about = f"{name}'s values and gradients of no cells"
        claim_close(one, np.zeros_like(one), about, remedy, _ROUNDING)


def check_pullback(likelihood: Likelihood, X: Any) -> None:
    """Check that ``log_prob_vjp`` gives autograd's values and gradients of ``log_prob``.

    For the raw output and the shared parameters, with and without missing cells, for one draw and
    several, in float64; and that it stays in float32 where that is what it is given. Nothing is
    checked where ``is_written`` is False, because the step then takes autograd's.

    Parameters
    ----------
    likelihood : Likelihood
        What is checked.
    X : array-like of shape (n_samples, n_features)
        Rows of its domain.

    Raises
    ------
    AssertionError
        If a value, a gradient or a type differs, or what is given is changed in place.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skvae.likelihoods import Gaussian
    >>> from skvae.testing import check_pullback
    >>> check_pullback(Gaussian(noise="feature"), load_iris().data)
    """
    if not likelihood.is_written:
        return
    name = type(likelihood).__name__
    remedy = "Correct slopes, or leave them out, and the step is composed."
    for n_draws in (1, 3):
        whole = make_case(likelihood, X, n_draws)
        for case in (whole, whole.with_mask()):
            given = case.raw.clone(), case.target.clone()
            found, expected = _by_pullback(case), _by_autograd(case)
            mask = "all cells" if case.observed is None else "missing cells"
            for one, other, what in zip(found, expected, ("values", *_GRADIENTS), strict=False):
                about = f"{name}'s {what} of log_prob_vjp, {n_draws} draws and {mask}"
                claim_close(one, other, about, remedy, _ROUNDING)
            claim(
                torch.equal(case.raw, given[0]) and torch.equal(case.target, given[1]),
                f"{name}.log_prob_vjp changes what it is given in place. Work on a copy.",
            )
    for one in _by_pullback(whole, np.float32):
        claim(
            one.dtype == np.float32,
            f"{name}.log_prob_vjp gives {one.dtype} for float32, in which training runs. Make "
            f"no array of float64 on the way.",
        )


def _weights(case: Case) -> np.ndarray:
    """Gradient of the values, of order one."""
    return np.random.default_rng(3).standard_normal(tuple(case.raw.shape[:-1]))


def _by_autograd(case: Case) -> list[np.ndarray]:
    """Log-densities, then their weighted sum's gradients by raw output and parameters."""
    raw = case.raw.clone().requires_grad_()
    parameters = [p.clone().requires_grad_() for p in case.parameters]
    log_p = case.likelihood.log_prob(raw, case.target, case.observed, parameters)
    (log_p * torch.from_numpy(_weights(case))).sum().backward()
    grads = [p.grad for p in (raw, *parameters)]
    given = zip((raw, *parameters), grads, strict=True)
    kept = [torch.zeros_like(p) if g is None else g for p, g in given]
    return [log_p.detach().numpy(), *(g.numpy() for g in kept)]


def _by_pullback(case: Case, kind: Any = np.float64) -> list[np.ndarray]:
    """The same by the pullback, which writes to gradients that hold something already."""
    parameters = [p.numpy().astype(kind) for p in case.parameters]
    grads = [np.ones_like(p) for p in parameters]
    observed = None if case.observed is None else case.observed.numpy().astype(kind)
    raw, target = (t.numpy().astype(kind, copy=False) for t in (case.raw, case.target))
    log_p, pull = case.likelihood.log_prob_vjp(raw, target, observed, parameters, grads)
    d_raw = pull(_weights(case).astype(kind))
    return [np.array(log_p), np.array(d_raw), *grads]


def check_start(likelihood: Likelihood, X: Any, *, n_components: int = 2) -> None:
    """Check that the PCA start is no worse than independent cells.

    What ``response`` states is finite, and of the two models before the first step the one with
    ``n_components`` latents has at least the score, by importance sampling, of the one without.

    Parameters
    ----------
    likelihood : Likelihood
        What is checked.
    X : array-like of shape (n_samples, n_features)
        Rows of its domain, with some structure.
    n_components : int, default=2
        Number of latents.

    Raises
    ------
    AssertionError
        If the start is worse than no start, or not finite.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skvae.likelihoods import Poisson
    >>> from skvae.testing import check_start
    >>> check_start(Poisson(), load_digits().data[:300])
    """
    name, X = type(likelihood).__name__, np.asarray(X, dtype=np.float64)
    response = make_case(likelihood, X).prepared.response
    for field, least in (("natural", -np.inf), ("gain", 0.0), ("spread", 0.0)):
        values = getattr(response, field)
        claim(
            np.isfinite(values).all() and (values > least).all(),
            f"{name}.response has {field} {values[np.argmin(values)]:g}, which should be finite"
            f"{'' if field == 'natural' else ' and above 0'}. Bound the mean away from the ends "
            f"of the domain.",
        )
    parameters = {"max_iter": 0, "random_state": 0, "likelihood": clone(likelihood)}
    starts = [PrincipalComponents(n_started) for n_started in (None, 0)]
    models = [VariationalAutoencoder(n_components, init=s, **parameters) for s in starts]
    started, independent = (float(model.fit(X).score(X)) for model in models)
    claim(
        started >= independent - 1e-6 * abs(independent),
        f"{name}'s start has a score of {started:.6g} nats per row, below the {independent:.6g} "
        f"of independent cells. Check spread and gain of response: residuals of what the encoder "
        f"is shown over spread have the noise's variance, and gain is the change of the location "
        f"that such a residual of 1 stands for.",
    )
