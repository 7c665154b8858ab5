"""What a figure is drawn from, and what describes it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jetmill.report.style import ClassStyle
from jetmill.report.titles import label_of, title_of, unit_of
from jetmill.settings.figures import FigureSettings


@dataclass(frozen=True)
class Variables:
    """Variables of jets, or of the constituents of a collection, as they are written.

    Attributes
    ----------
    values
        Name to values in their own unit (n,), NaN where missing.
    scaled : ndarray of float32, shape (n, n_variables)
        With the scaled default where missing.
    is_default : ndarray of bool, shape (n, n_variables)
    restored
        Name to `scaled` in its own unit again, float64 (n,).
    label : ndarray of uint8, shape (n,)
        Class of the jet.
    weight : ndarray of float32, shape (n,)
        What it counts in histograms.
    """

    values: Mapping[str, np.ndarray]
    scaled: np.ndarray
    is_default: np.ndarray
    restored: Mapping[str, np.ndarray]
    label: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class Sample:
    """A random sample of the training jets.

    Attributes
    ----------
    classes
        How the classes are drawn, in the order of the labels.
    variables
        Those of ``jets``, and of each collection of constituents.
    spectators
        Name to values (n_jets,).
    settings
        The experiment's label, and what is known of the titles of axes.
    """

    classes: Sequence[ClassStyle]
    variables: Mapping[str, Variables]
    spectators: Mapping[str, np.ndarray]
    settings: FigureSettings

    def title(self, name: str) -> str:
        """Return the title of the axis of a variable, with its unit."""
        return title_of(name, self.settings)

    def label(self, name: str) -> str:
        """Return what a variable is called in figures."""
        return label_of(name, self.settings)

    def unit(self, name: str) -> str:
        """Return the unit of a variable, "" if none is known."""
        return unit_of(name, self.settings)


@dataclass(frozen=True)
class Figure:
    """A figure, or several of a kind, of the training jets, which have a section of the page.

    Attributes
    ----------
    name
        File name; figures of several collections or pages append a dash and a label.
    caption
        Sentences below it.
    draw
        Yields the label ("" for a single figure) and the matplotlib figure, given a sample.
    """

    name: str
    title: str
    caption: str
    draw: Callable[[Sample], Iterator[tuple[str, Any]]]
