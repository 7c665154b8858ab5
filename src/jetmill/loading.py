"""Open a finished file in one line, and go back to the units of the input."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from jetmill import layout
from jetmill.errors import JetmillError, nearest


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
    bins : ndarray of uint8 or uint16, shape (n_jets, n_axes)
        Bin along each of `bin_variables`.
    reference, event : dict of ndarray, shape (n_jets,)
        Outputs of existing taggers; identity of the event.
    variables, classes, bin_variables : tuple of str
        Names, in the order of the columns, labels and axes.
    shift, scale : ndarray of float64, shape (n_variables,)
        The scaling: input = (value - shift) / scale.
    """

    inputs: np.ndarray
    is_default: np.ndarray
    labels: np.ndarray
    weights: dict[str, np.ndarray]
    bins: np.ndarray
    reference: dict[str, np.ndarray]
    event: dict[str, np.ndarray]
    variables: tuple[str, ...]
    classes: tuple[str, ...]
    bin_variables: tuple[str, ...]
    shift: np.ndarray
    scale: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def weight(self) -> np.ndarray:
        """Weights of the first table, mean 1 over the training split; ones without any table."""
        return self.weights["weight"]

    def unscaled(self) -> np.ndarray:
        """Return the inputs in their own units, float64 (n_jets, n_variables), NaN where missing."""
        return self._in_units(slice(None))

    def variable(self, name: str) -> np.ndarray:
        """Return one variable in its own unit, float64 (n_jets,), NaN where missing."""
        if name not in self.variables:
            raise JetmillError(f"no variable '{name}'.{nearest(name, self.variables)}")
        return self._in_units(self.variables.index(name))

    def _in_units(self, columns: int | slice) -> np.ndarray:
        values = self.inputs[:, columns].astype(np.float64) * self.scale[columns] + self.shift[columns]
        return np.where(self.is_default[:, columns], np.nan, values)


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
        if layout.INPUTS not in file:
            raise JetmillError(f"{path}: holds no '{layout.INPUTS}'; it is not a file of finished jets")
        _check_parts(path, file[layout.INPUTS])

        def columns(group: str) -> dict[str, np.ndarray]:
            return {name: d[rows] for name, d in file[group].items()} if group in file else {}

        def names(dataset: str, attribute: str) -> tuple[str, ...]:
            return tuple(file[dataset].attrs[attribute])

        return Jets(
            inputs=file[layout.INPUTS][rows],
            is_default=file[layout.IS_DEFAULT][rows],
            labels=file[layout.LABELS][rows],
            weights={name: d[rows] for name, d in file["jets"].items() if name.startswith("weight")},
            bins=file[layout.BINS][rows],
            reference=columns(layout.REFERENCE),
            event=columns(layout.EVENT),
            variables=names(layout.INPUTS, "jet_variables"),
            classes=names(layout.LABELS, "label_classes"),
            bin_variables=names(layout.BINS, "bin_variables"),
            shift=file[layout.INPUTS].attrs["shift"],
            scale=file[layout.INPUTS].attrs["scale"],
        )


@contextmanager
def _readable(path: str | Path) -> Iterator[h5py.File]:
    """Open a file, naming it in whatever goes wrong with it."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except FileNotFoundError:
        raise JetmillError(f"{path}: no such file") from None
    except OSError as error:
        raise JetmillError(f"{path}: it or a part it points to is not a readable HDF5 file ({error})") from error


def _check_parts(path: str | Path, dataset: h5py.Dataset) -> None:
    """Refuse an index whose parts are gone: HDF5 would silently return zeros in their place."""
    if not dataset.is_virtual:
        return
    for source in dataset.virtual_sources():
        if not (Path(path).parent / source.file_name).exists():
            raise JetmillError(f"{path}: points to '{source.file_name}', which is not there; move both together")
