"""A search gives the same scores on every backend of joblib, and a registry the same model."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skvae
from skvae import CanonicalCorrelatedAutoencoder, VariationalAutoencoder

EXAMPLE = Path(__file__).parent.parent / "examples" / "search_on_a_cluster.py"
X, y = load_wine(return_X_y=True)


def scores_on(backend):
    """Scores that the example prints, as it prints them."""
    result = subprocess.run(
        [sys.executable, str(EXAMPLE), backend],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"RAY_USAGE_STATS_ENABLED": "0"},
    )
    assert result.returncode == 0, result.stderr
    scores = re.findall(r"latents: (\S+) nats", result.stdout)
    assert len(scores) == 3
    return scores


@pytest.mark.parametrize("backend", [("dask", "distributed"), ("ray", "ray")], ids=lambda b: b[0])
def test_search_on_a_cluster_is_that_of_processes(backend):
    name, distribution = backend
    pytest.importorskip(distribution)
    assert scores_on(name) == scores_on("loky")


@pytest.mark.filterwarnings("ignore")
def test_registry_gives_the_model_back(tmp_path):
    mlflow = pytest.importorskip("mlflow")
    pipeline = make_pipeline(StandardScaler(), VariationalAutoencoder(2, max_iter=3)).fit(X)
    classifier = CanonicalCorrelatedAutoencoder(max_iter=3).fit(X, y)
    for model, method in ((pipeline, "transform"), (classifier, "predict")):
        path = str(tmp_path / method)
        wanted = getattr(model, method)(X)
        mlflow.sklearn.save_model(
            model,
            path,
            serialization_format="skops",
            skops_trusted_types=skvae.trusted_types(),
            signature=mlflow.models.infer_signature(X, wanted),
            pip_requirements=["skvae"],
        )
        loaded = mlflow.sklearn.load_model(path)
        assert getattr(loaded, method)(X).tobytes() == wanted.tobytes()
    served = mlflow.pyfunc.load_model(path)
    assert np.array_equal(served.predict(X), wanted)
