"""Inference with a fitted model."""

from skvae.inference._conditional import (
    antithetic_draws,
    conditional_latents,
    expected_cells,
    weighted_draws,
)
from skvae.inference._density import draw_latents, fit_density
from skvae.inference._fitted import (
    BLOCK_CELLS,
    TORCH_DTYPES,
    Fitted,
    Rowwise,
    Trained,
    built,
    check_domain,
)
from skvae.inference._report import (
    ACTIVE_VARIANCE,
    LatentReport,
    collapse_message,
    latent_moments,
    latent_report,
    noise_along,
    pool,
    report_rows,
)
from skvae.inference._typical import N_DRAWS, Typical, find_typical

__all__ = [
    "ACTIVE_VARIANCE",
    "BLOCK_CELLS",
    "N_DRAWS",
    "TORCH_DTYPES",
    "Fitted",
    "LatentReport",
    "Rowwise",
    "Trained",
    "Typical",
    "antithetic_draws",
    "built",
    "check_domain",
    "collapse_message",
    "conditional_latents",
    "draw_latents",
    "expected_cells",
    "find_typical",
    "fit_density",
    "latent_moments",
    "latent_report",
    "noise_along",
    "pool",
    "report_rows",
    "weighted_draws",
]
