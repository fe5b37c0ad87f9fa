"""Modules that read images and give them, as rows of pixels."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Height, width and channels.
ImageShape = tuple[int, int, int]
Function = Callable[[Tensor], Tensor]


def halved(shape: ImageShape, times: int) -> list[tuple[int, int]]:
    """Height and width after each of so many halvings, rounded up; the first is the image's."""
    sizes = [shape[:2]]
    for _ in range(times):
        height, width = sizes[-1]
        sizes.append((-(-height // 2), -(-width // 2)))
    return sizes


def kept_in_size(layer: nn.Linear | nn.Conv2d) -> nn.Linear | nn.Conv2d:
    """Draw weights that keep the size of what half of its inputs carry (He et al. 2015)."""
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def dense_layers(widths: Sequence[int]) -> nn.ModuleList:
    """Give a dense layer from each width to the next."""
    pairs = itertools.pairwise(widths)
    return nn.ModuleList(kept_in_size(nn.Linear(n_in, n_out)) for n_in, n_out in pairs)


class ResizeConvolution(nn.Module):
    """Doubles an image and convolves it by 3 x 3, in one transposed convolution.

    Doubling repeats each pixel, as a 2 x 2 box does. So the whole is a transposed convolution of
    stride 2 whose 4 x 4 kernel is the 3 x 3 one convolved with that box: 4 products a pixel in the
    place of 9, and no doubled image in between. Whatever its weights, a constant image comes out
    constant but for the border: there is no checkerboard (Odena, Dumoulin and Olah 2016).

    Parameters
    ----------
    n_in, n_out : int
        Numbers of channels.
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_in, n_out, 3, 3) * math.sqrt(2.0 / (9 * n_in)))
        self.bias = nn.Parameter(torch.zeros(n_out))

    def forward(self, x: Tensor) -> Tensor:
        """Map (rows, n_in, height, width) to (rows, n_out, 2 height, 2 width)."""
        tall = F.pad(self.weight, (0, 0, 0, 1)) + F.pad(self.weight, (0, 0, 1, 0))
        kernel = F.pad(tall, (0, 1)) + F.pad(tall, (1, 0))
        return F.conv_transpose2d(x, kernel, self.bias, stride=2, padding=1)


class ImageEncoder(nn.Module):
    """Convolutions of stride 2, then dense layers: (rows, n_in) to (rows, n_out).

    Columns of a row are the pixels of one image or several, each (height, width, channels), whose
    channels are read together; columns that are left over go to the dense layers.

    Parameters
    ----------
    shape : (int, int, int)
        Height, width and channels of an image.
    n_in, n_out : int
        Widths of input and output.
    channels : sequence of int
        Channels after each convolution.
    hidden : sequence of int
        Widths of the dense layers in between.
    activation : callable
        Elementwise function of a tensor.
    """

    #: The pixels of an image share a unit: a scale of its own for each would be no image.
    equal_units = True

    def __init__(
        self,
        shape: ImageShape,
        n_in: int,
        n_out: int,
        channels: Sequence[int],
        hidden: Sequence[int],
        activation: Function,
    ) -> None:
        super().__init__()
        self.shape, self.activation = shape, activation
        self.n_images, n_rest = divmod(n_in, math.prod(shape))
        widths = [self.n_images * shape[2], *channels]
        self.layers = nn.ModuleList(
            kept_in_size(nn.Conv2d(before, after, 3, stride=2, padding=1))
            for before, after in itertools.pairwise(widths)
        )
        height, width = halved(shape, len(channels))[-1]
        self.dense = dense_layers([height * width * channels[-1] + n_rest, *hidden, n_out])

    def forward(self, x: Tensor) -> Tensor:
        """Map (rows, n_in) to (rows, n_out)."""
        height, width, n_channels = self.shape
        n_pixels = self.n_images * height * width * n_channels
        images = x[:, :n_pixels].reshape(-1, self.n_images, height, width, n_channels)
        h = images.permute(0, 1, 4, 2, 3).reshape(-1, self.n_images * n_channels, height, width)
        # oneDNN's convolutions of so few channels are a third faster with channels last.
        h = h.contiguous(memory_format=torch.channels_last)
        for layer in self.layers:
            h = self.activation(layer(h))
        h = torch.cat([h.permute(0, 2, 3, 1).flatten(1), x[:, n_pixels:]], 1)
        *hidden, last = self.dense
        for layer in hidden:
            h = self.activation(layer(h))
        return last(h)


class ImageDecoder(nn.Module):
    """Dense layers, then convolutions that double: (rows, n_in) to (rows, n_out).

    Its output is one image or several, each (height, width, channels). Where a size is odd the
    last row or column of what was doubled is cut off.

    Parameters
    ----------
    shape : (int, int, int)
        Height, width and channels of an image.
    n_in, n_out : int
        Widths of input and output.
    channels : sequence of int
        Channels before each doubling, the last one's first.
    hidden : sequence of int
        Widths of the dense layers, the last one's first.
    activation : callable
        Elementwise function of a tensor.
    """

    def __init__(
        self,
        shape: ImageShape,
        n_in: int,
        n_out: int,
        channels: Sequence[int],
        hidden: Sequence[int],
        activation: Function,
    ) -> None:
        super().__init__()
        self.shape, self.activation = shape, activation
        self.n_images = n_out // math.prod(shape)
        *sizes, (height, width) = halved(shape, len(channels))
        self.small, self.sizes = (channels[-1], height, width), sizes[::-1]
        self.dense = dense_layers([n_in, *hidden[::-1], height * width * channels[-1]])
        widths = [*channels[::-1], self.n_images * shape[2]]
        self.layers = nn.ModuleList(
            ResizeConvolution(before, after) for before, after in itertools.pairwise(widths)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (rows, n_in) to (rows, n_out)."""
        height, width, n_channels = self.shape
        for layer in self.dense:
            x = self.activation(layer(x))
        n_small, *small = self.small
        h = x.reshape(-1, *small, n_small).permute(0, 3, 1, 2)  # channels last in memory
        for k, (layer, (tall, wide)) in enumerate(zip(self.layers, self.sizes, strict=True)):
            h = layer(h if k == 0 else self.activation(h))[:, :, :tall, :wide]
        images = h.reshape(-1, self.n_images, n_channels, height, width)
        return images.permute(0, 1, 3, 4, 2).flatten(1)
