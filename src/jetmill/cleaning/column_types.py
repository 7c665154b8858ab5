"""The types in which columns are stored, from those of the variables in a file."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import numpy as np

from jetmill.columns.schema import Column, Kind, constituent, constituent_label, counts
from jetmill.errors import JetmillError
from jetmill.settings.clean import CleanSettings
from jetmill.settings.labels import Label
from jetmill.sources import Source, UnreadableError
from jetmill.variables.missing import stored_type

Types = Mapping[str, np.dtype]
# Variables that are not there are named up to this number.
MOST_LINES = 20


def column_types(
    path: str,
    source: Source,
    settings: CleanSettings,
    jets: Mapping[Column, str],
    read: Sequence[str],
    read_of_constituents: Mapping[str, Sequence[str]],
) -> dict[Column, np.dtype]:
    """Return the types of the columns from those in an open file.

    Parameters
    ----------
    jets
        Columns of jets, and the variable that each holds.
    read, read_of_constituents
        Variables of jets, and of each collection, that are read from the file.

    Raises
    ------
    JetmillError
        With a line for each variable that is not in the file, or for the first that is no integer where it must be
        one.
    """
    mistakes: dict[str, None] = {}
    in_file = _ask(source.dtypes, read, mistakes)
    of_collections = {
        name: _ask(partial(source.constituent_dtypes, name), read_of_constituents[name], mistakes)
        for name in settings.constituents
    }
    if mistakes:
        more = [f"{path}: and {len(mistakes) - MOST_LINES} more"] if len(mistakes) > MOST_LINES else []
        raise JetmillError("\n".join([*list(mistakes)[:MOST_LINES], *more]))
    _check_integers(path, "input.event_id", in_file, settings.input.event_id)
    types = _jet_types(settings, jets, in_file)
    for name, in_collection in of_collections.items():
        types |= _constituent_types(settings, name, in_collection)
    return types


def _ask(types: Callable[[Sequence[str]], Types], names: Sequence[str], mistakes: dict[str, None]) -> Types:
    """Return the types of variables; if there is a mistake, nothing, and `mistakes` gets what is wrong with each."""
    try:
        return types(names)
    except UnreadableError:
        raise
    except JetmillError as error:
        before = len(mistakes)
        for name in names:
            try:
                types([name])
            except JetmillError as of_one:
                mistakes[str(of_one)] = None
        if len(mistakes) == before:
            mistakes[str(error)] = None
        return {}


def types_without_files(settings: CleanSettings, jets: Mapping[Column, str]) -> dict[Column, np.dtype]:
    """Return the types of columns without rows; bool stands for the type of the files, which other batches define."""
    as_in_file = {*settings.input.event_id, *settings.jets.label_sources.values()}.difference(settings.made)
    types = _jet_types(settings, jets, dict.fromkeys(as_in_file, np.dtype(bool)))
    for name in settings.constituents:
        types |= _constituent_types(settings, name, {})
    return types


def _jet_types(settings: CleanSettings, columns: Mapping[Column, str], in_file: Types) -> dict[Column, np.dtype]:
    types: dict[Column, np.dtype] = {}
    with_new_values = {
        Column(Kind.ADDITIONAL_LABEL, label.name) for label in settings.jets.additional_labels if label.values
    }
    missing, varied = settings.jets.missing, [] if settings.variation is None else settings.variation.of_jets
    prefixes = {prefix for of_count in missing.slots.values() for prefix in of_count}
    changed = {*settings.jets.units, *missing.values_of, *varied}
    for column, name in columns.items():
        if column in with_new_values:
            types[column] = np.dtype(np.int32)
        elif name not in in_file or column.kind in (Kind.SPECTATOR, Kind.EVENT_WEIGHT):
            types[column] = np.dtype(np.float32)
        elif column.keeps_type and name not in settings.jets.units:
            types[column] = in_file[name]
        else:
            may_change = bool(missing.values) or name in changed or name.rpartition("_")[0] in prefixes
            types[column] = _variable_type(in_file[name], may_change=may_change)
    return types


def _variable_type(dtype: np.dtype, *, may_change: bool) -> np.dtype:
    """Return the type of the file for small integers that can neither change nor be missing."""
    small = dtype.kind != "f" and dtype.itemsize <= 2
    return dtype if small and not may_change else stored_type(dtype)


def _constituent_types(settings: CleanSettings, name: str, in_file: Types) -> dict[Column, np.dtype]:
    collection, variation = settings.constituents[name], settings.variation
    varied = variation.of_constituents if variation is not None and variation.collection == name else []
    missing = collection.missing
    changed = {*collection.made, *collection.units, *missing.values_of, *varied}

    def type_of(variable: str) -> np.dtype:
        if variable not in in_file:
            return np.dtype(np.float32)
        return _variable_type(in_file[variable], may_change=bool(missing.values) or variable in changed)

    def label_type(label: Label) -> np.dtype:
        is_float = label.source in collection.units or in_file.get(label.source, np.dtype(int)).kind == "f"
        return np.dtype(np.float32 if is_float and not label.values else np.int32)

    return (
        {counts(name): np.dtype(np.uint16)}
        | {constituent(name, variable): type_of(variable) for variable in collection.variables}
        | {constituent_label(name, label.name): label_type(label) for label in collection.labels}
    )


def _check_integers(path: str, key: str, types: Types, names: Iterable[str]) -> None:
    for name in names:
        if types[name].kind not in "iu":
            raise JetmillError(f"{path}: '{name}' of {key} is {types[name]}; it must be an integer")


def as_stored(columns: Mapping[Column, np.ndarray], types: Mapping[Column, np.dtype]) -> dict[Column, np.ndarray]:
    """Return columns in the types in which they are stored; raises TypeError for floats in a column of integers."""
    for column, values in columns.items():
        if values.dtype.kind == "f" and types[column].kind != "f":
            raise TypeError(f"{column}: {values.dtype} for a column of {types[column]}")
    return {column: np.ascontiguousarray(values, dtype=types[column]) for column, values in columns.items()}
