"""The style of figures, and how they are saved."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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


def save_with_text(figure: Any, path: Path, title: str, caption: str, category: str) -> None:
    """Write a figure as PNG, which carries its text, and as PDF, which carries no date."""
    figure.savefig(path.with_suffix(".png"), metadata={"Title": title, "Description": caption, "Category": category})
    figure.savefig(path.with_suffix(".pdf"), metadata={"Title": title, "CreationDate": None})
