"""Compression of HDF5 datasets."""

from contextlib import suppress
from typing import Any

from jetmill.errors import JetmillError
from jetmill.packages import COMPRESSION


def filters(compression: str) -> dict[str, Any]:
    """Return the arguments of ``create_dataset`` for none, gzip, lzf, lz4 or zstd.

    Raises
    ------
    JetmillError
        If it needs hdf5plugin and that is not installed.
    """
    if compression == "none":
        return {}
    if compression in ("gzip", "lzf"):
        return {"compression": compression, "shuffle": True} | (
            {"compression_opts": 1} if compression == "gzip" else {}
        )
    try:
        import hdf5plugin
    except ModuleNotFoundError:
        raise JetmillError(str(COMPRESSION[compression])) from None
    return {"lz4": hdf5plugin.LZ4(), "zstd": hdf5plugin.Zstd(clevel=3)}[compression]


def know_all_filters() -> None:
    """Make lz4, zstd and others known to HDF5 for reading, if hdf5plugin is installed."""
    with suppress(ModuleNotFoundError):
        import hdf5plugin  # noqa: F401
