"""How variables are to be scaled, without the models of the configuration, which take a job long to load."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Protocol


class ScalingSettings(Protocol):
    """How variables of jets or of a collection are to be scaled, see `jetmill.config.cleaning.ScalingOf`."""

    @property
    def method(self) -> str: ...  # noqa: D102
    @property
    def log(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def unscaled(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def default(self) -> str: ...  # noqa: D102
    @property
    def default_offset(self) -> float: ...  # noqa: D102
    @property
    def defaults(self) -> Mapping[str, float]: ...  # noqa: D102
    @property
    def clip(self) -> float | None: ...  # noqa: D102


def is_scaled(name: str, settings: ScalingSettings) -> bool:
    """Tell whether a variable gets a scaler of its own."""
    return not any(fnmatchcase(name, pattern) for pattern in settings.unscaled)
