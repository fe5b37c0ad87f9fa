
"use strict";
// Reads the arrays that are packed in the page, and decodes latents.
const { bytes, floats, decoderOf } = (() => {
  // ------------------------------------------------------------ numbers
  function bytes(text) {
    const raw = atob(text), array = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) array[i] = raw.charCodeAt(i);
    return array;
  }
  const floats = (text) => new Float32Array(bytes(text).buffer);
  const doubles = (text) => new Float64Array(bytes(text).buffer);
  function matrix({ shape: [n, m], data, step }) {
    if (!step) return { n, m, w: floats(data) };
    const whole = new Int16Array(bytes(data).buffer), steps = floats(step);
    return { n, m, w: Float64Array.from(whole, (v, i) => v * steps[Math.floor(i / m)]) };
  }
  function erf(x) { // Abramowitz and Stegun 7.1.26, to 1.5e-7
    const t = 1 / (1 + 0.3275911 * Math.abs(x));
    const tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741
      + t * (-1.453152027 + t * 1.061405429))));
    return Math.sign(x) * (1 - tail * Math.exp(-x * x));
  }
  const logistic = (x) => 1 / (1 + Math.exp(-x));
  const ACTIVATIONS = {
    relu: (x) => Math.max(0, x), tanh: Math.tanh, logistic, identity: (x) => x,
    silu: (x) => x * logistic(x), gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  };
  function product({ n, m, w }, x, y = new Float64Array(n)) {
    for (let i = 0, at = 0; i < n; i++) {
      let sum = 0;
      for (let j = 0; j < m; j++) sum += w[at++] * x[j];
      y[i] = sum;
    }
    return y;
  }

  // ------------------------------------------------------------ decoder
  function denseDecoder({ hidden, output, activation, link, scale, shift }) {
    const layers = hidden.map(matrix), last = matrix(output), act = ACTIVATIONS[activation];
    const a = doubles(scale), b = doubles(shift);
    const mean = link === "logistic" ? logistic : (x) => x;
    return (z) => {
      let h = layers.length ? z : [];
      for (const layer of layers) h = product(layer, [...h, 1]).map(act);
      return product(last, [...z, 1, ...h]).map((x, i) => mean(x) * a[i] + b[i]);
    };
  }
  function gridDecoder({ side, moved, low, high, data, scale, shift }) {
    const nodes = new Uint16Array(bytes(data).buffer), a = doubles(scale), b = doubles(shift);
    const d = a.length;
    return (z) => {
      let corners = [[0, 1]];
      moved.forEach((latent, k) => {
        const place = Math.min(Math.max((z[latent] - low[k]) / (high[k] - low[k]), 0), 1) * (side - 1);
        const i = Math.min(Math.floor(place), side - 2), share = place - i;
        corners = corners.flatMap(([at, weight]) => [
          [at * side + i, weight * (1 - share)], [at * side + i + 1, weight * share]]);
      });
      const x = new Float64Array(d);
      for (const [at, weight] of corners) {
        for (let j = 0; j < d; j++) x[j] += weight * nodes[at * d + j];
      }
      return x.map((v, j) => v * a[j] + b[j]);
    };
  }
  const decoderOf = (packed) => packed.kind === "grid" ? gridDecoder(packed) : denseDecoder(packed);
  return { bytes, floats, decoderOf };
})();
