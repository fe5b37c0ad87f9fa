"""Starts: what the networks are before the first step."""

from skvae.starts._base import Start
from skvae.starts._boltzmann import BoltzmannMachines
from skvae.starts._prepared import Prepared, prepare, prepare_stream
from skvae.starts._principal import Auto, PrincipalComponents
from skvae.starts._random import Random

__all__ = [
    "Auto",
    "BoltzmannMachines",
    "Prepared",
    "PrincipalComponents",
    "Random",
    "Start",
    "prepare",
    "prepare_stream",
]
