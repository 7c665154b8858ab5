"""The style of all figures: type, colours of classes, and how figures are saved."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from math import dist
from pathlib import Path
from typing import Any

from jetmill.settings.figures import FigureSettings

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
# Colours of a palette that are closer in RGB to one that is taken are not used beside it.
NEAR = 0.35


@contextmanager
def style() -> Iterator[None]:
    """Draw in the style of the field (mplhep's of CMS), in small type."""
    import matplotlib as mpl
    import mplhep  # type: ignore[import-untyped]

    with mpl.rc_context({**mplhep.style.CMS, **COMPACT}):
        yield


@dataclass(frozen=True)
class ClassStyle:
    """How a class is drawn."""

    label: str
    colour: str
    dashes: Any


def class_styles(classes: Sequence[str], settings: FigureSettings) -> list[ClassStyle]:
    """Return how each class is drawn, the same in all figures of a run.

    Classes without a colour of their own share those of the palette that are not near to one of the others.
    """
    from matplotlib.colors import to_rgb

    labels, colours = settings.class_labels, settings.class_colours
    palette, taken = SIX if len(classes) <= len(SIX) else TEN, [to_rgb(colour) for colour in colours.values()]
    free = cycle([c for c in palette if all(dist(to_rgb(c), other) > NEAR for other in taken)] or palette)
    styles: list[ClassStyle] = []
    times: Counter[str] = Counter()
    for name in classes:
        colour = colours.get(name) or next(free)
        styles.append(ClassStyle(labels.get(name, name), colour, DASHES[times[colour] % len(DASHES)]))
        times[colour] += 1
    return styles


def class_lines(classes: Sequence[ClassStyle]) -> list[tuple[Any, str]]:
    """Return the entries of the legend for classes."""
    from matplotlib.lines import Line2D

    return [
        (Line2D([], [], color=style.colour, linestyle=style.dashes, linewidth=1.5), style.label) for style in classes
    ]


def save(figure: Any, path: str | Path, **text: str) -> None:
    """Write a figure as PNG, and beside it as PDF, which carries no date.

    The PNG carries the text: its ``Title``, ``Description`` and ``Category``.
    """
    title = {key: value for key, value in text.items() if key == "Title"}
    for form, metadata in (("png", text), ("pdf", {**title, "CreationDate": None})):
        figure.savefig(Path(path).with_suffix(f".{form}"), format=form, metadata=metadata)
