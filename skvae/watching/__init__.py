"""Watching a fit: a live line, the log, and scikit-learn's callbacks."""

from skvae.watching._line import Line
from skvae.watching._watch import Watch, check_no_callbacks

__all__ = ["Line", "Watch", "check_no_callbacks"]
