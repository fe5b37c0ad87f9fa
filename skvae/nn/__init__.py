"""Networks: dense layers or any torch module, beside a linear path."""

from skvae.nn._activations import ACTIVATIONS
from skvae.nn._convolutional import Convolutional
from skvae.nn._dense import DenseNetwork, draw_glorot
from skvae.nn._factory import NetworkFactory
from skvae.nn._module import ModuleFactory, ModuleNetwork, OneRowError
from skvae.nn._network import Network
from skvae.nn._residual import ResidualDense

__all__ = [
    "ACTIVATIONS",
    "Convolutional",
    "DenseNetwork",
    "ModuleFactory",
    "ModuleNetwork",
    "Network",
    "NetworkFactory",
    "OneRowError",
    "ResidualDense",
    "draw_glorot",
]
