"""The record of a fit in a file, from which a later one goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from skvae._core.files import digest, read_arrays, write_arrays
from skvae.training import Progress

# What a file says it is.
_KIND, _VERSION = "skvae checkpoint", 2

# What to do about a file that is of no use.
_REMEDY = "Give Checkpoint another path, or remove the file to begin anew."

# These change nothing of a fit.
_FREE = ("verbose",)


class Record:
    """Where each training of a fit stands, in a file.

    A fit trains once, or several times: the starts that are raced, or folds. What it does between
    is the same each time, given its seeds, so that the file has these and the trainings.

    Parameters
    ----------
    path : Path
        The file.
    every_n_epochs : int
        Epochs from one writing to the next.
    every_seconds : float or None
        Seconds from one writing to the next, at least.
    """

    def __init__(self, path: Path, every_n_epochs: int, every_seconds: float | None) -> None:
        self.path = path
        self.every_n_epochs, self.every_seconds = every_n_epochs, every_seconds or 0.0
        self.identity: dict[str, Any] = {}
        # Facts and arrays of each training, in their order.
        self.trainings: dict[int, tuple[Mapping[str, Any], Mapping[str, np.ndarray]]] = {}
        self.number, self.n_epochs, self.written = -1, 0, time.monotonic()

    def open(
        self, estimator: Any, rows: Mapping[str, Any], random_state: np.random.RandomState
    ) -> np.random.RandomState:
        """Read the file, if there is one, and give the random state that the fit begins with.

        Raises
        ------
        ValueError
            If it is no checkpoint, or one of another fit.
        """
        self.identity = {
            "estimator": type(estimator).__name__,
            "parameters": {
                name: _words(value)
                for name, value in estimator.get_params(deep=False).items()
                if name not in _FREE
            },
            "rows": {name: digest(value) for name, value in rows.items()},
            "seeds": _as_json(random_state.get_state(legacy=False)),
        }
        if not self.path.exists():
            return random_state
        identity = self._read()
        self._check(identity)
        self.identity["seeds"] = identity["seeds"]
        resumed = np.random.RandomState()
        resumed.set_state(identity["seeds"])
        return resumed

    def _read(self) -> dict[str, Any]:
        """Read the trainings, and say of what fit they are."""
        try:
            arrays = read_arrays(self.path)
            facts = json.loads(str(arrays.pop("facts")))
            if (facts["kind"], facts["version"]) != (_KIND, _VERSION):
                raise ValueError(f"it is of kind {facts['kind']!r}, version {facts['version']}")
            for i, own in enumerate(facts["trainings"]):
                mine = {
                    name.partition("/")[2]: array
                    for name, array in arrays.items()
                    if name.startswith(f"{i}/")
                }
                self.trainings[own["number"]] = own, mine
            identity: dict[str, Any] = facts["identity"]
            return identity
        except KeyError as error:
            raise ValueError(self._foreign(f"it has no {error}")) from error
        except (TypeError, ValueError) as error:
            raise ValueError(self._foreign(str(error))) from error

    def _foreign(self, reason: str) -> str:
        return f"The file {str(self.path)!r} is no checkpoint of skvae: {reason}. {_REMEDY}"

    def _check(self, then: Mapping[str, Any]) -> None:
        """Raise ValueError if the file is of another fit."""
        now = self.identity
        about = f"The checkpoint {str(self.path)!r} is of a fit"
        if then["estimator"] != now["estimator"]:
            raise ValueError(f"{about} of {then['estimator']}. Got {now['estimator']}. {_REMEDY}")
        for name, value in now["parameters"].items():
            old = then["parameters"].get(name)
            if old != value:
                raise ValueError(f"{about} with {name}={old}. Got {name}={value}. {_REMEDY}")
        for name, value in now["rows"].items():
            if then["rows"].get(name) != value:
                raise ValueError(f"{about} to another {name}. Pass that one. {_REMEDY}")

    def resume(self, progress: Progress) -> None:
        """Put the next training where the file says that it stood."""
        self.number += 1
        if self.number not in self.trainings:
            return
        facts, arrays = self.trainings[self.number]
        try:
            progress.load(arrays, facts)
        except ValueError as error:
            raise ValueError(
                f"The checkpoint {str(self.path)!r} does not fit the model: {error}. It was "
                f"written by another version of skvae: go on with that, or remove the file."
            ) from error

    def keep(self, progress: Progress) -> None:
        """Write where the present training stands, if it is time to."""
        self.n_epochs += 1
        # What followed began where this one stood before.
        for number in [n for n in self.trainings if n > self.number]:
            del self.trainings[number]
        is_due = (
            self.n_epochs >= self.every_n_epochs
            and time.monotonic() - self.written >= self.every_seconds
        )
        if is_due or progress.is_done:
            self.trainings[self.number] = progress.facts(), progress.arrays()
            self._write()
            self.n_epochs, self.written = 0, time.monotonic()

    def _write(self) -> None:
        arrays: dict[str, np.ndarray] = {}
        trainings = []
        for i, (number, (facts, own)) in enumerate(sorted(self.trainings.items())):
            trainings.append({**facts, "number": number})
            arrays |= {f"{i}/{name}": array for name, array in own.items()}
        facts = {
            "kind": _KIND,
            "version": _VERSION,
            "identity": self.identity,
            "trainings": trainings,
        }
        write_arrays(self.path, {"facts": np.array(json.dumps(facts)), **arrays})


def _words(value: Any) -> str:
    """Give a parameter in words that are the same in another process."""
    if isinstance(value, np.random.RandomState | np.random.Generator):
        return type(value).__name__
    name = getattr(value, "__qualname__", None)
    return repr(value) if name is None else f"{value.__module__}.{name}"


def _as_json(state: Any) -> Any:
    """Give a random state as numbers, strings, lists and dicts."""
    if isinstance(state, dict):
        return {name: _as_json(value) for name, value in state.items()}
    return state.tolist() if isinstance(state, np.ndarray | np.generic) else state
