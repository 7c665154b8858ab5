"""Files on servers, named by URL: what is installed to read them, and how long to wait for an answer."""

from typing import Any

from jetmill.errors import JetmillError, first_line
from jetmill.packages import PROTOCOLS

NOT_REMOTE = "only ROOT files are read from servers; copy HDF5 files here, or mount the file system that has them"


def is_remote(path: str) -> bool:
    """Return whether a path is a URL, as ``root://host//file.root``."""
    return "://" in path


def protocol_of(path: str) -> str:
    """Return what is before ``://`` in a URL."""
    return path.partition("://")[0]


def options(path: str, timeout: int) -> dict[str, Any]:
    """Return the options with which uproot opens a URL.

    Parameters
    ----------
    path
        The URL.
    timeout
        Seconds to wait for the answer to a request.

    Raises
    ------
    JetmillError
        If the protocol is not known, or its package is not installed.
    """
    import fsspec

    protocol = protocol_of(path)
    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        advice = f"`pip install {PROTOCOLS[protocol].install}`" if protocol in PROTOCOLS else first_line(error)
        raise JetmillError(f"{path}: {protocol}:// needs a package that is not installed: {advice}") from None
    except ValueError:
        raise JetmillError(f"{path}: {protocol}:// is not known; root://, http:// and https:// are") from None
    if protocol == "root":
        return {"timeout": timeout}
    if protocol in ("http", "https"):
        from aiohttp import ClientTimeout

        return {"client_kwargs": {"timeout": ClientTimeout(total=timeout)}}
    return {}
