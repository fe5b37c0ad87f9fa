"""Fitting: split, start, race, train, keep."""

from skvae.fitting._fit import Fit, Resumed, explain_split, fit_model, one_pass, split
from skvae.fitting._plan import Plan, plan_work
from skvae.fitting._steps import TERMS

__all__ = [
    "TERMS",
    "Fit",
    "Plan",
    "Resumed",
    "explain_split",
    "fit_model",
    "one_pass",
    "plan_work",
    "split",
]
