"""The methods of each estimator, as functions of tensors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skvae._core.checks import shown
from skvae._sklearn.compat import is_pandas_na, is_scalar_nan
from skvae.estimators import Autoencoder, VAEImputer, VAEOutlierDetector, VariationalAutoencoder
from skvae.inference import N_DRAWS, Fitted
from skvae.multilabel import CanonicalCorrelatedAutoencoder
from skvae.onnx._ports import ArrayRows, ColumnRows, Port, rows_of
from skvae.onnx._rows import constant
from skvae.onnx._traced import Traced

# From input tensors, and whether rows may have gaps, to output tensors.
Compute = Callable[[Sequence[Tensor], bool], Sequence[Tensor]]


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A method as a function of tensors.

    Attributes
    ----------
    inputs, outputs : list of Port
        What goes in and comes out.
    compute : callable
        From input tensors, and whether cells of them may be missing, to output tensors.
    takes_gaps : bool
        Whether cells may be missing.
    """

    inputs: list[Port]
    outputs: list[Port]
    compute: Compute
    takes_gaps: bool = True


def _default(method: Callable, name: str) -> Any:
    return inspect.signature(method).parameters[name].default


class _Both:
    """A fitted model for rows without gaps and for those with some."""

    def __init__(self, fitted: Fitted, dtype: torch.dtype) -> None:
        always = fitted.view.gaps is not None and bool(fitted.view.gaps.unseen.any())
        self.traced = {gaps: Traced(fitted, dtype, gaps or always) for gaps in (False, True)}

    def __getitem__(self, with_gaps: bool) -> Traced:
        return self.traced[with_gaps]


# ------------------------------------------------------------------ autoencoders


def _transform(estimator: Any) -> Graph:
    rows = rows_of(estimator._fitted)
    models = _Both(estimator._fitted, rows.dtype)
    gain = constant(estimator._fitted.report.unshrink * estimator._output_scale())

    def compute(tensors: Sequence[Tensor], with_gaps: bool) -> Sequence[Tensor]:
        means = models[with_gaps].means(rows.read(tensors))
        return [(means * gain.to(means)).float()]

    out = Port(name="Z", dtype=torch.float32, width=estimator.n_components_)
    return Graph(inputs=rows.inputs, outputs=[out], compute=compute)


def _inverse_transform(estimator: Any) -> Graph:
    rows = rows_of(estimator._fitted)
    model = Traced(estimator._fitted, rows.dtype, with_gaps=False)
    scale = estimator._output_scale()
    inverse = constant(np.divide(1.0, scale, out=np.zeros(scale.shape), where=scale > 0))

    def compute(tensors: Sequence[Tensor], with_gaps: bool) -> Sequence[Tensor]:
        (Z,) = tensors
        return rows.write(model.decode(Z.double() * inverse), None)

    into = Port(name="Z", dtype=torch.float32, width=estimator.n_components_)
    outputs = rows.outputs("X_original", fills=False)
    return Graph(inputs=[into], outputs=outputs, compute=compute, takes_gaps=False)


def _log_density(estimator: Any) -> Graph:
    n_draws = _default(estimator.score_samples, "n_draws")
    return _scores(estimator, lambda model, numbers: model.log_density(numbers, n_draws))


def _log_reconstruction(estimator: Any) -> Graph:
    return _scores(estimator, lambda model, numbers: model.log_reconstruction(numbers))


def _scores(estimator: Any, score: Callable[[Traced, Tensor], Tensor]) -> Graph:
    rows = rows_of(estimator._fitted)
    models = _Both(estimator._fitted, rows.dtype)

    def compute(tensors: Sequence[Tensor], with_gaps: bool) -> Sequence[Tensor]:
        return [score(models[with_gaps], rows.read(tensors)).float()]

    out = Port(name="scores", dtype=torch.float32)
    return Graph(inputs=rows.inputs, outputs=[out], compute=compute)


def _impute(estimator: Any) -> Graph:
    rows = rows_of(estimator._fitted)
    fill = _filling(estimator, rows, _default(estimator.impute, "n_draws"))
    outputs = rows.outputs("X_filled", fills=True)
    return Graph(inputs=rows.inputs, outputs=outputs, compute=fill)


def _filling(estimator: Any, rows: ArrayRows | ColumnRows, n_draws: int) -> Compute:
    models = _Both(estimator._fitted, rows.dtype)

    def fill(tensors: Sequence[Tensor], with_gaps: bool) -> Sequence[Tensor]:
        numbers = rows.read(tensors)
        if with_gaps:
            filled = models[True].expected_cells(numbers, n_draws)
            numbers = torch.where(numbers.isnan(), filled, numbers)
        return rows.write(numbers, tensors)

    return fill


# ------------------------------------------------------------------ imputer and detector


def _imputed(imputer: Any) -> Graph:
    if imputer.strategy != "mean":
        raise ValueError(
            f"A graph has no draws of its own, as strategy={imputer.strategy!r} needs. Set "
            f"strategy='mean' to export the imputer: it needs no new fit."
        )
    rows = rows_of(imputer.estimator_._fitted)
    fill = _filling(imputer.estimator_, rows, imputer.n_draws)
    marked = [] if imputer.indicator_ is None else imputer.indicator_.features_.tolist()
    value = imputer.missing_values
    is_nan = value is None or is_scalar_nan(value) or is_pandas_na(value)
    if isinstance(rows, ColumnRows):
        if marked or not is_nan:
            name = "add_indicator" if marked else "missing_values"
            raise ValueError(
                f"{name}={shown(getattr(imputer, name))} cannot be exported for a table. Mark the "
                f"gaps, as NaN or empty strings, outside of the graph."
            )
        outputs = rows.outputs("X_filled", fills=True)
        return Graph(inputs=rows.inputs, outputs=outputs, compute=fill)
    kept = torch.tensor(imputer._is_kept)
    stays = kept | imputer.keep_empty_features
    place, where = (kept.long().cumsum(0) - 1).clamp(min=0)[stays], kept[stays]

    def compute(tensors: Sequence[Tensor], with_gaps: bool) -> Sequence[Tensor]:
        (X,) = tensors
        missing = X.isnan() if is_nan else X == value
        (filled,) = fill([torch.where(missing, torch.nan, X)[:, kept]], with_gaps)
        whole = torch.where(where, filled[:, place], 0.0)
        return [torch.cat([whole, missing[:, marked].to(whole)], 1) if marked else whole]

    width = int(stays.sum()) + len(marked)
    return Graph(
        inputs=[Port(name="X", dtype=torch.float32, width=len(kept))],
        outputs=[Port(name="X_filled", dtype=torch.float32, width=width)],
        compute=compute,
        takes_gaps=is_nan,
    )


def _outlier_scores(detector: Any) -> Callable[[Sequence[Tensor], bool], Tensor]:
    fitted, typical = detector.estimator_._fitted, detector._typical
    rows = rows_of(fitted)
    models, starts = _Both(fitted, torch.float64), _Both(typical.start, torch.float64)
    first = torch.tensor([place.start for place in typical.start.cells])
    row = constant(typical.row)
    of_cells = torch.stack([constant(typical.expected), constant(typical.variance)], 1)

    def scores(tensors: Sequence[Tensor], with_gaps: bool) -> Tensor:
        if detector._columns is not None:
            columns = torch.tensor(detector._columns)
            tensors = [tensors[0].double()[:, columns] / constant(detector._scale)]
        numbers = rows.read(tensors)
        peak = torch.where(numbers.isnan(), torch.nan, row)
        distance = 2.0 * (
            starts[with_gaps].log_density(peak, N_DRAWS)
            - models[with_gaps].log_density(numbers, N_DRAWS)
        )
        expected, variance = ((~numbers[:, first].isnan()).double() @ of_cells).unbind(1)
        known = (expected > 0) & (variance > 0)
        ratio = distance / (typical.unit * torch.where(known, expected, 1.0)) + typical.shift
        spread = torch.where(known, variance / (9.0 * expected.square()), 1.0)
        root = ratio.sign() * ratio.abs().pow(1.0 / 3.0)
        return torch.where(known, (1.0 - spread - root) / spread.sqrt(), 0.0)

    return scores


def _outliers(read: Callable[[Any, Tensor], Tensor], name: str, dtype: torch.dtype) -> Any:
    """Give what makes the graph of a method that reads something off a detector's scores."""

    def build(detector: Any) -> Graph:
        scores, inputs = _outlier_scores(detector), rows_of(detector.estimator_._fitted).inputs
        if detector._columns is not None:
            inputs = [Port(name="X", dtype=torch.float32, width=detector.n_features_in_)]

        def compute(tensors: Sequence[Tensor], with_gaps: bool) -> Sequence[Tensor]:
            return [read(detector, scores(tensors, with_gaps)).to(dtype)]

        return Graph(inputs=inputs, outputs=[Port(name=name, dtype=dtype)], compute=compute)

    return build


# ------------------------------------------------------------------ classifier


def _classified(read: Callable[[Any, Tensor], Tensor], name: str, dtype: torch.dtype) -> Any:
    """Give what makes the graph of a method that reads something off a classifier's scores."""

    def build(classifier: Any) -> Graph:
        model, inputs = _rows_of_classifier(classifier)
        classes, strings = classifier.classes_, None
        out_type = dtype
        if name == "labels" and not classifier.multilabel_:
            if np.asarray(classes).dtype.kind in "OU":
                strings = [str(label) for label in classes]
            elif np.asarray(classes).dtype.kind == "f":
                out_type = torch.float32

        def compute(tensors: Sequence[Tensor], with_gaps: bool) -> Sequence[Tensor]:
            raw = model.decoder.forward(model.code(inputs(tensors[0])))
            return [read(classifier, raw).to(out_type)]

        X = Port(name="X", dtype=torch.float32, width=classifier.n_features_in_)
        out = Port(name=name, dtype=out_type, strings=strings)
        return Graph(inputs=[X], outputs=[out], compute=compute, takes_gaps=False)

    return build


def _rows_of_classifier(classifier: Any) -> tuple[Any, Callable[[Tensor], Tensor]]:
    model, units = classifier._fitted.model(torch.float32), classifier._fitted.units
    mean = constant(units.mean)
    return model, lambda X: ((X.double() - mean) / units.scale).float()


def _codes(classifier: Any) -> Graph:
    model, inputs = _rows_of_classifier(classifier)

    def compute(tensors: Sequence[Tensor], with_gaps: bool) -> Sequence[Tensor]:
        return [model.code(inputs(tensors[0]))]

    X = Port(name="X", dtype=torch.float32, width=classifier.n_features_in_)
    Z = Port(name="Z", dtype=torch.float32, width=classifier.n_components_)
    return Graph(inputs=[X], outputs=[Z], compute=compute, takes_gaps=False)


def _margins(classifier: Any, raw: Tensor) -> Tensor:
    if classifier.multilabel_:
        return raw - constant(classifier._fitted.threshold).to(raw)
    return raw[:, 1] - raw[:, 0] if raw.shape[1] == 2 else raw


def _labels(classifier: Any, raw: Tensor) -> Tensor:
    if classifier.multilabel_:
        return _margins(classifier, raw) > 0
    place, classes = raw.argmax(1), np.asarray(classifier.classes_)
    return place if classes.dtype.kind in "OU" else torch.tensor(classes)[place]


def _probabilities(classifier: Any, raw: Tensor) -> Tensor:
    return torch.sigmoid(raw) if classifier.multilabel_ else torch.softmax(raw, 1)


_OF_AUTOENCODER = {
    "transform": _transform,
    "inverse_transform": _inverse_transform,
    "impute": _impute,
}
#: What makes the graph of each estimator's methods.
METHODS: dict[type, dict[str, Callable[[Any], Graph]]] = {
    VariationalAutoencoder: {**_OF_AUTOENCODER, "score_samples": _log_density},
    Autoencoder: {**_OF_AUTOENCODER, "score_samples": _log_reconstruction},
    VAEImputer: {"transform": _imputed},
    VAEOutlierDetector: {
        "score_samples": _outliers(lambda detector, s: s, "scores", torch.float32),
        "decision_function": _outliers(lambda d, s: s - d.offset_, "scores", torch.float32),
        "predict": _outliers(lambda d, s: torch.where(s < d.offset_, -1, 1), "labels", torch.int64),
    },
    CanonicalCorrelatedAutoencoder: {
        "transform": _codes,
        "decision_function": _classified(_margins, "scores", torch.float32),
        "predict_proba": _classified(_probabilities, "probabilities", torch.float32),
        "predict": _classified(_labels, "labels", torch.int64),
    },
}
