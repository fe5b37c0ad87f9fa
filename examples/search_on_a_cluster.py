"""
===================
Search on a cluster
===================

A search is many fits that know nothing of each other. joblib hands them to processes of this
machine, or to the workers of a Dask or Ray cluster: what is searched stays the same, and so do the
scores, to the bit, wherever the workers have the same versions and processors.

Run it as ``python search_on_a_cluster.py``, or with ``dask`` (``pip install distributed``) or
``ray`` (``pip install ray``) after it.
"""

import sys

import joblib
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skvae import VariationalAutoencoder

N_WORKERS = 2

# %%
# Workers
# -------
#
# Here a cluster is made of this machine's cores, one worker per core. That of a company is reached
# by its address: ``Client("tcp://scheduler:8786")``, ``ray.init(address="auto")``. A fit takes the
# cores that joblib allows its worker, one here, so that workers do not get in each other's way.


def connect(backend):
    """Make a cluster, and give what ends it."""
    if backend == "dask":
        from distributed import Client, LocalCluster

        cluster = LocalCluster(
            n_workers=N_WORKERS, threads_per_worker=1, memory_limit="2GiB", dashboard_address=None
        )
        return Client(cluster).shutdown
    if backend == "ray":
        import ray
        from ray.util.joblib import register_ray

        ray.init(num_cpus=N_WORKERS, include_dashboard=False, log_to_driver=False)
        register_ray()
        return ray.shutdown
    return lambda: None


# %%
# The search
# ----------
#
# It is any other search; only where it is run is said around it.


def search():
    """Choose the number of latents of digits."""
    X, _ = load_digits(return_X_y=True)
    vae = VariationalAutoencoder(max_iter=20, tol=10, random_state=0)
    return GridSearchCV(
        make_pipeline(MinMaxScaler(), vae),
        {"variationalautoencoder__n_components": [2, 4, 8]},
        scoring={"nats": nats, "MiB": peak},
        cv=3,
        refit=False,
    ).fit(X)


def nats(estimator, X, y=None):
    """Log-likelihood of a row."""
    return estimator.score(X)


def peak(*_):
    """Most memory that this process has had, in MiB; 0 where the system is not Linux."""
    if sys.platform != "linux":
        return 0.0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# %%
# Memory, and what it gives
# -------------------------
#
# A worker holds torch and scikit-learn, about half a gigabyte, the rows of its fold, and what a fit
# needs: four times the parameters, and where X has up to 64 million cells a converted copy. loky
# maps large arrays into memory that its processes share; Dask and Ray send each worker a copy.
#
# Dask starts its workers by importing this file, which must not start another cluster there.

if __name__ == "__main__":
    backend = sys.argv[1] if len(sys.argv) > 1 else "loky"
    disconnect = connect(backend)
    with joblib.parallel_config(backend, n_jobs=N_WORKERS):
        results = search().cv_results_
    disconnect()
    for params, score in zip(results["params"], results["mean_test_nats"], strict=True):
        print(*params.values(), "latents:", repr(float(score)), "nats per row")
    print(f"A worker had taken {max(results['mean_test_MiB']):.0f} MiB after a fit.")
