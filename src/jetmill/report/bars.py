"""Figures of numbers of jets: after each cut, and of each class."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jetmill.report.plots import grid
from jetmill.report.style import ClassStyle, class_lines
from jetmill.report.ticks import nice_range, set_ticks

# Inches of a character of small type.
CHARACTER = 0.075


def draw_cutflow(flows: Mapping[str, Sequence[tuple[str, int]]], label: str, of: str = "jets") -> Any:
    """Draw the jets (or what `of` says) of each sample after each step, as shares of those read.

    `flows` is sample to pairs of step and number of jets. Samples are grey, since colours are those of classes.
    """
    from matplotlib.patches import Patch

    steps = [step for step, _ in next(iter(flows.values()))]
    greys = [f"{shade:.2f}" for shade in np.linspace(0.3, 0.8, len(flows))]
    legend = [(Patch(color=grey), sample) for grey, sample in zip(greys, flows, strict=True)]
    left = 0.3 + CHARACTER * max(map(len, steps))
    height = (0.1 + 0.17 * len(flows)) * len(steps)
    drawn = grid(label, 1, 1, (5.5, height), legend=legend, margins=(left, 1.7, 0.55, 0.1))
    axes, width = drawn.plots[0, 0], 0.85 / len(flows)
    for i, (grey, flow) in enumerate(zip(greys, flows.values(), strict=True)):
        read = max(flow[0][1], 1)
        places = np.arange(len(steps)) + (i + 0.5) * width - 0.425
        axes.barh(places, [n / read for _, n in flow], height=0.9 * width, color=grey)
        for place, (_, n) in zip(places, flow, strict=True):
            axes.text(1.01, place, f"{n:,}  ({n / read:.1%})", va="center", fontsize=8)
    set_ticks(axes, "x", 0, 1)
    axes.set_yticks(np.arange(len(steps)), steps)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(steps) - 0.5, -0.5)
    axes.set_xlabel(f"share of the {of} read")
    return drawn.figure


def draw_class_counts(
    classes: Sequence[ClassStyle], counts: Mapping[str, Sequence[float] | np.ndarray], label: str
) -> Any:
    """Draw the number of jets of each class, a group of bars for each entry of `counts`."""
    width = 0.86 / len(classes)
    size = (max(6.0, 0.24 * len(classes) * len(counts)), 2.9)
    drawn = grid(label, 1, 1, size, legend=class_lines(classes), margins=(0.8, 0.2, 0.45, 0.1))
    axes, values = drawn.plots[0, 0], np.array(list(counts.values()), dtype=float)
    for k, style in enumerate(classes):
        places = np.arange(len(counts)) + (k + 0.5) * width - 0.43
        hatch = None if style.dashes == "-" else "//"
        bars = axes.bar(places, values[:, k], width=0.92 * width, color=style.colour, hatch=hatch)
        axes.bar_label(bars, [f"{v:,.0f}" for v in values[:, k]], fontsize=7, padding=2, rotation=90)
    low, high = nice_range(values, log=True)
    # Room for the numbers, which stand upright.
    set_ticks(axes, "y", low, high * (high / low) ** 0.25, log=True)
    axes.set_xticks(np.arange(len(counts)), [name.replace(", ", "\n") for name in counts], fontsize=9)
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.5, len(counts) - 0.5)
    axes.set_ylabel("jets")
    return drawn.figure
