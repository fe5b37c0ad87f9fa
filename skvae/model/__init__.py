"""The model: networks and distributions on one flat buffer."""

from skvae.model._architecture import Architecture, Parts
from skvae.model._model import Layout, Model

__all__ = ["Architecture", "Layout", "Model", "Parts"]
