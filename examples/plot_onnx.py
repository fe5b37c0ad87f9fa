"""
===========================================
A pipeline that runs without Python: digits
===========================================

Scaler, autoencoder and classifier become one ONNX graph. onnxruntime gives the same labels, and a
single row in a fraction of the time. Needs the extra: ``pip install skvae[onnx]``.
"""

# %%
# Fit a pipeline
# --------------

import time

import numpy as np
import onnxruntime
import skl2onnx
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skvae import VariationalAutoencoder
from skvae.onnx import register_converters, to_onnx

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X.astype(np.float32), y, random_state=0)
vae = VariationalAutoencoder(16, max_iter=20, random_state=0)
pipeline = make_pipeline(StandardScaler(), vae, LogisticRegression(max_iter=1000))
pipeline.fit(X_train, y_train)
print(f"accuracy: {pipeline.score(X_test, y_test):.3f}")

# %%
# Export it
# ---------

register_converters()
model = skl2onnx.to_onnx(pipeline, X_train[:1], target_opset=18, options={"zipmap": False})
session = onnxruntime.InferenceSession(model.SerializeToString())
labels, _ = session.run(None, {"X": X_test})
print(f"labels that are the pipeline's: {np.mean(labels == pipeline.predict(X_test)):.1%}")

# %%
# The time of a row
# -----------------


def milliseconds(function, repeats=200):
    """Median of single calls."""
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - began)
    return 1e3 * np.median(seconds)


row = X_test[:1]
print(f"a row, pipeline:    {milliseconds(lambda: pipeline.predict(row)):.3f} ms")
print(f"a row, onnxruntime: {milliseconds(lambda: session.run(None, {'X': row})):.3f} ms")

# %%
# And back
# --------
#
# Any method is a graph. This one turns latents into pixels.

decoder = to_onnx(pipeline[1], method="inverse_transform")
session = onnxruntime.InferenceSession(decoder.SerializeToString())
Z = pipeline[:-1].transform(X_test)
(found,) = session.run(None, {"Z": Z})
wanted = pipeline[1].inverse_transform(Z)
print(f"largest difference of a pixel: {np.abs(found - wanted).max():.1e} standard deviations")
