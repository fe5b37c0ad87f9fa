"""Networks for images: where they start, what they read and give, and what they gain."""

import math
import pickle

import numpy as np
import pytest
import skops.io
import torch
import torch.nn.functional as F
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, train_test_split

from skvae import Autoencoder, VAEImputer, VariationalAutoencoder, trusted_types
from skvae.likelihoods import Gaussian
from skvae.nn import Convolutional, ModuleNetwork, ResidualDense
from skvae.nn._image_layers import ImageDecoder, ImageEncoder, ResizeConvolution

# Few epochs keep these tests short.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = load_digits().data / 16.0  # (1797, 64), images of 8 x 8
SHAPES = [(8, 8), (7, 5), (7, 9, 1), (5, 6, 2), (3, 7, 3), (1, 20, 3)]
shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)


def convolutional(shape, **params):
    return Convolutional(shape, **{"channels": (4, 6), "hidden_layer_sizes": (8,), **params})


def images(shape, n=90):
    """Rows of digits, as many pixels as an image of this shape has."""
    return np.ascontiguousarray(X[:n, : math.prod(shape)])


FACTORIES = {
    **{f"convolutional {shape}": (convolutional(shape), images(shape)) for shape in SHAPES},
    "no dense layer": (convolutional((8, 8), hidden_layer_sizes=()), X[:90]),
    "one convolution": (convolutional((8, 8), channels=4), X[:90]),
    "more than pixels allow": (convolutional((8, 8), channels=(4, 4, 4, 4, 4)), X[:90]),
    "residual": (ResidualDense(8), X[:90]),
    "no block": (ResidualDense(8, n_blocks=0), X[:90]),
}
factories = pytest.mark.parametrize(("network", "rows"), FACTORIES.values(), ids=FACTORIES.keys())


def make(network, n_components=3, estimator=VariationalAutoencoder, **params):
    params = {"max_iter": 2, "early_stopping": False, "random_state": 0, **params}
    return estimator(n_components, encoder=network, decoder=network, **params)


# ------------------------------------------------------------------ the start


@factories
@pytest.mark.parametrize("estimator", [Autoencoder, VariationalAutoencoder])
def test_start_is_pca(network, rows, estimator):
    model = make(network, estimator=estimator, max_iter=0).fit(rows)
    pca = PCA(3).fit(rows)
    np.testing.assert_allclose(model.transform(rows), pca.transform(rows), atol=2e-5)
    rebuilt = pca.inverse_transform(pca.transform(rows))
    np.testing.assert_allclose(model.inverse_transform(model.transform(rows)), rebuilt, atol=2e-5)


@factories
def test_every_parameter_is_trained(network, rows):
    rows = rows + np.random.RandomState(0).normal(
        scale=0.1, size=rows.shape
    )  # no pixel is constant
    model = make(network).fit(rows)._fitted.model(torch.float64)
    start = make(network, max_iter=0).fit(rows)._fitted.model(torch.float64)
    for side in ("encoder", "decoder"):
        trained, first = getattr(model, side), getattr(start, side)
        assert (trained.gate != 0).all()
        for name, value in trained.params.items():
            assert not torch.equal(value, first.params[name]), name


# ----------------------------------------------------- what they read and give


def by_channel(rows, shape):
    """Images as torch has them, (rows, channels, height, width)."""
    height, width, channels = (*shape, 1)[:3]
    return rows.reshape(-1, height, width, channels).permute(0, 3, 1, 2)


@shapes
@torch.no_grad()
def test_encoder_is_convolutions_of_the_image(shape):
    n = math.prod(shape)
    network = convolutional(shape).build_encoder(n, 5, n).double()
    rows = torch.from_numpy(images(shape))
    h = by_channel(rows, shape)
    for layer in network.layers:
        h = F.silu(F.conv2d(h, layer.weight, layer.bias, stride=2, padding=1))
    first, last = network.dense
    h = last(F.silu(first(h.permute(0, 2, 3, 1).reshape(len(rows), -1))))
    torch.testing.assert_close(network(rows), h)


@shapes
@pytest.mark.parametrize("n_images", [1, 2])
@torch.no_grad()
def test_decoder_doubles_then_convolves(shape, n_images):
    """Each image is doubled, convolved by 3 x 3, and cut to the size that was halved."""
    n = math.prod(shape)
    height, width, channels = (*shape, 1)[:3]
    network = convolutional(shape).build_decoder(5, n_images * n, n).double()
    z = torch.randn(9, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    first, last = network.dense
    small = (-(-height // 4), -(-width // 4))
    h = F.silu(last(F.silu(first(z)))).reshape(9, *small, -1).permute(0, 3, 1, 2)
    for layer, size in zip(
        network.layers, [(-(-height // 2), -(-width // 2)), (height, width)], strict=True
    ):
        doubled = F.interpolate(h, scale_factor=2, mode="nearest")
        kernel = layer.weight.transpose(0, 1).flip(2, 3)
        h = F.conv2d(doubled, kernel, layer.bias, padding=1)[:, :, : size[0], : size[1]]
        inner, h = h, F.silu(h)
    found = network(z)
    for k in range(n_images):
        image = by_channel(found[:, k * n : (k + 1) * n], shape)
        torch.testing.assert_close(image, inner[:, k * channels : (k + 1) * channels])


def interior_spread(layers, n_channels):
    """Largest deviation inside the image that layers make of a constant one."""
    generator = torch.Generator().manual_seed(1)
    h = torch.randn(1, n_channels, 1, 1, dtype=torch.float64, generator=generator)
    h = h.expand(1, n_channels, 12, 12)
    for layer in layers:
        h = torch.tanh(layer.double()(h))
    inside = h[..., 8:-8, 8:-8]
    return float(inside.std((-1, -2)).max())


@torch.no_grad()
def test_no_checkerboard():
    """A constant image stays constant, whatever the weights; a plain layer makes a pattern."""
    torch.manual_seed(0)
    plain = [torch.nn.ConvTranspose2d(4, 6, 3, 2), torch.nn.ConvTranspose2d(6, 3, 3, 2)]
    assert interior_spread(plain, 4) > 1e-2
    assert interior_spread([ResizeConvolution(4, 6), ResizeConvolution(6, 3)], 4) < 1e-12


@torch.no_grad()
def test_pixels_share_a_unit():
    """What a pixel varies little in is not blown up, as it is for a dense network."""
    seen = []

    class Seeing(torch.nn.Linear):
        equal_units = True

        def forward(self, x):
            seen.append(x)
            return super().forward(x)

    network = ModuleNetwork(3, 2, 2, Seeing, torch.Generator())
    network.bind([torch.zeros(shape) for shape in network.shapes], [])
    network.shift = torch.tensor([1.0, 2.0, 3.0])
    network.scale = torch.tensor([10.0, 0.2, 0.0])  # of deviations 0.1, 5, and none
    network.forward(torch.tensor([[2.0, 2.0, 3.0]]))
    unit = math.sqrt((0.1**2 + 5.0**2) / 2)
    torch.testing.assert_close(seen[-1], torch.tensor([[1.0 / unit, 0.0, 0.0]]))


# ------------------------------------------------------------ as estimators do


@factories
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_saved_estimator_gives_the_same_bits(network, rows, dtype):
    rows = rows.astype(dtype)
    model = make(network).fit(rows)
    codes = model.transform(rows)
    assert codes.dtype == dtype
    again = [
        pickle.loads(pickle.dumps(model)),
        skops.io.loads(skops.io.dumps(model), trusted=trusted_types()),
        clone(model).fit(rows),
    ]
    for other in again:
        np.testing.assert_array_equal(other.transform(rows), codes)
        np.testing.assert_array_equal(
            other.inverse_transform(codes), model.inverse_transform(codes)
        )


def test_grid_search_sets_their_parameters():
    search = GridSearchCV(
        make(convolutional((8, 8)), estimator=Autoencoder, max_iter=1),
        {"encoder__channels": [(2,), (3, 4)], "decoder": [None, ResidualDense(8)]},
        cv=2,
    ).fit(X[:90])
    best = search.best_estimator_
    assert best.encoder.channels == search.best_params_["encoder__channels"]
    assert best.transform(X[:5]).shape == (5, 3)


def test_fitted_model_keeps_its_networks():
    """Parameters that are set later belong to the next fit."""
    model = make(convolutional((8, 8)), warm_start=True).fit(X[:90])
    codes = model.transform(X[:90])
    assert model.encoder is model.decoder, "fit leaves what was given as it is"
    model.set_params(decoder=clone(model.decoder)).fit(X[:90])  # an equal one goes on
    assert not np.array_equal(model.transform(X[:90]), codes)
    codes = model.transform(X[:90])
    model.set_params(encoder__channels=(5, 5))
    np.testing.assert_array_equal(model.transform(X[:90]), codes)
    with pytest.raises(ValueError, match=r"encoder.*channels=\(5, 5\)"):
        model.fit(X[:90])


@pytest.mark.parametrize(
    "params",
    [
        {"likelihood": Gaussian("row")},
        {"likelihood": "beta"},
        {"likelihood": "bernoulli", "posterior": "full_covariance_normal"},
        {"prior": "vamp"},
        {"n_components": 32},  # whose encoder gives as many numbers as an image has
        {"n_components": 64},
        {"init": "random"},
    ],
    ids=str,
)
def test_they_go_with_other_parts(params):
    rows = X[:90].clip(0.01, 0.99)
    model = make(convolutional((8, 8)), **params).fit(rows)
    codes = model.transform(rows)
    assert np.isfinite(codes).all()
    assert model.inverse_transform(codes).shape == rows.shape
    sides = model._fitted.model(torch.float64).networks
    assert [type(side.module) for side in sides] == [ImageEncoder, ImageDecoder]


@pytest.mark.parametrize("missing", ["every pixel", "some pixels"])
def test_pixels_may_be_missing(missing):
    """Where they are is read by the convolutions, or by the dense layers."""
    gone = np.random.RandomState(0).uniform(size=X[:300].shape) < 0.3
    if missing == "some pixels":
        gone[:, :40] = False
    gapped = np.where(gone, np.nan, X[:300])
    network = convolutional((8, 8), channels=(8, 16))
    model = make(network, 6, max_iter=30, learning_rate_init=5e-3).fit(gapped)
    encoder = model._fitted.model(torch.float64).encoder.module
    assert encoder.n_images == (2 if missing == "every pixel" else 1)
    filled = model.inverse_transform(model.transform(gapped))
    of_mean = np.broadcast_to(np.nanmean(gapped, 0), X[:300].shape)
    error, plain = (np.square(f - X[:300])[gone].mean() for f in (filled, of_mean))
    assert error < 0.7 * plain


@pytest.mark.parametrize(
    "network",
    [Convolutional((8, 8), (8, 16)), ResidualDense(64)],
    ids=["convolutional", "residual"],
)
def test_held_out_digits_gain_over_pca(network):
    train, test = train_test_split(X, random_state=0)
    model = make(
        network, 8, Autoencoder, early_stopping=True, max_iter=12, learning_rate_init=5e-3
    ).fit(train)

    def error(fitted):
        return np.square(fitted.inverse_transform(fitted.transform(test)) - test).sum(1).mean()

    assert model.best_epoch_ > 0
    assert error(model) < 0.8 * error(PCA(8).fit(train))


# ------------------------------------------------------------------- messages


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Convolutional((8, 9)), r"'image_shape'.*as a row.*: 64\. Got \(8, 9\), which holds 72"),
        (Convolutional((4, 8)), r"'image_shape'.*: 64\. Got \(4, 8\).*\(height, width, ch"),
        (Convolutional((8, 8, 3)), r"'image_shape'.*Got \(8, 8, 3\), which holds 192"),
        (Convolutional(64), r"'image_shape'.*must be \(height, width\).*Got 64"),
        (Convolutional((8.0, 8.0)), r"'image_shape'.*integers.*Got \(8\.0, 8\.0\)"),
        (Convolutional((-8, -8)), r"'image_shape'.*at least 1. Got \(-8, -8\)"),
        (Convolutional((8, 8), ()), r"'channels'.*one for each.*Got \(\)\. .*ResidualDense"),
        (Convolutional((8, 8), (4, 0)), r"'channels'.*at least 1.*Got \(4, 0\)"),
        (Convolutional((8, 8), (4,), (0,)), r"'hidden_layer_sizes'.*Got \(0,\)"),
        (Convolutional((8, 8), activation="sine"), r"'activation'.*one of 'relu'.*Got 'sine'"),
        (ResidualDense(0), r"'width' parameter of ResidualDense.*at least 1. Got 0"),
        (ResidualDense(n_blocks=-1), r"'n_blocks'.*at least 0. Got -1"),
        (ResidualDense(activation=None), r"'activation'.*Got None"),
    ],
    ids=str,
)
def test_wrong_parameter(network, message):
    for side in ("encoder", "decoder"):
        with pytest.raises(ValueError, match=message):
            VariationalAutoencoder(2, **{side: network}).fit(X[:30])


def test_table_is_no_image():
    names = [("a", "categorical", list(range(4))), ("b", "gaussian", list(range(4, 64)))]
    model = VariationalAutoencoder(2, likelihood=names, decoder=Convolutional((8, 8)))
    with pytest.raises(ValueError, match=r"'image_shape'.*each level of a category is one: 98\."):
        model.fit(X[:60])


def test_likelihood_of_unequal_pixels():
    with pytest.raises(ValueError, match=r"takes 100 for 64\. Take one likelihood.*decoder=None"):
        convolutional((8, 8)).build_decoder(5, 100, 64)


def test_direction_is_read_off_the_widths():
    network = convolutional((8, 8))
    assert isinstance(network(64, 5), ImageEncoder)
    assert isinstance(network(5, 64), ImageDecoder)
    assert isinstance(network(5, 128), ImageDecoder)
    for widths in ((5, 6), (64, 64), (64, 128), (128, 5)):
        with pytest.raises(ValueError, match=rf"n_in={widths[0]} and n_out={widths[1]}.*build_enc"):
            network(*widths)


@pytest.mark.parametrize("estimator", [Autoencoder, VariationalAutoencoder, VAEImputer])
@pytest.mark.parametrize("shape", [(8, 8), (4, 4, 4), (2, 2, 4, 4)], ids=str)
def test_images_are_to_be_reshaped(estimator, shape):
    stack = X[:30].reshape(30, *shape)
    with pytest.raises(ValueError, match=r"X\.reshape\(len\(X\), -1\)") as caught:
        estimator(random_state=0).fit(stack)
    named = "Convolutional" in str(caught.value)
    assert named == (len(shape) < 4 and estimator is not VAEImputer)
    assert named == (f"Convolutional({shape})" in str(caught.value))
    model = VariationalAutoencoder(2, max_iter=0).fit(X[:30])
    with pytest.raises(ValueError, match="reshape"):
        model.transform(stack)
