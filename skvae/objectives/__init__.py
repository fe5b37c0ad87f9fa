"""Objectives: what is maximised."""

from skvae.objectives._elbo import ELBO
from skvae.objectives._kl import closed_form_kl, written_latent

__all__ = ["ELBO", "closed_form_kl", "written_latent"]
