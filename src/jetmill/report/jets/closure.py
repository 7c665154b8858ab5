"""How far the inputs, scaled back, are from the cleaned values."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from jetmill.report.jets.figure import Figure, Sample, Variables
from jetmill.report.plots import grid
from jetmill.report.ticks import length_of, name_rows, nice_range, set_ticks

# The least deviation that is drawn, in parts of the spread.
FLOOR = 1e-10


def deviations(variables: Variables) -> dict[str, tuple[float, float, float]]:
    """Return the largest and the median deviation of each variable in its own unit, and its standard deviation."""
    found = {}
    for i, (name, values) in enumerate(variables.values.items()):
        present = ~variables.is_default[:, i]
        if present.any():
            difference = np.abs(variables.restored[name][present] - values[present])
            spread = float(values[present].std(dtype=np.float64))
            found[name] = float(difference.max()), float(np.median(difference)), spread
    return found


def draw(sample: Sample) -> Iterator[tuple[str, Any]]:
    """Draw the deviations in parts of the spread, with the largest one in its own unit beside it."""
    from matplotlib.lines import Line2D

    for of, variables in sample.variables.items():
        found = deviations(variables)
        if not found:
            continue
        names = [sample.label(name) for name in found]
        largest, typical, spread = (np.array(column) for column in zip(*found.values(), strict=True))
        unit = np.where(spread > 0, spread, 1)
        legend = [
            (Line2D([], [], color=c, marker=m, linestyle=""), n)
            for m, c, n in (("o", "C0", "largest"), ("|", "C1", "median"))
        ]
        margins = (0.2 + length_of(names, 7), 0.9, 0.5, 0.2)
        drawn = grid(sample.settings.label, 1, 1, (5.5, 0.2 + 0.155 * len(found)), legend=legend, margins=margins)
        axes, places = drawn.plots[0, 0], np.arange(len(found))
        for of_each, marker, colour in ((largest, "o", "C0"), (typical, "|", "C1")):
            axes.plot(
                np.maximum(of_each / unit, FLOOR), places, marker, color=colour, markersize=4 if marker == "o" else 7
            )
        for name, place, value in zip(found, places, largest, strict=True):
            text = f"{value:.2g} {sample.unit(name)}"
            axes.text(1.01, place, text, transform=axes.get_yaxis_transform(), fontsize=6, va="center")
        name_rows(axes, "y", names, 7)
        axes.set_ylim(len(found) - 0.5, -0.5)
        shown = np.concatenate([largest / unit, typical / unit])
        low, high = nice_range(np.maximum(shown, FLOOR), log=True)
        set_ticks(axes, "x", low, high, log=True)
        axes.set_xlabel("|scaled back - cleaned| / standard deviation")
        axes.set_title("largest, in own unit", fontsize=7, loc="right")
        yield of, drawn.figure


FIGURE = Figure(
    name="closure",
    title="Closure of the scaling",
    caption="Inputs scaled back to their own unit beside the cleaned values; numbers at the right are the largest"
    " deviations. float32 should stay below about 1e-5 standard deviations, float16 below about 1e-2; clipped values"
    " are further off.",
    draw=draw,
)
