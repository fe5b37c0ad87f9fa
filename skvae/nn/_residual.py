"""Dense networks with shortcuts."""

from __future__ import annotations

from torch import Tensor, nn

from skvae._core.checks import check_choice, check_integer
from skvae.nn._activations import ACTIVATIONS
from skvae.nn._factory import NetworkFactory
from skvae.nn._image_layers import Function, kept_in_size


class ResidualBlock(nn.Module):
    """``h + W_2 activation(W_1 normalised(h))``, in which W_2 starts at zero."""

    def __init__(self, width: int, activation: Function) -> None:
        super().__init__()
        self.activation = activation
        self.norm = nn.LayerNorm(width)
        self.inner = kept_in_size(nn.Linear(width, width))
        self.outer = nn.Linear(width, width)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, h: Tensor) -> Tensor:
        """Map (rows, width) to (rows, width)."""
        return h + self.outer(self.activation(self.inner(self.norm(h))))


class ResidualNetwork(nn.Module):
    """A dense layer, blocks with a shortcut around each, and a dense layer."""

    def __init__(
        self, n_in: int, n_out: int, width: int, n_blocks: int, activation: Function
    ) -> None:
        super().__init__()
        self.activation = activation
        self.first = kept_in_size(nn.Linear(n_in, width))
        self.blocks = nn.Sequential(*(ResidualBlock(width, activation) for _ in range(n_blocks)))
        self.last = kept_in_size(nn.Linear(width, n_out))

    def forward(self, x: Tensor) -> Tensor:
        """Map (rows, n_in) to (rows, n_out)."""
        h: Tensor = self.blocks(self.first(x))
        output: Tensor = self.last(self.activation(h))
        return output


class ResidualDense(NetworkFactory):
    """Dense layers with a shortcut around each pair, for ``encoder`` and ``decoder``.

    A layer to ``width``, then ``n_blocks`` times ``h + W_2 activation(W_1 norm(h))`` [1]_, then a
    layer to the outputs. Depth is then no obstacle to training: each W_2 starts at zero, so that
    the network begins as one of a single hidden layer, and each block adds to it. Like any
    network, it starts silent beside the linear path, so that the start is PCA.

    Parameters
    ----------
    width : int, default=256
        Width of all layers.
    n_blocks : int, default=2
        Number of blocks, of two layers each.
    activation : {"relu", "tanh", "logistic", "identity", "silu", "gelu"}, default="silu"
        Activation function of the layers.

    Raises
    ------
    ValueError
        When a fit begins, if a parameter is outside its domain.

    See Also
    --------
    Convolutional : Convolutions for images.

    References
    ----------
    .. [1] He, Zhang, Ren and Sun (2016), "Identity mappings in deep residual networks", ECCV.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skvae import Autoencoder
    >>> from skvae.nn import ResidualDense
    >>> X, _ = load_digits(return_X_y=True)
    >>> network = ResidualDense(width=64, n_blocks=3)
    >>> model = Autoencoder(8, encoder=network, decoder=network, max_iter=1)
    >>> model.set_params(early_stopping=False).fit(X).transform(X).shape
    (1797, 8)
    """

    def __init__(self, width: int = 256, n_blocks: int = 2, activation: str = "silu") -> None:
        self.width = width
        self.n_blocks = n_blocks
        self.activation = activation

    def check(self) -> None:
        """Raise ValueError if a parameter is outside its domain."""
        check_integer(self, "width")
        check_integer(self, "n_blocks", 0)
        check_choice(self, "activation", ACTIVATIONS)

    def __call__(self, n_in: int, n_out: int) -> nn.Module:
        """Build the network.

        Parameters
        ----------
        n_in, n_out : int
            Widths of input and output.

        Returns
        -------
        module : torch.nn.Module
            Maps (rows, n_in) to (rows, n_out).
        """
        self.check()
        activation = ACTIVATIONS[self.activation].forward
        return ResidualNetwork(n_in, n_out, self.width, self.n_blocks, activation)
