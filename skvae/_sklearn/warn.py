"""Warnings that point at the user's line, however deep below it they arise."""

from __future__ import annotations

import sys
import warnings

# Packages whose frames stand between the user's line and a warning: this one, scikit-learn's
# wrappers and meta-estimators, and what runs their jobs.
_INSIDE = {__name__.split(".")[0], "sklearn", "joblib"}


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the innermost line outside this package, scikit-learn and joblib.

    Python 3.12 has ``skip_file_prefixes`` for this; 3.11 needs the level counted.
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] in _INSIDE:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
