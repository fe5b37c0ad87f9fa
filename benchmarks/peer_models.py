"""The same autoencoder in every library: a function for each, imported only where it is run.

A function takes a ``Task`` and rows and trains for so many epochs. It returns the fitted model as
two functions of arrays: rows to posterior mean and log-variance, and latents to E[x|z].
"""

from __future__ import annotations

import math
import os
import tempfile
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

LEARNING_RATE = 1e-3

Encode = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
Decode = Callable[[np.ndarray], np.ndarray]
Fitted = tuple[Encode, Decode] | None


class Task(NamedTuple):
    """Widths, batch size and likelihood of a benchmark."""

    n_features: int
    n_hidden: int
    n_latents: int
    batch_size: int
    bernoulli: bool


# ------------------------------------------------------------------ scikit-learn's side


def skvae(task: Task, X: np.ndarray, epochs: int, device: str = "cpu") -> Fitted:
    from skvae import VariationalAutoencoder

    vae = VariationalAutoencoder(
        task.n_latents,
        hidden_layer_sizes=(task.n_hidden,),
        likelihood="bernoulli" if task.bernoulli else "gaussian",
        batch_size=task.batch_size,
        max_iter=epochs,
        early_stopping=False,
        device=device,
        random_state=0,
    ).fit(X)

    def encode(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean, std = vae.encode(rows)
        return mean, 2.0 * np.log(std)

    return encode, vae.decode


def mlp_regressor(task: Task, X: np.ndarray, epochs: int) -> Fitted:
    """Half the work: no posterior, no likelihood but the squared error, no bound."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is fixed
        MLPRegressor(
            hidden_layer_sizes=(task.n_hidden, task.n_latents, task.n_hidden),
            batch_size=task.batch_size,
            max_iter=epochs,
            n_iter_no_change=epochs,
            random_state=0,
        ).fit(X, X)
    return None


def bare_products(task: Task, X: np.ndarray, epochs: int) -> Fitted:
    """The matrix products of the networks' steps on one thread, linear paths included, no more."""
    from threadpoolctl import threadpool_limits

    d, h, k, b = task.n_features, task.n_hidden, task.n_latents, task.batch_size
    generator = np.random.default_rng(0)
    shapes = [(h, d), (2 * k, h), (k, d), (h, k), (d, h), (d, k)]
    w1, w2, a, w3, w4, c = (generator.standard_normal(s, dtype=np.float32) for s in shapes)
    g1, g2, ga, g3, g4, gc = (np.empty(s, np.float32) for s in shapes)
    with threadpool_limits(1):
        for start in range(0, epochs * (len(X) - b + 1), b):
            x = X[start % (len(X) - b) :][:b]
            hidden = x @ w1.T
            raw, z = hidden @ w2.T, x @ a.T
            wide = z @ w3.T
            output, along = wide @ w4.T, z @ c.T
            np.matmul(output.T, wide, out=g4)
            np.matmul(along.T, z, out=gc)
            d_wide = output @ w4
            np.matmul(d_wide.T, z, out=g3)
            d_z = d_wide @ w3, output @ c
            np.matmul(raw.T, hidden, out=g2)
            np.matmul(d_z[0].T, x, out=ga)
            np.matmul((raw @ w2).T, x, out=g1)
    return None


# --------------------------------------------------------------------------------- torch


def torch_networks(task: Task) -> tuple[Any, Any]:
    from torch import nn

    d, h, k = task.n_features, task.n_hidden, task.n_latents
    encoder = nn.Sequential(nn.Linear(d, h), nn.ReLU(), nn.Linear(h, 2 * k))
    decoder = nn.Sequential(nn.Linear(k, h), nn.ReLU(), nn.Linear(h, d))
    return encoder, decoder


def torch_loss(task: Task, encoder: Any, decoder: Any, x: Any) -> Any:
    import torch
    import torch.nn.functional as F

    mean, log_variance = encoder(x).chunk(2, 1)
    output = decoder(mean + torch.randn_like(mean) * (0.5 * log_variance).exp())
    if task.bernoulli:
        loss = F.binary_cross_entropy_with_logits(output, x, reduction="sum")
    else:
        loss = 0.5 * F.mse_loss(output, x, reduction="sum")
    kl = 0.5 * (log_variance.exp() + mean.square() - 1.0 - log_variance).sum()
    return (loss + kl) / len(x)


def torch_fitted(task: Task, encoder: Any, decoder: Any) -> Fitted:
    import torch

    @torch.no_grad()
    def encode(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean, log_variance = encoder(torch.from_numpy(rows)).chunk(2, 1)
        return mean.numpy(), log_variance.numpy()

    @torch.no_grad()
    def decode(z: np.ndarray) -> np.ndarray:
        output = decoder(torch.from_numpy(z.astype(np.float32)))
        return (output.sigmoid() if task.bernoulli else output).numpy()

    return encode, decode


def torch_loop(task: Task, X: np.ndarray, epochs: int) -> Fitted:
    """The loop of every tutorial: a DataLoader-free shuffle, autograd, Adam."""
    import torch

    torch.manual_seed(0)
    rows = torch.from_numpy(X)
    encoder, decoder = torch_networks(task)
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters, LEARNING_RATE)
    for _ in range(epochs):
        for index in torch.randperm(len(rows)).split(task.batch_size):
            optimizer.zero_grad()
            torch_loss(task, encoder, decoder, rows[index]).backward()
            optimizer.step()
    return torch_fitted(task, encoder, decoder)


def pythae(task: Task, X: np.ndarray, epochs: int) -> Fitted:
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.pipelines import TrainingPipeline
    from pythae.trainers import BaseTrainerConfig

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.net = torch_networks(task)[0]

        def forward(self, x: Any) -> Any:
            mean, log_variance = self.net(x).chunk(2, 1)
            return ModelOutput(embedding=mean, log_covariance=log_variance)

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.net = torch_networks(task)[1]

        def forward(self, z: Any) -> Any:
            output = self.net(z)
            return ModelOutput(reconstruction=output.sigmoid() if task.bernoulli else output)

    with tempfile.TemporaryDirectory() as folder:
        model = VAE(
            VAEConfig(
                input_dim=(task.n_features,),
                latent_dim=task.n_latents,
                reconstruction_loss="bce" if task.bernoulli else "mse",
            ),
            encoder=Encoder(),
            decoder=Decoder(),
        )
        config = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=epochs,
            learning_rate=LEARNING_RATE,
            per_device_train_batch_size=task.batch_size,
            no_cuda=True,
            keep_best_on_train=False,
        )
        TrainingPipeline(model=model, training_config=config)(train_data=X)
    model.eval()
    return torch_fitted(task, model.encoder.net, model.decoder.net)


def pyod(task: Task, X: np.ndarray, epochs: int) -> Fitted:
    import torch
    from pyod.models.vae import VAE

    detector = VAE(
        lr=LEARNING_RATE,
        epoch_num=epochs,
        batch_size=task.batch_size,
        encoder_neuron_list=[task.n_hidden],
        decoder_neuron_list=[task.n_hidden],
        latent_dim=task.n_latents,
        dropout_rate=0.0,
        preprocessing=False,
        output_activation_name="sigmoid" if task.bernoulli else "identity",
        device="cpu",
        verbose=0,
    ).fit(X)
    network = detector.model.eval()

    @torch.no_grad()
    def encode(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean, log_variance = network.encode(torch.from_numpy(rows))
        return mean.numpy(), log_variance.numpy()

    @torch.no_grad()
    def decode(z: np.ndarray) -> np.ndarray:
        return network.decode(torch.from_numpy(z.astype(np.float32))).numpy()

    return encode, decode


def skorch(task: Task, X: np.ndarray, epochs: int) -> Fitted:
    import torch
    from skorch import NeuralNet

    class Networks(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.decoder = torch_networks(task)

        def forward(self, x: Any) -> Any:
            return torch_loss(task, self.encoder, self.decoder, x)

    class VAENet(NeuralNet):
        def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Any:
            return y_pred

    net = VAENet(
        Networks,
        criterion=torch.nn.Identity,
        optimizer=torch.optim.Adam,
        lr=LEARNING_RATE,
        max_epochs=epochs,
        batch_size=task.batch_size,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
        device="cpu",
    ).fit(X, None)
    return torch_fitted(task, net.module_.encoder, net.module_.decoder)


# ------------------------------------------------------------------------- JAX and Keras


def jax_scan(task: Task, X: np.ndarray, epochs: int) -> Fitted:
    """All of an epoch in one compiled scan: what a compiler makes of the same step."""
    import jax
    import jax.numpy as jnp
    import optax

    d, h, k = task.n_features, task.n_hidden, task.n_latents
    widths = [(d, h), (h, 2 * k), (k, h), (h, d)]
    keys = jax.random.split(jax.random.PRNGKey(0), len(widths))
    parameters = [
        (jax.random.normal(key, shape) / math.sqrt(shape[0]), jnp.zeros(shape[1]))
        for key, shape in zip(keys, widths, strict=True)
    ]

    def network(layers: Any, x: Any) -> Any:
        (w, b), (v, c) = layers
        return jax.nn.relu(x @ w + b) @ v + c

    def loss(parameters: Any, x: Any, key: Any) -> Any:
        mean, log_variance = jnp.split(network(parameters[:2], x), 2, 1)
        z = mean + jax.random.normal(key, mean.shape) * jnp.exp(0.5 * log_variance)
        output = network(parameters[2:], z)
        if task.bernoulli:
            error = (jax.nn.softplus(output) - x * output).sum()
        else:
            error = 0.5 * jnp.square(output - x).sum()
        kl = 0.5 * (jnp.exp(log_variance) + mean**2 - 1.0 - log_variance).sum()
        return (error + kl) / len(x)

    optimizer = optax.adam(LEARNING_RATE)
    n_steps = len(X) // task.batch_size

    if (task, len(X)) not in _compiled:

        @jax.jit
        def epoch(carry: Any, X: Any) -> Any:
            parameters, state, key = carry
            key, order_key, noise_key = jax.random.split(key, 3)
            order = jax.random.permutation(order_key, len(X))[: n_steps * task.batch_size]

            def step(carry: Any, inputs: Any) -> Any:
                parameters, state = carry
                index, key = inputs
                gradient = jax.grad(loss)(parameters, X[index], key)
                updates, state = optimizer.update(gradient, state)
                return (optax.apply_updates(parameters, updates), state), None

            inputs = order.reshape(n_steps, -1), jax.random.split(noise_key, n_steps)
            (parameters, state), _ = jax.lax.scan(step, (parameters, state), inputs)
            return parameters, state, key

        _compiled[task, len(X)] = epoch
    epoch = _compiled[task, len(X)]
    carry = parameters, optimizer.init(parameters), jax.random.PRNGKey(1)
    rows = jnp.asarray(X)
    for _ in range(epochs):
        carry = epoch(carry, rows)
    parameters = jax.block_until_ready(carry)[0]

    def encode(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean, log_variance = np.split(np.asarray(network(parameters[:2], rows)), 2, 1)
        return mean, log_variance

    def decode(z: np.ndarray) -> np.ndarray:
        output = network(parameters[2:], z)
        return np.asarray(jax.nn.sigmoid(output) if task.bernoulli else output)

    return encode, decode


_compiled: dict[Any, Any] = {}


def keras(
    task: Task,
    X: np.ndarray,
    epochs: int,
    backend: str,
    optimizer: str | None = None,
    after_epoch: Callable[[Encode, Decode], bool] | None = None,
) -> Fitted:
    """The example of the Keras documentation: a sampling layer that adds the KL term.

    ``after_epoch`` says whether to stop.
    """
    os.environ["KERAS_BACKEND"] = backend
    import keras
    from keras import layers, ops

    keras.utils.set_random_seed(0)

    class Sampling(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.seed_generator = keras.random.SeedGenerator(0)

        def call(self, raw: Any) -> Any:
            mean, log_variance = ops.split(raw, 2, axis=1)
            kl = 0.5 * (ops.exp(log_variance) + mean**2 - 1.0 - log_variance)
            self.add_loss(ops.mean(ops.sum(kl, 1)))
            noise = keras.random.normal(ops.shape(mean), seed=self.seed_generator)
            return mean + noise * ops.exp(0.5 * log_variance)

    encoder = keras.Sequential(
        [layers.Dense(task.n_hidden, activation="relu"), layers.Dense(2 * task.n_latents)]
    )
    last = "sigmoid" if task.bernoulli else None
    decoder = keras.Sequential(
        [
            layers.Dense(task.n_hidden, activation="relu"),
            layers.Dense(task.n_features, activation=last),
        ]
    )

    def loss(x: Any, output: Any) -> Any:
        if task.bernoulli:
            return task.n_features * keras.losses.binary_crossentropy(x, output)
        return 0.5 * ops.sum(ops.square(x - output), -1)

    inputs = keras.Input((task.n_features,))
    model = keras.Model(inputs, decoder(Sampling()(encoder(inputs))))
    model.compile(optimizer=optimizer or keras.optimizers.Adam(LEARNING_RATE), loss=loss)

    def encode(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean, log_variance = np.split(encoder.predict(rows, verbose=0), 2, 1)
        return mean, log_variance

    def decode(z: np.ndarray) -> np.ndarray:
        return decoder.predict(z.astype(np.float32), verbose=0)

    def end(epoch: int, logs: object) -> None:
        model.stop_training = after_epoch is not None and after_epoch(encode, decode)

    watch = keras.callbacks.LambdaCallback(on_epoch_end=end)
    model.fit(X, X, epochs=epochs, batch_size=task.batch_size, verbose=0, callbacks=[watch])
    return encode, decode


def keras_jax(task: Task, X: np.ndarray, epochs: int) -> Fitted:
    return keras(task, X, epochs, "jax")


def keras_torch(task: Task, X: np.ndarray, epochs: int) -> Fitted:
    return keras(task, X, epochs, "torch")


class Peer(NamedTuple):
    """A library to compare with: what must be installed, and its function."""

    packages: tuple[str, ...]
    fit: Callable[[Task, np.ndarray, int], Fitted]
    # Whether a step is timed by itself, by the difference between a long and a short fit.
    timed_step: bool = False


PEERS = {
    "skvae": Peer((), skvae, True),
    "bare products": Peer((), bare_products, True),
    "MLPRegressor": Peer((), mlp_regressor, True),
    "JAX scan": Peer(("jax", "optax"), jax_scan, True),
    "torch loop": Peer((), torch_loop, True),
    "Keras, JAX": Peer(("keras", "jax"), keras_jax),
    "Keras, torch": Peer(("keras",), keras_torch),
    "pythae": Peer(("pythae",), pythae),
    "skorch": Peer(("skorch",), skorch),
    "PyOD": Peer(("pyod",), pyod),
}
