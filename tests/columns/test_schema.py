"""Columns as values, and where they are in a batch file."""

import numpy as np
import pytest

from jetmill.columns.schema import (
    KEY,
    LABEL,
    Column,
    Kind,
    as_read,
    constituent,
    counts,
    field_of_input,
    offsets,
    split_expression,
    variable,
)

PATHS = {
    "key": KEY,
    "label": LABEL,
    "split/test": split_expression("test"),
    "variables/pt": variable("pt"),
    "spectators/score": Column(Kind.SPECTATOR, "score"),
    "additional_labels/mass": Column(Kind.ADDITIONAL_LABEL, "mass"),
    "event_weights/w": Column(Kind.EVENT_WEIGHT, "w"),
    "event/run": Column(Kind.EVENT, "run"),
    "fields/pt": field_of_input("pt"),
    "constituents/tracks/counts": counts("tracks"),
    "constituents/tracks/offsets": offsets("tracks"),
    "constituents/tracks/variables/label": constituent("tracks", "label"),
    "constituents/tracks/fields/d0": field_of_input("d0", "tracks"),
    "constituents/variables/labels/key": Column(Kind.CONSTITUENT_LABEL, "key", "variables"),
}


@pytest.mark.parametrize("path", PATHS)
def test_a_column_and_its_path(path):
    assert PATHS[path].path == path
    assert Column.from_path(path) == PATHS[path]


def test_every_kind_has_a_path_of_its_own():
    assert {column.kind for column in PATHS.values()} == set(Kind)


@pytest.mark.parametrize("path", ["", "pt", "reference/pt", "constituents/tracks/reference/pt"])
def test_a_path_of_no_column(path):
    with pytest.raises(ValueError, match="is not a valid Kind"):
        Column.from_path(path)


def test_what_has_a_value_for_each_constituent():
    assert {c.path for c in PATHS.values() if c.constituents} == {
        "constituents/tracks/variables/label",
        "constituents/tracks/fields/d0",
        "constituents/variables/labels/key",
    }


def test_names_in_messages():
    assert str(variable("pt")) == "'pt'"
    assert str(constituent("tracks", "d0")) == "'d0' of tracks"
    assert str(KEY) == "'key'"


def test_small_integers_of_constituents_are_read_as_floats_or_as_in_the_run():
    hits, values = constituent("tracks", "hits"), np.array([1, 2], dtype=np.uint8)
    assert as_read(hits, values, {}).dtype == np.float32
    assert as_read(hits, values, {hits: "float64"}).dtype == np.float64
    assert as_read(LABEL, values, {}).dtype == np.uint8
