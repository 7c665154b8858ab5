"""Open a finished file in one line, and undo the scaling."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from jetmill.errors import JetmillError, nearest
from jetmill.formats.files import layout
from jetmill.formats.files.names import names_of
from jetmill.scaling.scalers import Scaling


@dataclass(frozen=True)
class Constituents:
    """Constituents of jets, padded.

    Attributes
    ----------
    inputs : ndarray of float32 or float16, shape (n_jets, slots, n_variables)
        Scaled inputs, 0 in empty slots.
    valid : ndarray of bool, shape (n_jets, slots)
        Slots in use; they are in front.
    labels : dict of ndarray of integers, shape (n_jets, slots)
        Truth of each constituent, -1 (0 if unsigned) in empty slots.
    fields : dict of ndarray, shape (n_jets, slots)
        Fields as they are in the input (``write.keep_all``), 0 in empty slots.
    variables : tuple of str
        Names, in the order of the columns; ``jet_<name>`` is a variable of the jet.
    scaling
        Shift, scale and logarithm of each variable.
    """

    inputs: np.ndarray
    valid: np.ndarray
    labels: dict[str, np.ndarray]
    fields: dict[str, np.ndarray]
    variables: tuple[str, ...]
    scaling: Scaling

    def variable(self, name: str) -> np.ndarray:
        """Return one variable in its own unit, float64 (n_jets, slots), NaN in empty slots."""
        values = self.scaling.inverse(self.inputs, _place(name, self.variables))
        return np.where(self.valid, values, np.nan)


@dataclass(frozen=True)
class Jets:
    """Jets of a finished file, as arrays.

    Attributes
    ----------
    inputs : ndarray of float32 or float16, shape (n_jets, n_variables)
        Scaled inputs.
    is_default : ndarray of bool, shape (n_jets, n_variables)
        Where the value was missing and the input is the scaled default.
    labels : ndarray of uint8, shape (n_jets,)
        Position in `classes`.
    weights : dict of ndarray of float32, shape (n_jets,)
        ``weight`` and one per further table, as ``weight_flat``.
    bins : ndarray of int8 to int32, shape (n_jets, n_axes)
        Bin along each of `bin_variables`; -1 along all of them for a jet outside.
    spectators, additional_labels, event, fields : dict of ndarray, shape (n_jets,)
        Outputs of existing taggers; further truth; identity of the event; fields as in the input (``write.keep_all``).
    targets : ndarray of float32, shape (n_jets, n), or None
        Targets of a regression, NaN where missing.
    conditional : ndarray, shape (n_jets, n), or None
        Inputs that a model is conditioned on.
    constituents : dict of Constituents
        Each collection, as tracks.
    variables, classes, bin_variables : tuple of str
        Names, in the order of the columns, labels and axes.
    scaling
        Shift, scale and logarithm of each variable.
    """

    inputs: np.ndarray
    is_default: np.ndarray
    labels: np.ndarray
    weights: dict[str, np.ndarray]
    bins: np.ndarray
    spectators: dict[str, np.ndarray]
    additional_labels: dict[str, np.ndarray]
    targets: np.ndarray | None
    conditional: np.ndarray | None
    event: dict[str, np.ndarray]
    fields: dict[str, np.ndarray]
    constituents: dict[str, Constituents]
    variables: tuple[str, ...]
    classes: tuple[str, ...]
    bin_variables: tuple[str, ...]
    scaling: Scaling

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def weight(self) -> np.ndarray:
        """Weights of the first table, mean 1 over the training split; ones without any table."""
        return self.weights["weight"]

    def unscaled(self) -> np.ndarray:
        """Return the inputs in their own units, float64 (n_jets, n_variables), NaN where missing."""
        return np.where(self.is_default, np.nan, self.scaling.inverse(self.inputs))

    def variable(self, name: str) -> np.ndarray:
        """Return one variable in its own unit, float64 (n_jets,), NaN where missing."""
        place = _place(name, self.variables)
        return np.where(self.is_default[:, place], np.nan, self.scaling.inverse(self.inputs, place))


def load(path: str | Path, rows: slice = slice(None)) -> Jets:
    """Read a file of jets (a part, or ``train.h5``) into memory.

    Parameters
    ----------
    rows
        Rows to read; the file is shuffled, so any slice is a fair sample.

    Raises
    ------
    JetmillError
        If the file is not one that jetmill wrote, or a part it points to is gone.
    """
    with _readable(path) as file:
        names = names_of(file)
        if names.inputs not in file:
            raise JetmillError(f"{path}: holds no '{names.inputs}'; it is not a file of finished jets")
        layout.check_parts(path, file[names.inputs])

        def columns(group: str) -> dict[str, np.ndarray]:
            return {name: d[rows] for name, d in file[group].items()} if group in file else {}

        def listed(dataset: str, attribute: str) -> tuple[str, ...]:
            return tuple(file[dataset].attrs[attribute])

        inputs, has_bins = file[names.inputs][rows], names.bins in file

        def scaling(dataset: str) -> Scaling:
            attributes = file[dataset].attrs
            return Scaling(*(attributes[key] for key in ("shift", "scale", "log", "clip")))

        return Jets(
            inputs=inputs,
            is_default=file[names.is_default][rows],
            labels=file[names.labels][rows],
            weights={name: d[rows] for name, d in file[names.jets].items() if name.startswith("weight")},
            bins=file[names.bins][rows] if has_bins else np.empty((len(inputs), 0), dtype=np.int8),
            spectators=columns(names.spectators),
            additional_labels=columns(names.additional_labels),
            targets=file[names.targets][rows] if names.targets in file else None,
            conditional=file[names.conditional][rows] if names.conditional in file else None,
            event=columns(names.event),
            fields=columns(names.fields),
            constituents={
                name: Constituents(
                    inputs=file[layout.constituent_inputs(name)][rows],
                    valid=file[layout.valid(name)][rows],
                    labels=columns(f"{name}/labels"),
                    fields=columns(f"{name}/fields"),
                    variables=listed(layout.constituent_inputs(name), "variables"),
                    scaling=scaling(layout.constituent_inputs(name)),
                )
                for name in layout.collections(file)
            },
            variables=listed(names.inputs, names.variables),
            classes=listed(names.labels, "label_classes"),
            bin_variables=listed(names.bins, "bin_variables") if has_bins else (),
            scaling=scaling(names.inputs),
        )


def _place(name: str, variables: tuple[str, ...]) -> int:
    if name not in variables:
        raise JetmillError(f"no variable '{name}'.{nearest(name, variables)}")
    return variables.index(name)


@contextmanager
def _readable(path: str | Path) -> Iterator[h5py.File]:
    """Open a file, naming it in whatever goes wrong with it."""
    try:
        with layout.open_finished(path) as file:
            yield file
    except FileNotFoundError:
        raise JetmillError(f"{path}: no such file") from None
    except OSError as error:
        raise JetmillError(f"{path}: it or a part it points to is not a readable HDF5 file ({error})") from error
