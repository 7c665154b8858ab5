"""Named transforms of constituents and jets: momenta, logarithms, fractions, angles, pixels.

All functions get and return float64. A missing value (NaN) stays missing for its
constituent and is left out of what is summed over the jet. A number that does not exist (the logarithm
of 0, a fraction of a sum that is not above 0) is missing. `transform` registers a function in `TRANSFORMS` (of
constituents) or `JET_TRANSFORMS`, from which a configuration chooses; `table` describes them.

Where the docstrings say Root2HDF5, the formulas are those of its ``constit_func`` and ``jet_func``.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from jetmill.errors import JetmillError, nearest
from jetmill.ragged import broadcast, largest_in_jet, sum_in_jet

# On a side of an image.
MAX_PIXELS = 65_536

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Transform:
    """A transform that a configuration can name.

    Attributes
    ----------
    function
        Called with the columns of `inputs`, those of `jet_inputs`, and the counts if it `needs_counts`; with the
        options by keyword. Returns one array, or one for each of `outputs`.
    inputs, jet_inputs
        Roles, such as ``pt``, of each constituent (or jet), and of the jet of a constituent. The variable of the same
        name plays a role, unless another one is given.
    options
        Numbers that can be set.
    outputs, prefix
        Names of the results, and the default of what precedes them.
    formula
        For the documentation.
    """

    function: Callable[..., Any]
    inputs: tuple[str, ...]
    jet_inputs: tuple[str, ...]
    needs_counts: bool
    options: tuple[str, ...]
    outputs: tuple[str, ...]
    formula: str
    prefix: str

    def names(self, prefix: str | None = None) -> list[str]:
        """Return the names of the variables it makes."""
        return [(self.prefix if prefix is None else prefix) + name for name in self.outputs]

    def variables(self, roles: Mapping[str, str]) -> tuple[list[str], list[str]]:
        """Return the variables it reads of the constituents (or jets), and of the jets of constituents."""
        of_jets = [roles.get(r, r.removeprefix("jet_")) for r in self.jet_inputs]
        return [roles.get(r, r) for r in self.inputs], of_jets


TRANSFORMS: dict[str, Transform] = {}
JET_TRANSFORMS: dict[str, Transform] = {}


def transform(
    *outputs: str, formula: str, prefix: str = "", of: tuple[dict[str, Transform], ...] = (TRANSFORMS,)
) -> Callable[[Function], Function]:
    """Register a function as the transform of its name, see `Transform`.

    Its parameters are its roles, those of the jet called ``jet_<name>``; then ``counts``, if it needs them; and, with
    defaults, its options.
    """

    def register(function: Function) -> Function:
        parameters = inspect.signature(function).parameters
        options = tuple(name for name, p in parameters.items() if p.default is not p.empty)
        roles = [name for name in parameters if name not in (*options, "counts")]
        for registry in of:
            registry[function.__name__] = Transform(
                function,
                inputs=tuple(name for name in roles if not name.startswith("jet_")),
                jet_inputs=tuple(name for name in roles if name.startswith("jet_")),
                needs_counts="counts" in parameters,
                options=options,
                outputs=outputs,
                formula=formula,
                prefix=prefix,
            )
        return function

    return register


@transform("px", "py", "pz", formula="pt cos(phi), pt sin(phi), pt sinh(eta)", of=(TRANSFORMS, JET_TRANSFORMS))
def cartesian(pt: np.ndarray, eta: np.ndarray, phi: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return px = pt cos phi, py = pt sin phi, pz = pt sinh eta, in the unit of pt, each (n,).

    Root2HDF5 ``cartesian_pt_preprocess``; sinh eta = cot theta in the PDG review of kinematics.
    """
    return pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)


@transform("energy", formula="pt cosh(eta)", of=(TRANSFORMS, JET_TRANSFORMS))
def energy_massless(pt: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """Return E = p = pt cosh eta of massless particles, in the unit of pt, (n,).

    Root2HDF5 ``zero_mass``; cosh eta = 1 / sin theta in the PDG review of kinematics.
    """
    energy: np.ndarray = pt * np.cosh(eta)
    return energy


@transform("px", "py", "pz", "energy", formula="cartesian, sqrt(pt^2 cosh(eta)^2 + m^2)", of=(JET_TRANSFORMS,))
def cartesian_from_mass(
    pt: np.ndarray, eta: np.ndarray, phi: np.ndarray, mass: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return px, py, pz and E = sqrt(p^2 + m^2), in the unit of pt and mass, each (n,).

    A negative mass stands for a negative m^2, as ROOT's ``PtEtaPhiM4D`` has it; E is not below 0.
    """
    squared = energy_massless(pt, eta) ** 2 + np.copysign(mass**2, mass)
    return *cartesian(pt, eta, phi), np.sqrt(np.maximum(squared, 0))


@transform("px", "py", "pz", "energy", formula="cartesian, and the energy as it is", of=(JET_TRANSFORMS,))
def cartesian_from_energy(
    pt: np.ndarray, eta: np.ndarray, phi: np.ndarray, energy: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return px, py, pz and the energy as it is, each (n,): Root2HDF5 ``jet_preprocess``."""
    return *cartesian(pt, eta, phi), energy


@transform(
    *("log_pt", "log_energy", "log_pt_fraction", "log_energy_fraction"),
    formula="ln(pt), ln(E), ln(pt / sum of pt), ln(E / sum of E)",
)
def log_set(
    pt: np.ndarray, energy: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return ln pt, ln E, ln(pt / sum of pt), ln(E / sum of E), sums over the jet, each (n_values,).

    Root2HDF5 ``train_preprocess``. The first two depend on the unit.
    """
    return _log(pt), _log(energy), _log(_share(pt, pt, counts)), _log(_share(energy, energy, counts))


@transform("pt_fraction", "energy_over_pt", formula="pt / sum of pt, E / sum of pt")
def pt_normalised(pt: np.ndarray, energy: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return pt / sum of pt and E / sum of pt, sums over the jet, each (n_values,).

    Root2HDF5 ``ptnorm_preprocess``, which divides the energy by the sum of pt, too.
    """
    return _share(pt, pt, counts), _share(energy, pt, counts)


@transform("energy_fraction", formula="E / sum of E")
def energy_normalised(energy: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return E / sum of E over the jet, (n_values,)."""
    return _share(energy, energy, counts)


def wrap_phi(phi: np.ndarray) -> np.ndarray:
    """Return angles in radians within (-pi, pi]; those that are there already stay as they are."""
    wrapped = np.array(phi, dtype=np.float64)
    outside = np.flatnonzero(~(np.abs(wrapped) < np.pi))
    # Rounding can make the remainder 2 pi, and so the angle -pi, which is pi.
    angle = np.pi - np.mod(np.pi - wrapped[outside], 2 * np.pi)
    wrapped[outside] = np.where(angle <= -np.pi, np.pi, angle)
    return wrapped


@transform("eta", "phi", prefix="relative_", formula="eta - jet_eta, phi - jet_phi within (-pi, pi]")
def relative_angles(
    eta: np.ndarray, phi: np.ndarray, jet_eta: np.ndarray, jet_phi: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return eta - eta of the jet and phi - phi of the jet within (-pi, pi], each (n_values,).

    Angles are in radians; they are missing where the axis of the jet, (n_jets,), is.
    """
    return eta - broadcast(jet_eta, counts), wrap_phi(phi - broadcast(jet_phi, counts))


@transform(
    *("eta", "phi"),
    prefix="centred_",
    formula="eta - eta1, phi - phi1 within (-pi, pi]; 1 is the hardest constituent",
)
def centred_angles(
    pt: np.ndarray, eta: np.ndarray, phi: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return eta and phi relative to the hardest constituent, phi within (-pi, pi], each (n_values,).

    Root2HDF5 ``simple_angular``, first step. The hardest has the largest pt of those whose pt, eta and phi are known,
    the first of equal ones. A constituent without a pt has angles, but is never the hardest. All angles of a jet
    without a hardest constituent are missing.
    """
    (first,) = _hardest(pt, eta, phi, counts, 1)
    return relative_angles(eta, phi, _at(eta, first), _at(phi, first), counts)


@transform(
    *("eta", "phi"),
    prefix="rotated_",
    formula="centred_angles, then eta cos(a) + phi sin(a), -eta sin(a) + phi cos(a) with a = atan2(phi2, eta2)"
    " + pi/2, which puts the second hardest on the negative phi axis; eta changes sign if that of the third"
    " hardest is negative",
)
def rotated_angles(
    pt: np.ndarray, eta: np.ndarray, phi: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return angles relative to the hardest constituent, rotated and flipped, each (n_values,).

    Root2HDF5 ``simple_angular``: `centred_angles`, then with angle = atan2(phi2, eta2) + pi/2 of the
    second hardest, eta' = eta cos(angle) + phi sin(angle), phi' = -eta sin(angle) + phi cos(angle), so
    that the second hardest lies on the negative phi' axis; then eta' changes sign if that of the third
    hardest is negative. Without a second (third) constituent there is no rotation (flip), where
    Root2HDF5 fails. phi' is a coordinate of the plane, no longer an angle to wrap.
    """
    first, second, third = _hardest(pt, eta, phi, counts, 3)
    eta, phi = relative_angles(eta, phi, _at(eta, first), _at(phi, first), counts)
    angle = np.where(second < 0, 0, np.arctan2(_at(phi, second), _at(eta, second)) + np.pi / 2)
    cos, sin = broadcast(np.cos(angle), counts), broadcast(np.sin(angle), counts)
    eta, phi = eta * cos + phi * sin, phi * cos - eta * sin
    flip = np.where(_at(eta, third) < 0, -1.0, 1.0)
    return eta * broadcast(flip, counts), phi


@transform("delta_r", formula="sqrt(eta^2 + phi^2), of relative angles")
def delta_r(eta: np.ndarray, phi: np.ndarray) -> np.ndarray:
    """Return sqrt(eta^2 + phi^2), the distance from the axis of relative angles, (n,).

    Root2HDF5 ``train_preprocess``.
    """
    # As exact as hypot where angles do not overflow, and three times faster.
    distance: np.ndarray = np.sqrt(eta * eta + phi * phi)
    return distance


@transform(
    *("eta", "phi"),
    prefix="pixel_",
    formula="which of n = 64 even pixels from -half_width to half_width = 2, from 0; the outermost take what lies"
    " outside",
)
def image_pixels(eta: np.ndarray, phi: np.ndarray, n: int = 64, half_width: float = 2) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixel of each constituent in eta and phi, integers from 0 to n - 1 as float64, (n_values,).

    Root2HDF5 ``images_branch``: ``numpy.digitize`` on n + 1 even edges from -half_width to half_width. The outermost
    pixels include what is outside; what is missing stays NaN.

    Raises
    ------
    JetmillError
        If `n` or `half_width` is out of range.
    """
    if not (1 <= n <= MAX_PIXELS and float(n).is_integer() and 0 < half_width < np.inf):
        raise JetmillError(
            f"image_pixels: n must be a whole number from 1 to {MAX_PIXELS} and half_width above 0;"
            f" found {n:g}, {half_width:g}"
        )
    edges = np.linspace(-half_width, half_width, int(n) + 1)

    def pixel(angle: np.ndarray) -> np.ndarray:
        place = np.clip(np.searchsorted(edges, angle, side="right") - 1, 0, int(n) - 1)
        return np.where(np.isnan(angle), np.nan, place)

    return pixel(eta), pixel(phi)


def apply(
    name: str,
    columns: Mapping[str, np.ndarray],
    counts: np.ndarray,
    jets: Mapping[str, np.ndarray],
    roles: Mapping[str, str],
    *,
    prefix: str | None = None,
    options: Mapping[str, float] | None = None,
) -> dict[str, np.ndarray]:
    """Apply a transform of `TRANSFORMS` to constituents.

    Parameters
    ----------
    columns, jets
        Variable to values of the constituents, each (n_values,), and of the jets, each (n_jets,).
    counts : ndarray of int, shape (n_jets,)
    roles
        Role of the transform to the variable that plays it, where their names differ.
    prefix, options
        Prefix of the results, in place of that of the transform; option to number.

    Returns
    -------
    dict
        Name to values, float64 (n_values,); infinite beyond the range of a float64.

    Raises
    ------
    JetmillError
        If there is no such transform, role, option or variable.
    """
    transform = find(name, TRANSFORMS, roles, options)
    arguments = _columns(name, transform.inputs, roles, columns)
    of_jets = {role: roles.get(role, role.removeprefix("jet_")) for role in transform.jet_inputs}
    arguments += _columns(name, transform.jet_inputs, of_jets, jets, " of the jets")
    return _results(transform, [*arguments, counts] if transform.needs_counts else arguments, prefix, options)


def apply_to_jets(
    name: str, jets: Mapping[str, np.ndarray], roles: Mapping[str, str], *, prefix: str | None = None
) -> dict[str, np.ndarray]:
    """Apply a transform of `JET_TRANSFORMS` to jets, as `apply` does to constituents."""
    transform = find(name, JET_TRANSFORMS, roles, None)
    return _results(transform, _columns(name, transform.inputs, roles, jets), prefix, None)


def table(transforms: Mapping[str, Transform]) -> str:
    """Return a Markdown table of transforms, for the documentation."""
    rows = [
        f"| `{name}` | {_code(t.inputs + t.jet_inputs)} | {_code(t.names())} | {t.formula} | {_code(t.options)} |"
        for name, t in transforms.items()
    ]
    return "\n".join(["| name | takes | makes | formula | options |", "|---|---|---|---|---|", *rows]) + "\n"


def find(
    name: str, transforms: Mapping[str, Transform], roles: Mapping[str, str], options: Mapping[str, float] | None
) -> Transform:
    """Return a transform, or raise JetmillError if there is none, or none with such roles and options."""
    if name not in transforms:
        raise JetmillError(f"unknown transform '{name}'.{nearest(name, transforms)} Known: {', '.join(transforms)}")
    transform = transforms[name]
    for kind, given, known in (
        ("role", roles, transform.inputs + transform.jet_inputs),
        ("option", options or {}, transform.options),
    ):
        if unknown := [key for key in given if key not in known]:
            raise JetmillError(
                f"transform '{name}' has no {kind} '{unknown[0]}'.{nearest(unknown[0], known)}"
                f" Known: {', '.join(known) or 'none'}"
            )
    if options:
        # Without constituents this only checks the options.
        nothing = [np.empty(0)] * len(transform.inputs + transform.jet_inputs)
        _results(transform, [*nothing, np.empty(0, int)] if transform.needs_counts else nothing, None, options)
    return transform


def _columns(
    name: str, wanted: tuple[str, ...], roles: Mapping[str, str], columns: Mapping[str, np.ndarray], of: str = ""
) -> list[np.ndarray]:
    for role in wanted:
        if (variable := roles.get(role, role)) not in columns:
            raise JetmillError(
                f"transform '{name}': there is no variable '{variable}'{of} for its role '{role}'."
                f"{nearest(variable, columns)} Say which one it is, as `{role}: <variable>`"
            )
    return [np.ascontiguousarray(columns[roles.get(role, role)], dtype=np.float64) for role in wanted]


def _results(
    transform: Transform, arguments: list[np.ndarray], prefix: str | None, options: Mapping[str, float] | None
) -> dict[str, np.ndarray]:
    with np.errstate(all="ignore"):
        found = transform.function(*arguments, **(options or {}))
    return dict(zip(transform.names(prefix), found if isinstance(found, tuple) else (found,), strict=True))


def _code(names: tuple[str, ...] | list[str]) -> str:
    return " ".join(f"`{name}`" for name in names)


def _log(values: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.log(values)
    # There is none below 0; at 0 it is infinite.
    found[np.isneginf(found)] = np.nan
    return found


def _share(values: np.ndarray, summed: np.ndarray, counts: np.ndarray) -> np.ndarray:
    total = sum_in_jet(summed, counts)
    share: np.ndarray = values / broadcast(np.where(total > 0, total, np.nan), counts)
    return share


def _hardest(pt: np.ndarray, eta: np.ndarray, phi: np.ndarray, counts: np.ndarray, n: int) -> np.ndarray:
    """Return the places of the hardest constituents of each jet whose pt, eta and phi are known, (n, n_jets)."""
    known = np.isfinite(pt) & np.isfinite(eta) & np.isfinite(phi)
    return largest_in_jet(np.where(known, pt, np.nan), counts, n)


def _at(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the values at `places`, NaN at place -1."""
    found = np.full(places.shape, np.nan)
    found[places >= 0] = values[places[places >= 0]]
    return found
