"""Batches of equal size from slices of any size."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from jetmill.formats.content.rows import Rows, take

Arrays = dict[str, np.ndarray]


def in_batches(
    slices: Iterable[tuple[dict[str, Rows], np.ndarray]], sizes: Iterable[int], types: Mapping[str, str]
) -> Iterator[Arrays]:
    """Yield batches of the given sizes from rows and their order; the last one has the rest."""

    def taken(rows: dict[str, Rows], places: np.ndarray) -> Arrays:
        return {name: take(r, places).astype(types.get(name, r.dtype), copy=False) for name, r in rows.items()}

    rest: Arrays = {}
    remaining = iter(sizes)
    size = next(remaining, 0)
    for rows, order in slices:
        start = 0
        if rest:
            start = size - len(next(iter(rest.values())))
            more = taken(rows, order[:start])
            rest = {name: np.concatenate([rest[name], more[name]]) for name in rest}
            if len(next(iter(rest.values()))) < size:
                del rows, order
                continue
            yield rest
            rest, size = {}, next(remaining, 0)
        while 0 < size <= len(order) - start:
            yield taken(rows, order[start : start + size])
            start, size = start + size, next(remaining, 0)
        if start < len(order):
            rest = taken(rows, order[start:])
        # Free the memory before the next slice.
        del rows, order
    if rest:
        yield rest
