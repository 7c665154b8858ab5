"""Ticks and limits of axes, set at once: matplotlib looks for them again and again while it draws."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

# Points: ticks, shorter ones, and the way to their labels.
LONG, SHORT, AWAY = 5, 2.5, 4


def set_ticks(
    axes: Any, which: str, low: float, high: float, *, log: bool = False, most: int = 6, labels: bool = True
) -> None:
    """Set the limits of an axis, "x" or "y", and at most about `most` labelled ticks, with shorter ones between.

    All ticks are one path, since matplotlib takes a millisecond for each of its own.
    """
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Mark
    from matplotlib.ticker import NullLocator

    getattr(axes, f"set_{which}lim")(low, high)
    if log:
        getattr(axes, f"set_{which}scale")("log", nonpositive="clip")
    axis = getattr(axes, f"{which}axis")
    axis.set_major_locator(NullLocator())
    axis.set_minor_locator(NullLocator())
    ticks, minor = log_ticks(low, high, most) if log else linear_ticks(low, high, most)
    box, figure = axes.get_position(), axes.figure
    inches = box.height * figure.get_figheight() if which == "x" else box.width * figure.get_figwidth()
    point = 1 / 72 / inches
    ends = [(start, start + sign * n * point) for start, sign in ((0, 1), (1, -1)) for n in (LONG, SHORT)]
    marks = [
        [(place, low), (place, high)]
        for (low, high), places in zip(ends, (ticks, minor, ticks, minor), strict=True)
        for place in places
    ]
    if which == "y":
        marks = [[(y, x) for x, y in mark] for mark in marks]
    transform = getattr(axes, f"get_{which}axis_transform")()
    lines = Mark(np.reshape(marks, (-1, 2)), [Mark.MOVETO, Mark.LINETO] * len(marks))
    axes.add_artist(PathPatch(lines, fill=False, linewidth=1, transform=transform, clip_on=False, zorder=2.5))
    if labels:
        for place, text in zip(ticks, tick_labels(ticks, log=log), strict=True):
            if which == "x":
                axes.text(place, -AWAY * point, text, transform=transform, ha="center", va="top", fontsize=8)
            else:
                axes.text(-AWAY * point, place, text, transform=transform, ha="right", va="center", fontsize=8)


def name_rows(axes: Any, which: str, names: Sequence[str], size: float) -> None:
    """Write a name beside each row of a plot ("y"), or upright below each column ("x"), at 0, 1, 2, ..."""
    axes.set(**{f"{which}ticks": []})
    for place, name in enumerate(names):
        if which == "y":
            axes.text(-0.01, place, name, transform=axes.get_yaxis_transform(), ha="right", va="center", fontsize=size)
        else:
            axes.text(
                place,
                -0.01,
                name,
                transform=axes.get_xaxis_transform(),
                ha="center",
                va="top",
                rotation=90,
                fontsize=size,
            )


def characters(text: str) -> int:
    """Return about how many characters a text is long, of which mathematics takes up less than it is written with."""
    return len(re.sub(r"[${}^]", "", re.sub(r"\\[A-Za-z]+ ?", "x", text)))


def length_of(names: Sequence[str], size: float) -> float:
    """Return about how long the longest name is, inches."""
    return max(map(characters, names), default=0) * 0.5 * size / 72


def linear_ticks(low: float, high: float, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where to put ticks at round numbers, and shorter ones between them."""
    raw = (high - low) / most
    power = 10.0 ** np.floor(np.log10(raw))
    factor, parts = next((f, p) for f, p in ((1, 5), (2, 4), (5, 5), (10, 5)) if f * power >= raw * (1 - 1e-9))

    def multiples(step: float) -> np.ndarray:
        return np.arange(np.ceil(low / step - 1e-6), np.floor(high / step + 1e-6) + 1) * step

    return multiples(factor * power), multiples(factor * power / parts)


def log_ticks(low: float, high: float, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where to put ticks of a logarithmic axis: at decades, or at 1, 2 and 5 in them if these are few."""
    decades = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)

    def inside(at: np.ndarray) -> np.ndarray:
        places = np.sort(np.outer(10.0**decades, at).ravel())
        kept: np.ndarray = places[(places >= low * (1 - 1e-9)) & (places <= high * (1 + 1e-9))]
        return kept

    candidates = [inside(np.array(at)) for at in ((1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 5), (1, 3), (1,))]
    ticks = next((c for c in candidates[1:] if len(c) <= most), candidates[-1])
    if len(ticks) > most:
        ticks = ticks[:: -(-len(ticks) // most)]
        return ticks, candidates[-1]
    if len(ticks) < 2:
        ticks = candidates[0][:: max(1, len(candidates[0]) // 3)]
    return ticks, candidates[0] if len(decades) <= most + 2 else candidates[-1]


def tick_labels(ticks: np.ndarray, *, log: bool = False) -> list[str]:
    """Return plain numbers, or powers of ten where these are long."""
    largest, smallest = np.abs(ticks).max(initial=0), np.abs(ticks[ticks != 0]).min(initial=1)
    if (log and (largest >= 1e4 or smallest < 1e-2)) or (not log and (largest >= 1e5 or 0 < largest < 1e-3)):
        return [_power(tick, log=log) for tick in ticks]
    # Without a minus before 0.
    return [f"{tick + 0.0:.10g}" for tick in np.where(np.abs(ticks) < 1e-9 * largest, 0, ticks)]


def _power(tick: float, *, log: bool) -> str:
    if tick == 0:
        return "0"
    exponent = int(np.floor(np.log10(abs(tick)) + 1e-9))
    factor = f"{tick / 10.0**exponent:.4g}"
    if log and exponent in (0, 1):
        return f"{tick:.4g}"
    power = f"10^{{{exponent}}}"
    return f"${power}$" if factor == "1" else rf"${factor}\times{power}$"


def is_steep(values: np.ndarray) -> bool:
    """Return whether positive values need a logarithmic axis."""
    positive = values[np.isfinite(values) & (values > 0)]
    return bool(positive.size and positive.max() > 30 * positive.min())


def nice_range(values: np.ndarray, *, log: bool) -> tuple[float, float]:
    """Return limits of an axis that hold values, with some room; a decade at least if it is logarithmic."""
    found = values[np.isfinite(values) & ((values > 0) | (not log))]
    if not found.size:
        return (0.1, 1) if log else (0, 1)
    low, high = float(found.min()), float(found.max())
    if log:
        return min(low / 1.5, high / 10), high * 2
    room = 0.08 * (high - min(low, 0)) or 0.5
    return low - room if low < 0 else 0, high + room


def ratio_range(ratios: np.ndarray, errors: np.ndarray | None = None) -> float:
    """Return how far an axis of ratios goes from 1 on both sides: the least of some that holds most of them."""
    away = np.abs(ratios[np.isfinite(ratios)] - 1)
    wanted = np.percentile(away, 95) if away.size else 0
    if errors is not None and np.isfinite(errors).any():
        wanted = max(wanted, np.nanmedian(errors))
    return next((reach for reach in (0.05, 0.1, 0.2, 0.5) if wanted <= 0.9 * reach), 1.0)
