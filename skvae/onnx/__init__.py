"""Export to ONNX: fitted estimators as graphs that run without Python."""

from skvae.onnx._converters import register_converters
from skvae.onnx._export import to_onnx

__all__ = ["register_converters", "to_onnx"]
