"""Pictures of fitted estimators, by scikit-learn's Display contract. They need matplotlib."""

from skvae.display._canvas import require_matplotlib as require_matplotlib
from skvae.display._components import ComponentsDisplay
from skvae.display._imputation import ImputationDisplay
from skvae.display._latent_grid import LatentGridDisplay
from skvae.display._latent_space import LatentSpaceDisplay
from skvae.display._latent_traversal import LatentTraversalDisplay
from skvae.display._outliers import OutlierDisplay
from skvae.display._reconstruction import ReconstructionDisplay
from skvae.display._training import TrainingDisplay

__all__ = [
    "ComponentsDisplay",
    "ImputationDisplay",
    "LatentGridDisplay",
    "LatentSpaceDisplay",
    "LatentTraversalDisplay",
    "OutlierDisplay",
    "ReconstructionDisplay",
    "TrainingDisplay",
]
