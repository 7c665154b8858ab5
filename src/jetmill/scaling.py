"""Scalers: moments that can be added up, and the scaling they lead to."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from jetmill.errors import JetmillError


@dataclass(frozen=True)
class Moments:
    """Count, mean, sum of squared deviations, minimum and maximum of values that are not missing."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    minimum: float = np.inf
    maximum: float = -np.inf

    @classmethod
    def of(cls, values: np.ndarray) -> "Moments":
        """Return the moments of values (n,), NaN left out, computed in float64."""
        values = values[~np.isnan(values)].astype(np.float64)
        if not len(values):
            return cls()
        low, high, mean = values.min(), values.max(), values.mean()
        values -= mean
        # The second term corrects the rounding of the mean (Chan, Golub, LeVeque 1983, eq. 1.7).
        squares = np.dot(values, values) - values.sum() ** 2 / len(values)
        return cls(len(values), float(mean), float(squares), float(low), float(high))

    def __add__(self, other: "Moments") -> "Moments":
        """Return the moments of both sets of values together (Chan, Golub, LeVeque 1983, eq. 2.1)."""
        if not self.count or not other.count:
            return self if self.count else other
        count = self.count + other.count
        step = other.mean - self.mean
        return Moments(
            count,
            self.mean + step * other.count / count,
            self.squares + other.squares + step**2 * self.count * other.count / count,
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
        )

    @property
    def variance(self) -> float:
        """Population variance, as scikit-learn's ``StandardScaler``."""
        return self.squares / self.count if self.count else 0.0


@dataclass(frozen=True)
class Scaler:
    """How one variable is scaled: ``(x - shift) / scale``, with `default` in place of a missing x.

    `shift`, `scale` and `default` are numbers that a float32 holds exactly: jets are scaled in
    single precision, so the last digits of the moments, which depend on the order of summation,
    do not reach the output.
    """

    shift: float
    scale: float
    default: float
    moments: Moments

    @classmethod
    def standard(cls, moments: Moments, *, offset: float, default: float | None = None) -> "Scaler":
        """Return mean and population standard deviation; a scale of 1 where that is zero.

        Parameters
        ----------
        offset
            A missing value becomes the minimum minus `offset`, unless `default` is given. A
            variable without any value gets 0.
        """
        if default is None:
            default = moments.minimum - offset if moments.count else 0.0
        deviation = float(np.sqrt(moments.variance))
        # As scikit-learn: a deviation within the rounding of the values is no deviation.
        spread = deviation > 10 * np.finfo(np.float64).eps * max(abs(moments.mean), deviation)
        spread = spread and 0 < np.float32(deviation) < np.inf
        return cls(
            float(np.float32(moments.mean)),
            float(np.float32(deviation)) if spread else 1.0,
            float(np.float32(default)),
            moments,
        )


def scale_rows(columns: Sequence[np.ndarray], scalers: Sequence[Scaler]) -> tuple[np.ndarray, np.ndarray]:
    """Scale columns and turn them into rows.

    Parameters
    ----------
    columns
        Values of each variable, float32 or float64 (n_jets,), NaN where missing. The shift is
        subtracted in their own type, everything behind it is float32.

    Returns
    -------
    scaled : ndarray of float32, shape (n_jets, n_variables)
        With the scaled default in place of a missing value.
    is_default : ndarray of bool, shape (n_jets, n_variables)
    """
    shift, scale, default = (np.array([getattr(s, k) for s in scalers]) for k in ("shift", "scale", "default"))
    centred = [x - x.dtype.type(s) for x, s in zip(columns, shift, strict=True)]
    scaled = np.ascontiguousarray(np.stack(centred, dtype=np.float32, casting="same_kind").T)
    scaled /= scale.astype(np.float32)
    is_default = np.isnan(scaled)
    np.copyto(scaled, (default - shift).astype(np.float32) / scale.astype(np.float32), where=is_default)
    return scaled, is_default


def write_moments(moments: Mapping[str, Moments], path: str | Path) -> None:
    """Write the moments of a range of variables as JSON, every float exact."""
    Path(path).write_text(json.dumps({name: asdict(m) for name, m in moments.items()}, indent=1))


def read_moments(paths: Iterable[str | Path]) -> dict[str, Moments]:
    """Join the moments of several ranges of variables."""
    joined: dict[str, Moments] = {}
    for path in paths:
        joined |= {name: Moments(**fields) for name, fields in json.loads(Path(path).read_text()).items()}
    return joined


def scalers_from_moments(
    moments: Mapping[str, Moments], *, offset: float, defaults: Mapping[str, float], strict: bool
) -> tuple[dict[str, Scaler], list[str]]:
    """Turn moments into scalers.

    Parameters
    ----------
    offset, defaults
        See `Scaler.standard`; `defaults` holds those that the configuration fixes.
    strict
        Whether a variable that is missing everywhere or constant is an error.

    Returns
    -------
    scalers, warnings

    Raises
    ------
    JetmillError
        Naming all variables that cannot be scaled, if `strict`.
    """
    problems = []
    for name, m in moments.items():
        if not m.count:
            problems.append(f"variable '{name}' is missing in every training jet")
        elif m.minimum == m.maximum:
            problems.append(f"variable '{name}' is {m.minimum:g} in every training jet that has it ({m.count})")
    if problems and strict:
        raise JetmillError(
            "; ".join(problems) + ". Take it out of jets.variables, or set strict: false to keep it unscaled"
        )
    scalers = {name: Scaler.standard(m, offset=offset, default=defaults.get(name)) for name, m in moments.items()}
    return scalers, problems


def write_scalers(scalers: Mapping[str, Scaler], path: str | Path) -> None:
    """Write ``scalers.json``: by variable shift, scale and default as applied, and the exact statistics."""
    table = {}
    for name, s in scalers.items():
        m = s.moments
        known = {"mean": m.mean, "variance": m.variance, "minimum": m.minimum, "maximum": m.maximum}
        statistics = known if m.count else dict.fromkeys(known)
        table[name] = {"shift": s.shift, "scale": s.scale, "default": s.default, "count": m.count, **statistics}
    Path(path).write_text(json.dumps(table, indent=1))


def read_scalers(path: str | Path) -> dict[str, Scaler]:
    """Read ``scalers.json``, in the order of the variables."""
    scalers = {}
    for name, row in json.loads(Path(path).read_text()).items():
        moments = Moments()
        if row["count"]:
            squares = row["variance"] * row["count"]
            moments = Moments(row["count"], row["mean"], squares, row["minimum"], row["maximum"])
        scalers[name] = Scaler(row["shift"], row["scale"], row["default"], moments)
    return scalers


def write_scale_dict(scalers: Mapping[str, Scaler], path: str | Path) -> None:
    """Write umami's scale dict: ``{"jets": {variable: {shift, scale, default}}}``."""
    jets = {name: {"shift": s.shift, "scale": s.scale, "default": s.default} for name, s in scalers.items()}
    Path(path).write_text(json.dumps({"jets": jets}, indent=4))


def write_norm_dict(scalers: Mapping[str, Scaler], path: str | Path) -> None:
    """Write salt's ``norm_dict.yaml``: ``{jets: {variable: {mean, std}}}``."""
    import yaml

    jets = {name: {"mean": s.shift, "std": s.scale} for name, s in scalers.items()}
    Path(path).write_text(yaml.safe_dump({"jets": jets}, sort_keys=False))
