"""The one error a user is meant to read, and the hint at the name they meant."""

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches


class JetmillError(Exception):
    """A mistake in the input or the configuration, told in one sentence without a traceback."""


def first_line(error: BaseException) -> str:
    """Return the first line of what an exception says, or its name if it says nothing."""
    return str(error).strip().split("\n")[0] or type(error).__name__


def nearest(name: str | Iterable[str], known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the known name closest to `name` (or to one of them), or nothing."""
    lowered = {k.lower(): k for k in known}
    close = [
        (SequenceMatcher(None, wanted, match).ratio(), lowered[match])
        for wanted in map(str.lower, [name] if isinstance(name, str) else name)
        for match in get_close_matches(wanted, lowered, n=1, cutoff=0.6)
    ]
    return f" Did you mean '{max(close)[1]}'?" if close else ""
