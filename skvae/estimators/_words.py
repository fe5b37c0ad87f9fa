"""What an estimator says of a fit: the closing line, and the facts on top of its representation."""

from __future__ import annotations

from typing import Any

from skvae._core.checks import shown
from skvae.fitting import Fit
from skvae.watching import Watch


def what_was_kept(estimator: Any, fit: Fit, watch: Watch) -> str:
    """Say why training ended, which epoch was kept, and how far it is from the start."""
    outcome = fit.outcome
    why = _why_it_ended(estimator, fit, watch)
    if fit.kept_start or not outcome.best_epoch:
        proof = ", as none was proved better on held-out rows" if outcome.terms else ""
        return f"{why}; kept {'PCA' if watch.origin == 'PCA' else 'the start'}{proof}"
    if fit.reference is None:
        return f"{why}; kept the last"
    gain = outcome.scores[outcome.best_epoch] - fit.reference
    return (
        f"{why}; kept epoch {outcome.best_epoch}, {gain:+.4f} nats per row over "
        f"{watch.origin} on held-out rows"
    )


def _why_it_ended(estimator: Any, fit: Fit, watch: Watch) -> str:
    n_epochs, n_cooldown = len(fit.outcome.terms), fit.outcome.n_cooldown
    if watch.stopped:
        return f"a callback ended it after {n_epochs} epochs"
    if fit.outcome.interrupted:
        return f"interrupted after {n_epochs} epochs"
    if n_cooldown or 0 < n_epochs < estimator.max_iter:
        without = f"{estimator.n_iter_no_change} of them without a gain"
        cooldown = f" and {n_cooldown} at a falling learning rate" if n_cooldown else ""
        return f"stopped after {n_epochs} epochs, {without}{cooldown}"
    return f"{n_epochs} epochs done"


def facts(estimator: Any) -> list[str]:
    """Lead over the start, active latents and the epoch kept, of a fitted estimator."""
    found = [f"{estimator.n_active_components_} of {estimator.n_components_} latents active"]
    origin, lead = getattr(estimator, "_lead", ("the start", None))
    if not estimator.best_epoch_:
        return [*found, f"{origin} kept after {estimator.n_iter_} epochs"]
    if lead is not None:
        found.insert(0, f"{lead:+.2f} nats per row over {origin} on held-out rows")
    return [*found, f"epoch {estimator.best_epoch_} of {estimator.n_iter_} kept"]


def cannot_go_on(name: str, then: Any, now: Any) -> str:
    """Say that a fitted model cannot be trained further with another value of a parameter."""
    return (
        f"The fitted networks cannot go on with another {name!r}: they have {shown(then)}. Got "
        f"{shown(now)}. Set it back, or call fit with warm_start=False."
    )


# Why the outlier detector's fit takes no source, and what to do.
NO_SOURCE_OF_OUTLIERS = (
    "VAEOutlierDetector weighs all rows in up to 20 rounds, each of which would read them several "
    "times",
    "Fit it to rows drawn at random, source[rows], and give the source to its other methods.",
)
