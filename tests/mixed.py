"""A frame with a column of every type, and models of it."""

import numpy as np
import pandas as pd
import polars as pl

from skvae import VariationalAutoencoder

N = 240


def draws(seed=0):
    return np.random.default_rng(seed)


def mixed(n=N):
    """A frame with a column of every type, on which one latent has some effect."""
    rng = draws()
    z = rng.standard_normal(n)
    grade = np.digitize(z + 0.5 * rng.standard_normal(n), [-1, 0, 1])
    sizes = ["S", "M", "L", "XL"]
    when = pd.Timestamp("2024-03-01") + pd.to_timedelta(np.round(200 + 30 * z), unit="h")
    return pd.DataFrame(
        {
            "weight": (70 + 10 * z + rng.standard_normal(n)).astype(np.float32),
            "visits": rng.poisson(np.exp(3 + z)),
            "price": np.exp(2 + 1.5 * z + 0.2 * rng.standard_normal(n)),
            "sex": np.where(z + rng.standard_normal(n) > 0, "male", "female"),
            "member": z + rng.standard_normal(n) > 0.3,
            "grade": pd.Categorical([sizes[g] for g in grade], sizes[::-1], ordered=True),
            "town": pd.Categorical(rng.choice(["Ulm", "Bonn"], n), ["Kiel", "Ulm", "Bonn"]),
            "rooms": pd.array(1 + grade, dtype="Int64"),
            "when": when,
            "zoned": when.tz_localize("UTC").tz_convert("Europe/Berlin"),
            "floors": np.full(n, 3),
        }
    )


FRAME = mixed()


def in_polars(frame):
    columns = {str(name): frame[name] for name in frame}
    types = {"grade": pl.Enum(["XL", "L", "M", "S"]), "town": pl.Categorical}
    for name in types:
        columns[name] = frame[name].astype(str)
    table = pl.DataFrame({name: list(column) for name, column in columns.items()})
    table = table.with_columns(pl.col(name).cast(kind) for name, kind in types.items())
    return table.with_columns(pl.col("^when$").cast(pl.Date))


def make(**params):
    return VariationalAutoencoder(
        **{"n_components": 2, "likelihood": "auto", "max_iter": 0, "random_state": 0, **params}
    )


def in_library(table, library):
    return table.to_pandas() if library == "polars" else table
