"""Convolutions for images."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skvae.nn._activations import ACTIVATIONS
from skvae.nn._factory import NetworkFactory

Size = tuple[int, int]
Function = Callable[[Tensor], Tensor]


class ResizeConvolution(nn.Module):
    """Doubles an image and convolves it by 3 x 3, in one transposed convolution.

    Doubling repeats each pixel, as a 2 x 2 box does, so that the whole is a transposed convolution
    of stride 2 whose 4 x 4 kernel is the 3 x 3 one convolved with that box: 4 products a pixel in
    place of 9, with nothing made in between. A constant image stays constant, whatever the weights
    are (Odena et al. 2016).
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_in, n_out, 3, 3) * math.sqrt(2.0 / (9 * n_in)))
        self.bias = nn.Parameter(torch.zeros(n_out))

    def forward(self, x: Tensor) -> Tensor:
        """Map (rows, n_in, h, w) to (rows, n_out, 2 h, 2 w)."""
        tall = F.pad(self.weight, (0, 0, 0, 1)) + F.pad(self.weight, (0, 0, 1, 0))
        kernel = F.pad(tall, (0, 1)) + F.pad(tall, (1, 0))
        return F.conv_transpose2d(x, kernel, self.bias, stride=2, padding=1)


def he(layer: Any) -> Any:
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)
    return layer


class Block(nn.Module):
    def __init__(self, n, act):
        super().__init__()
        self.a, self.b, self.act = he(nn.Conv2d(n, n, 3, padding=1)), he(nn.Conv2d(n, n, 3, padding=1)), act
        with torch.no_grad():
            self.b.weight.mul_(0.1)

    def forward(self, x):
        return x + self.b(self.act(self.a(self.act(x))))


class Encoder(nn.Module):
    equal_units = True

    def __init__(self, shape, planes, channels, hidden, n_blocks, act, n_out, dropout=0.0):
        super().__init__()
        self.shape, self.planes, self.act = shape, planes, act
        h, w, c = shape
        widths = [planes * c, *channels]
        self.layers = nn.ModuleList()
        for a, b in zip(widths[:-1], widths[1:]):
            self.layers.append(he(nn.Conv2d(a, b, 3, stride=2, padding=1)))
            h, w = -(-h // 2), -(-w // 2)
            for _ in range(n_blocks):
                self.layers.append(Block(b, act))
        sizes = [h * w * channels[-1], *hidden, n_out]
        self.dense = nn.ModuleList(he(nn.Linear(a, b)) for a, b in zip(sizes[:-1], sizes[1:]))
        self.drop = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, x):
        h, w, c = self.shape
        x = x.view(-1, self.planes, h, w, c).permute(0, 1, 4, 2, 3).reshape(-1, self.planes * c, h, w)
        x = x.contiguous(memory_format=torch.channels_last)
        for l in self.layers:
            x = l(x)
            if not isinstance(l, Block):
                x = self.act(x)
        x = x.permute(0, 2, 3, 1).flatten(1)
        for i, l in enumerate(self.dense):
            x = l(self.drop(x))
            if i + 1 < len(self.dense):
                x = self.act(x)
        return x


class Decoder(nn.Module):
    def __init__(self, shape, planes, channels, hidden, n_blocks, act, n_in, dropout=0.0, full=0, tied=True):
        super().__init__()
        self.shape, self.planes, self.act = shape, planes, act
        h, w, c = shape
        self.sizes = [(h, w)]
        for _ in channels:
            h, w = -(-h // 2), -(-w // 2)
            self.sizes.insert(0, (h, w))
        sizes = [n_in, *hidden, h * w * channels[-1]]
        self.dense = nn.ModuleList(he(nn.Linear(a, b)) for a, b in zip(sizes[:-1], sizes[1:]))
        self.drop = nn.Dropout(dropout) if dropout else nn.Identity()
        last = planes * c
        widths = [*channels[::-1], full or last]
        self.stages = nn.ModuleList()
        for a, b in zip(widths[:-1], widths[1:]):
            blocks = [Block(a, act) for _ in range(n_blocks)]
            if tied:
                up = ResizeConvolution(a, b)
            else:
                up = nn.ConvTranspose2d(a, b, 4, 2, 1)
                nn.init.normal_(up.weight, std=math.sqrt(2 / (4 * a)))
            self.stages.append(nn.Sequential(*blocks, up))
        self.final = he(nn.Conv2d(full, last, 3, padding=1)) if full else None

    def forward(self, x):
        h, w, c = self.shape
        for l in self.dense:
            x = self.act(l(x))
            x = self.drop(x)
        x = x.view(len(x), *self.sizes[0], -1).permute(0, 3, 1, 2)
        for i, (stage, size) in enumerate(zip(self.stages, self.sizes[1:])):
            x = stage(x)[:, :, : size[0], : size[1]]
            if i + 1 < len(self.stages) or self.final is not None:
                x = self.act(x)
        if self.final is not None:
            x = self.final(x)
        x = x.view(-1, self.planes, c, h, w).permute(0, 1, 3, 4, 2)
        return x.reshape(len(x), -1)


class Convolutional(NetworkFactory):
    def __init__(self, image_shape, channels=(32, 64), hidden_layer_sizes=(256,), n_blocks=0, activation="silu", dropout=0.0, full=0, tied=True):
        self.image_shape = image_shape
        self.channels = channels
        self.hidden_layer_sizes = hidden_layer_sizes
        self.n_blocks = n_blocks
        self.activation = activation
        self.dropout = dropout
        self.full = full
        self.tied = tied

    def _common(self):
        shape = (*self.image_shape, 1)[:3]
        return shape, math.prod(shape), ACTIVATIONS[self.activation].forward

    def build_encoder(self, n_in, n_out):
        shape, n, act = self._common()
        return Encoder(shape, n_in // n, self.channels, self.hidden_layer_sizes, self.n_blocks, act, n_out, self.dropout)

    def build_decoder(self, n_in, n_out):
        shape, n, act = self._common()
        return Decoder(shape, n_out // n, self.channels, self.hidden_layer_sizes[::-1], self.n_blocks, act, n_in, self.dropout, self.full, self.tied)

    def __call__(self, n_in, n_out):
        n = self._common()[1]
        return self.build_encoder(n_in, n_out) if n_in % n == 0 else self.build_decoder(n_in, n_out)
