"""The content of a part as plain arrays: rows of jets, scaled, in the order of the batches."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import h5py
import numpy as np

from jetmill.balancing.event_weights import product
from jetmill.balancing.tables import EDGES, WEIGHTS
from jetmill.columns.schema import JET, Column, Kind, constituent, constituent_label, event_weight, variable
from jetmill.errors import JetmillError
from jetmill.formats.content.rows import Ragged, Rows, Valid
from jetmill.formats.files import layout
from jetmill.formats.files.names import Names
from jetmill.labels import NO_CLASS
from jetmill.scaling.scalers import Scaler, scale_rows
from jetmill.settings.content import Content

# Rows that are scaled and transposed at a time, so that they stay in the cache.
BLOCK_ROWS = 8192


class Jets(Protocol):
    """Cleaned jets of one sample, wherever their columns are (`jetmill.balancing.selection.SelectedJets`).

    Attributes
    ----------
    sample
        Name of their sample.
    label : ndarray of uint8; bin_index : ndarray of int32, -1 outside the bins; both shape (n,)
    """

    @property
    def sample(self) -> str: ...  # noqa: D102
    @property
    def label(self) -> np.ndarray: ...  # noqa: D102
    @property
    def bin_index(self) -> np.ndarray: ...  # noqa: D102

    def __len__(self) -> int: ...

    def of_kind(self, kind: Kind) -> list[Column]:
        """Return their columns of a kind."""

    def read(self, columns: Sequence[Column]) -> list[np.ndarray]:
        """Return columns, each (n,)."""

    def read_constituents(self, collection: str, columns: Sequence[Column]) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return the number of constituents per jet, and columns of the collection."""


@dataclass(frozen=True)
class Tables:
    """Where weights and bins of jets are looked up.

    Attributes
    ----------
    classes
        Names of the classes, in the order of the labels.
    edges
        Variable to bin edges, in the order of the axes.
    weights
        Name to table (n_classes, *bins); the first is ``weight``.
    """

    classes: Sequence[str]
    edges: Mapping[str, np.ndarray]
    weights: Mapping[str, np.ndarray]

    @classmethod
    def read(cls, file: h5py.File) -> "Tables":
        """Read them from balance.h5."""
        return cls(
            classes=list(file.attrs["classes"]),
            edges={v: file[f"{EDGES}/{v}"][()] for v in file.attrs["variables"]},
            weights={name: file[f"{WEIGHTS}/{name}"][()] for name in file.attrs["weights"]},
        )


def scaled_rows(
    jets: Sequence[Jets], tables: Tables, scalers: Mapping[str, Mapping[str, Scaler]], content: Content
) -> dict[str, Rows]:
    """Return what the layout of arrays (`jetmill.formats.files.layout`) holds of jets, by dataset.

    Raises
    ------
    JetmillError
        If a scaled value does not fit into float16.
    """
    names, of_jets = Names(content.jets_name), scalers[content.jets_name]
    columns = (j.read([variable(name) for name in of_jets]) for j in jets)
    inputs, is_default = _scale(columns, of_jets, sum(map(len, jets)))
    if content.precision == "float16":
        _check_float16(inputs, list(of_jets))
    rows: dict[str, Rows] = {names.inputs: inputs, names.is_default: is_default}
    labels = np.concatenate([j.label for j in jets])
    rows |= {names.labels: labels, names.one_hot: np.eye(NO_CLASS + 1, len(tables.classes), dtype=np.uint8)[labels]}
    rows |= {names.bins: bins_of(jets, tables)} if tables.edges else {}
    rows[names.sample] = sample_numbers(jets, content.samples)
    rows |= {names.at(name): values for name, values in weights_of(jets, tables, content).items()}
    for kind, group in ((Kind.SPECTATOR, names.spectators), (Kind.EVENT, names.event)):
        rows |= {f"{group}/{name}": values for name, values in passed_through(jets, kind, names.jet).items()}
    further_truth = passed_through(jets, Kind.ADDITIONAL_LABEL)
    if content.targets:
        targets = np.stack([further_truth[name] for name in content.targets], axis=1)
        rows[names.targets] = targets.astype(np.float32)
    for name, values in further_truth.items():
        rows[f"{names.additional_labels}/{name}"] = np.where(np.isfinite(values), values, values.dtype.type(0))
    places = list(of_jets)
    if content.conditional:
        rows[names.conditional] = inputs[:, [places.index(name) for name in content.conditional]]
    ahead = inputs[:, [places.index(name) for name in content.concat_jets]] if content.concat_jets else None
    for collection, length in content.slots.items():
        scaler = scalers[collection]
        counts = constituent_counts(jets, collection)
        # The last row fills empty slots.
        values, _ = _scale(constituent_columns(jets, collection, list(scaler)), scaler, int(counts.sum()) + 1)
        values[-1] = 0
        if content.precision == "float16":
            _check_float16(values, list(scaler))
        of_jets_ahead = None if collection in content.objects else ahead
        rows[layout.constituent_inputs(collection)] = Ragged(values, counts, length, of_jets_ahead)
        rows[layout.valid(collection)] = Valid(counts, length)
        rows |= constituent_labels(jets, collection, content, counts)
    return rows


def attributes(
    tables: Tables, scalers: Mapping[str, Mapping[str, Scaler]], content: Content
) -> dict[str, dict[str, Any]]:
    """Return the attributes of the datasets and groups of the layout of arrays."""
    classes, of_jets = list(tables.classes), scalers[content.jets_name]
    names = Names(content.jets_name)
    found: dict[str, dict[str, Any]] = {
        "/": names.attributes,
        names.jets: {"flavour_label": classes},
        names.inputs: {names.variables: list(of_jets)}
        | _applied(of_jets)
        | {"integer": [scaler.integer for scaler in of_jets.values()]},
        names.is_default: {names.variables: list(of_jets)},
        names.labels: {"label_classes": classes},
        names.one_hot: {"label_classes": classes},
        names.sample: {"samples": list(content.samples)},
    }
    if tables.edges:
        found[names.bins] = {"bin_variables": list(tables.edges)}
    if content.conditional:
        found[names.conditional] = {names.variables: list(content.conditional)}
    if content.targets:
        found[names.targets] = {"targets": list(content.targets)}
    for collection in content.slots:
        concat = () if collection in content.objects else content.concat_jets
        variables = {names.variable(name): of_jets[name] for name in concat} | dict(scalers[collection])
        found[layout.constituent_inputs(collection)] = {"variables": list(variables)} | _applied(variables)
        if collection in content.objects:
            found[layout.constituent_inputs(collection)][layout.OBJECTS] = True
        for label, values in content.labels[collection].items():
            if values:
                found[layout.constituent_label(collection, label)] = {"label_classes": list(values)}
    return found


def dataset_types(content: Content) -> dict[str, str]:
    """Return the type of datasets that are not written as they are in memory.

    Inputs have the precision that is asked for; labels of constituents whose values have names are
    int8, others int32.
    """
    names = Names(content.jets_name)
    inputs = [names.inputs, names.conditional, *map(layout.constituent_inputs, content.slots)]
    return dict.fromkeys(inputs, content.precision) | {
        layout.constituent_label(collection, label): "int8"
        for collection, labels in content.labels.items()
        for label, values in labels.items()
        if values
    }


def bins_of(jets: Sequence[Jets], tables: Tables) -> np.ndarray:
    """Return the bin of jets along each axis, int8 to int32 (n_jets, n_axes); -1 along all of them outside the bins."""
    index, n_bins = np.concatenate([j.bin_index for j in jets]), _shape(tables)
    bins = np.stack(np.unravel_index(np.maximum(index, 0), n_bins), axis=1)
    return np.where(index[:, None] >= 0, bins, -1).astype(np.min_scalar_type(-max(n_bins)))


def weights_of(jets: Sequence[Jets], tables: Tables, content: Content) -> dict[str, np.ndarray]:
    """Return ``weight`` and one per further table, as ``weight_flat``, each float32 (n_jets,); ones without any.

    Event weights multiply them all. Jets outside the bins have weight 0; those of no class inside have weight 1.

    Raises
    ------
    JetmillError
        If a column that weights are multiplied by is missing for a jet.
    """
    labels, bins = (np.concatenate([getattr(j, k) for j in jets]) for k in ("label", "bin_index"))
    factor: np.ndarray = (bins >= 0).astype(np.float32)
    if content.event_weights:
        columns = read_columns(jets, [event_weight(name) for name in content.event_weights])
        factor *= product({column.name: values for column, values in columns.items()})
    names = [f"weight_{name}" if number else "weight" for number, name in enumerate(tables.weights)] or ["weight"]
    if not tables.weights or (labels == NO_CLASS).all():
        return dict.fromkeys(names, factor)
    flat = [table.reshape(len(table), -1) for table in tables.weights.values()]
    return {name: (table[labels, bins] * factor).astype(np.float32) for name, table in zip(names, flat, strict=True)}


def sample_numbers(jets: Sequence[Jets], samples: Sequence[str]) -> np.ndarray:
    """Return the position of each jet's sample, uint8 (n_jets,)."""
    return np.concatenate([np.full(len(j), samples.index(j.sample), dtype=np.uint8) for j in jets])


def passed_through(jets: Sequence[Jets], kind: Kind, one: str = JET.name) -> dict[str, np.ndarray]:
    """Return the columns of a kind by name, each (n_jets,); `one` names the position of the jet in its event."""
    columns = read_columns(jets, jets[0].of_kind(kind))
    return {one if column == JET else column.name: values for column, values in columns.items()}


def read_columns(jets: Sequence[Jets], columns: Sequence[Column]) -> dict[Column, np.ndarray]:
    """Return columns of all jets, each (n_jets,)."""
    found = [j.read(columns) for j in jets]
    return {column: np.concatenate([of_batch[i] for of_batch in found]) for i, column in enumerate(columns)}


def constituent_counts(jets: Sequence[Jets], collection: str) -> np.ndarray:
    """Return how many constituents each jet has, int64 (n_jets,)."""
    return np.concatenate([j.read_constituents(collection, [])[0] for j in jets])


def constituent_labels(
    jets: Sequence[Jets], collection: str, content: Content, counts: np.ndarray
) -> dict[str, Ragged]:
    """Return the labels of constituents by dataset: int32, -1 in empty slots, or float32, NaN in empty slots.

    Raises
    ------
    JetmillError
        If a value is not among those that have names; -1 and -2 say that it is not known.
    """
    labels, length = content.labels[collection], content.slots[collection]
    datasets = [constituent_label(collection, name) for name in labels]
    columns = [j.read_constituents(collection, datasets)[1] for j in jets]
    rows = {}
    for i, (label, names) in enumerate(labels.items()):
        values = np.concatenate([of_jets[i] for of_jets in columns])
        if names:
            check_label(collection, label, values, len(names))
        empty = np.nan if values.dtype.kind == "f" else -1
        rows[layout.constituent_label(collection, label)] = Ragged.of(values, counts, length, empty)
    return rows


def check_label(collection: str, label: str, values: np.ndarray, n_names: int) -> None:
    """Raise JetmillError if values (n,) of a label are not 0 to `n_names` - 1, or -1 or -2 if they are not known."""
    if values.dtype.kind == "f":
        raise JetmillError(
            f"constituents.{collection}.label_classes.{label} names values of floats; integers have names"
        )
    if values.size and not -2 <= values.min() <= values.max() < n_names:
        raise JetmillError(
            f"constituents.{collection}.label_classes.{label} names {n_names} values, 0 to {n_names - 1};"
            f" found {values.min()} to {values.max()}"
        )


def constituent_columns(jets: Sequence[Jets], collection: str, variables: Sequence[str]) -> Iterator[list[np.ndarray]]:
    """Yield the variables of the constituents, jets by jets, each (n_constituents,)."""
    datasets = [constituent(collection, name) for name in variables]
    return (j.read_constituents(collection, datasets)[1] for j in jets)


def _scale(
    columns: Iterable[list[np.ndarray]], scalers: Mapping[str, Scaler], n_rows: int
) -> tuple[np.ndarray, np.ndarray]:
    """Scale the columns of each batch into rows of all: inputs float32 and is_default bool, (n_rows, n_variables).

    Rows without values are left unset.
    """
    inputs = np.empty((n_rows, len(scalers)), dtype=np.float32)
    is_default = np.empty((n_rows, len(scalers)), dtype=bool)
    start = 0
    for of_batch in _together(columns):
        stop = start + len(of_batch[0])
        for first in range(start, stop, BLOCK_ROWS):
            place = slice(first, min(first + BLOCK_ROWS, stop))
            block = [c[place.start - start : place.stop - start] for c in of_batch]
            inputs[place], is_default[place] = scale_rows(block, list(scalers.values()))
        start = stop
    return inputs, is_default


def _together(columns: Iterable[list[np.ndarray]]) -> Iterator[list[np.ndarray]]:
    """Yield the columns of small batches together, until they have `BLOCK_ROWS` rows."""
    waiting: list[list[np.ndarray]] = []
    n_rows = 0
    for of_batch in columns:
        if waiting and n_rows + len(of_batch[0]) > BLOCK_ROWS:
            yield _concatenated(waiting)
            waiting, n_rows = [], 0
        waiting.append(of_batch)
        n_rows += len(of_batch[0])
    if waiting:
        yield _concatenated(waiting)


def _concatenated(batches: Sequence[list[np.ndarray]]) -> list[np.ndarray]:
    return batches[0] if len(batches) == 1 else [np.concatenate(parts) for parts in zip(*batches, strict=True)]


def _applied(scalers: Mapping[str, Scaler]) -> dict[str, list[Any]]:
    return {key: [getattr(s, key) for s in scalers.values()] for key in ("shift", "scale", "default", "log", "clip")}


def _shape(tables: Tables) -> tuple[int, ...]:
    return tuple(len(edges) - 1 for edges in tables.edges.values())


def _check_float16(inputs: np.ndarray, variables: Sequence[str]) -> None:
    limit = float(np.finfo(np.float16).max)
    largest = np.maximum(inputs.max(axis=0, initial=0), -inputs.min(axis=0, initial=0))
    if (over := largest > limit).any():
        names = ", ".join(f"'{v}' ({x:g})" for v, x in zip(variables, largest, strict=True) if x > limit)
        raise JetmillError(
            f"{over.sum()} scaled variable(s) do not fit into float16, whose largest number is {limit:g}: {names}."
            " Set write.precision: float32, or cut the outliers away"
        )
