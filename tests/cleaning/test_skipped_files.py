"""Input files that cannot be read: an error that names them, or skipped with all of their jets."""

import logging
import os

import numpy as np
import pytest
import uproot
from batches import clean_batch
from damaged_inputs import (
    CONFIG,
    ROOT,
    WRITE,
    cleaned,
    content,
    corrupt_basket,
    corrupt_chunk,
    cut,
    equal,
    overwrite,
    write_dump,
    write_jets,
)

from jetmill.cleaning.column_buffer import ColumnBuffer, Limits
from jetmill.columns.batch_file import Batch
from jetmill.columns.schema import KEY
from jetmill.config.load import load
from jetmill.errors import JetmillError
from jetmill.settings.input import Input
from jetmill.sources import UnreadableError
from jetmill.sources.root import open_root
from jetmill.stages.make_toy import write_toy_file

COMMON = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_bytes(b"run,event\n1,2\n" * 100),
    "cut early": cut(0.3),
    "cut late": cut(0.9),
    "no head": lambda path: overwrite(path, 0, 64),
    "gone": lambda path: path.unlink(),
    "directory": lambda path: (path.unlink(), path.mkdir()),
}
DAMAGE = {("root", name): spoil for name, spoil in COMMON.items()}
DAMAGE |= {("hdf5", name): spoil for name, spoil in COMMON.items()}
# What is noticed only after jets of the file were cleaned.
LATE = {
    ("root", "last basket"): corrupt_basket,
    ("root", "last basket of the counts"): lambda path: corrupt_basket(path, "Jet_pt"),
    ("hdf5", "last jets"): lambda path: corrupt_chunk(path, "jets"),
    ("hdf5", "last constituents"): lambda path: corrupt_chunk(path, "tracks"),
}
DAMAGE |= LATE


@pytest.fixture
def files(tmp_path):
    """Return a function that writes three files, some of them without jets."""

    def write(kind, empty=()):
        paths = [tmp_path / f"{number}.{kind}" for number in range(3)]
        for number, path in enumerate(paths):
            WRITE[kind](path, number, **({"n_events" if kind == "root" else "n_jets": 0} if number in empty else {}))
        return paths

    return write


@pytest.mark.parametrize(("kind", "damage"), DAMAGE, ids=map(" ".join, DAMAGE))
def test_an_unreadable_file_is_an_error_that_names_it(files, tmp_path, kind, damage):
    paths = files(kind)
    DAMAGE[kind, damage](paths[1])
    with pytest.raises(UnreadableError) as error:
        cleaned(kind, paths, tmp_path / "out/b.h5")
    assert str(error.value).startswith(f"{paths[1]}: ")
    assert "\n" not in str(error.value)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(("kind", "damage"), DAMAGE, ids=map(" ".join, DAMAGE))
def test_skipping_leaves_exactly_the_jets_of_the_others(files, tmp_path, caplog, kind, damage):
    """As if the file had held no jets: others keep their places, on which their keys depend."""
    paths = files(kind, empty=[1])
    columns, attributes = cleaned(kind, paths, tmp_path / "a.h5")
    WRITE[kind](paths[1], 1)
    with pytest.raises(AssertionError):  # The file holds jets while it is whole.
        equal(cleaned(kind, paths, tmp_path / "b.h5")[0], columns)
    DAMAGE[kind, damage](paths[1])
    caplog.set_level(logging.INFO)
    found, skipped = cleaned(kind, paths, tmp_path / "b.h5", unreadable="skip")
    equal(found, columns)
    entry = skipped["inputs"].pop(1)
    attributes["inputs"].pop(1)
    np.testing.assert_equal(skipped, attributes)
    assert entry == {"path": str(paths[1]), "skipped": entry["skipped"], "jets": 0, "kept": 0}
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert warnings == [f"skipped {paths[1]}: {entry['skipped']}", "1 of 3 files skipped"]
    with Batch(tmp_path / "b.h5") as batch:
        assert batch.attribute("warnings") == warnings
    assert len(entry["skipped"]) > 10


@pytest.mark.parametrize("bad", [[0], [2], [0, 1], [1, 2], [0, 2]], ids=str)
@pytest.mark.parametrize(("kind", "damage"), [("root", "last basket"), ("hdf5", "last constituents")])
@pytest.mark.parametrize("limits", [Limits(run_bytes=0), Limits()])
def test_the_place_of_the_bad_files_does_not_matter(files, tmp_path, kind, damage, bad, limits):
    """The good files, each cleaned alone in its place in the sample, give the same jets."""
    paths = files(kind)
    alone = {n: cleaned(kind, [p], tmp_path / f"{n}.h5", first_file=n) for n, p in enumerate(paths) if n not in bad}
    for number in bad:
        DAMAGE[kind, damage](paths[number])
    columns, attributes = cleaned(kind, paths, tmp_path / "b.h5", unreadable="skip", limits=limits)
    of_jets = [name for name in columns if not name.startswith("constituents")]
    split = np.repeat(np.arange(3), attributes["splits"])
    joined = {name: np.concatenate([found[name] for found, _ in alone.values()]) for name in of_jets}
    order = np.lexsort(
        (joined["key"], np.concatenate([np.repeat(np.arange(3), of_one["splits"]) for _, of_one in alone.values()]))
    )
    equal({name: columns[name] for name in of_jets}, {name: values[order] for name, values in joined.items()})
    assert (np.diff(split) >= 0).all()
    assert [n for n, entry in enumerate(attributes["inputs"]) if "skipped" in entry] == bad
    flows = [of_one["cutflow"] for _, of_one in alone.values()]
    assert attributes["cutflow"] == [[flows[0][i][0], sum(f[i][1] for f in flows)] for i in range(len(flows[0]))]
    if kind == "hdf5":
        sums = sum(np.array(of_one["constituents"]["tracks"]) for _, of_one in alone.values())
        assert attributes["constituents"]["tracks"] == sums.tolist()
        assert len(columns["constituents/tracks/variables/d0"]) == sums[-1]


@pytest.mark.parametrize(("kind", "damage"), LATE, ids=map(" ".join, LATE))
def test_the_late_damages_are_late(files, tmp_path, monkeypatch, kind, damage):
    appended = []
    monkeypatch.setattr(ColumnBuffer, "append", lambda self, columns: appended.append(len(columns[KEY])))
    paths = files(kind)
    DAMAGE[kind, damage](paths[0])
    with pytest.raises(UnreadableError):
        cleaned(kind, paths[:1], tmp_path / "b.h5")
    assert len(appended) > 1
    assert sum(appended) > 1000


@pytest.mark.parametrize("kind", WRITE)
@pytest.mark.parametrize("by", ["event", "jet", "modulo"])
def test_a_batch_without_readable_files_is_empty(files, tmp_path, caplog, kind, by):
    paths = files(kind)
    split = {"by": "modulo", "modulo": 5, "test": [0], "val": [1]} if by == "modulo" else {"by": by}
    whole, _ = cleaned(kind, paths, tmp_path / "a.h5")
    for path in paths:
        path.write_bytes(b"")
    config = CONFIG[kind] | {"split": split, "input": CONFIG[kind]["input"] | {"unreadable": "skip"}}
    clean_batch(paths, tmp_path / "b.h5", settings=load(config).cleaning, sample="tt", first_file=0)
    columns, attributes = content(tmp_path / "b.h5")
    assert columns.keys() == whole.keys()
    assert {name: len(values) for name, values in columns.items() if "offsets" not in name and len(values)} == {}
    # Joined with those of another batch they leave its types alone.
    for name, values in whole.items():
        assert np.concatenate([values, columns[name]]).dtype == values.dtype
    assert attributes["cutflow"][0] == ["read", 0]
    assert list(attributes["splits"]) == [0, 0, 0]
    assert "3 of 3 files skipped" in caplog.text


@pytest.mark.parametrize("damage", ["last basket", "cut late"])
def test_types_are_those_of_the_files_that_are_read(tmp_path, damage):
    """The type of a column comes from the first file; one that is skipped must not decide it."""
    paths = [write_jets(tmp_path / "0.root", 0, pt="f8"), write_jets(tmp_path / "1.root", 1)]
    alone, _ = cleaned("root", paths[1:], tmp_path / "a.h5", first_file=1)
    DAMAGE["root", damage](paths[0])
    columns, _ = cleaned("root", paths, tmp_path / "b.h5", unreadable="skip")
    equal(columns, alone)
    assert columns["variables/pt"].dtype == np.float32


def overwritten_in_place(path):
    """With its times as they were, as by ``rsync --inplace --times``."""
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=times)


@pytest.mark.parametrize("unreadable", ["error", "skip"])
@pytest.mark.parametrize("kind", WRITE)
def test_a_file_that_changes_while_it_is_read(files, tmp_path, monkeypatch, kind, unreadable):
    paths, append = files(kind), ColumnBuffer.append

    def change_and_append(self, columns):
        overwritten_in_place(paths[1])
        append(self, columns)

    monkeypatch.setattr(ColumnBuffer, "append", change_and_append)
    with pytest.raises(JetmillError, match="changed while it was read") as error:
        cleaned(kind, paths, tmp_path / "out/b.h5", unreadable=unreadable)
    assert str(error.value).startswith(f"{paths[1]}: ")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("unreadable", ["error", "skip"])
@pytest.mark.parametrize("at", [1, 2])
def test_a_tree_that_is_removed_while_it_is_read(files, tmp_path, monkeypatch, unreadable, at):
    """uproot opens a file for each piece of it."""
    paths, append, appended = files("root"), ColumnBuffer.append, []

    def remove_and_append(self, columns):
        appended.append(len(columns))
        if len(appended) == at:
            paths[0].unlink()
        append(self, columns)

    monkeypatch.setattr(ColumnBuffer, "append", remove_and_append)
    # Whether it is skipped or not, its batch is of files that have changed.
    message = "no such file; it was removed while it was read" if unreadable == "error" else "changed while it was read"
    with pytest.raises(JetmillError) as error:
        cleaned("root", paths, tmp_path / "out/b.h5", unreadable=unreadable)
    assert str(error.value).startswith(f"{paths[0]}: {message}")


MISTAKES = {
    "branch": ({"jets": ROOT["jets"] | {"variables": ["pt", "phi"]}}, {}, "no branch 'Jet_phi'"),
    "tree": ({"input": {"tree": "Event"}}, {}, "no tree 'Event'"),
    "type": ({}, {"event": "f8"}, "it must be an integer"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_of_the_configuration_are_not_skipped(tmp_path, mistake):
    changes, types, expected = MISTAKES[mistake]
    paths = [write_jets(tmp_path / "0.root", 0), write_jets(tmp_path / "1.root", 1, **types)]
    config = ROOT | changes | {"input": changes.get("input", {}) | {"unreadable": "skip"}}
    with pytest.raises(JetmillError, match=expected) as error:
        clean_batch(paths, tmp_path / "b.h5", settings=load(config).cleaning, sample="tt", first_file=0)
    assert not isinstance(error.value, UnreadableError)


@pytest.mark.parametrize("change", [{"jets": "jet"}, {"event_id": ["eventnumber"]}])
def test_mistakes_in_names_of_hdf5_are_not_skipped(tmp_path, change):
    path = write_dump(tmp_path / "0.h5", 0)
    with pytest.raises(JetmillError, match="Did you mean") as error:
        cleaned("hdf5", [path], tmp_path / "b.h5", unreadable="skip", **change)
    assert not isinstance(error.value, UnreadableError)


def classes_of_uproot():
    """Return the classes with which uproot reads all files, by name and version."""
    versions = {
        (name, version): model
        for name, models in uproot.classes.items()
        for version, model in getattr(models, "known_versions", {}).items()
    }
    return dict(uproot.classes) | versions


def test_damaged_files_do_not_change_how_others_are_read(tmp_path):
    """uproot keeps the classes that it makes up from what a damaged file says of itself."""
    write_toy_file(tmp_path / "good.root", "root", process="ttbar", n_jets=100, seed=1, sample="tt", number=0)
    bad, whole, failures = tmp_path / "bad.root", (tmp_path / "good.root").read_bytes(), 0
    for start in np.linspace(100, len(whole) - 200, 50).astype(int):
        bad.write_bytes(whole[:start] + b"\xff" * 100 + whole[start + 100 :])
        before = classes_of_uproot()
        try:
            with open_root(str(bad), Input(), {}) as source:
                list(source.chunks(["pt", "event"], {}))
        except JetmillError:
            failures += 1
            assert classes_of_uproot() == before
    assert failures > 5


@pytest.mark.parametrize("filling", [b"\0", b"\xff"])
def test_a_damaged_hdf5_file_raises_nothing_but_our_error(tmp_path, filling):
    path = write_dump(tmp_path / "good.h5", 0, n_jets=1500)
    whole, bad, leaks = path.read_bytes(), tmp_path / "bad.h5", {}
    starts = [*range(0, 6000, 150), *np.linspace(6000, len(whole) - 200, 20).astype(int)]
    for start in starts:
        bad.write_bytes(whole[:start] + filling * 100 + whole[start + 100 :])
        try:
            cleaned("hdf5", [bad], tmp_path / "b.h5")
        except JetmillError:
            pass
        except Exception as error:
            leaks.setdefault(type(error), (start, error))
    assert not leaks
