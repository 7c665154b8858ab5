"""The one error a user is meant to read, and the hint at the name they meant."""

from collections.abc import Iterable
from difflib import get_close_matches


class JetmillError(Exception):
    """A mistake in the input or the configuration, told in one sentence without a traceback."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the known name closest to `name`, or an empty string."""
    known = list(known)
    match = get_close_matches(name, known, n=1, cutoff=0.5)
    if not match:
        lowered = {k.lower(): k for k in known}
        match = [lowered[m] for m in get_close_matches(name.lower(), lowered, n=1, cutoff=0.5)]
    return f" Did you mean '{match[0]}'?" if match else ""
