"""The fitted multi-label classifier: rows and label sets to codes, codes to scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from skvae._core.arrays import as_tensor
from skvae.inference import TORCH_DTYPES, Rowwise, built
from skvae.multilabel._model import Architecture, Model, Units, indicators


@dataclass(frozen=True, kw_only=True, eq=False)
class Stream:
    """Where a classifier stands that is fitted part by part.

    ``optimizer`` is the state of Adam. ``scores`` and ``values``, (rows, n_labels), are of the last
    rows that were judged before the model was trained on them; they choose the threshold.
    """

    seed: int
    n_calls: int
    optimizer: Mapping[str, np.ndarray]
    scores: np.ndarray
    values: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedClassifier:
    """All that inference needs, as arrays and builtins: what a saved classifier consists of.

    ``parameters`` are those of the flat buffer, float32. ``threshold`` is one of raw scores, for
    all labels or for each. ``sparse_labels`` says whether label sets are given as a sparse array.
    ``stream`` is there after ``partial_fit``.
    """

    architecture: Architecture
    units: Units
    parameters: np.ndarray
    threshold: float | np.ndarray
    sparse_labels: bool
    stream: Stream | None = None

    def model(self, dtype: torch.dtype) -> Model:
        """Networks on the stored parameters."""
        values = as_tensor(self.parameters, dtype)
        return Model(self.architecture, self.units, dtype, "cpu", values)

    def codes(self, X: Any) -> np.ndarray:
        """Fx of checked rows, in X's dtype, (n_samples, n_components)."""
        return self._by_block(X, lambda model, code: code)

    def scores(self, X: Any) -> np.ndarray:
        """Raw scores Fd(Fx) of checked rows, in X's dtype, (n_samples, n_labels)."""
        return self._by_block(X, lambda model, code: model.decoder.evaluate(code))

    def margins(self, X: Any) -> np.ndarray:
        """Raw scores less the threshold: a label above zero is predicted."""
        raw = self.scores(X)
        return raw - np.asarray(self.threshold).astype(raw.dtype)

    def label_sets(self, X: Any) -> Any:
        """Predicted indicator matrix of integers, sparse where that of the fit was."""
        labels = (self.margins(X) > 0).astype(np.int64)
        return sparse.csr_array(labels) if self.sparse_labels else labels

    @torch.no_grad()
    def label_codes(self, values: np.ndarray) -> np.ndarray:
        """Fe of label sets of 1, 0 and -1, in float64, (n_sets, n_components)."""
        model = built(self, torch.float64)
        present, absent = indicators(as_tensor(values), model.flat.values)
        return model.label_encoder.evaluate(model.filled(present, absent)).numpy()

    @torch.no_grad()
    def _by_block(self, X: Any, read: Callable[[Model, Tensor], Tensor]) -> np.ndarray:
        """What ``read`` makes of the rows' codes, a block of rows at a time."""
        model = built(self, TORCH_DTYPES[X.dtype.name])
        results = Rowwise(X.shape[0])
        for code in model.codes(X):
            results.append(read(model, code).numpy())
        return results.array
