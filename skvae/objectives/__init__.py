"""Objectives: what is maximised."""

from skvae.objectives._base import Draws, Objective
from skvae.objectives._elbo import ELBO
from skvae.objectives._importance import ImportanceWeighted
from skvae.objectives._kl import closed_form_kl, written_latent, written_ratio

__all__ = [
    "ELBO",
    "Draws",
    "ImportanceWeighted",
    "Objective",
    "closed_form_kl",
    "written_latent",
    "written_ratio",
]
