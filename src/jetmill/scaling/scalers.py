"""Scalers: from the statistics of a variable to its scaling."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from jetmill.errors import JetmillError
from jetmill.files import read_json, write_json
from jetmill.scaling.methods import METHODS
from jetmill.scaling.moments import Moments, Statistics, logarithm
from jetmill.scaling.sentinels import sentinels
from jetmill.settings.scaling import TARGETS, ScalingRules


@dataclass(frozen=True)
class Scaler:
    """How one variable is scaled: ``(x - shift) / scale``, with `default` in place of a missing x.

    `shift`, `scale` and `default` are numbers that a float32 holds exactly: jets are scaled in
    single precision, so the last digits of the moments, which depend on the order of summation,
    do not reach the output.

    Attributes
    ----------
    log
        Whether x is the logarithm of the variable (and `default` that of what a missing one becomes).
    clip
        Scaled values are limited to minus and plus this.
    integer
        Whether all training values are whole numbers.
    """

    shift: float
    scale: float
    default: float
    log: bool = False
    clip: float = np.inf
    integer: bool = False

    @classmethod
    def fit(cls, statistics: Statistics, settings: ScalingRules, name: str) -> "Scaler":
        """Return the scaler of a variable; a scale of 1 where its values do not spread.

        Without any value, a missing one becomes 0.
        """
        moments, log = statistics.scaled, name in settings.log
        default = 0.0
        if name in settings.defaults:
            default = float(np.log(settings.defaults[name])) if log else settings.defaults[name]
        elif moments.count:
            default = moments.mean if settings.default == "mean" else moments.minimum - settings.default_offset
        shift, scale, limit = 0.0, 1.0, np.inf
        if settings.is_scaled(name):
            method = METHODS[settings.method if moments.count else "standard"]
            shift, scale = method.shift_and_scale(statistics)
            # As in scikit-learn, a spread within the rounding of the values is none.
            spread = scale > 10 * np.finfo(np.float64).eps * max(abs(shift), scale)
            scale = scale if spread and 0 < np.float32(scale) < np.inf else 1.0
            limit = np.inf if settings.clip is None else settings.clip
        shift, scale, default = (float(np.float32(x)) for x in (shift, scale, default))
        return cls(shift, scale, default, log, limit, statistics.whole)

    @property
    def fill(self) -> float:
        """What a missing value becomes, in the unit of the variable."""
        return float(np.exp(self.default)) if self.log else self.default


@dataclass(frozen=True)
class Scaling:
    """How variables were scaled: ``input = (value - shift) / scale``, limited to minus and plus `clip`.

    Attributes
    ----------
    shift, scale, clip : ndarray of float64, shape (n_variables,)
    log : ndarray of bool, shape (n_variables,)
        Where the value is the logarithm of the variable.
    """

    shift: np.ndarray
    scale: np.ndarray
    log: np.ndarray
    clip: np.ndarray

    @classmethod
    def from_scalers(cls, scalers: Collection[Scaler]) -> "Scaling":
        """Return the scaling of variables, given the scaler of each."""
        return cls(*(np.array([getattr(s, field.name) for s in scalers]) for field in fields(cls)))

    def inverse(self, inputs: np.ndarray, columns: int | slice = slice(None)) -> np.ndarray:
        """Return inputs (..., n_variables), or some of their columns, in their own units, float64."""
        values: np.ndarray = inputs[..., columns].astype(np.float64) * self.scale[columns] + self.shift[columns]
        np.exp(values, out=values, where=np.broadcast_to(self.log[columns], values.shape))
        return values


def scale_rows(columns: Sequence[np.ndarray], scalers: Sequence[Scaler]) -> tuple[np.ndarray, np.ndarray]:
    """Scale columns and turn them into rows.

    Parameters
    ----------
    columns
        Values of each variable, float32 or float64 (n,), NaN where missing. The logarithm is taken
        and the shift subtracted in their own type, everything behind it is float32.

    Returns
    -------
    scaled : ndarray of float32, shape (n, n_variables)
        With the scaled default in place of a missing value.
    is_default : ndarray of bool, shape (n, n_variables)
    """
    shift, scale, default, clip = (
        np.array([getattr(s, k) for s in scalers]) for k in ("shift", "scale", "default", "clip")
    )
    values = [logarithm(x) if s.log else x for x, s in zip(columns, scalers, strict=True)]
    centred = [x - x.dtype.type(s) for x, s in zip(values, shift, strict=True)]
    scaled = np.ascontiguousarray(np.stack(centred, dtype=np.float32, casting="same_kind").T)
    scaled /= scale.astype(np.float32)
    # Values that overflow in scaling are missing too.
    is_default = ~np.isfinite(scaled)
    np.copyto(scaled, (default - shift).astype(np.float32) / scale.astype(np.float32), where=is_default)
    if np.isfinite(clip).any():
        np.clip(scaled, -clip, clip, out=scaled)
    return scaled, is_default


def fit_all(
    statistics: Mapping[str, Mapping[str, Statistics]],
    settings: Mapping[str, ScalingRules],
    *,
    strict: bool,
    jets_name: str = "jets",
) -> tuple[dict[str, dict[str, Scaler]], dict[str, dict[str, list[str]]]]:
    """Turn statistics into scalers and warnings, all by collection (jets, tracks) and variable.

    Parameters
    ----------
    strict
        Whether a variable that is missing everywhere or constant is an error.

    Raises
    ------
    JetmillError
        Naming all variables that cannot be scaled, if `strict`; those whose missing values would become infinite.
    """
    problems = {
        (of, name): problem
        for of, rows in statistics.items()
        for name, s in rows.items()
        if settings[of].is_scaled(name) and (problem := _unscalable(s, name, of))
    }
    if problems and strict:
        raise JetmillError(
            "; ".join(problems.values()) + ". Remove it from the inputs, or set strict: false to keep it unscaled"
        )
    scalers, warnings = {}, {}
    for of, rows in statistics.items():
        scalers[of] = {name: Scaler.fit(s, settings[of], name) for name, s in rows.items()}
        warnings[of] = {
            name: _warnings(s, name, of, "jets" if of in (jets_name, TARGETS) else f"constituents.{of}")
            if settings[of].is_scaled(name)
            else []
            for name, s in rows.items()
        }
    if infinite := [f"'{n}' of {of}" for of, rows in scalers.items() for n, s in rows.items() if not _default_fits(s)]:
        raise JetmillError(
            f"missing values of {', '.join(infinite)} would be infinite when they are scaled: their default is too far"
            " from the mean. Check scaling.default_offset and defaults"
        )
    for (of, name), problem in problems.items():
        warnings[of][name] = [f"{problem}; it keeps its unit"]
    return scalers, warnings


def _default_fits(scaler: Scaler) -> bool:
    """Say whether a float32 holds what a missing value becomes."""
    with np.errstate(over="ignore"):
        return bool(np.isfinite(np.float32(scaler.default - scaler.shift) / np.float32(scaler.scale)))


def _unscalable(statistics: Statistics, name: str, of: str) -> str | None:
    """Say why a variable cannot be scaled, None if it can."""
    what, m = f"variable '{name}' of {of}", statistics.scaled
    if not m.count:
        return f"{what} is missing everywhere in the training split"
    if m.minimum == m.maximum:
        return f"{what} is {m.minimum:g} wherever it is not missing in the training split ({m.count})"
    return None


def _warnings(statistics: Statistics, name: str, of: str, section: str) -> list[str]:
    """Say what is suspicious about the values of a variable, whose settings are in a section."""
    what, m = f"variable '{name}' of {of}", statistics.moments
    n, found = m.count + statistics.missing, []
    for value, times in sentinels(statistics.ends, m.count, m.mean, m.squares):
        found.append(
            f"{what} is exactly {value:g} for {times:,} of {n:,} values, apart from all others, and this enters its"
            f" scaler. If it means that there is none, add {section}.missing.values_of: {{{name}: [{value:g}]}}"
        )
    if statistics.missing > n / 2:
        found.append(f"{what} is missing for {statistics.missing:,} of {n:,} values")
    if statistics.log_moments is not None and (lost := m.count - statistics.log_moments.count):
        found.append(f"{what} is not above 0 for {lost:,} of {n:,} values; they have no logarithm and count as missing")
    quartiles = statistics.quartiles
    if quartiles is not None and quartiles[0] == quartiles[2]:
        found.append(f"{what} has equal quartiles; it keeps its unit")
    return found


def write_scalers(
    scalers: Mapping[str, Mapping[str, Scaler]],
    statistics: Mapping[str, Mapping[str, Statistics]],
    warnings: Mapping[str, Mapping[str, list[str]]],
    path: str | Path,
) -> None:
    """Write ``scalers.json``: by object and variable what is applied, the exact statistics, and warnings."""
    table = {
        of: {
            name: _applied(s) | _known(statistics[of][name]) | {"warnings": warnings[of][name]}
            for name, s in rows.items()
        }
        for of, rows in scalers.items()
    }
    write_json(path, table, indent=1)


def read_scalers(path: str | Path) -> dict[str, dict[str, Scaler]]:
    """Read ``scalers.json``, in the order of the variables."""
    return {
        of: {
            name: Scaler(
                shift=row["shift"],
                scale=row["scale"],
                default=row["default"],
                log=row["log"],
                clip=row["clip"] or np.inf,
                integer=row.get("integer", False),
            )
            for name, row in rows.items()
        }
        for of, rows in read_json(path).items()
    }


def read_warnings(path: str | Path) -> list[str]:
    """Read the warnings in ``scalers.json``."""
    return [warning for rows in read_json(path).values() for row in rows.values() for warning in row["warnings"]]


def _applied(s: Scaler) -> dict[str, Any]:
    clip = s.clip if np.isfinite(s.clip) else None
    applied = {"shift": s.shift, "scale": s.scale, "default": s.default, "log": s.log, "clip": clip}
    return applied | {"integer": s.integer}


def _known(statistics: Statistics) -> dict[str, Any]:
    """Return the statistics of what is scaled, None where there are no values."""
    m: Moments = statistics.scaled
    known: dict[str, Any] = {"mean": m.mean, "variance": m.variance, "minimum": m.minimum, "maximum": m.maximum}
    if statistics.quartiles is not None:
        known["quartiles"] = list(statistics.quartiles)
    return {"count": m.count} | (known if m.count else dict.fromkeys(known))
