"""Scaling methods: from the statistics of a variable to its shift and scale. `method` puts one into `METHODS`."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from jetmill.discovery import registered
from jetmill.scaling.moments import Statistics

_Function = Callable[[Statistics], tuple[float, float]]


@dataclass(frozen=True)
class Method:
    """A scaling method.

    Attributes
    ----------
    shift_and_scale
        From statistics to the two numbers; a scale of 0 where the values do not spread.
    quartiles
        Whether it needs exact quartiles, for which the values are read twice.
    description
        For the key ``scaling.method``.
    """

    shift_and_scale: _Function
    quartiles: bool
    description: str


METHODS: dict[str, Method] = {}


def method(name: str, description: str, *, quartiles: bool = False) -> Callable[[_Function], _Function]:
    """Register a function as the method `name`, see `Method`."""
    return registered(METHODS, name, lambda function: Method(function, quartiles, description))


@method("standard", "shift is the mean, scale the standard deviation")
def standard(statistics: Statistics) -> tuple[float, float]:
    """Return mean and standard deviation, as scikit-learn's ``StandardScaler``."""
    moments = statistics.scaled
    return moments.mean, float(np.sqrt(moments.variance))


@method("robust", "shift is the median, scale the distance between the quartiles", quartiles=True)
def robust(statistics: Statistics) -> tuple[float, float]:
    """Return the median and the distance of the quartiles, as scikit-learn's ``RobustScaler``."""
    if statistics.quartiles is None:
        return standard(statistics)
    first, median, third = statistics.quartiles
    return median, third - first
