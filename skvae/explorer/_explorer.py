"""A page in which one moves through the latent space."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Self

import numpy as np

from skvae._sklearn.fitted import Fitted, len_of, most_changed, positive_std, take_rows
from skvae._sklearn.targets import (
    COLOURS,
    COLOURS_ON_DARK,
    Target,
    read_target,
)
from skvae.explorer._decoder import pack_array, pack_decoder, span_of

# Bytes of a page that its rows may fill up to, before base64, and the fewest rows.
_PAGE_BYTES = 195_000
_LEAST_ROWS = 200

# Rows on which the page's decoder must agree with the estimator's.
_CHECKED_ROWS = 300


class LatentExplorer:
    """A page in which one moves through the latent space and sees what is decoded there.

    One file, which needs no network and no Python: the decoder's own weights are in it. Point,
    drag, or use the arrow keys: the decoded image, or the table's row in its own units, follows,
    beside the real rows that are nearest. Dense networks are decoded exactly, by a script, under
    likelihoods whose mean is the decoder's output or its logistic function. Others, modules of the
    user's own among them, are decoded between the nodes of a grid over the first two latents.

    It is best made by ``from_estimator``. In a notebook it shows itself, in a frame of its own.

    Parameters
    ----------
    payload : dict
        What the page holds, as ``from_estimator`` makes it.

    Attributes
    ----------
    payload : dict
        What the page holds.

    See Also
    --------
    skvae.display.LatentGridDisplay : The same as a picture.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skvae import LatentExplorer, VariationalAutoencoder
    >>> X, y = load_digits(return_X_y=True)
    >>> vae = VariationalAutoencoder(2, max_iter=0).fit(X)
    >>> explorer = LatentExplorer.from_estimator(vae, X, y, image_shape=(8, 8))
    >>> explorer.save("explorer.html")  # doctest: +SKIP
    >>> len(explorer.to_html()) < 300_000
    True
    """

    def __init__(self, payload: dict[str, Any]) -> None:
        self.payload = payload

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        image_shape: Sequence[int] | None = None,
        target: str = "auto",
        feature_names: Sequence[str] | None = None,
        n_rows: int = 1000,
        n_features: int = 100,
        title: str | None = None,
        random_state: int = 0,
    ) -> Self:
        """Make the page of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            A fitted one with ``transform`` and ``inverse_transform``, or a pipeline that ends in
            one; rows are then in the pipeline's units.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to show. They are in the page, for whoever opens it to read.
        y : array-like of shape (n_samples,), default=None
            A class or a value of each row, to colour it by.
        image_shape : tuple of int, default=None
            (height, width), or (height, width, 3) for colours, of a row that is an image.
        target : {"auto", "class", "value"}, default="auto"
            What y holds. "auto" takes whole numbers of at most 20 different values, and whatever is
            no number, as classes.
        feature_names : sequence of str, default=None
            Names of the features, with their units, if others than the estimator's.
        n_rows : int, default=1000
            Rows that are shown, at most, drawn at random; fewer where the page would exceed
            300 kB, but not fewer than 200.
        n_features : int, default=100
            Features of a table that are shown, at most: those that change most, measured in their
            standard deviations.
        title : str, default=None
            Heading of the page; by default the estimator's name.
        random_state : int, default=0
            Seeds the choice of rows.

        Returns
        -------
        explorer : LatentExplorer
            The page.

        Raises
        ------
        ValueError
            If the estimator is not fitted or cannot decode, or a parameter is outside its domain.
        """
        fitted = Fitted(estimator)
        names, shape = fitted.features(X, feature_names, image_shape)
        _check_number("n_rows", n_rows)
        _check_number("n_features", n_features)
        n_samples = len_of(X)
        colours = read_target(y, n_samples, target)
        index = _draw_rows(n_samples, int(n_rows), random_state)
        chosen = take_rows(X, index)
        Z, rows = fitted.transform(chosen), fitted.rows(chosen)
        k = Z.shape[1]
        decoded = fitted.inverse(Z)
        scale = positive_std(np.concatenate([rows, decoded]))
        most = n_features if shape is None else len(names)
        features = np.sort(most_changed(decoded, scale, most))
        few = np.linspace(0, len(Z) - 1, min(len(Z), _CHECKED_ROWS)).astype(int)
        moved = list(range(min(k, 2)))
        decoder = pack_decoder(fitted, Z[few], scale, features, moved)
        kept = _kept_rows(decoder, index, k, len(features), shape is not None, random_state)
        low, high = span_of(Z)
        return cls(
            {
                "title": fitted.name if title is None else str(title),
                "n_samples": n_samples,
                "n_features": len(names),
                "latents": fitted.latent_names(),
                "features": [names[i] for i in features],
                "image": shape,
                "low": low.tolist(),
                "high": high.tolist(),
                "start": np.median(Z, axis=0).tolist(),
                "decoder": decoder,
                "rows": _pack_rows(rows[kept][:, features], Z[kept], index[kept], shape),
                "target": _pack_target(colours, index[kept]),
            }
        )

    def to_html(self) -> str:
        """Give the page.

        Returns
        -------
        page : str
            A whole HTML document.
        """
        folder = resources.files("skvae.explorer")
        style, decode, show, page = (
            folder.joinpath(name).read_text(encoding="utf-8")
            for name in ("page.css", "decode.js", "page.js", "page.html")
        )
        script = decode + show
        # No sign that could end the data block, begin a comment or a tag; JSON reads the same.
        data = json.dumps(self.payload, ensure_ascii=True, separators=(",", ":"))
        for sign in "<>&":
            data = data.replace(sign, f"\\u{ord(sign):04x}")
        parts = {
            "title": html.escape(self.payload["title"]),
            "style": style,
            "script": script,
            "data": data,
            "policy": (
                f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'"
            ),
        }
        for name, text in parts.items():
            page = page.replace(f"<!--{name}-->", text)
        return page

    def save(self, path: Any) -> Path:
        """Write the page to a file.

        Parameters
        ----------
        path : str or path-like
            Where to.

        Returns
        -------
        path : Path
            The file.
        """
        path = Path(path)
        path.write_text(self.to_html(), encoding="utf-8", newline="\n")
        return path

    def _repr_html_(self) -> str:
        """Show the page in a notebook: in a frame, so that neither can touch the other."""
        page = html.escape(self.to_html(), quote=True)
        return (
            f'<iframe srcdoc="{page}" sandbox="allow-scripts" title="Latent explorer" '
            f'style="width:100%;height:720px;border:0"></iframe>'
        )

    def __repr__(self) -> str:
        n_rows, kind = self.payload["rows"]["n"], self.payload["decoder"]["kind"]
        return f"LatentExplorer({self.payload['title']}, {n_rows} rows, {kind} decoder)"


def _digest(text: str) -> str:
    """Hash by which a content security policy knows a script or a style."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _check_number(name: str, number: Any) -> None:
    if not isinstance(number, int | np.integer) or number < 1:
        raise ValueError(f"{name} must be an int of at least 1. Got {number!r}.")


def _draw_rows(n_samples: int, n: int, seed: int) -> np.ndarray:
    """Positions of n rows in ascending order, or of all if there are no more."""
    if n_samples <= n:
        return np.arange(n_samples)
    return np.sort(np.random.default_rng(seed).choice(n_samples, n, replace=False))


def _kept_rows(
    decoder: dict[str, Any], index: np.ndarray, k: int, d: int, is_image: bool, seed: int
) -> np.ndarray:
    """Positions of the rows for which there is space in the page beside the decoder."""
    used = 0.75 * len(json.dumps(decoder))
    size = d * (1 if is_image else 4) + 4 * k + 8
    n = int(np.clip((_PAGE_BYTES - used) // size, _LEAST_ROWS, None))
    return _draw_rows(len(index), n, seed)


def _pack_rows(
    rows: np.ndarray, Z: np.ndarray, numbers: np.ndarray, shape: tuple[int, ...] | None
) -> dict[str, Any]:
    """Rows as the page reads them: images in a byte a pixel, tables as they are."""
    packed: dict[str, Any] = {
        "n": len(rows),
        "Z": pack_array(Z, "<f4"),
        "numbers": pack_array(numbers, "<u4"),
        "low": rows.min(0).tolist(),
        "high": rows.max(0).tolist(),
    }
    if shape is None:
        return {**packed, "X": pack_array(rows, "<f4")}
    low, high = float(rows.min()), float(rows.max())
    share = (rows - low) / (high - low if high > low else 1.0)
    return {**packed, "low": low, "high": high, "X": pack_array(np.round(255 * share), "u1")}


def _pack_target(target: Target | None, index: np.ndarray) -> dict[str, Any] | None:
    if target is None:
        return None
    values = target.values[index]
    if target.classes is not None:
        return {
            "kind": "class",
            "name": target.name,
            "names": target.classes,
            "colours": {"light": COLOURS, "dark": COLOURS_ON_DARK},
            "values": pack_array(values, "u1"),
        }
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    return {
        "kind": "value",
        "name": target.name or "y",
        "low": low,
        "high": high,
        "values": pack_array(values, "<f4"),
    }
