"""Pictures of fitted estimators, by scikit-learn's Display contract. They need matplotlib."""

from skvae.display._components import ComponentsDisplay
from skvae.display._latent_grid import LatentGridDisplay
from skvae.display._latent_space import LatentSpaceDisplay
from skvae.display._latent_traversal import LatentTraversalDisplay
from skvae.display._reconstruction import ReconstructionDisplay
from skvae.display._training import TrainingDisplay

__all__ = [
    "ComponentsDisplay",
    "LatentGridDisplay",
    "LatentSpaceDisplay",
    "LatentTraversalDisplay",
    "ReconstructionDisplay",
    "TrainingDisplay",
]
