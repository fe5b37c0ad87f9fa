"""The two terms of the canonical-correlated autoencoder, in plain torch.

Both are means over rows, so neither depends on the size of a batch.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Below every score: what a masked entry counts as in a logarithmic sum. Its exponential is zero,
# and so is its gradient; minus infinity would give a NaN in a row without entries.
_MASKED = -1e9


def pair_term(score: Tensor, present: Tensor, absent: Tensor) -> Tensor:
    """Gamma of each row: how far its absent labels reach above its present ones.

    The mean over all pairs of a present label p and an absent one q is a product,

        mean_pq exp(-(s_p - s_q)) = mean_p exp(-s_p) mean_q exp(s_q),

    so its cost grows with the number of labels, not of pairs. A row without such a pair has nothing
    to order, and its term is zero.

    Parameters
    ----------
    score : Tensor of shape (rows, labels)
        Scores s.
    present, absent : Tensor of shape (rows, labels)
        1 for a label that is known to be present, or absent; a missing label is 0 in both.

    Returns
    -------
    term : Tensor of shape (rows,)
    """
    n_present, n_absent = present.sum(1), absent.sum(1)
    below = torch.logsumexp(torch.where(present > 0, -score, _MASKED), 1)
    above = torch.logsumexp(torch.where(absent > 0, score, _MASKED), 1)
    n_pairs = n_present * n_absent
    # Rows without a pair are masked first, because an exponential that is not used may overflow.
    log_sum = torch.where(n_pairs > 0, below + above, _MASKED)
    return torch.exp(log_sum - torch.log(n_pairs.clamp_min(1.0)))


def correlation_term(a: Tensor, b: Tensor, weight: Tensor | None = None) -> Tensor:
    """Phi: the distance of two codes, each held to unit covariance.

    The mean of ``||a - b||^2`` plus half of ``||C_a - I||^2 + ||C_b - I||^2``, where C is the
    covariance of a code over the rows: the constraint of canonical correlation as a penalty.

    Parameters
    ----------
    a, b : Tensor of shape (rows, n_components)
        Codes of the features and of the labels.
    weight : Tensor of shape (rows,), optional
        Row weights.

    Returns
    -------
    term : Tensor of shape ()
    """
    share = a.new_ones(len(a)) if weight is None else weight
    share = (share / share.sum())[:, None]
    distance = (share * (a - b) ** 2).sum()
    return distance + 0.5 * (_distance_from_white(a, share) + _distance_from_white(b, share))


def _distance_from_white(code: Tensor, share: Tensor) -> Tensor:
    centred = code - (share * code).sum(0)
    covariance = centred.T @ (share * centred)
    identity = torch.eye(len(covariance), dtype=code.dtype, device=code.device)
    return ((covariance - identity) ** 2).sum()
