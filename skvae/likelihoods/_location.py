"""Likelihoods of real numbers whose decoder gives their location as it is."""

from __future__ import annotations

from torch import Tensor

from skvae._core.flat import Shape
from skvae.likelihoods._base import Response
from skvae.likelihoods._cells import CellLikelihood, Tensors
from skvae.likelihoods._gaussian import centred_response, centred_view
from skvae.tables import Moments, View


class LocationLikelihood(CellLikelihood):
    """Base of the likelihoods x = decoder(z) + noise, whose noise has a learned scale."""

    #: Whether each feature has a scale of its own, and the start is factor analysis, or all have
    #: one, and it is PCA.
    by_feature = False

    def parameter_shapes(self, n_targets: int) -> list[Shape]:
        """Log of the scale, before its soft bound."""
        return [(n_targets if self.by_feature else 1,)]

    def view(self, moments: Moments, inputs: Moments) -> View:
        """Centred X over its root mean variance, or over each column's own."""
        return centred_view(moments, by_column=self.by_feature)

    def response(self, view: View, moments: Moments, inputs: Moments) -> Response:
        """Give the mean itself, with residuals as they are: PCA, or factor analysis."""
        return centred_response(view, moments, by_column=self.by_feature)

    def mean_of_each(self, raw: Tensor, logs: Tensors) -> Tensor:
        """Give the raw output itself."""
        return raw[0]
