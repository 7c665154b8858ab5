"""The figure of resampling: how often jets are repeated, and how many are used."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jetmill.report.plots import draw_classes, grid
from jetmill.report.style import ClassStyle, class_lines
from jetmill.report.ticks import nice_range, set_ticks


def draw_resampling(
    classes: Sequence[ClassStyle], written: Mapping[str, np.ndarray], repeats: Mapping[str, np.ndarray], label: str
) -> Any:
    """Draw how often jets are repeated, and which shares are used and unique, a row for each output.

    Parameters
    ----------
    written
        Output to its jets of each class, (n_classes,).
    repeats
        Output to the jets that are taken 0, 1, 2, ... times, (n_classes, times + 1).
    """
    from matplotlib.patches import Patch

    solid, open_ = Patch(facecolor="grey", edgecolor="grey"), Patch(facecolor="none", edgecolor="grey")
    legend = [*class_lines(classes), (solid, "available jets used"), (open_, "written jets unique")]
    size = (max(3.6, 0.55 * len(classes)), 2.3)
    drawn = grid(label, len(written), 2, size, legend=legend, margins=(0.75, 0.2, 0.55, 0.25))
    for (times, shares), (output, n_written) in zip(drawn.plots, written.items(), strict=True):
        histogram = repeats[output]
        repeated = histogram[:, 1:].astype(float)
        edges = np.arange(repeated.shape[1] + 1) + 0.5
        draw_classes(times, classes, edges, repeated)
        set_ticks(times, "y", *nice_range(repeated, log=True), log=True, most=5)
        many = edges[-1] > 30
        if many:
            set_ticks(times, "x", edges[0], edges[-1], log=True)
        else:
            times.set_xlim(edges[0], edges[-1])
            times.set_xticks(np.arange(1, edges[-1], max(1, len(edges) // 8)))
        times.set_xlabel("times that a jet is written")
        times.set_ylabel("unique jets")
        times.set_title(output, loc="right")
        unique = repeated.sum(axis=1)
        for offset, of in ((-0.2, histogram.sum(axis=1)), (0.2, n_written)):
            values = unique / np.maximum(of, 1)
            for k, style in enumerate(classes):
                face = style.colour if offset < 0 else "none"
                shares.bar(k + offset, values[k], width=0.36, facecolor=face, edgecolor=style.colour)
                shares.text(k + offset, values[k] + 0.02, f"{values[k]:.0%}", ha="center", fontsize=7)
        set_ticks(shares, "y", 0, 1.15)
        shares.set_xlim(-0.6, len(classes) - 0.4)
        shares.set_xticks(range(len(classes)), [style.label for style in classes])
        shares.tick_params(axis="x", length=0)
        shares.set_ylabel("share of jets")
        shares.set_title(output, loc="right")
    return drawn.figure
