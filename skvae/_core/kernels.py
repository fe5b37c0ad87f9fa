"""Training steps of a table as machine code, by numba.

A step on a table is some sixty calls on a few thousand numbers each, and most of its time goes to
the calls. Here a call takes many steps, from gathering their rows to Adam's update, of the
commonest models: dense networks with hidden layers of rectifiers, a diagonal normal or a point
between them, and a Gaussian with noise of its own or a Bernoulli. What it computes is what
``DenseNetwork.vjp``, ``diagonal_normal_latent``, ``log_prob_vjp`` of both likelihoods and
``skvae.training.Adam`` state, and a test holds it to them.

``skvae._core.compiled`` imports this module, where numba is installed. Arrays are float32, except
in that test: numbers are converted, since with a float64 among them numba would compute in float64.
"""

# The types are those that numba finds.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np
from numba import njit

# On disk beside this file: a machine compiles once. Sums of a loop may be in any order, which is
# fixed when it is compiled.
_compile = njit(
    cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz", "reassoc"}
)

_LOG_2PI = float(np.log(2.0 * np.pi))


@_compile
def _fill(x, value):
    """Fill a line; a slice that is assigned takes numba a second to compile."""
    for i in range(len(x)):
        x[i] = value


@_compile
def _forward(network, below, raw):
    """Map the input, which is in ``below`` already, to ``raw``, (n_out, rows).

    As in ``DenseNetwork``, rows are columns. ``below`` is [h_1, 1, ..., h_(L-1), 1, x, 1, h_L], so
    that each product reads adjacent rows of it.
    """
    hidden, output, n_seen = network
    d, last = hidden[0].shape[1] - 1, len(hidden) - 1
    start = len(below) - len(hidden[last]) - 1 - d
    one, zero = below.dtype.type(1.0), below.dtype.type(0.0)
    read, first = below[start : start + d + 1], 0
    _fill(read[d], one)
    for k in range(len(hidden)):
        width = len(hidden[k])
        if k == last:
            first = start + d + 1
        h = below[first : first + width]
        np.dot(hidden[k], read, h)
        for j in range(width):
            for i in range(h.shape[1]):
                h[j, i] = zero if h[j, i] <= zero else h[j, i]  # what is no number stays
        if k < last:
            read = below[first : first + width + 1]
            _fill(read[width], one)
            first += width + 1
    np.dot(output, below[start + d - n_seen :], raw)


@_compile
def _backward(d_raw, network, d_network, below, dx):
    """Write the gradients of the weights, and that of the input to ``dx`` unless it is empty."""
    hidden, output, n_seen = network
    d_hidden, d_output, n_linear = d_network
    d, last = hidden[0].shape[1] - 1, len(hidden) - 1
    start = len(below) - len(hidden[last]) - 1 - d
    zero = d_raw.dtype.type(0.0)
    np.dot(d_raw, below[start + d - n_seen :].T, d_output)
    for j in range(n_linear, len(d_output)):
        _fill(d_output[j, :n_seen], zero)
    d_seen = np.dot(output.T, d_raw)
    d_h, first, end = d_seen[n_seen + 1 :], start + d + 1, start
    for k in range(last, -1, -1):
        h = below[first : first + len(hidden[k])]
        for j in range(len(h)):
            for i in range(h.shape[1]):
                d_h[j, i] = zero if h[j, i] <= zero else d_h[j, i]
        read = below[start : start + d + 1]
        if k > 0:
            first = end - len(hidden[k - 1]) - 1
            read, end = below[first:end], first
        np.dot(d_h, read.T, d_hidden[k])
        if k > 0 or len(dx) > 0:
            d_read = np.dot(hidden[k].T, d_h)
            d_h = d_read[: len(d_read) - 1]
    for j in range(len(dx)):
        for i in range(dx.shape[1]):
            dx[j, i] = d_h[j, i]
            if n_seen > 0:
                dx[j, i] += d_seen[j, i]


@_compile
def _draw(raw_z, noise, share, z, spread):
    """Draw z, (k, rows), and give the mean KL: of a point, whose ``spread`` is empty, zero.

    ``spread`` takes s and t: the standard deviation s = exp(20 t), t = tanh(raw / 40).
    """
    number = raw_z.dtype.type
    bound, half, one, total = number(40.0), number(0.5), number(1.0), number(0.0)
    k, drawn = len(z), spread.shape[1] > 0
    for j in range(k):
        for i in range(len(share)):
            mean = raw_z[j, i]
            z[j, i] = mean
            if drawn:
                t = np.tanh(raw_z[k + j, i] / bound)
                s = np.exp(half * bound * t)
                spread[0, j, i], spread[1, j, i] = s, t
                total += share[i] * half * (s * s - one - bound * t + mean * mean)
                z[j, i] += s * noise[i, j]
    return total


@_compile
def _draw_back(dz, raw_z, noise, d_kl, spread):
    """Overwrite ``raw_z`` with its gradient, given that of z and of each row's KL."""
    half, one = raw_z.dtype.type(0.5), raw_z.dtype.type(1.0)
    k, drawn = len(dz), spread.shape[1] > 0
    for j in range(k):
        for i in range(len(d_kl)):
            if drawn:
                s, t = spread[0, j, i], spread[1, j, i]
                d_log = half * (dz[j, i] * s * noise[i, j] + d_kl[i] * (s * s - one))
                raw_z[k + j, i] = d_log * (one - t * t)
                raw_z[j, i] = dz[j, i] + d_kl[i] * raw_z[j, i]
            else:
                raw_z[j, i] = dz[j, i]


@_compile
def _gaussian(target, raw_x, share, log_noise, d_log_noise):
    """Give the mean log-density; overwrite ``raw_x`` by the gradient of what it is below zero.

    One noise for all features or one for each, whose raw logarithms are ``log_noise``.
    """
    number = raw_x.dtype.type
    bound, half, one, weight = number(40.0), number(0.5), number(1.0), number(0.0)
    log_2pi, total, d = number(_LOG_2PI), number(0.0), len(raw_x)
    for i in range(len(share)):
        weight += share[i]
    _fill(d_log_noise, number(0.0))
    for j in range(d):
        m = j if len(log_noise) > 1 else 0
        t = np.tanh(log_noise[m] / bound)
        precision, squares = np.exp(-bound * t), number(0.0)
        for i in range(len(share)):
            residual = target[i, j] - raw_x[j, i]
            squares += share[i] * residual * residual
            raw_x[j, i] = -share[i] * residual * precision
        squares *= precision
        total -= half * (squares + weight * (bound * t + log_2pi))
        d_log_noise[m] += half * (weight - squares) * (one - t * t)
    return total


@_compile
def _bernoulli(target, raw_x, share):
    """Give the mean log-probability; overwrite the logits by the gradient of what it is below zero.

    log p(x) = (x - [logit > 0]) logit - log(1 + e) with e = exp(-|logit|): the logarithm is one of
    64 factors, each from 1 to 2.
    """
    number, rows = raw_x.dtype.type, len(share)
    zero, one, total = number(0.0), number(1.0), number(0.0)
    product = np.ones(rows, raw_x.dtype)
    for j in range(len(raw_x)):
        for i in range(rows):
            logit = raw_x[j, i]
            e = np.exp(-abs(logit))
            product[i] *= one + e
            above = one if logit > zero else zero
            p = (one if logit > zero else e) / (one + e)
            total += share[i] * (target[i, j] - above) * logit
            raw_x[j, i] = share[i] * (p - target[i, j])
        if j % 64 == 63 or j == len(raw_x) - 1:
            for i in range(rows):
                total -= share[i] * np.log(product[i])
                product[i] = one
    return total


@_compile
def _adam(values, grads, first, second, rate, beta1, beta2, epsilon, count, factor):
    """Update ``values`` and both moments with the gradient times ``factor``, in step ``count``."""
    number = values.dtype.type
    keep1, keep2, one, times = number(beta1), number(beta2), number(1.0), number(factor)
    step, root = number(rate / (1.0 - beta1**count)), number(np.sqrt(1.0 - beta2**count))
    least = number(epsilon)
    for i in range(len(values)):
        slope = grads[i] * times
        first[i] += (one - keep1) * (slope - first[i])
        second[i] = keep2 * second[i] + (one - keep2) * slope * slope
        values[i] -= step * first[i] / (np.sqrt(second[i]) / root + least)


@_compile
def steps(
    rows, weight, order, edges, noise, rates, betas, shift, scale,
    encoder, decoder, d_encoder, d_decoder, log_noise, d_log_noise, drawn,
    decay, flat, state, constants, terms,
):  # fmt: skip
    """Take steps, one for each pair of ``edges``, and write their loss, log p and KL to ``terms``.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
        Inputs and targets, of which ``order`` gives those of each step, between its edges.
    weight : ndarray of shape (n_samples,) or (0,)
        Row weights, if there are any.
    noise : ndarray of shape (n_steps, rows, n_components)
        Standard normal draws.
    rates, betas : ndarray of shape (n_steps,)
        Learning rate and weight of the KL.
    shift, scale : ndarray of shape (n_features,)
        Of the encoder's input.
    encoder, decoder, d_encoder, d_decoder : tuple
        (hidden layers, output layer, n_seen), and their gradients with n_linear.
    log_noise, d_log_noise : ndarray of shape (1,), (n_features,) or (0,)
        Raw log-variances of the Gaussian; none for the Bernoulli.
    drawn : bool
        Whether z is drawn, or a point.
    decay : ndarray of shape (n_parameters,) or (0,)
        Multiple of each parameter that is added to its gradient.
    flat : tuple of ndarray of shape (n_parameters,)
        Parameters, gradients and both of Adam's moments.
    state : tuple of ndarray of shape ()
        Adam's count, typical norm and number of skipped steps.
    constants : tuple of float
        beta1, beta2 and epsilon of Adam, its clipping and the weight of a norm in the typical one.
    """
    values, grads, first, second = flat
    count, typical, skipped = state
    beta1, beta2, epsilon, clip, mix = constants
    number, d, k = rows.dtype.type, rows.shape[1], noise.shape[2]
    for n in range(len(edges) - 1):
        index = order[edges[n] : edges[n + 1]]
        n_rows = len(index)
        target, share = np.empty((n_rows, d), rows.dtype), np.empty(n_rows, rows.dtype)
        below = np.empty((_n_below(encoder), n_rows), rows.dtype)
        above = np.empty((_n_below(decoder), n_rows), rows.dtype)
        raw_z = np.empty((len(encoder[1]), n_rows), rows.dtype)
        raw_x = np.empty((d, n_rows), rows.dtype)
        dz = np.empty((k, n_rows), rows.dtype)
        spread = np.empty((2, k if drawn else 0, n_rows), rows.dtype)
        for i in range(n_rows):
            share[i] = number(1.0 / n_rows)
            if len(weight) > 0:
                share[i] *= weight[index[i]]
            for j in range(d):
                target[i, j] = rows[index[i], j]
        start = len(below) - len(encoder[0][len(encoder[0]) - 1]) - 1 - d
        for j in range(d):
            for i in range(n_rows):
                below[start + j, i] = (target[i, j] - shift[j]) * scale[j]
        _forward(encoder, below, raw_z)
        start = len(above) - len(decoder[0][len(decoder[0]) - 1]) - 1 - k
        kl = _draw(raw_z, noise[n], share, above[start : start + k], spread)
        _forward(decoder, above, raw_x)
        if len(log_noise) > 0:
            log_p = _gaussian(target, raw_x, share, log_noise, d_log_noise)
        else:
            log_p = _bernoulli(target, raw_x, share)
        _backward(raw_x, decoder, d_decoder, above, dz)
        for i in range(n_rows):
            share[i] *= number(betas[n])
        _draw_back(dz, raw_z, noise[n], share, spread)
        _backward(raw_z, encoder, d_encoder, below, dz[:0])
        for i in range(len(decay)):
            grads[i] += decay[i] * values[i]
        terms[n, 0], terms[n, 1], terms[n, 2] = betas[n] * kl - log_p, log_p, kl
        norm = np.sqrt(np.dot(grads, grads))
        if not np.isfinite(norm):
            skipped[()] += number(1.0)
            continue
        usual = typical[()] if typical[()] > 0.0 else norm
        clipped = min(norm, usual * clip)
        typical[()] = usual + mix * (clipped - usual)
        count[()] += number(1.0)
        factor = clipped / norm if norm > clipped else 1.0
        _adam(values, grads, first, second, rates[n], beta1, beta2, epsilon, count[()], factor)


@_compile
def _n_below(network):
    """Count the rows of a network's ``below``."""
    hidden = network[0]
    n_below = hidden[0].shape[1]
    for k in range(len(hidden)):
        n_below += len(hidden[k]) + 1
    return n_below - 1
