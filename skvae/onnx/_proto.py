"""Graphs of ONNX, taken apart and put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

import onnx
from onnx import helper

from skvae.onnx._methods import Graph
from skvae.onnx._ports import Port

_ML = "ai.onnx.ml"


def renamed(graph: onnx.GraphProto, name: Callable[[str], str]) -> onnx.GraphProto:
    """Give a graph, and those inside it, with other names of their values."""
    copy = onnx.GraphProto()
    copy.CopyFrom(graph)
    for value in (*copy.input, *copy.output, *copy.initializer):
        value.name = name(value.name)
    del copy.value_info[:]
    for node in copy.node:
        node.name = name(node.name) if node.name else ""
        for names in (node.input, node.output):
            # An input that is left out has no name.
            names[:] = [name(each) if each else each for each in names]
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                attribute.g.CopyFrom(renamed(attribute.g, name))
    return copy


def plain(model: onnx.ModelProto) -> onnx.ModelProto:
    """Give a model without the exporter's notes on the code that it was made from."""
    graph = renamed(model.graph, lambda name: name)
    del graph.metadata_props[:]
    for noted in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        del noted.metadata_props[:]
        noted.ClearField("doc_string")
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "rows"
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.graph.CopyFrom(graph)
    del copy.metadata_props[:]
    return copy


def join(whole: onnx.ModelProto, gaps: onnx.ModelProto) -> onnx.ModelProto:
    """Give a graph that takes the one for complete rows, or, where a cell is NaN, the other."""
    inputs = [value.name for value in whole.graph.input]
    nodes, are_missing = [], []
    for i, name in enumerate(inputs):
        steps = [name, *(f"gaps.{step}.{i}" for step in ("cells", "numbers", "any"))]
        nodes += [
            helper.make_node("IsNaN", steps[:1], steps[1:2]),
            helper.make_node("Cast", steps[1:2], steps[2:3], to=onnx.TensorProto.INT32),
            helper.make_node("ReduceMax", steps[2:3], steps[3:], keepdims=0),
        ]
        are_missing.append(steps[3])
    nodes += [
        helper.make_node("Max", are_missing, ["gaps.count"]),
        helper.make_node("Cast", ["gaps.count"], ["gaps.any"], to=onnx.TensorProto.BOOL),
    ]
    constants: dict[tuple, onnx.TensorProto] = {}
    branches = {}
    for branch, model in (("else_branch", whole), ("then_branch", gaps)):
        branches[branch] = _as_branch(model.graph, branch, set(inputs), constants)
    outputs = [value.name for value in whole.graph.output]
    nodes.append(helper.make_node("If", ["gaps.any"], outputs, **branches))
    graph = helper.make_graph(
        nodes, whole.graph.name, whole.graph.input, whole.graph.output, list(constants.values())
    )
    model = onnx.ModelProto()
    model.CopyFrom(whole)
    model.graph.CopyFrom(graph)
    return model


def _as_branch(
    graph: onnx.GraphProto, prefix: str, inputs: set[str], constants: dict[tuple, onnx.TensorProto]
) -> onnx.GraphProto:
    """Give a graph as a branch, its constants among those that branches share."""
    names = {name: name for name in inputs}
    for tensor in graph.initializer:
        key = (tensor.data_type, tuple(tensor.dims), onnx.numpy_helper.to_array(tensor).tobytes())
        if key not in constants:
            constants[key] = onnx.TensorProto()
            constants[key].CopyFrom(tensor)
            constants[key].name = f"constant.{len(constants)}"
        names[tensor.name] = constants[key].name
    branch = renamed(graph, lambda name: names.get(name, f"{prefix}.{name}"))
    del branch.input[:], branch.initializer[:]
    return branch


def with_strings(model: onnx.ModelProto, graph: Graph) -> onnx.ModelProto:
    """Give a model that takes and gives strings in the place of their places."""
    strings = [port for port in graph.inputs if port.places is not None]
    levels = [port for port in graph.outputs if port.strings is not None]
    if not strings and not levels:
        return model
    own = {port.name for port in (*strings, *levels)}
    inner = renamed(model.graph, lambda name: f"{name}.place" if name in own else name)
    before = [node for port in strings for node in _read(port)]
    after = [node for port in levels for node in _written(port)]
    nodes = [*before, *inner.node, *after]
    del inner.node[:]
    inner.node.extend(nodes)
    for values in (inner.input, inner.output):
        for value in values:
            name = value.name.removesuffix(".place")
            if value.name != name and name in own:
                value.name = name
                value.type.tensor_type.elem_type = onnx.TensorProto.STRING
    model.graph.CopyFrom(inner)
    model.opset_import.append(helper.make_opsetid(_ML, 2))
    return model


def _encoder(source: str, result: str, **options: Any) -> onnx.NodeProto:
    return helper.make_node("LabelEncoder", [source], [result], domain=_ML, **options)


def _read(port: Port) -> list[onnx.NodeProto]:
    assert port.places is not None
    place = f"{port.name}.place"
    return [
        _encoder(
            port.name,
            f"{place}.single",
            keys_strings=list(port.places),
            values_floats=list(port.places.values()),
            default_float=port.unknown,
        ),
        helper.make_node("Cast", [f"{place}.single"], [place], to=onnx.TensorProto.DOUBLE),
    ]


def _written(port: Port) -> list[onnx.NodeProto]:
    """Give the strings of places; with those of an input kept, unless they are empty."""
    assert port.strings is not None
    strings = {"values_strings": list(port.strings), "default_string": ""}
    places = list(range(len(port.strings)))
    result = port.name if port.kept is None else f"{port.name}.filled"
    nodes = [_encoder(f"{port.name}.place", result, keys_int64s=places, **strings)]
    if port.kept is not None:
        gap = f"{port.name}.gap"
        nodes += [
            _encoder(
                port.kept, f"{gap}.number", keys_strings=[""], values_int64s=[1], default_int64=0
            ),
            helper.make_node("Cast", [f"{gap}.number"], [gap], to=onnx.TensorProto.BOOL),
            helper.make_node("Where", [gap, result, port.kept], [port.name]),
        ]
    return nodes


def describe(model: onnx.ModelProto, facts: Mapping[str, str]) -> None:
    """Write what a model is into its metadata."""
    model.producer_name, model.producer_version = "skvae", version("skvae")
    helper.set_model_props(model, dict(facts))
