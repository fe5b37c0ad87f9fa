"""What users give as rows, targets, weights and latents, checked and as NumPy arrays.

Inside all arrays are NumPy's, whatever comes in. So those of other libraries are converted on
entry, and scikit-learn's checks are run without array API dispatch, so that they do not ask one
library's arrays for another's types. ``skvae._sklearn.kind`` hands results out in kind.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from scipy import sparse
from sklearn import config_context, get_config
from sklearn.utils import check_array, get_tags
from sklearn.utils.validation import validate_data

from skvae._core.arrays import as_numpy
from skvae._core.sources import Source, Stored
from skvae._sklearn import compat

_FLOATS = [np.float64, np.float32]


def on_arrays() -> AbstractContextManager[None]:
    """Have scikit-learn treat arrays as NumPy's inside the context, whatever its settings."""
    dispatched = get_config()["array_api_dispatch"]
    return config_context(array_api_dispatch=False) if dispatched else nullcontext()


def _without_na(X: Any) -> Any:
    """Give objects with NaN in the place of pandas' NA, which is no float."""
    if hasattr(X, "dtypes") and hasattr(X, "isna"):
        has_objects = any(dtype.kind == "O" for dtype in X.dtypes)
        return X.where(X.notna(), np.nan) if has_objects else X
    if isinstance(X, np.ndarray) and X.dtype == object:
        is_na = np.frompyfunc(compat.is_pandas_na, 1, 1)(X).astype(bool)
        return np.where(is_na, np.nan, X)
    return X


def takes_gaps(estimator: Any) -> bool:
    """Say whether an estimator's rows may have missing cells."""
    return bool(get_tags(estimator).input_tags.allow_nan)


def check_rows(estimator: Any, X: Any, *, reset: bool, **options: Any) -> Any:
    """Give rows as an array or a CSR matrix of float64 or float32, checked by scikit-learn.

    A source stays where it is, as ``Stored``. One that is fitted to is read once here.

    Parameters
    ----------
    estimator : estimator
        Remembers, or compares, the number and the names of the features.
    X : {array-like, sparse matrix, Tensor, Source} of shape (n_samples, n_features)
        Rows.
    reset : bool
        Whether the estimator is fitted to them anew.
    **options
        Further ones of ``validate_data``.
    """
    if isinstance(X, Source):
        return _check_source(estimator, X, reset, options.get("ensure_min_samples", 1))
    options = {"accept_sparse": "csr", "dtype": _FLOATS, **options}
    finite = "allow-nan" if takes_gaps(estimator) else True
    X = _without_na(as_numpy(X))
    _check_axes(estimator, X)
    try:
        with on_arrays():
            return validate_data(estimator, X, reset=reset, ensure_all_finite=finite, **options)
    except ValueError as error:
        name = _column_of_strings(X)
        if name is None:
            raise
        remedy = "likelihood='auto' takes columns of all kinds. " * hasattr(estimator, "likelihood")
        raise ValueError(
            f"Column {name!r} of X holds strings, where numbers are needed. {remedy}Or encode it, "
            f"with OneHotEncoder for instance."
        ) from error


def _check_axes(estimator: Any, X: Any) -> None:
    """Raise ValueError if X is an array of images, or of any more than rows and columns."""
    shape = tuple(getattr(X, "shape", ()))
    if len(shape) < 3:
        return
    networks = ""
    if len(shape) < 5 and hasattr(estimator, "encoder"):
        networks = (
            f" For convolutions give skvae.nn.Convolutional({shape[1:]}) as encoder and decoder, "
            f"which reads the pixels in this order."
        )
    raise ValueError(
        f"X must have 2 axes, rows and columns, as everywhere in scikit-learn. Found array with "
        f"dim {len(shape)}, of shape {shape}. Reshape it: X.reshape(len(X), -1).{networks}"
    )


def _check_source(estimator: Any, source: Source, reset: bool, least: int) -> Stored:
    """Check what a source says of itself, and have its rows checked as they are read."""
    compat.check_n_features(estimator, source, reset=reset)
    names = source.feature_names
    if reset and names is not None:
        estimator.feature_names_in_ = np.asarray(names, dtype=object)
    elif reset and hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_
    fitted = getattr(estimator, "feature_names_in_", None)
    if names is not None and fitted is not None and list(names) != list(fitted):
        wrong = next(j for j, name in enumerate(names) if name != fitted[j])
        raise ValueError(
            f"The feature names should match those that were passed during fit. Got "
            f"{names[wrong]!r} as feature {wrong}, which was {fitted[wrong]!r}."
        )
    if len(source) < least:
        raise ValueError(_too_few(estimator, source, 0, least))
    dtype = np.float32 if np.dtype(source.dtype) == np.float32 else np.float64
    stored = Stored(source, dtype, is_checked=True, takes_gaps=takes_gaps(estimator))
    if reset:
        stored.survey()
    return stored


def refuse_source(X: Any, what: str, remedy: str) -> None:
    """Raise ValueError if X is a source, of which something cannot be made.

    Parameters
    ----------
    X : object
        What was given as rows.
    what : str
        What takes none, and why, as a sentence without its full stop.
    remedy : str
        What to do, as a sentence.
    """
    if isinstance(X, Source):
        raise ValueError(f"{what}. Got a {type(X).__name__} of {len(X)} rows. {remedy}")


def _too_few(estimator: Any, X: Any, axis: int, least: int) -> str:
    what = ("sample", "feature")[axis]
    return (
        f"Found array with {X.shape[axis]} {what}(s) (shape={X.shape}) while a minimum of "
        f"{least} is required by {type(estimator).__name__}."
    )


def _numeric(array: np.ndarray) -> np.ndarray:
    """Give an array of objects as numbers, if it holds nothing else."""
    if array.dtype != object or any(isinstance(cell, str | bool) for cell in array.flat):
        return array
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError):
        return array


def _column_of_strings(X: Any) -> Any:
    """Name of the first column of a frame with strings in it, or None."""
    for j, name in enumerate(getattr(X, "columns", ())):
        column = X.iloc[:, j] if hasattr(X, "iloc") else X[name]
        if any(isinstance(cell, str) for cell in list(column)):
            return name
    return None


def check_table(estimator: Any, X: Any, *, reset: bool, ensure_min_samples: int = 1) -> Any:
    """Give a table whose columns may be of any type: a frame as it is, or an array.

    Parameters
    ----------
    estimator : estimator
        Remembers, or compares, the number and the names of the columns.
    X : {DataFrame, array-like} of shape (n_samples, n_features)
        Rows.
    reset : bool
        Whether the estimator is fitted to them anew.
    ensure_min_samples : int, default=1
        Least number of rows.

    Raises
    ------
    ValueError
        If there are fewer rows, no columns, or others than at fit; or if X is sparse.
    """
    refuse_source(
        X,
        "A likelihood by columns takes a table in memory, because it counts levels and quantiles",
        "Give rows of it, such as source[:1000], or one likelihood for all columns.",
    )
    if sparse.issparse(X):
        raise ValueError(
            "A likelihood by columns takes a dense table. Got a sparse matrix. Give X.toarray(), "
            "or one likelihood for all columns, such as 'poisson'."
        )
    if type(X).__name__ == "LazyFrame":
        raise ValueError("X is a lazy frame, whose rows are not there yet. Give X.collect().")
    if not hasattr(X, "columns"):
        X = as_numpy(X)
        array = np.array(X, dtype=object) if isinstance(X, list | tuple) else np.asarray(X)
        array = _numeric(array)
        if array.ndim != 2 or array.dtype.kind in "iufc":
            checked = check_rows(estimator, X, reset=reset, ensure_min_samples=ensure_min_samples)
            return checked.astype(array.dtype) if array.dtype.kind in "iu" else checked
        X = array.astype(object)
    with on_arrays():
        validate_data(estimator, X, reset=reset, skip_check_array=True)
    for axis, least in enumerate((ensure_min_samples, 1)):
        if X.shape[axis] < least:
            raise ValueError(_too_few(estimator, X, axis, least))
    return X


def check_values(values: Any, name: str, **options: Any) -> Any:
    """Check an array whose columns are not the features of X, such as latents or targets."""
    with on_arrays():
        return check_array(as_numpy(values, name), input_name=name, **options)


def check_latents(Z: Any, n_components: int, name: str = "Z") -> np.ndarray:
    """Check latents, of shape (n_samples, n_components).

    Raises
    ------
    ValueError
        If their number differs.
    """
    Z = check_values(Z, name, dtype=_FLOATS)
    if Z.shape[1] != n_components:
        raise ValueError(
            f"{name} must have n_components_={n_components} columns, one per latent. "
            f"Got {Z.shape[1]}."
        )
    return Z


def check_sample_weight(sample_weight: Any, X: Any, **options: Any) -> np.ndarray:
    """Give one weight per row."""
    with on_arrays():
        return compat.check_sample_weight(as_numpy(sample_weight, "sample_weight"), X, **options)
