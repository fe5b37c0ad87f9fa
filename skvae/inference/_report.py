"""What a fitted model reports of its latents: moments, effects, the variance they explain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skvae._core.arrays import as_tensor
from skvae.model import Model
from skvae.objectives import closed_form_kl
from skvae.tables import Batch

# Most rows over which the latents' moments and the decoder's Jacobian are averaged; fewer if rows
# are wide, so that a sparse X is never made dense as a whole.
_MOMENT_ROWS = 10_000
_MOMENT_CELLS = 2**21
_JACOBIAN_ROWS = 1_000
_JACOBIAN_CELLS = 2**20
_LEAST_ROWS = 100

# Most rows times latents whose gradients a module of torch is asked for: with convolutions one of
# 28 x 28 pixels takes a millisecond.
_MODULE_GRADIENTS = 5_000

#: Burda et al. (2015), section 5: a latent is active if Cov_x(E_q[z]) exceeds this.
ACTIVE_VARIANCE = 0.01

# A mean is divided by (1 - posterior variance), but grows tenfold at most.
_MAX_UNSHRINK = 10.0


@dataclass(frozen=True, kw_only=True)
class LatentReport:
    """Latents in the order of the variance that they explain, the largest first.

    Attributes
    ----------
    order : ndarray of shape (n_components,)
        Position of each in the model.
    effect : ndarray of shape (n_components,)
        Root mean square norm of dE[x|z]/dz_j, in X's units.
    unshrink : ndarray of shape (n_components,)
        1 / (1 - mean posterior variance), at most 10.
    explained_variance : ndarray of shape (n_components,)
        Squared effect, plus the noise along it; zero for an inactive latent.
    components : ndarray of shape (n_components, n_features)
        Mean of dE[x|z]/dz_j, divided by the effect.
    kl : ndarray of shape (n_components,) or None
        Mean KL from the prior, in nats; None if it is no sum over the latents.
    active : ndarray of bool of shape (n_components,)
        Whether the posterior mean varies.
    noise_variance : ndarray of shape (1,) or (n_features,)
        Mean Var[x|z], in X's squared units.
    """

    order: np.ndarray
    effect: np.ndarray
    unshrink: np.ndarray
    explained_variance: np.ndarray
    components: np.ndarray
    kl: np.ndarray | None
    active: np.ndarray
    noise_variance: np.ndarray


def _spread(n_samples: int, most: int) -> np.ndarray:
    return np.linspace(0, n_samples - 1, min(n_samples, most)).astype(np.intp)


def report_rows(n_samples: int, n_features: int) -> np.ndarray:
    """Indices, evenly spread, of the rows that a report is made from."""
    return _spread(n_samples, min(_MOMENT_ROWS, max(_LEAST_ROWS, _MOMENT_CELLS // n_features)))


@torch.no_grad()
def latent_moments(model: Model, batch: Batch, scale: np.ndarray) -> dict[str, np.ndarray]:
    """Average over rows what a report is made from.

    Parameters
    ----------
    model : Model
        In float64, in evaluation mode.
    batch : Batch
        The rows.
    scale : ndarray of shape (n_targets,)
        Size of a unit of each target, in units of X.

    Returns
    -------
    moments : dict of str to ndarray
        Weighted means over the rows, and as "count" the number of rows they stand for. Latents are
        in the model's order. "kl" is present only if it is a sum over the latents.
    """
    weight = (
        torch.ones(len(batch.inputs), dtype=torch.float64) if batch.weight is None else batch.weight
    )
    weight = weight / weight.sum()
    q = model.encode(batch.inputs, batch.factor)
    kl = closed_form_kl(q, model.prior_density())
    most = min(_JACOBIAN_ROWS, max(_LEAST_ROWS, _JACOBIAN_CELLS // batch.inputs.shape[1]))
    if not model.decoder.is_written:
        most = min(most, max(_LEAST_ROWS, _MODULE_GRADIENTS // model.n_components))
    rows = as_tensor(_spread(len(weight), most))
    jacobian, squares, variance = _decoder_moments(model, q.mean[rows], weight[rows], scale)
    moments = {
        "count": torch.tensor(float(len(weight)), dtype=torch.float32),
        "variance": weight @ q.variance,
        "mean": weight @ q.mean,
        "mean_square": weight @ q.mean.square(),
        "jacobian": jacobian,
        "jacobian_squares": squares,
        "noise_variance": variance,
    }
    # Only if it is a sum over the latents; a point has no KL.
    if kl is not None and kl.shape == q.mean.shape and model.posterior.has_density:
        moments["kl"] = weight @ kl
    return {name: value.numpy() for name, value in moments.items()}


def pool(old: dict[str, np.ndarray], new: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Average the moments of a stream so far with those of its next rows.

    The past counts as at most 1000 rows, so that it fades as the model changes, and a stream of
    single rows still has moments.
    """
    past = min(float(old["count"]), float(_JACOBIAN_ROWS))
    share = float(new["count"]) / (past + float(new["count"]))
    pooled = {name: old[name] + share * (new[name] - old[name]) for name in new}
    return {**pooled, "count": np.asarray(past + float(new["count"]))}


def latent_report(moments: dict[str, np.ndarray], has_density: bool) -> LatentReport:
    """Describe and order the latents by their moments.

    If the posterior ``has_density``, the prior gives a latent its scale; points have no scale but
    their own spread, which decides how much they explain.
    """
    squares, noise = moments["jacobian_squares"], moments["noise_variance"]
    effect = np.sqrt(squares)
    components = moments["jacobian"] / np.maximum(effect, 1e-300)[:, None]
    along = noise_along(components, noise)
    spread = np.maximum(moments["mean_square"] - moments["mean"] ** 2, 0.0)
    if has_density:
        active, explained = spread > ACTIVE_VARIANCE, squares + along
    else:
        count = float(moments["count"])  # PCA's variances divide by n - 1
        explained = spread * squares * (count / max(count - 1.0, 1.0))
        active = explained > ACTIVE_VARIANCE * along
    explained = np.where(active, explained, 0.0)
    # Inactive latents last; a stable sort keeps the start's order among equals.
    order = np.argsort(np.where(active, -explained, 1.0 / (1.0 + squares)), kind="stable")
    unshrink = 1.0 / np.maximum(1.0 - moments["variance"], 1.0 / _MAX_UNSHRINK)
    return LatentReport(
        order=order,
        effect=effect[order],
        unshrink=unshrink[order],
        explained_variance=explained[order],
        components=components[order],
        kl=moments["kl"][order] if "kl" in moments else None,
        active=active[order],
        noise_variance=noise,
    )


def collapse_message(n_active: int, n_components: int, remedies: list[str]) -> str:
    """Say what posterior collapse is, whether it does harm, and what to do."""
    message = (
        f"{n_components - n_active} of {n_components} latents collapsed. A collapsed latent is "
        f"nearly the same for every row and carries nothing of X, like a principal component "
        f"without variance. "
    )
    if n_active:
        message += (
            f"It does no harm, and n_components={n_active} would do as well. "
            f"{'To have more of them used, give ' if remedies else ''}"
        )
    else:
        message += (
            f"As none is left, every row is mapped to the same point, and back to the mean of X. "
            f"{'Give ' if remedies else 'Check that X varies'}"
        )
    return f"{message}{', and '.join(remedies)}".rstrip(" .") + "."


def noise_along(components: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Noise variance along the direction of each component.

    Parameters
    ----------
    components : ndarray of shape (n_components, n_features)
        Directions, of any length.
    noise : ndarray of shape (1,) or (n_features,)
        Noise variance.
    """
    squares = components**2
    direction = squares / np.maximum(squares.sum(1, keepdims=True), 1e-300)
    return direction @ np.resize(noise, direction.shape[1])


def _decoder_moments(
    model: Model, z: Tensor, weight: Tensor, scale: np.ndarray
) -> tuple[Tensor, Tensor, Tensor]:
    """Weighted means over rows of the Jacobian of E[x|z], its squared norms, and Var[x|z].

    A column of the Jacobian is the gradient of (u' J)_j with respect to u: reverse mode twice,
    one latent at a time, in the memory of one decoding.
    """
    weight = weight / weight.sum()
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        # One number if all units are equal, so that a shared noise stays one number.
        unit = as_tensor(scale[:1] if (scale == scale[0]).all() else scale)
        mean = model.mean(model.decode(z)) * unit  # (rows, d)
        u = torch.zeros_like(mean, requires_grad=True)
        (pulled,) = torch.autograd.grad(mean, z, u, create_graph=True)  # (rows, k)
        columns = (
            torch.autograd.grad(pulled[:, j].sum(), u, retain_graph=True)[0]
            for j in range(model.n_components)
        )
        moments = [(weight @ column, weight @ column.square().sum(1)) for column in columns]
    jacobian, squares = (torch.stack(m) for m in zip(*moments, strict=True))
    variance = model.likelihood.variance(model.decode(z), model.shared.params) * unit**2
    return jacobian, squares, weight @ variance.detach().expand(len(z), -1)
