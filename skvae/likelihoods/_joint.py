"""Likelihoods of a table's blocks of columns, as one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skvae._core.flat import Pullback, Shape
from skvae.likelihoods._base import FIXED_NOISE, Likelihood, Response, Width
from skvae.tables import ColumnRanges, Link, Moments, View


@dataclass(frozen=True, kw_only=True)
class Part:
    """Where a block's numbers are among all.

    Attributes
    ----------
    likelihood : Likelihood
        Of the block.
    targets, location, extra, parameters : slice
        Of the targets, of the raw output's two kinds of columns, and of the list of parameters.
    """

    likelihood: Likelihood
    targets: slice
    location: slice
    extra: slice
    parameters: slice

    @property
    def n_targets(self) -> int:
        """Number of the block's targets."""
        return self.targets.stop - self.targets.start

    def raw(self, raw: Any) -> Any:
        """The block's raw output of all."""
        location = raw[..., self.location]
        if self.extra.start == self.extra.stop:
            return location
        both = [location, raw[..., self.extra]]
        return torch.cat(both, -1) if isinstance(raw, Tensor) else np.concatenate(both, -1)

    def moments(self, moments: Moments) -> Moments:
        """The block's moments of all."""
        return Moments(
            mean=moments.mean[self.targets],
            variance=moments.variance[self.targets],
            total_weight=moments.total_weight,
            count=moments.count,
            zeros=None if moments.zeros is None else moments.zeros[self.targets],
        )

    def response(self, response: Response) -> Response:
        """The block's response of all, whose noises may be shared."""
        groups, least, extra = response.noise_groups[self.targets], None, None
        is_shared = np.ptp(groups) == 0 and groups[0] != FIXED_NOISE
        if response.least_noise is not None:
            least = response.least_noise[self.targets]
        if response.extra is not None:
            first = len(response.natural)
            extra = response.extra[self.extra.start - first : self.extra.stop - first]
        return Response(
            natural=response.natural[self.location],
            spread=response.spread[self.targets],
            gain=response.gain[self.location],
            noise="shared" if is_shared else groups,
            least_noise=least,
            extra=extra,
        )


class Joint(Likelihood):
    """p(x|z) = prod_b p_b(x_b|z), over blocks of adjacent columns with a likelihood each.

    Parameters
    ----------
    blocks : list of (Likelihood, int)
        Likelihood of each block, and its number of targets.
    columns : Columns, default=None
        What users see of it: the likelihood of each column of their table.
    """

    def __init__(self, blocks: Sequence[tuple[Likelihood, int]], columns: Any = None) -> None:
        self.blocks = blocks
        self.columns = columns

    @property
    def chosen(self) -> Any:
        """The likelihood of each column."""
        return self if self.columns is None else self.columns

    @cached_property
    def parts(self) -> list[Part]:
        """The blocks with their places; in the raw output all locations come first."""
        widths = [likelihood.width(n) for likelihood, n in self.blocks]
        parts, start, place, first = [], 0, 0, 0
        extra = sum(width.location for width in widths)
        for (likelihood, n), own in zip(self.blocks, widths, strict=True):
            n_parameters = len(likelihood.parameter_shapes(n))
            part = Part(
                likelihood=likelihood,
                targets=slice(start, start + n),
                location=slice(place, place + own.location),
                extra=slice(extra, extra + own.extra),
                parameters=slice(first, first + n_parameters),
            )
            start, place = part.targets.stop, part.location.stop
            extra, first = part.extra.stop, part.parameters.stop
            parts.append(part)
        return parts

    def __getstate__(self) -> Any:
        return {name: value for name, value in super().__getstate__().items() if name != "parts"}

    # ------------------------------------------------------------------ what it is

    @property
    def has_domain(self) -> bool:  # type: ignore[override]
        """Whether a block has one."""
        return any(likelihood.has_domain for likelihood, _ in self.blocks)

    @property
    def counts_zeros(self) -> bool:  # type: ignore[override]
        """Whether a block asks for them."""
        return any(likelihood.counts_zeros for likelihood, _ in self.blocks)

    @property
    def screens_latents(self) -> bool:  # type: ignore[override]
        """Whether a block asks for it."""
        return any(likelihood.screens_latents for likelihood, _ in self.blocks)

    @property
    def is_written(self) -> bool:  # type: ignore[override]
        """Whether all blocks are."""
        return all(likelihood.is_written for likelihood, _ in self.blocks)

    @property
    def link(self) -> Link:  # type: ignore[override]
        """Of each column."""
        links: list[str] = []
        for likelihood, n in self.blocks:
            own = likelihood.link
            links += [own] * n if isinstance(own, str) else own
        return "identity" if set(links) == {"identity"} else tuple(links)

    def check(self, columns: ColumnRanges) -> None:
        """Raise ValueError if a column is outside its block's domain."""
        for part in self.parts:
            if part.likelihood.has_domain:
                part.likelihood.check(columns.part(part.targets))

    def group_sizes(self, n_targets: int) -> tuple[int, ...]:
        """Cells of all blocks."""
        groups = (each.group_sizes(n) or (1,) * n for each, n in self.blocks)
        return tuple(size for sizes in groups for size in sizes)

    def width(self, n_targets: int) -> Width:
        """Sums of the blocks'."""
        n_location = self.parts[-1].location.stop
        return Width(n_location, self.parts[-1].extra.stop - n_location)

    def parameter_shapes(self, n_targets: int) -> list[Shape]:
        """Those of all blocks."""
        return [shape for each, n in self.blocks for shape in each.parameter_shapes(n)]

    # ------------------------------------------------------------------ how it starts

    def _views(self, moments: Moments, inputs: Moments) -> list[View]:
        return [
            part.likelihood.view(part.moments(moments), part.moments(inputs)) for part in self.parts
        ]

    def view(self, moments: Moments, inputs: Moments) -> View:
        """Views of the blocks, side by side; latents are weighed by columns of unit variance."""
        views, std = self._views(moments, inputs), np.sqrt(moments.variance)
        unit = np.divide(1.0, std, out=np.zeros_like(std), where=std > 0)
        for part, view in zip(self.parts, views, strict=True):
            if view.unit is not None:
                unit[part.targets] = view.unit

        def joined(read: Callable[[View], np.ndarray | None], missing: float) -> np.ndarray:
            columns = []
            for view in views:
                own = read(view)
                columns.append(np.full(view.n_inputs, missing) if own is None else own)
            return np.concatenate(columns)

        return View(
            mean=moments.mean,
            total_variance=moments.times(unit).total_variance,
            shift=joined(lambda view: view.shift, 0.0),
            scale=joined(lambda view: view.scale, 1.0),
            link=self.link,
            input_shift=joined(lambda view: view.input_shift, 0.0),
            input_scale=joined(lambda view: view.input_scale, 1.0),
            unit=unit,
        )

    def response(self, view: View, moments: Moments, inputs: Moments) -> Response:
        """Responses of the blocks, side by side; noises that blocks share stay within them."""
        responses = [
            part.likelihood.response(own, part.moments(moments), part.moments(inputs))
            for part, own in zip(self.parts, self._views(moments, inputs), strict=True)
        ]
        groups, first = [], 0
        for response in responses:
            own_groups = response.noise_groups
            is_free = own_groups != FIXED_NOISE
            groups.append(np.where(is_free, own_groups + first, FIXED_NOISE))
            first += len(own_groups)
        least = [response.least_noise for response in responses]
        extra = [response.extra for response in responses]
        return Response(
            natural=np.concatenate([response.natural for response in responses]),
            spread=np.concatenate([response.spread for response in responses]),
            gain=np.concatenate([response.gain for response in responses]),
            noise=np.concatenate(groups),
            least_noise=_joined(least, [part.n_targets for part in self.parts]),
            extra=_joined(extra, [part.extra.stop - part.extra.start for part in self.parts]),
        )

    def location_variance(self, variance: np.ndarray, response: Response) -> np.ndarray:
        """Of each block."""
        return np.concatenate(
            [
                part.likelihood.location_variance(variance[part.location], part.response(response))
                for part in self.parts
            ]
        )

    def recentred(self, natural: np.ndarray, variance: np.ndarray) -> np.ndarray:
        """Of each block."""
        return np.concatenate(
            [
                part.likelihood.recentred(natural[part.location], variance[part.location])
                for part in self.parts
            ]
        )

    def start_noise(
        self,
        parameters: Sequence[Tensor],
        extra_bias: Tensor,
        noise_variance: np.ndarray,
        response: Response,
    ) -> None:
        """Start each block; a noise that its columns share is the mean of theirs."""
        first = len(response.natural)
        for part in self.parts:
            own, noise = part.response(response), noise_variance[part.targets]
            part.likelihood.start_noise(
                parameters[part.parameters],
                extra_bias[part.extra.start - first : part.extra.stop - first],
                noise.mean(keepdims=True) if own.has_noise("shared") else noise,
                own,
            )

    # ------------------------------------------------------------------ its density

    def _each(self, raw: Any, parameters: Sequence[Any]) -> Iterator[tuple[Part, Any, Any]]:
        for part in self.parts:
            yield part, part.raw(raw), parameters[part.parameters]

    def constant(self, target: Tensor) -> Tensor | None:
        """Constants of the blocks' cells."""
        cells = [part.likelihood.constant(target[:, part.targets]) for part in self.parts]
        if all(own is None for own in cells):
            return None
        zeros = torch.zeros_like(target)
        for part, own in zip(self.parts, cells, strict=True):
            if own is not None:
                zeros[:, part.targets] = own
        return zeros

    def log_prob(
        self, raw: Tensor, target: Tensor, observed: Tensor | None, parameters: Sequence[Tensor]
    ) -> Tensor:
        """Sum of the blocks' log-densities."""
        blocks = [
            part.likelihood.log_prob(
                own,
                target[:, part.targets],
                None if observed is None else observed[:, part.targets],
                shared,
            )
            for part, own, shared in self._each(raw, parameters)
        ]
        return torch.stack(blocks).sum(0)

    def log_prob_vjp(
        self,
        raw: np.ndarray,
        target: np.ndarray,
        observed: np.ndarray | None,
        parameters: Sequence[np.ndarray],
        grads: Sequence[np.ndarray],
    ) -> tuple[np.ndarray, Pullback]:
        """Sum of the blocks' log-densities; their pullbacks write to one gradient."""
        total: Any = 0.0
        pulls = []
        for part, own, shared in self._each(raw, parameters):
            log_p, pull_part = part.likelihood.log_prob_vjp(
                own,
                target[:, part.targets],
                None if observed is None else observed[:, part.targets],
                shared,
                grads[part.parameters],
            )
            total = total + log_p
            pulls.append((part, pull_part))

        def pull(d: np.ndarray) -> np.ndarray:
            d_raw = np.empty_like(raw)
            for part, pull_part in pulls:
                own, n = pull_part(d), part.location.stop - part.location.start
                d_raw[..., part.location] = own[..., :n]
                d_raw[..., part.extra] = own[..., n:]
            return d_raw

        return total, pull

    def mean(self, raw: Tensor, parameters: Sequence[Tensor]) -> Tensor:
        """Means of the blocks, side by side."""
        each = self._each(raw, parameters)
        return torch.cat([part.likelihood.mean(own, shared) for part, own, shared in each], -1)

    def variance(self, raw: Tensor, parameters: Sequence[Tensor]) -> Tensor:
        """Variances of the blocks, side by side."""
        each = self._each(raw, parameters)
        return torch.cat(
            [
                part.likelihood.variance(own, shared).expand(*raw.shape[:-1], part.n_targets)
                for part, own, shared in each
            ],
            -1,
        )

    def sample(
        self, raw: np.ndarray, parameters: Sequence[np.ndarray], rng: np.random.Generator
    ) -> np.ndarray:
        """Draw each block."""
        each = self._each(raw, parameters)
        return np.concatenate(
            [part.likelihood.sample(own, shared, rng) for part, own, shared in each], -1
        )


def _joined(arrays: Sequence[np.ndarray | None], sizes: Sequence[int]) -> np.ndarray | None:
    """Arrays of these sizes side by side, 0 where there is none; None if there are none at all."""
    if all(array is None for array in arrays):
        return None
    each = zip(arrays, sizes, strict=True)
    return np.concatenate([np.zeros(n) if array is None else array for array, n in each])
