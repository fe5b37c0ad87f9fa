"""Converters of skl2onnx, so that pipelines with these estimators export whole."""

from __future__ import annotations

from typing import Any

from skvae._core.checks import shown
from skvae.onnx._export import graph_of, to_onnx
from skvae.onnx._methods import METHODS

# What a pipeline gives out of its last step, beyond which nothing is asked of one.
_WANTED = ("transform", "predict", "predict_proba", "decision_function")


def register_converters() -> None:
    """Teach skl2onnx the estimators of this package.

    After it ``skl2onnx.to_onnx`` takes pipelines and column transformers that hold some. A
    transformer gives its ``transform``, the classifier labels and probabilities, the outlier
    detector labels and scores. The target opset is at least 18.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skl2onnx import to_onnx
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.onnx import register_converters
    >>> X, y = load_iris(return_X_y=True)
    >>> pipeline = make_pipeline(VariationalAutoencoder(2, max_iter=0), LogisticRegression())
    >>> register_converters()
    >>> model = to_onnx(pipeline.fit(X, y), X[:1].astype("float32"), target_opset=18)
    >>> [port.name for port in model.graph.output]
    ['output_label', 'output_probability']
    """
    try:
        from skl2onnx import update_registered_converter
    except ImportError as error:
        raise ImportError("Converters need skl2onnx: `pip install skvae[onnx]`.") from error
    for kind in METHODS:
        update_registered_converter(
            kind, f"Skvae{kind.__name__}", lambda operator: None, _convert, parser=_parse
        )


def _methods_of(estimator: Any) -> list[str]:
    """Methods whose results an estimator gives in a pipeline: two of those that predict."""
    has_labels = "predict" in METHODS[type(estimator)]
    names = _WANTED[1:] if has_labels else _WANTED[:1]
    return [name for name in names if name in METHODS[type(estimator)]][:2]


def _parse(scope: Any, estimator: Any, inputs: Any, custom_parsers: Any = None) -> Any:
    """Declare an estimator's results."""
    import torch
    from skl2onnx._supported_operators import _get_sklearn_operator_name
    from skl2onnx.common.data_types import (
        DoubleTensorType,
        FloatTensorType,
        Int64TensorType,
        StringTensorType,
    )

    types = {
        torch.float32: FloatTensorType,
        torch.float64: DoubleTensorType,
        torch.int64: Int64TensorType,
    }
    operator = scope.declare_local_operator(_get_sklearn_operator_name(type(estimator)), estimator)
    operator.inputs = inputs
    for method in _methods_of(estimator):
        for port in graph_of(estimator, method).outputs:
            kind = types[port.dtype] if port.strings is None else StringTensorType
            shape = [None] if port.width is None else [None, port.width]
            operator.outputs.append(scope.declare_local_variable(port.name, kind(shape)))
    return operator.outputs


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Write an estimator's graphs into that of the pipeline."""
    from onnx import TensorProto, helper

    from skvae.onnx._proto import renamed

    results = iter(operator.outputs)
    for method in _methods_of(operator.raw_operator):
        model = to_onnx(operator.raw_operator, method=method, target_opset=container.target_opset)
        wanted = model.graph.input
        if len(wanted) != len(operator.inputs):
            raise ValueError(
                f"{shown(operator.raw_operator)} takes {len(wanted)} inputs, "
                f"{', '.join(value.name for value in wanted)}. Got {len(operator.inputs)}: give "
                f"skl2onnx one initial type for each."
            )
        names = {}
        for value, given in zip(wanted, operator.inputs, strict=True):
            names[value.name] = scope.get_unique_variable_name(f"skvae_{value.name}")
            kind = value.type.tensor_type.elem_type
            container.nodes.append(
                helper.make_node(
                    "Identity" if kind == TensorProto.STRING else "Cast",
                    [given.full_name],
                    [names[value.name]],
                    name=scope.get_unique_operator_name("skvae"),
                    **({} if kind == TensorProto.STRING else {"to": kind}),
                )
            )
        names |= {value.name: next(results).full_name for value in model.graph.output}

        def name(own: str, names: dict[str, str] = names) -> str:
            if own not in names:
                names[own] = scope.get_unique_variable_name(f"skvae_{own}")
            return names[own]

        graph = renamed(model.graph, name)
        container.nodes.extend(graph.node)
        container.initializers.extend(graph.initializer)
        container.node_domain_version_pair_sets.update(
            (opset.domain, opset.version) for opset in model.opset_import
        )
