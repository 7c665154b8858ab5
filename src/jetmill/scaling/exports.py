"""Scalers and class weights for other programs: umami's scale dict, salt's two dictionaries."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jetmill.scaling.moments import Statistics
from jetmill.scaling.scalers import Scaler


def scale_dict(
    scalers: Mapping[str, Mapping[str, Scaler]],
    label_counts: Mapping[str, Mapping[str, np.ndarray]],
    jets_name: str = "jets",
) -> dict[str, Any]:
    """Return umami's scale dict: ``{jets: {variable: {shift, scale, default}}, tracks: {variable: {shift, scale}}}``.

    With ``tracks_origin_weights``: for each label of constituents, N over the number of each value. `label_counts` is
    collection to label to how often each value occurs in training, (n_values,).
    """
    table: dict[str, Any] = {
        of: {
            name: {"shift": s.shift, "scale": s.scale} | ({"default": s.default} if of == jets_name else {})
            for name, s in rows.items()
        }
        for of, rows in scalers.items()
    }
    for of, labels in label_counts.items():
        table[f"{of}_origin_weights"] = {
            label: {str(value): float(counts.sum() / n) for value, n in enumerate(counts) if n}
            for label, counts in labels.items()
        }
    return table


def norm_dict(
    scalers: Mapping[str, Mapping[str, Scaler]], statistics: Mapping[str, Mapping[str, Statistics]]
) -> dict[str, dict[str, dict[str, float]]]:
    """Return salt's ``norm_dict.yaml``: ``{jets: {variable: {mean, std}}, tracks: ...}``.

    Salt reads unscaled values, so these are their mean and deviation even where jetmill scales logarithms or by
    quartiles.
    """

    def normal(s: Scaler, known: Statistics) -> dict[str, float]:
        if known.log_moments is None and known.quartiles is None:
            return {"mean": s.shift, "std": s.scale}
        return {"mean": known.moments.mean, "std": float(np.sqrt(known.moments.variance)) or 1.0}

    return {of: {name: normal(s, statistics[of][name]) for name, s in rows.items()} for of, rows in scalers.items()}


def class_dict(
    class_counts: np.ndarray, label_counts: Mapping[str, Mapping[str, np.ndarray]], jets_name: str = "jets"
) -> dict[str, dict[str, list[float]]]:
    """Return salt's ``class_dict.yaml``: ``{jets: {flavour_label: [weights]}, tracks: {label: [weights]}}``.

    Counts are those of training jets, (n_classes,), and the `label_counts` of `scale_dict`.
    """
    jets = {jets_name: {"flavour_label": class_weights(class_counts)}}
    return jets | {
        of: {label: class_weights(counts) for label, counts in labels.items()} for of, labels in label_counts.items()
    }


def class_weights(counts: np.ndarray) -> list[float]:
    """Return a weight for every class, at its position: N over its number, 1 for the most frequent one.

    A class that does not occur keeps its position, with weight 0 (UPP leaves it out, which shifts those behind it).
    """
    largest = counts.max(initial=0)
    return [round(float(largest / n), 4) if n else 0.0 for n in counts]


def label_warnings(classes: Mapping[str, Mapping[str, Sequence[float]]], jets_name: str = "jets") -> list[str]:
    """Return a sentence for each label of constituents in `class_dict` that has values which none has in training."""
    return [
        f"no {of} with '{label}' of {', '.join(missing)} in training; their class weight is 0"
        for of, rows in classes.items()
        for label, weights in rows.items()
        if of != jets_name and (missing := [str(value) for value, weight in enumerate(weights) if not weight])
    ]
