"""From a fitted estimator to a graph of ONNX."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skvae._core.checks import shown
from skvae._core.process import isolated
from skvae.onnx._methods import METHODS, Graph
from skvae.onnx._operators import OperatorsOfOnnx

if TYPE_CHECKING:
    import onnx

# The oldest opset that torch's exporter writes.
_OPSET = 18


def require_onnx() -> None:
    """Raise ImportError, with the remedy, if the extra is not installed."""
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError("Export needs onnx and onnxscript: `pip install skvae[onnx]`.") from error
    del onnx


def graph_of(estimator: Any, method: str) -> Graph:
    """Give a method of a fitted estimator as a function of tensors.

    ValueError is raised if the estimator, or its method, cannot be exported.
    """
    methods = next((METHODS[kind] for kind in type(estimator).__mro__ if kind in METHODS), None)
    if methods is None:
        known = ", ".join(sorted(kind.__name__ for kind in METHODS))
        raise ValueError(
            f"'estimator' must be one of {known}. Got {type(estimator).__name__}. A pipeline that "
            f"holds one is exported by skl2onnx, after skvae.onnx.register_converters()."
        )
    check_is_fitted(estimator)
    if method not in methods:
        raise ValueError(
            f"The 'method' parameter must be one of {sorted(methods)} for "
            f"{type(estimator).__name__}. Got {shown(method)}."
        )
    return methods[method](estimator)


@isolated
def to_onnx(
    estimator: Any, *, method: str = "transform", target_opset: int | None = None
) -> onnx.ModelProto:
    """Give a method of a fitted estimator as an ONNX graph, which runs without Python.

    Parameters
    ----------
    estimator : estimator
        A fitted estimator of this package.
    method : {"transform", "inverse_transform", "score_samples", "impute", "predict", \
            "predict_proba", "decision_function"}, default="transform"
        Which of its methods; each estimator has some of them.
    target_opset : int, default=None
        Version of ONNX's operators, at least 18, which is the default.

    Returns
    -------
    model : onnx.ModelProto
        With any number of rows. An array goes in as ``X``, float32; a table by the names of its
        columns, see ``docs/onnx.md``. The metadata say what was exported.

    Raises
    ------
    ValueError
        If the estimator has no such method, or it cannot be exported.
    ImportError
        If onnx or onnxscript is not installed.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.onnx import to_onnx
    >>> X, _ = load_iris(return_X_y=True)
    >>> model = to_onnx(VariationalAutoencoder(2, max_iter=0).fit(X))
    >>> [port.name for port in (*model.graph.input, *model.graph.output)]
    ['X', 'Z']
    """
    opset = _OPSET if target_opset is None else target_opset
    if not (isinstance(opset, int) and opset >= _OPSET):
        raise ValueError(
            f"The 'target_opset' parameter must be None or an int of at least {_OPSET}. Got "
            f"{shown(target_opset)}."
        )
    require_onnx()
    from skvae.onnx._proto import describe, join, plain, with_strings

    graph = graph_of(estimator, method)
    models = [
        plain(_traced(estimator, graph, gaps, opset))
        for gaps in ((False, True) if graph.takes_gaps else (False,))
    ]
    model = with_strings(models[0] if len(models) == 1 else join(*models), graph)
    describe(model, _facts(estimator, method, graph))
    return model


def _facts(estimator: Any, method: str, graph: Graph) -> dict[str, str]:
    names = getattr(estimator, "feature_names_in_", None)
    return {
        "estimator": type(estimator).__name__,
        "method": method,
        "feature_names": json.dumps(None if names is None else [str(name) for name in names]),
        "levels": json.dumps(
            {p.name: [k for k in p.places if k] for p in graph.inputs if p.places}
        ),
    }


class _Module(torch.nn.Module):
    """A function of tensors as what torch exports."""

    def __init__(self, graph: Graph, with_gaps: bool) -> None:
        super().__init__()
        self.graph, self.with_gaps = graph, with_gaps

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        with OperatorsOfOnnx():
            return tuple(self.graph.compute(tensors, self.with_gaps))


def _traced(estimator: Any, graph: Graph, with_gaps: bool, opset: int) -> onnx.ModelProto:
    module = _Module(graph, with_gaps).eval()
    examples = tuple(port.example() for port in graph.inputs)
    rows = tuple({0: torch.export.Dim("rows")} for _ in examples)
    # The first call makes what is kept between calls, which must be no part of what is traced.
    module(*examples)
    with _quiet():
        try:
            program = torch.export.export(module, examples, dynamic_shapes=(rows,), strict=False)
        except Exception as error:
            factories = [n for n in ("encoder", "decoder") if getattr(estimator, n, None)]
            if not factories:
                raise
            raise ValueError(
                f"torch.export cannot trace the module of {' or '.join(factories)}: {error} Write "
                f"it without what depends on the values or the number of rows, or use "
                f"hidden_layer_sizes."
            ) from error
        exported = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=opset,
            input_names=[port.name for port in graph.inputs],
            output_names=[port.name for port in graph.outputs],
            verbose=False,
        )
    assert exported is not None
    return exported.model_proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks on its own progress from users."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.__trace")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
