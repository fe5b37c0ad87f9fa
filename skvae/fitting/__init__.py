"""Fitting: split, start, race, train, keep."""

from skvae.fitting._fit import Fit, Resumed, explain_split, fit_model, one_pass, split
from skvae.fitting._plan import Plan, plan_work, resolve_batch_size
from skvae.fitting._steps import TERMS, ComposedStep, PartedStep, WrittenStep, build_step

__all__ = [
    "TERMS",
    "ComposedStep",
    "Fit",
    "PartedStep",
    "Plan",
    "Resumed",
    "WrittenStep",
    "build_step",
    "explain_split",
    "fit_model",
    "one_pass",
    "plan_work",
    "resolve_batch_size",
    "split",
]
