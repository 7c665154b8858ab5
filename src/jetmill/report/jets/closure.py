"""How far the inputs, scaled back, are from the cleaned values."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from jetmill.report.jets.figure import Figure, Sample, Variables

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
    from matplotlib.figure import Figure as Canvas

    for of, variables in sample.variables.items():
        found = deviations(variables)
        if not found:
            continue
        figure = Canvas(figsize=(8, 1.3 + 0.16 * len(found)), layout="constrained")
        axes = figure.add_subplot()
        places = np.arange(len(found))
        largest, typical, spread = (np.array(column) for column in zip(*found.values(), strict=True))
        unit = np.where(spread > 0, spread, 1)
        axes.plot(np.maximum(largest / unit, FLOOR), places, "o", markersize=4, label="largest")
        axes.plot(np.maximum(typical / unit, FLOOR), places, "|", markersize=7, label="median")
        for place, value in enumerate(largest):
            axes.text(1.01, place, f"{value:.2g}", transform=axes.get_yaxis_transform(), fontsize=6, va="center")
        axes.set_yticks(places, [sample.title(name) for name in found], fontsize=7)
        axes.tick_params(axis="y", which="both", length=0)
        axes.set_xscale("log")
        axes.invert_yaxis()
        axes.margins(y=0.01)
        axes.set_xlabel("|scaled back - cleaned| / standard deviation")
        axes.set_title("largest, in own unit", fontsize=7, loc="right")
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.02), ncols=2)
        yield of, figure


FIGURE = Figure(
    name="closure",
    title="Closure of the scaling",
    caption="Inputs scaled back to their own unit beside the cleaned values; numbers at the right are the largest"
    " deviations. float32 should stay below about 1e-5 standard deviations, float16 below about 1e-2; clipped values"
    " are further off.",
    draw=draw,
)
