"""The list of cleaned batches, and its warning about copies among the input files."""

import logging
import shutil

import numpy as np
import pytest
import uproot
from batches import clean_batch, write_batch

from jetmill.config.load import load
from jetmill.stages.list_batches import list_batches
from jetmill.stages.make_toy import write_toy_file

COPY = "%s and %s have the same %s: if one is a copy of the other, its jets count twice; remove it from samples"


@pytest.fixture
def warnings_of(tmp_path, caplog):
    """Return a function that lists batches of a sample and its entries each, and returns the warnings."""

    def listed(*batches):
        paths = []
        for number, (sample, entries) in enumerate(batches):
            paths.append(tmp_path / f"{number}.h5")
            inputs = [{"jets": 5} | entry for entry in entries]
            attributes = {
                "sample": sample,
                "cutflow": [("read", 5)],
                "constituents": {},
                "inputs": inputs,
                "warnings": [],
            }
            write_batch(
                paths[-1], iter({"key": np.zeros(1, np.uint64)}.items()), attributes | {"splits": np.array([1, 0, 0])}
            )
        with caplog.at_level(logging.WARNING):
            list_batches(paths, {tmp_path / "batches.json": {}})
        return [record.getMessage() for record in caplog.records]

    return listed


A = {"path": "a", "uuid": "u-1", "sha256": "1f", "size": 10}
B = {"path": "b", "uuid": "u-2", "sha256": "2f", "size": 10}


@pytest.mark.parametrize(
    ("copy", "what"),
    [
        (A | {"path": "c"}, "content"),
        (A | {"path": "c", "uuid": "u-3"}, "content"),
        (A | {"path": "c", "sha256": "3f", "size": 11}, "UUID"),
        (A | {"path": "c", "sha256": None}, "UUID"),
        ({"path": "c", "sha256": "1f", "size": 10}, "content"),
    ],
)
def test_copies_are_a_warning(warnings_of, copy, what):
    assert warnings_of(("tt", [A, B]), ("qcd", [copy])) == [COPY % ("c of qcd", "a of tt", what)]


@pytest.mark.parametrize(
    "other", [B | {"path": "c", "uuid": "u-3", "sha256": "3f"}, A | {"path": "c", "jets": 0}, {"path": "c", "size": 10}]
)
def test_other_files_and_files_without_jets_are_not(warnings_of, other):
    assert warnings_of(("tt", [A, B]), ("qcd", [other])) == []


def test_files_without_checksums_are_not(warnings_of):
    assert warnings_of(("tt", [{"path": name, "sha256": None, "size": 10} for name in "ab"])) == []


def test_files_without_a_uuid_are_not(warnings_of):
    none = "00000000-0000-0000-0000-000000000000"
    assert warnings_of(("tt", [A | {"uuid": none}, B | {"uuid": none}])) == []


def test_many_copies_are_one_warning(warnings_of):
    entries = [{"path": f"{n}", "sha256": f"{n % 3}"} for n in range(9)]
    (warning,) = warnings_of(("tt", entries))
    assert warning.startswith("3 of tt and 0 of tt have the same content (and 5 more like it): ")


@pytest.mark.parametrize("checksum", [True, False])
@pytest.mark.parametrize("kind", ["root", "h5"])
def test_copies_of_real_files(tmp_path, caplog, raw_config, kind, checksum):
    process = {"root": "ttbar", "h5": "zprime"}[kind]
    raw_config["input"] = {"checksum": checksum}
    if kind == "h5":
        raw_config |= {
            "input": {"format": "hdf5", "checksum": checksum},
            "jets": {"variables": ["mass"]},
            "classes": {"all": "rest"},
            "balance": {"bins": {"mass": [0, 1e9, 2]}},
        }
    files = [tmp_path / f"{name}.{kind}" for name in ("a", "b", "copy")]
    for number, path in enumerate(files[:2]):
        write_toy_file(
            path,
            raw_config["input"].get("format", "root"),
            process=process,
            n_jets=50,
            seed=1,
            sample="tt",
            number=number,
        )
    shutil.copy(*files[::2])
    clean_batch(files, tmp_path / "c.h5", settings=load(raw_config).cleaning, sample="tt", first_file=0)
    caplog.clear()
    list_batches([tmp_path / "c.h5"], {tmp_path / "batches.json": {}})
    found = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    what = "content" if checksum else "UUID"
    expected = [COPY % (f"{files[2]} of tt", f"{files[0]} of tt", what)] if checksum or kind == "root" else []
    assert found == expected
    if kind == "root":
        uuids = [str(uproot.open(path).file.uuid) for path in files]
        assert uuids[0] == uuids[2] != uuids[1]
