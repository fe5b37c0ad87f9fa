"""Networks: dense layers or any torch module, beside a linear path."""

from skvae.nn._activations import ACTIVATIONS
from skvae.nn._dense import DenseNetwork, draw_glorot
from skvae.nn._module import ModuleFactory, ModuleNetwork, OneRowError
from skvae.nn._network import Network
from skvae.nn._sparse import SparseInput

__all__ = [
    "ACTIVATIONS",
    "DenseNetwork",
    "ModuleFactory",
    "ModuleNetwork",
    "Network",
    "OneRowError",
    "SparseInput",
    "draw_glorot",
]
