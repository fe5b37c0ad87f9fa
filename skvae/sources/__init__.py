"""Sources: tables that are read from where they lie, however large."""

from skvae._core.sources import Source
from skvae.sources._arrow import Feather, Parquet
from skvae.sources._sliced import Sliced, Zarr

__all__ = ["Feather", "Parquet", "Sliced", "Source", "Zarr"]
