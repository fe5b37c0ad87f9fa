"""The laws that users run on components of their own hold for ours, and see what is wrong."""

import inspect
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_likelihoods import IRIS, LIT, below, counts

from skvae import objectives, posteriors, priors, regularizers, testing
from skvae.likelihoods import Bernoulli, Gaussian, Poisson, StudentT
from skvae.objectives import ELBO, ImportanceWeighted
from skvae.posteriors import DiagonalNormal
from skvae.priors import StandardNormal
from skvae.regularizers import DIP, LatentNorm, Sum

# ------------------------------------------------------- laws see what is wrong


class Unnormalised(Poisson):
    def constant(self, target):
        return None


class WrongSlope(StudentT):
    def slopes(self, raw, target, logs):
        cells, by_raw, by_logs = super().slopes(raw, target, logs)
        return cells, by_raw, [0.5 * slope for slope in by_logs]


class Unmasked(Gaussian):
    def log_prob(self, raw, target, observed, parameters):
        return super().log_prob(raw, target, None, parameters)


class WideSamples(Gaussian):
    def sample(self, raw, parameters, rng):
        return raw + 1.05 * (super().sample(raw, parameters, rng) - raw)


class NegativeSamples(Poisson):
    def sample(self, raw, parameters, rng):
        return super().sample(raw, parameters, rng) - 1.0


class WrongVariance(Bernoulli):
    def variance(self, raw, parameters):
        return torch.sigmoid(raw)


class Nameless(Poisson):
    def check(self, columns):
        if (columns.minimum < 0).any() or not columns.is_whole.all():
            raise ValueError("Counts, please.")


class Unchecked(Poisson):
    has_domain = False


class Double(StudentT):
    def slopes(self, raw, target, logs):
        return super().slopes(raw.astype(np.float64), target, logs)


class WrongGain(Poisson):
    """The gain of counts as they are, where the encoder is shown their logs."""

    def response(self, view, moments, inputs):
        right = super().response(view, moments, inputs)
        return replace(right, gain=1.0 / right.gain)


BROKEN = [
    (Unnormalised(), counts(), testing.check_density, "total probability.*normaliser"),
    (WrongSlope(), IRIS, testing.check_pullback, "gradients by parameter 0.*Correct slopes"),
    (WrongSlope(), IRIS, testing.check_step, "gradient of the written-out step"),
    (Unmasked(), IRIS, testing.check_mask, "missing cells.*Multiply the cells"),
    (WideSamples(), IRIS, testing.check_samples, "at or below.*the density"),
    (NegativeSamples(), counts(), testing.check_samples, "draws what check refuses"),
    (WrongVariance(), LIT, testing.check_density, "variance by the density"),
    (Nameless(), counts(), testing.check_domain, r"which column.*columns\.name"),
    (Unchecked(), counts(), testing.check_domain, "but its log-density is -inf"),
    (Double(), IRIS, testing.check_pullback, "gives float64 for float32"),
    (WrongGain(), counts(20.0), testing.check_start, "below the.*spread and gain"),
]


@pytest.mark.parametrize(
    ("likelihood", "X", "law", "message"), BROKEN, ids=lambda value: getattr(value, "__name__", "")
)
def test_law_sees_what_is_wrong(likelihood, X, law, message):
    with pytest.raises(AssertionError, match=message):
        law(likelihood, X)


# ------------------------------------------------------- the other parts

EXAMPLES = {
    testing.check_prior: (
        priors.Prior,
        [StandardNormal(), priors.MixtureOfGaussians(3), priors.VampPrior(5), priors.Flow(1, (8,))],
    ),
    testing.check_posterior: (
        posteriors.Posterior,
        [
            DiagonalNormal(),
            posteriors.FullCovarianceNormal(),
            posteriors.Deterministic(),
            posteriors.Flow(1, (8,), 4),
        ],
    ),
    testing.check_regularizer: (
        regularizers.Regularizer,
        [
            DIP("I"),
            DIP("II"),
            LatentNorm(),
            Sum(LatentNorm(), DIP()),
            regularizers.TotalCorrelation(),
            regularizers.MaximumMeanDiscrepancy(),
            regularizers.Contractive(),
            regularizers.DecoderGradient(n_projections=None),
            regularizers.SparseActivity(),
        ],
    ),
    testing.check_objective: (
        objectives.Objective,
        [ELBO(), ELBO(free_bits=0.3), ImportanceWeighted(1), ImportanceWeighted(7)],
    ),
}
PARTS = [(law, part) for law, (_, examples) in EXAMPLES.items() for part in examples]


@pytest.mark.parametrize(
    ("law", "part"), PARTS, ids=lambda value: getattr(value, "__name__", str(value))
)
def test_law_holds_for_ours(law, part):
    law(part)


def test_no_part_escapes_the_laws():
    for base, examples in EXAMPLES.values():
        ours = {c for c in below(base) if c.__module__.startswith("skvae.")}
        assert ours == {type(part) for part in examples}


def test_every_law_says_so():
    """Its docstring has an example, and it raises nothing but AssertionError."""
    for name in testing.__all__:
        assert ">>> " in (inspect.getdoc(getattr(testing, name)) or "")


class HalfNormal(StandardNormal):
    """Not normalised."""

    def density(self, parameters, surroundings):
        right = super().density(parameters, surroundings)
        return Density(lambda z: right.log_prob(z) - 0.05, right.sample)


class WiderDraws(StandardNormal):
    def density(self, parameters, surroundings):
        right = super().density(parameters, surroundings)
        return Density(right.log_prob, lambda n, generator: 1.1 * right.sample(n, generator))


class GlobalDraws(StandardNormal):
    def density(self, parameters, surroundings):
        right = super().density(parameters, surroundings)
        return Density(right.log_prob, lambda n, _: torch.randn(n, 2, dtype=torch.float64))


class Density:
    def __init__(self, log_prob, sample):
        self.log_prob, self.sample = log_prob, sample


class ForgottenInverse(DiagonalNormal):
    def raw_output(self, mean, log_variance):
        return torch.cat([mean, log_variance.exp()], -1)


class NoDeterminant(DiagonalNormal):
    """Its draws are stretched, its density is not."""

    def __call__(self, raw, n_components, parameters=()):
        q = super().__call__(raw, n_components, parameters)
        return Stretched(*q)


class Stretched(posteriors.DiagonalNormal()(torch.zeros(1, 2), 1).__class__):
    def transform(self, eps):
        return super().transform(1.1 * eps)

    def detached(self):
        return Stretched(self.mean.detach(), self.log_variance.detach())


class DetachedPenalty(LatentNorm):
    def penalty(self, latents):
        return (latents.z.square().mean(1) * latents.z.detach()[:, 0]).mean()


class RowPenalty(LatentNorm):
    def penalty(self, latents):
        return latents.z.square().sum(1)


class ForgottenKL(ELBO):
    def rows(self, draws, beta):
        return draws.log_p.mean(0)


class NaiveImportance(ImportanceWeighted):
    """Weights themselves, which no exponential holds."""

    def rows(self, draws, beta):
        log_w = draws.log_p + draws.prior.log_prob(draws.z) - draws.q.log_prob(draws.z)
        return (1e3 * log_w).exp().mean(0).log()


BROKEN_PARTS = [
    (testing.check_prior, HalfNormal(), "do not follow its density.*normaliser"),
    (testing.check_prior, WiderDraws(), "do not follow its density"),
    (testing.check_prior, GlobalDraws(), "elsewhere than its generator"),
    (testing.check_posterior, ForgottenInverse(), "standard deviations of raw_output"),
    (testing.check_posterior, NoDeterminant(), "standard deviations of raw_output"),
    (testing.check_regularizer, DetachedPenalty(), "slope in a random direction.*detached"),
    (testing.check_regularizer, RowPenalty(), "should give one number"),
    (testing.check_objective, ForgottenKL(), "above the evidence"),
    (testing.check_objective, NaiveImportance(), "not finite.*logs of the weights"),
]


@pytest.mark.parametrize(
    ("law", "part", "message"),
    BROKEN_PARTS,
    ids=[type(part).__name__ for _, part, _ in BROKEN_PARTS],
)
def test_law_sees_a_part_that_is_wrong(law, part, message):
    with pytest.raises(AssertionError, match=message):
        law(part)
