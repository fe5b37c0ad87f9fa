"""
======================
A model that is in use
======================

A fitted pipeline is written to a file, read by another process, asked about single rows, and
watched: the log-likelihood of new rows says when they are no longer like those of training.
"""

# %%
# Fit and save
# ------------
# The state is arrays and plain objects, so that joblib, pickle and skops can write it
# (:doc:`/saving`; read there what *loading* a file can run).

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import joblib
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skvae import VariationalAutoencoder

X = load_diabetes(scaled=False).data
X_train, X_new = train_test_split(X, test_size=0.3, random_state=0)
pipe = make_pipeline(StandardScaler(), VariationalAutoencoder(6, random_state=0)).fit(X_train)
path = Path(tempfile.mkdtemp()) / "model.joblib"
joblib.dump(pipe, path)
print(f"{path.stat().st_size / 1024:.0f} KiB")

# %%
# Load elsewhere
# --------------
# With ``mmap_mode`` processes that load the file share its memory. The numbers are the same to the
# last digit, on the CPU, whatever device the model was trained on.

program = (
    "import joblib, sys\n"
    "pipe = joblib.load(sys.argv[1], mmap_mode='r')\n"
    "print(pipe.score_samples([eval(sys.argv[2])])[0])\n"
)
row = X_new[0].tolist()
command = [sys.executable, "-W", "ignore", "-c", program, str(path), repr(row)]
there = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
print(f"{there:.6f} there, {pipe.score_samples([row])[0]:.6f} here")

# %%
# One row at a time
# -----------------

loaded = joblib.load(path, mmap_mode="r")
begin = time.perf_counter()
for i in range(200):
    loaded.transform(X_new[[i % len(X_new)]])
print(f"{(time.perf_counter() - begin) / 200 * 1e3:.2f} ms for a row")

# %%
# Watch what comes in
# -------------------
# Rows that the model has not seen score as it was fitted to; when a device fails, or a unit
# changes, scores fall long before anybody looks at single columns. The threshold is the score that
# one row in a hundred of known ones is below. Here blood pressure arrives in kilopascals from one
# day on.

known = loaded.score_samples(X_new)
threshold = np.quantile(known, 0.01)
changed = X_new.copy()
changed[:, 3] *= 0.1333
scores = loaded.score_samples(changed)
print(
    f"below the threshold: {np.mean(known < threshold):.0%} before, "
    f"{np.mean(scores < threshold):.0%} after"
)

figure, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
edges = np.linspace(min(scores.min(), known.min()), known.max(), 60)
ax.hist(known, edges, alpha=0.6, label="rows as in training")
ax.hist(scores, edges, alpha=0.6, label="pressure in other units")
ax.axvline(threshold, color="k", ls="--", label="threshold")
ax.set(xlabel="log-likelihood [nats]", ylabel="rows")
ax.legend()
figure.savefig("deploying.png", dpi=110)
