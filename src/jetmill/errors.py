"""The error that a user reads, and the hint at the name they meant."""

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

# Characters of a line of a message.
LONGEST = 1500


class JetmillError(Exception):
    r"""A mistake in the input or the configuration, reported in one sentence without a traceback.

    Characters that cannot be printed, as in the names of a damaged file, are written as ``\x00``.
    """

    def __init__(self, sentence: str):
        super().__init__("".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in sentence))


def first_line(error: BaseException) -> str:
    """Return the first line of what an exception says, or its name if it says nothing."""
    return str(error).strip().split("\n")[0] or type(error).__name__


def one_line(text: object) -> str:
    """Return text for a message: on one line, and truncated where it gets too long."""
    plain = "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))
    return plain if len(plain) <= LONGEST else f"{plain[:LONGEST]}..."


def nearest(name: str | Iterable[str], known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the known name closest to `name` (or to one of them), or nothing."""
    found = _closest(name, known)
    return f" Did you mean '{found}'?" if found else ""


def nearest_quantity(name: str | Iterable[str], known: Iterable[str]) -> str:
    """Return the same for names of quantities in a file, which can be close and mean other things.

    ``mcEventNumber`` is not ``eventNumber``; only capitals and separators make no difference.
    """
    found = _closest(name, known)
    same = any(_letters(found) == _letters(wanted) for wanted in ([name] if isinstance(name, str) else name))
    return f" Did you mean '{found}'?{'' if same else ' It may be another quantity.'}" if found else ""


def _letters(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def _closest(name: str | Iterable[str], known: Iterable[str]) -> str:
    """Return the known name that is closest to a name, or to one of several; "" if none is close."""
    lowered = {k.lower(): k for k in known}
    wanted_names = [name] if isinstance(name, str) else name
    close = [
        (SequenceMatcher(None, wanted, match).ratio(), lowered[match])
        # Comparing long names is slow and helps nobody.
        for wanted in (wanted.lower() for wanted in wanted_names if len(wanted) <= 200)
        for match in get_close_matches(wanted, lowered, n=1, cutoff=0.6)
    ]
    return max(close)[1] if close else ""
