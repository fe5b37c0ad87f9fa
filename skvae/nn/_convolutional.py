"""Convolutional networks for images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import nn

from skvae._core.checks import check_choice, check_sizes, shown
from skvae.nn._activations import ACTIVATIONS
from skvae.nn._factory import NetworkFactory
from skvae.nn._image_layers import ImageDecoder, ImageEncoder, ImageShape


class Convolutional(NetworkFactory):
    """Convolutions for rows that are the pixels of images.

    The same object serves as ``encoder`` and as ``decoder``. The encoder halves height and width
    with each convolution (3 x 3, stride 2) and ends in dense layers; the decoder is its mirror
    image, and doubles by repeating pixels before it convolves, which leaves no checkerboard [1]_. A
    size that is odd is rounded up when halved, and cut when doubled. Like any network, they start
    silent beside the linear path, so that the start is PCA.

    Parameters
    ----------
    image_shape : (int, int) or (int, int, int)
        Height, width and, if there are any, channels of an image: a row is
        ``image.reshape(-1)``, so X is ``images.reshape(len(images), -1)``.
    channels : array-like of int, default=(32, 64)
        Channels after each of the encoder's convolutions; the decoder has them in reverse order.
        The time of a step grows with the products of neighbours.
    hidden_layer_sizes : int or array-like of int, default=(256,)
        Widths of the dense layers between the convolutions and the latents; ``()`` leaves them out.
    activation : {"relu", "tanh", "logistic", "identity", "silu", "gelu"}, default="silu"
        Activation function of all layers but the last.

    Raises
    ------
    ValueError
        When a fit begins, if a parameter is outside its domain, if X has not as many columns as an
        image has numbers, or if the likelihood does not take as many numbers for each pixel.

    See Also
    --------
    ResidualDense : Dense layers with shortcuts, for rows of any kind.

    References
    ----------
    .. [1] Odena, Dumoulin and Olah (2016), "Deconvolution and checkerboard artifacts", Distill.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.nn import Convolutional
    >>> X, _ = load_digits(return_X_y=True)  # (1797, 64), images of 8 x 8
    >>> network = Convolutional((8, 8), channels=(16, 32))
    >>> vae = VariationalAutoencoder(8, encoder=network, decoder=network, max_iter=1)
    >>> vae.set_params(early_stopping=False).fit(X).transform(X).shape
    (1797, 8)
    """

    def __init__(
        self,
        image_shape: Any,
        channels: Any = (32, 64),
        hidden_layer_sizes: Any = (256,),
        activation: str = "silu",
    ) -> None:
        self.image_shape = image_shape
        self.channels = channels
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation

    @property
    def _shape(self) -> ImageShape:
        """Height, width and channels."""
        sizes = np.asarray(self.image_shape)
        if sizes.shape not in ((2,), (3,)) or sizes.dtype.kind not in "iu" or sizes.min() < 1:
            raise ValueError(
                f"The 'image_shape' parameter of Convolutional must be (height, width) or (height, "
                f"width, channels), integers of at least 1. Got {shown(self.image_shape)}."
            )
        height, width, *channels = sizes.tolist()
        return height, width, *(channels or [1])

    def check(self) -> None:
        """Raise ValueError if a parameter is outside its domain."""
        check_choice(self, "activation", ACTIVATIONS)
        check_sizes(self.hidden_layer_sizes, "hidden_layer_sizes")
        channels = np.atleast_1d(np.asarray(self.channels))
        if channels.ndim > 1 or channels.dtype.kind not in "iu" or channels.min() < 1:
            raise ValueError(
                f"The 'channels' parameter of Convolutional must hold integers of at least 1, one "
                f"for each convolution. Got {shown(self.channels)}. For no convolution, take "
                f"ResidualDense."
            )

    def build_encoder(self, n_in: int, n_out: int, n_features: int) -> nn.Module:
        """Build the network that reads images.

        Parameters
        ----------
        n_in : int
            Its inputs: the pixels, then a column for each that may be missing.
        n_out : int
            Its outputs.
        n_features : int
            Number of pixels.

        Returns
        -------
        module : torch.nn.Module
            The network.
        """
        return ImageEncoder(self._image(n_features), n_in, n_out, *self._layers())

    def build_decoder(self, n_in: int, n_out: int, n_features: int) -> nn.Module:
        """Build the network that gives images.

        Parameters
        ----------
        n_in : int
            Its inputs.
        n_out : int
            Its outputs: one number or more for each pixel.
        n_features : int
            Number of pixels.

        Returns
        -------
        module : torch.nn.Module
            The network.
        """
        if n_out % n_features:
            raise ValueError(
                f"Convolutional as a decoder gives the same number of outputs for each pixel. The "
                f"likelihood takes {n_out} for {n_features}. Take one likelihood for all pixels, "
                f"such as 'gaussian' or 'bernoulli', or decoder=None."
            )
        return ImageDecoder(self._image(n_features), n_in, n_out, *self._layers())

    def _image(self, n_features: int) -> ImageShape:
        self.check()
        shape = self._shape
        if math.prod(shape) != n_features:
            raise ValueError(
                f"The 'image_shape' parameter of Convolutional must hold as many numbers as a row, "
                f"in which each level of a category is one: {n_features}. Got "
                f"{shown(self.image_shape)}, which holds {math.prod(shape)}. Give (height, width), "
                f"or (height, width, channels) for images of several channels."
            )
        return shape

    def _layers(self) -> tuple[tuple[int, ...], tuple[int, ...], Any]:
        channels = check_sizes(self.channels, "channels")
        hidden = check_sizes(self.hidden_layer_sizes, "hidden_layer_sizes")
        return channels, hidden, ACTIVATIONS[self.activation].forward

    def __call__(self, n_in: int, n_out: int) -> nn.Module:
        """Build an encoder if ``n_in`` is an image, and a decoder if ``n_out`` is.

        Parameters
        ----------
        n_in, n_out : int
            Widths of input and output.

        Returns
        -------
        module : torch.nn.Module
            Maps (rows, n_in) to (rows, n_out).

        Raises
        ------
        ValueError
            If both are, or neither is.
        """
        n_pixels = math.prod(self._shape)
        if (n_in == n_pixels) == (n_out % n_pixels == 0):
            raise ValueError(
                f"Convolutional needs either an input or an output that is an image of "
                f"image_shape={shown(self.image_shape)}, {n_pixels} numbers. Got n_in={n_in} and "
                f"n_out={n_out}. Call build_encoder or build_decoder to say which is meant."
            )
        build = self.build_encoder if n_in == n_pixels else self.build_decoder
        return build(n_in, n_out, n_pixels)
