"""The content of a part in its own units: variables of jets by name, missing values filled in."""

from collections.abc import Mapping, Sequence

import numpy as np

from jetmill.columns.schema import Kind, variable
from jetmill.formats.content.rows import Ragged
from jetmill.formats.content.scaled import (
    Jets,
    Tables,
    constituent_columns,
    constituent_counts,
    constituent_labels,
    passed_through,
    read_columns,
    sample_numbers,
    weights_of,
)
from jetmill.formats.files.names import Names
from jetmill.scaling.scalers import Scaler
from jetmill.settings.content import Content

FLAVOUR = "flavour_label"


def jet_fields(
    jets: Sequence[Jets], tables: Tables, scalers: Mapping[str, Scaler], content: Content
) -> dict[str, np.ndarray]:
    """Return variables, labels, weights and columns of jets that are passed through, by name, each (n_jets,).

    Inputs are float32, finite everywhere: a missing value is the default of its scaler in the unit
    of the variable. Variables that only the histogram uses stand behind them.
    """
    names = [*scalers, *(name for name in sorted(tables.edges) if name not in scalers)]
    values = read_columns(jets, [variable(name) for name in names])
    fields: dict[str, np.ndarray] = {
        name: _filled(column, scalers[name]) if name in scalers else column.astype(np.float32)
        for name, column in zip(names, values.values(), strict=True)
    }
    # A column that is also an input is finite, as inputs are.
    for kind in (Kind.SPECTATOR, Kind.ADDITIONAL_LABEL, Kind.EVENT):
        fields = passed_through(jets, kind, Names(content.jets_name).jet) | fields
    fields |= weights_of(jets, tables, content) | {"sample": sample_numbers(jets, content.samples)}
    fields[FLAVOUR] = np.concatenate([j.label for j in jets]).astype(np.int64)
    return fields


def constituent_fields(
    jets: Sequence[Jets], collection: str, scalers: Mapping[str, Scaler], content: Content
) -> dict[str, Ragged]:
    """Return variables and labels of the constituents of jets, by name, ragged."""
    counts, length = constituent_counts(jets, collection), content.slots[collection]
    # A 0 would be something to predict.
    empty = np.nan if collection in content.objects else 0
    parts = list(constituent_columns(jets, collection, list(scalers)))
    fields = {}
    for i, (name, scaler) in enumerate(scalers.items()):
        values = [_filled(columns[i], scaler) for columns in parts]
        fields[name] = Ragged.of(np.concatenate(values), counts, length, empty)
    found = constituent_labels(jets, collection, content, counts)
    return fields | dict(zip(content.labels[collection], found.values(), strict=True))


def _filled(column: np.ndarray, scaler: Scaler) -> np.ndarray:
    missing = np.isnan(column)
    if scaler.log:
        missing |= ~(column > 0)
    return np.where(missing, scaler.fill, column).astype(np.float32)
