"""What becomes of constituents in cleaning, against loops over the jets of the file."""

import h5py
import numpy as np
import pytest
from batches import at, clean_batch, cleaned, columns_of

from jetmill.balancing.selection import SelectedJets
from jetmill.cleaning.column_buffer import ColumnBuffer, Limits
from jetmill.columns.batch_file import Batch, create_batch
from jetmill.columns.batch_list import write_batch_lists
from jetmill.columns.schema import KEY, LABEL, Column, Kind, constituent_label, counts
from jetmill.config.load import load as load_config
from jetmill.errors import JetmillError

N, SLOTS = 400, 8


def dump(path, *, n=N, seed=0, valid=True, first=0, types=None):
    """Write jets with a number each and tracks with a number each, in use at scattered slots."""
    rng = np.random.default_rng(seed)
    jets = np.zeros(n, [("pt", "f4"), ("flavour", "i4"), ("eventNumber", "u8"), ("target", "f4")])
    jets["pt"], jets["eventNumber"] = rng.uniform(0, 100, n), first + np.arange(n)
    jets["flavour"] = rng.choice([0, 4, 5, 15], n)
    jets["target"] = np.where(rng.random(n) < 0.3, np.nan, rng.normal(size=n))
    fields = {"d0": "f4", "pt": "f4", "hits": "u1", "origin": "i4", "vertex": "i8", "number": "u4", "big": "u8"}
    fields |= types or {}
    tracks = np.zeros((n, SLOTS), [*fields.items()] + [("valid", "?")] * valid)
    used = rng.random((n, SLOTS)) < rng.choice([0, 0.3, 0.9], n)[:, None]
    tracks["d0"] = rng.normal(size=(n, SLOTS)).round(1)  # some are equal
    tracks["pt"] = rng.choice([0.5, 1, 2, 3, -999, np.inf, np.nan], (n, SLOTS))
    tracks["hits"], tracks["origin"] = rng.integers(0, 12, (n, SLOTS)), rng.integers(-1, 8, (n, SLOTS))
    tracks["vertex"] = rng.integers(-(2**31), 2**31, (n, SLOTS))
    tracks["number"] = SLOTS * first + np.arange(n * SLOTS).reshape(n, SLOTS)
    tracks["big"] = rng.integers(0, 2**63, (n, SLOTS), dtype=np.uint64) * 2
    tracks["big"][rng.random((n, SLOTS)) < 0.2] = 0
    if valid:
        tracks["valid"] = used
    else:
        tracks["d0"][~used] = np.nan
    with h5py.File(path, "w") as file:
        file["jets"], file["tracks"] = jets, tracks
    return jets, tracks, used


def config(**tracks):
    tracks = {"variables": ["d0", "hits", "number"], "labels": ["origin", "vertex"], "max": 5} | tracks
    return {
        "samples": {"tt": {"toy": {"process": "ttbar"}}},
        "input": {"format": "hdf5"},
        "jets": {"variables": ["pt"], "select": ["pt > 20"], "additional_labels": ["target"]},
        "constituents": {"tracks": tracks},
        "classes": {"b": "flavour == 5", "c": "flavour == 4", "u": "flavour == 0"},
        "split": {"by": "modulo", "modulo": 4, "val": [2], "test": [3]},
        "balance": {"bins": {"pt": [20, 100, 4]}},
    }


def clean(paths, output, settings, **options):
    settings = load_config(settings).cleaning
    clean_batch(paths, output, settings=settings, sample="tt", **{"first_file": 0} | options)
    return output


def stored(path, names=("d0", "hits", "number"), labels=("origin", "vertex"), collection="tracks"):
    """Return event number to the constituents of the jet, a list of tuples of variables and labels."""
    with h5py.File(path) as file:
        group = file[f"constituents/{collection}"]
        ends = group["offsets"][()]
        columns = [group[f"variables/{n}"][()] for n in names] + [group[f"labels/{n}"][()] for n in labels]
        assert all(len(c) == ends[-1] for c in columns)
        assert ends[0] == 0
        rows = list(zip(*(c.tolist() for c in columns), strict=True))
        events = file["event/eventNumber"][()].tolist()
        assert len(events) == len(ends) - 1
        return {e: rows[ends[j] : ends[j + 1]] for j, e in enumerate(events)}


def expected(jets, tracks, used, *, keep=lambda t: True, key=None, n_max=5):
    """Do it jet by jet: those in use, selected, sorted (stable, NaN last), truncated."""
    result = {}
    for jet, of_jet, mask in zip(jets, tracks, used, strict=True):
        if jet["pt"] <= 20 or jet["flavour"] == 15:
            continue
        rows = [t for t, is_used in zip(of_jet, mask, strict=True) if is_used and keep(t)]
        if key is not None:
            known = [t for t in rows if not np.isnan(key(t))]
            rows = sorted(known, key=key, reverse=True) + [t for t in rows if np.isnan(key(t))]
        names = ("d0", "hits", "number", "origin", "vertex")
        result[int(jet["eventNumber"])] = [tuple(t[n].item() for n in names) for t in rows[:n_max]]
    return result


def same(found, wanted):
    assert found.keys() == wanted.keys()
    for event, rows in wanted.items():
        assert found[event] == rows, event
    assert any(wanted.values())


@pytest.mark.parametrize("chunk_bytes", [1, 2000, 8_000_000])
@pytest.mark.parametrize("valid", [True, False])
def test_as_in_the_file_front_packed_and_cut_off(tmp_path, chunk_bytes, valid):
    made = dump(tmp_path / "a.h5", valid=valid)
    raw = config()
    raw["input"] |= {"chunk_bytes": chunk_bytes}
    same(stored(clean([tmp_path / "a.h5"], tmp_path / "c.h5", raw)), expected(*made))


def test_select_then_sort_then_cut_off(tmp_path):
    made = dump(tmp_path / "a.h5")
    settings = config(select=["hits >= 3", "d0 != 0 | hits == 11"], sort_by="abs(d0)", max=3)
    found = stored(clean([tmp_path / "a.h5"], tmp_path / "c.h5", settings))
    wanted = expected(
        *made,
        keep=lambda t: t["hits"] >= 3 and (t["d0"] != 0 or t["hits"] == 11),
        key=lambda t: abs(float(t["d0"])),
        n_max=3,
    )
    same(found, wanted)
    assert any(len(rows) < 3 for rows in wanted.values())


@pytest.mark.parametrize("sort_by", ["hits", "-hits", "big", "number", "vertex", "valid", "d0 > 0", "hits // 4", "1"])
def test_sort_by_anything(tmp_path, sort_by):
    made = dump(tmp_path / "a.h5")
    key = {
        "-hits": lambda t: -int(t["hits"]),
        "d0 > 0": lambda t: t["d0"] > 0,
        "hits // 4": lambda t: t["hits"] // 4,
        "1": lambda t: 1,
        "valid": lambda t: 1,
    }.get(sort_by, lambda t: int(t[sort_by]))
    same(stored(clean([tmp_path / "a.h5"], tmp_path / "c.h5", config(sort_by=sort_by))), expected(*made, key=key))


def test_missing_values_sort_last_and_fail_every_cut(tmp_path):
    made = dump(tmp_path / "a.h5")
    missing = {"values": [-999], "values_of": {"hits": [0, 1]}}
    pt = lambda t: float(t["pt"]) if np.isfinite(t["pt"]) and t["pt"] != -999 else np.nan  # noqa: E731
    settings = config(missing=missing, sort_by="pt", select=["~(hits == 5)"])
    found = stored(clean([tmp_path / "a.h5"], tmp_path / "c.h5", settings), names=("number",), labels=())
    wanted = expected(*made, key=pt, keep=lambda t: t["hits"] not in (0, 1, 5))
    assert {e: [r[0] for r in rows] for e, rows in found.items()} == {
        e: [r[2] for r in rows] for e, rows in wanted.items()
    }


def test_sentinels_of_variables_leave_labels_alone(tmp_path):
    _, tracks, used = dump(tmp_path / "a.h5")
    settings = config(variables=["pt", "hits", "number", "origin"], missing={"values": [-999, 3]}, max=SLOTS)
    path = clean([tmp_path / "a.h5"], tmp_path / "c.h5", settings)
    by_number = {t["number"].item(): t for t in tracks[used]}
    rows = [r for of_jet in stored(path, names=("number", "pt", "hits", "origin")).values() for r in of_jet]
    assert len(rows) > 500
    for number, pt, hits, origin, label, vertex in rows:
        track = by_number.get(int(number)) if np.isfinite(number) else None
        if track is None:
            continue  # number 3 itself is a sentinel
        sound = np.isfinite(track["pt"]) and track["pt"] not in (-999, 3)
        assert np.isnan(pt) if not sound else pt == track["pt"]
        assert np.isnan(hits) if track["hits"] == 3 else hits == track["hits"]
        assert np.isnan(origin) if track["origin"] == 3 else origin == track["origin"]
        assert (label, vertex) == (track["origin"], track["vertex"])


def test_defined_variables(tmp_path):
    _, tracks, used = dump(tmp_path / "a.h5")
    settings = config(
        variables=["number", "log_pt", "twice"],
        define={"log_pt": "log(pt)", "twice": "2 * log_pt", "one": "1"},
        missing={"values": [-999]},
        select=["one == 1", "twice < 2"],
        sort_by="twice",
    )
    rows = [
        r
        for of_jet in stored(
            clean([tmp_path / "a.h5"], tmp_path / "c.h5", settings), ("number", "log_pt", "twice"), ()
        ).values()
        for r in of_jet
    ]
    by_number = {t["number"].item(): float(t["pt"]) for t in tracks[used]}
    assert {by_number[int(n)] for n, _, _ in rows} == {0.5, 1, 2}
    for number, log_pt, twice in rows:
        assert log_pt == pytest.approx(np.log(by_number[int(number)]), rel=1e-6)
        assert twice == pytest.approx(2 * log_pt, rel=1e-6)


def test_all_are_cut_away(tmp_path):
    made = dump(tmp_path / "a.h5")
    found = stored(clean([tmp_path / "a.h5"], tmp_path / "c.h5", config(select=["d0 > 1e9"], sort_by="d0")))
    assert found.keys() == expected(*made).keys()
    assert not any(found.values())


def test_no_jet_passes(tmp_path):
    dump(tmp_path / "a.h5")
    settings = config()
    settings["jets"]["select"] = ["pt > 1e9"]
    assert stored(clean([tmp_path / "a.h5"], tmp_path / "c.h5", settings)) == {}


def test_types_and_counts_of_the_store(tmp_path):
    jets, tracks, used = dump(tmp_path / "a.h5")
    path = clean([tmp_path / "a.h5"], tmp_path / "c.h5", config(select=["hits > 2"], max=3))
    kept = (jets["pt"] > 20) & (jets["flavour"] != 15)
    selected = (used & (tracks["hits"] > 2))[kept]
    with Batch(path) as batch:
        flow = batch.attribute("constituents")["tracks"]
        assert flow == [used[kept].sum(), selected.sum(), np.minimum(selected.sum(axis=1), 3).sum()]
        types = {name: batch.read(at(f"constituents/tracks/{name}")).dtype for name in ("offsets", "labels/vertex")}
        assert types == {"offsets": np.int64, "labels/vertex": np.int32}
        assert batch.read(at("constituents/tracks/variables/hits")).dtype == np.float32
        assert batch.read(at("constituents/tracks/variables/number")).dtype == np.float64
        target = dict(zip(jets["eventNumber"].tolist(), jets["target"].tolist(), strict=True))
        stored_target = batch.read(at("additional_labels/target"))
        np.testing.assert_array_equal(stored_target, [target[e] for e in batch.read(at("event/eventNumber")).tolist()])


@pytest.mark.parametrize(
    ("changes", "types", "expected_type"),
    [
        ({}, {}, np.uint8),
        ({}, {"hits": "i2"}, np.int16),
        ({}, {"hits": "?"}, np.bool_),
        ({}, {"hits": "i4"}, np.float64),
        ({"missing": {"values_of": {"d0": [0]}}}, {}, np.uint8),
        ({"missing": {"values_of": {"hits": [0]}}}, {}, np.float32),
        ({"missing": {"values": [-999]}}, {}, np.float32),
        ({"units": {"hits": 0.5}}, {}, np.float32),
    ],
)
def test_small_integers_are_stored_as_they_are_and_read_as_floats(tmp_path, changes, types, expected_type):
    made = dump(tmp_path / "a.h5", types=types)
    path = clean([tmp_path / "a.h5"], tmp_path / "c.h5", config(**changes))
    with h5py.File(path) as file, Batch(path) as batch:
        column = file["constituents/tracks/variables/hits"]
        assert column.dtype == expected_type
        read = batch.read(at("constituents/tracks/variables/hits"), slice(3, 50))
        assert read.dtype == (np.float64 if types.get("hits") == "i4" else np.float32)
        np.testing.assert_array_equal(read, column[3:50])
    if not changes:
        same(stored(path), expected(*made))


@pytest.mark.parametrize(
    ("later", "stored_as", "read_as"),
    [
        ("i2", np.int16, np.float32),
        ("i1", np.int16, np.float32),
        ("?", np.uint8, np.float32),
        ("f4", np.float32, np.float32),
        ("i4", np.float64, np.float64),
    ],
)
def test_a_small_integer_of_another_type_in_another_file(tmp_path, later, stored_as, read_as):
    first = dump(tmp_path / "a.h5")
    second = dump(tmp_path / "b.h5", seed=1, first=N, types={"hits": later})
    wanted, hits = expected(*first) | expected(*second), "constituents/tracks/variables/hits"
    for n, order in enumerate(("ab", "ba")):
        path = clean([tmp_path / f"{name}.h5" for name in order], tmp_path / f"{n}.h5", config())
        same(stored(path), wanted)
        (listed,) = write_batch_lists([path], {tmp_path / "batches.json": {}})
        with h5py.File(path) as file, Batch(path, listed.types) as batch:
            assert file[hits].dtype == stored_as
            assert batch.read(at(hits)).dtype == read_as
            np.testing.assert_array_equal(batch.read(at(hits)), file[hits][()])


@pytest.mark.parametrize("limits", [Limits(), Limits(run_bytes=0)], ids=["in memory", "in the file"])
def test_rows_are_forgotten_with_their_types(tmp_path, limits):
    hits, event = constituent_label("tracks", "hits"), Column(Kind.EVENT, "eventNumber")
    of_files = {counts("tracks"): np.dtype(np.uint16), event: np.dtype(np.uint64)}
    own = {KEY: np.dtype(np.uint64), LABEL: np.dtype(np.uint8)}

    def columns(keys, values):
        n = len(keys)
        found = {hits: values, counts("tracks"): np.ones(n, np.uint16), event: np.zeros(n, np.uint64)}
        return found | {KEY: np.array(keys, dtype=np.uint64), LABEL: np.zeros(n, np.uint8)}

    with create_batch(tmp_path / "batch.h5") as writer:
        buffer = ColumnBuffer(writer, load_config(config()).cleaning, own, limits)
        buffer.expect(of_files | {hits: np.dtype(np.uint8)}, "a.h5")
        buffer.append(columns([5, 6, 7], np.array([1, 2, 3], dtype=np.uint8)))
        buffer.mark()
        buffer.expect(of_files | {hits: np.dtype(np.int16)}, "b.h5")
        buffer.append(columns([4], np.array([-4], dtype=np.int16)))
        buffer.roll_back()
        buffer.expect(of_files | {hits: np.dtype(np.uint8)}, "c.h5")
        buffer.append(columns([1], np.array([9], dtype=np.uint8)))
        described, jets = buffer.finish()
        writer.finish(described, {"runs": jets.sum(axis=2)})
    assert described[hits] == (4, np.uint8)
    assert jets.sum() == 4
    assert buffer.seen.found[hits] == {"uint8": "a.h5"}
    found = columns_of(tmp_path / "batch.h5")
    assert found["key"].tolist() == [1, 5, 6, 7]
    assert found[hits.path].tolist() == [9, 1, 2, 3]
    assert found[hits.path].dtype == np.uint8


def test_floats_are_not_truncated_to_integers_unseen(tmp_path):
    with create_batch(tmp_path / "batch.h5") as writer:
        buffer = ColumnBuffer(writer, load_config(config()).cleaning, {})
        buffer.expect({constituent_label("tracks", "hits"): np.dtype(np.uint8)}, "a.h5")
        with pytest.raises(TypeError, match="'hits' of tracks: float32 for a column of uint8"):
            buffer.append({constituent_label("tracks", "hits"): np.array([1.5], dtype=np.float32)})


def test_store_is_grouped_by_split_and_sorted_by_key_with_the_tracks_of_each_jet(tmp_path):
    made = dump(tmp_path / "a.h5")
    path = clean([tmp_path / "a.h5"], tmp_path / "c.h5", config())
    wanted, n_seen = expected(*made), 0
    with Batch(path) as batch:
        for split, remainders in enumerate(([0, 1], [2], [3])):
            (rows,) = batch.rows(split)
            key, event = batch.read(at("key"), rows), batch.read(at("event/eventNumber"), rows)
            assert (np.diff(key.astype(object)) > 0).all()
            assert set(event % 4) == set(remainders)
            counts, of_tracks = batch.constituents("tracks", rows)
            number = batch.read(at("constituents/tracks/variables/number"), of_tracks)
            for e, found in zip(event.tolist(), np.split(number, np.cumsum(counts)[:-1]), strict=True):
                assert found.tolist() == [r[2] for r in wanted[e]]
                n_seen += 1
            # And of a few rows in between, some of them twice.
            middle = slice(rows.start + 3, rows.start + 9)
            repeat = np.array([0, 0, 2, 5, 5, 5])
            nothing = np.zeros(6)
            selected = SelectedJets(cleaned("tt", path), middle, repeat, nothing, nothing, nothing)
            counts, (number,) = selected.read_constituents("tracks", [at("constituents/tracks/variables/number")])
            found = [x.tolist() for x in np.split(number, np.cumsum(counts)[:-1])]
            assert found == [[r[2] for r in wanted[e]] for e in event[3:9][repeat].tolist()]
    assert n_seen == len(wanted)


def test_files_join(tmp_path):
    wanted = {}
    for k in range(3):
        wanted |= expected(*dump(tmp_path / f"{k}.h5", n=[150, 1, 60][k], seed=k, first=1000 * k))
    found = stored(clean([tmp_path / f"{k}.h5" for k in range(3)], tmp_path / "c.h5", config()))
    same(found, wanted)
    one_by_one = {}
    for k in range(3):
        one_by_one |= stored(clean([tmp_path / f"{k}.h5"], tmp_path / f"c{k}.h5", config(), first_file=k))
    assert one_by_one == wanted


def test_two_collections(tmp_path):
    made = dump(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        flow = np.zeros((N, 3), [("e", "f4"), ("id", "i2"), ("valid", "?")])
        flow["e"], flow["id"], flow["valid"] = np.arange(3 * N).reshape(N, 3), -2, [True, False, True]
        file["flow"] = flow
    settings = config()
    settings["constituents"]["flow"] = {"variables": ["e"], "labels": ["id"], "max": 2}
    path = clean([tmp_path / "a.h5"], tmp_path / "c.h5", settings)
    same(stored(path), expected(*made))
    for event, rows in stored(path, ("e",), ("id",), "flow").items():
        assert rows == [(3.0 * event, -2), (3.0 * event + 2, -2)]


@pytest.mark.parametrize("kind", ["i8", "i2", "u8", "u1"])
def test_labels_of_another_type_in_a_later_file(tmp_path, kind):
    wanted = expected(*dump(tmp_path / "a.h5"))
    later = dump(tmp_path / "b.h5", types={"origin": kind}, first=N)
    files = [tmp_path / "a.h5", tmp_path / "b.h5"]
    if kind == "u1":
        # A label of -1 is 255 there, which is kept; nobody can tell.
        assert (later[1]["origin"] == 255).any()
    if kind == "u8":
        with pytest.raises(JetmillError, match=r"labels: 'origin' has values .* which do not fit into 32 bits"):
            clean(files, tmp_path / "c.h5", config())
        return
    same(stored(clean(files, tmp_path / "c.h5", config())), wanted | expected(*later))


@pytest.mark.parametrize("value", [2**31, 2**40, -(2**31) - 1])
def test_label_beyond_32_bits(tmp_path, value):
    dump(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        tracks = file["tracks"][()]
        tracks["vertex"][5:50] = value
        file["tracks"][...] = tracks
    with pytest.raises(JetmillError, match=rf"'vertex' has values .*{value}.* which do not fit into 32 bits"):
        clean([tmp_path / "a.h5"], tmp_path / "c.h5", config())


def test_big_endian_files(tmp_path):
    big = {name: f">{kind}" for name, kind in {"d0": "f4", "origin": "i4", "vertex": "i8", "number": "u4"}.items()}
    made = dump(tmp_path / "a.h5", types=big)
    same(
        stored(clean([tmp_path / "a.h5"], tmp_path / "c.h5", config(sort_by="d0"))),
        expected(*made, key=lambda t: t["d0"]),
    )


def test_cuts_after_the_transforms_which_see_all_selected(tmp_path):
    jets, tracks, used = dump(tmp_path / "a.h5")
    (tmp_path / "sums.py").write_text(
        "import numpy as np\n"
        "def total(tracks, jets):\n"
        "    return {'total': np.bincount(tracks['jet'], tracks['hits'])[tracks['jet']]}\n"
    )
    plugin = {"plugin": str(tmp_path / "sums.py"), "function": "total", "reads": ["hits"], "makes": ["total"]}
    settings = config(
        variables=["number", "total"],
        labels=["origin"],
        select=["hits > 1"],
        transforms=[plugin],
        select_after_transforms=["d0 > 0", "total > 5"],
        sort_by="number",
    )
    path = clean([tmp_path / "a.h5"], tmp_path / "c.h5", settings)
    found, wanted = stored(path, ("number", "total"), ("origin",)), {}
    for jet, of_jet, mask in zip(jets, tracks, used, strict=True):
        if jet["pt"] > 20 and jet["flavour"] != 15:
            selected = [t for t in of_jet[mask] if t["hits"] > 1]
            total = sum(int(t["hits"]) for t in selected)
            rows = [(t["number"].item(), total, t["origin"].item()) for t in selected if t["d0"] > 0 and total > 5]
            wanted[int(jet["eventNumber"])] = sorted(rows, reverse=True)[:5]
    same(found, wanted)
