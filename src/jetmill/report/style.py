"""The style of all figures: type, colours of classes, and how figures are saved."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Ticks are set one by one (`jetmill.report.ticks`), and labels have fixed places: finding them takes most of the time.
COMPACT: dict[Any, Any] = {
    "axes.labelsize": 10,
    "axes.linewidth": 1,
    "axes.titlesize": 9,
    "axes.titley": 1.0,
    "figure.dpi": 110,
    "font.size": 10,
    "legend.borderaxespad": 0,
    "legend.borderpad": 0,
    "legend.fontsize": 9,
    "xtick.labelsize": 8,
    "xtick.major.pad": 4,
    "xtick.minor.visible": False,
    "ytick.labelsize": 8,
    "ytick.major.pad": 3,
    "ytick.minor.visible": False,
} | {f"{axis}tick.{kind}.size": size for axis in "xy" for kind, size in (("major", 5), ("minor", 2.5))}

# M. Petroff's colours (arXiv:2107.02270), which all can tell apart: six, or ten for more classes.
SIX = ("#5790fc", "#f89c20", "#e42536", "#964a8b", "#9c9ca1", "#7a21dd")
TEN = ("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd")
DASHES: tuple[Any, ...] = ("-", "--", ":", "-.")


@contextmanager
def style() -> Iterator[None]:
    """Draw in the style of the field (mplhep's of CMS), in small type."""
    import matplotlib as mpl
    import mplhep  # type: ignore[import-untyped]

    with mpl.rc_context({**mplhep.style.CMS, **COMPACT}):
        yield


def class_styles(n_classes: int) -> list[tuple[str, Any]]:
    """Return colour and dashes of each class, the same in all figures of a run."""
    colours = SIX if n_classes <= len(SIX) else TEN
    return [(colours[k % len(colours)], DASHES[k // len(colours) % len(DASHES)]) for k in range(n_classes)]


def class_lines(classes: Sequence[str]) -> list[tuple[Any, str]]:
    """Return the entries of the legend for classes."""
    from matplotlib.lines import Line2D

    return [
        (Line2D([], [], color=colour, linestyle=dashes, linewidth=1.5), name)
        for name, (colour, dashes) in zip(classes, class_styles(len(classes)), strict=True)
    ]


def save(figure: Any, path: str | Path, **text: str) -> None:
    """Write a figure as PNG, and beside it as PDF, which carries no date.

    The PNG carries the text: its ``Title``, ``Description`` and ``Category``.
    """
    title = {key: value for key, value in text.items() if key == "Title"}
    for form, metadata in (("png", text), ("pdf", {**title, "CreationDate": None})):
        figure.savefig(Path(path).with_suffix(f".{form}"), format=form, metadata=metadata)
