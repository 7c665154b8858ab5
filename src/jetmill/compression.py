"""Compression of HDF5 datasets."""

from contextlib import suppress
from typing import Any

from jetmill.packages import COMPRESSION


def filters(compression: str) -> dict[str, Any]:
    """Return the arguments of ``create_dataset`` for none, gzip, lzf, lz4 or zstd.

    Raises
    ------
    JetmillError
        If it needs hdf5plugin and that is not installed.
    """
    match compression:
        case "none":
            return {}
        case "gzip":
            return {"compression": "gzip", "compression_opts": 1, "shuffle": True}
        case "lzf":
            return {"compression": "lzf", "shuffle": True}
    hdf5plugin = COMPRESSION[compression].load()
    return {**(hdf5plugin.LZ4() if compression == "lz4" else hdf5plugin.Zstd(clevel=3))}


def know_all_filters() -> None:
    """Make lz4, zstd and others known to HDF5 for reading, if hdf5plugin is installed."""
    with suppress(ModuleNotFoundError):
        import hdf5plugin  # noqa: F401
