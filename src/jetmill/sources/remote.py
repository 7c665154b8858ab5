"""Files on servers, named by URL: the packages that read them, and the timeout."""

from typing import Any

from jetmill.errors import JetmillError
from jetmill.packages import PROTOCOLS


def not_remote(name: str) -> str:
    """Return why no URL of a file of a format can be opened."""
    return f"files of format {name} are not read from servers; copy them here, or mount the file system that has them"


def is_remote(path: str) -> bool:
    """Return whether a path is a URL, as ``root://host//file.root``."""
    return "://" in path


def protocol_of(path: str) -> str:
    """Return what is before ``://`` in a URL."""
    return path.partition("://")[0]


def options(path: str, timeout: int) -> dict[str, Any]:
    """Return the options with which uproot opens a URL; `timeout` is that of a request, in seconds.

    Raises
    ------
    JetmillError
        If the protocol is not known, or its package is not installed.
    """
    import fsspec

    if why := wrong_protocol(path):
        raise JetmillError(f"{path}: {why}")
    protocol = protocol_of(path)
    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError:
        advice = f"`pip install {PROTOCOLS[protocol].install}`"
        raise JetmillError(f"{path}: {protocol}:// needs a package that is not installed: {advice}") from None
    if protocol == "root":
        return {"timeout": timeout}
    from aiohttp import ClientTimeout

    return {"client_kwargs": {"timeout": ClientTimeout(total=timeout)}}


def wrong_protocol(path: str) -> str:
    """Return what is wrong if a path is a URL of a protocol other than `jetmill.packages.PROTOCOLS`, "" if nothing."""
    protocol = protocol_of(path)
    if not is_remote(path) or protocol in PROTOCOLS:
        return ""
    *first, last = (f"{known}://" for known in PROTOCOLS)
    return f"{protocol}:// is not known; {', '.join(first)} and {last} are"
