"""The style of figures, and how they are saved."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jetmill.files import atomic_write

COMPACT: dict[Any, Any] = {
    "axes.labelsize": 10,
    "axes.linewidth": 1,
    "axes.titlesize": 9,
    "figure.dpi": 110,
    "font.size": 10,
    "legend.fontsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
} | {f"{axis}tick.{kind}.size": size for axis in "xy" for kind, size in (("major", 5), ("minor", 2.5))}


@contextmanager
def style() -> Iterator[None]:
    """Draw in the style of the field (mplhep's of CMS: colours that all can tell apart), in small type."""
    import matplotlib as mpl
    import mplhep  # type: ignore[import-untyped]

    with mpl.rc_context({**mplhep.style.CMS, **COMPACT}):
        yield


def save(figure: Any, path: str | Path, **text: str) -> None:
    """Write a figure as PNG, and beside it as PDF, which carries no date; under their names only when complete.

    The PNG carries the text: its ``Title``, ``Description`` and ``Category``.
    """
    title = {key: value for key, value in text.items() if key == "Title"}
    for form, metadata in (("png", text), ("pdf", {**title, "CreationDate": None})):
        with atomic_write(Path(path).with_suffix(f".{form}")) as partial:
            figure.savefig(partial, format=form, metadata=metadata)
