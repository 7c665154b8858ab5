"""What no configuration needs: thousands of entries, pages of text, numbers of many digits.

It is refused before everything else, which would take long and print endless messages.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from jetmill.errors import one_line

# Entries of a section or list, and of a list of input files.
MAX_ENTRIES, MAX_FILES = 10_000, 50_000
# Characters of a key and of a text.
MAX_KEY, MAX_TEXT = 200, 10_000
MAX_BITS, MAX_DEPTH = 128, 12
# Entries of all sections and lists together.
MAX_TOTAL = 500_000


def excesses(raw: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each of the first five keys with too much in it."""
    problems = []
    for number, problem in enumerate(_excesses("", raw, 0)):
        if problem:
            problems.append(problem)
        if number == MAX_TOTAL:
            problems.append(f"the configuration: has more than {MAX_TOTAL:,} entries")
        if number == MAX_TOTAL or len(problems) == 5:
            break
    return problems


def _excesses(place: str, value: Any, depth: int) -> Iterator[str]:
    """Yield a sentence for each value that is too much, and an empty one for each other value."""
    if isinstance(value, str):
        yield _too_much(place, "characters", len(value), MAX_TEXT)
    elif isinstance(value, int):
        yield _too_much(place, "bits", value.bit_length(), MAX_BITS)
    elif isinstance(value, Mapping | list):
        files = place.startswith("samples.") and place.endswith(".files")
        problem = _too_much(place, "entries", len(value), MAX_FILES if files else MAX_ENTRIES)
        problem = problem or _too_much(place, "levels", depth, MAX_DEPTH)
        yield problem
        if problem:
            return
        for key, inner in value.items() if isinstance(value, Mapping) else enumerate(value):
            if isinstance(key, int) and key.bit_length() > MAX_BITS:
                yield _too_much(place, "bits in a key", key.bit_length(), MAX_BITS)
            elif isinstance(key, str) and len(key) > MAX_KEY:
                yield _too_much(place, "characters in a key", len(key), MAX_KEY)
            else:
                yield from _excesses(f"{place}.{one_line(key)}".lstrip("."), inner, depth + 1)


def _too_much(place: str, what: str, found: int, most: int) -> str:
    return f"{place or 'the configuration'}: has {found:,} {what}, {most:,} is the most" if found > most else ""
