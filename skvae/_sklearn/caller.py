"""Who called: warnings point at the user's line, and an interrupt asks whose fit it was."""

from __future__ import annotations

import re
import sys
import sysconfig
import warnings
from typing import Any

# Packages whose frames stand between the user's line and a warning: this one, scikit-learn's
# wrappers and meta-estimators, and joblib, which runs their jobs.
_INSIDE = {__name__.split(".")[0], "sklearn", "joblib"}

# Modules that stand between fit and who calls it.
_WRAPPING = r"(skvae|sklearn\.(base|utils|callback)|contextlib|functools)\b"

# Where libraries are installed.
_LIBRARIES = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib"))


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the innermost line outside this package, scikit-learn and joblib.

    Python 3.12 has ``skip_file_prefixes`` for this; 3.11 needs the level counted.
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] in _INSIDE:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def fitted_by_user() -> bool:
    """Say whether the user's own code called fit, rather than a search, a pipeline or a library.

    Frames of this package, and of scikit-learn's wrappers around a method, are passed over.
    """
    frame: Any = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if not re.match(_WRAPPING, module):
            return not frame.f_code.co_filename.startswith(_LIBRARIES)
        frame = frame.f_back
    return True
