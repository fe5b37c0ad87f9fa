"""Networks as blocks: dense layers, a linear path, any torch module."""

from skvae.nn._activations import ACTIVATIONS
from skvae.nn._dense import MLP, Constant, Dense
from skvae.nn._module import Module, ModuleFactory
from skvae.nn._network import Network

__all__ = ["ACTIVATIONS", "MLP", "Constant", "Dense", "Module", "ModuleFactory", "Network"]
