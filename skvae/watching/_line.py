"""One line that is written again and again, where somebody can see it change."""

from __future__ import annotations

import math
import shutil
import sys
import time
from typing import Any

# Seconds between two states of the line.
_PAUSE = 0.1


class Line:
    """A line of text on standard output.

    A terminal and a notebook show it changing; a file gets what is said at the end alone.
    """

    def __init__(self) -> None:
        self.length, self.shown_at = 0, -math.inf

    def show(self, text: str) -> None:
        """Put a text in the place of the last one, unless that is hardly there yet."""
        now = time.monotonic()
        if now - self.shown_at < _PAUSE or not is_live(sys.stdout):
            return
        self._write(text[: shutil.get_terminal_size().columns - 1])
        self.shown_at = now

    def clear(self) -> None:
        """Take the text away."""
        if self.length:
            self._write("")
            self._write("")

    def end(self, text: str) -> None:
        """Leave a text for good."""
        self.clear()
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def _write(self, text: str) -> None:
        sys.stdout.write("\r" + text.ljust(self.length))
        sys.stdout.flush()
        self.length = len(text)


def is_live(stream: Any) -> bool:
    """Say whether what is written to a stream can be overwritten: a terminal, or a notebook."""
    notebook = type(stream).__module__.partition(".")[0] == "ipykernel"
    return notebook or bool(getattr(stream, "isatty", bool)())


def duration(seconds: float) -> str:
    """Seconds in words."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
