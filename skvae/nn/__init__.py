"""Networks: dense layers, convolutions or any torch module, beside a linear path.

``Convolutional`` and ``ResidualDense`` are given to an estimator as ``encoder`` and ``decoder``.
"""

from skvae.nn._activations import ACTIVATIONS as ACTIVATIONS
from skvae.nn._convolutional import Convolutional
from skvae.nn._dense import DenseNetwork as DenseNetwork
from skvae.nn._dense import draw_glorot as draw_glorot
from skvae.nn._factory import NetworkFactory
from skvae.nn._module import ModuleFactory as ModuleFactory
from skvae.nn._module import ModuleNetwork as ModuleNetwork
from skvae.nn._module import OneRowError as OneRowError
from skvae.nn._network import Network as Network
from skvae.nn._residual import ResidualDense
from skvae.nn._sparse import SparseInput as SparseInput

# What users import; the other names are for the floors above.
__all__ = ["Convolutional", "NetworkFactory", "ResidualDense"]
