"""HDF5 with an array per variable, as in the ATLAS top-tagging open data: every value against h5py, and the errors."""

import h5py
import numpy as np
import pytest

from jetmill.errors import JetmillError
from jetmill.settings.constituents import Constituents
from jetmill.settings.input import Input
from jetmill.sources import UnreadableError, open_source

N, SLOTS = 57, 6
CLUSTERS = {"fjet_clus": Constituents(variables=("pt", "eta"), aliases={"energy": "odd-name"})}


@pytest.fixture
def arrays(tmp_path):
    """A file, and what is in it."""
    rng = np.random.default_rng(3)
    used = rng.random((N, SLOTS)) < 0.6
    used[7] = False
    found = {
        "fjet_pt": rng.uniform(350, 3000, N).astype("f4"),
        "fjet_eta": rng.normal(size=N),
        "labels": rng.integers(0, 2, N).astype("i4"),
        "weights": rng.random(N),
        "fjet_clus_pt": np.where(used, rng.uniform(1, 9, (N, SLOTS)), 0).astype("f4"),
        "fjet_clus_eta": np.where(used, rng.normal(size=(N, SLOTS)), np.nan).astype(">f8"),
        "odd-name": np.where(used, rng.uniform(1, 9, (N, SLOTS)), 0).astype("f2"),
    }
    # One variable of a constituent may be 0.
    found["fjet_clus_eta"][used & (found["fjet_clus_pt"] > 8)] = 0
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for name, values in found.items():
            file.create_dataset(name, data=values, chunks=(10, *values.shape[1:]), compression="gzip")
    return path, found, used


def settings(**given):
    return Input(format="hdf5_arrays", jets="fjet", event_id=(), **given)


def change(path, **arrays):
    with h5py.File(path, "r+") as file:
        for name, values in arrays.items():
            del file[name]
            if values is not None:
                file[name] = values


def read(path, names=("pt", "labels", "weights"), of=("pt", "eta", "energy"), jets=None, **given):
    """Return columns of jets, of constituents, and counts, of all chunks."""
    with open_source(str(path), settings(**given), CLUSTERS) as source:
        types = source.dtypes(names) | {f"clus_{k}": v for k, v in source.constituent_dtypes("fjet_clus", of).items()}
        columns, counts = {name: [] for name in types}, []
        for chunk in source.chunks(names, {"fjet_clus": of}):
            mask = np.ones(len(chunk.entry), bool) if jets is None else jets[chunk.entry]
            constituents = chunk.constituents("fjet_clus", of, mask)
            counts.append(constituents.counts)
            for name in names:
                columns[name].append(chunk.columns[name])
            for name in of:
                columns[f"clus_{name}"].append(constituents.columns[name])
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    assert {name: values.dtype for name, values in joined.items()} == types
    return joined, np.concatenate(counts)


@pytest.mark.parametrize("chunk_bytes", [1, 3000, 8_000_000])
@pytest.mark.parametrize("every", [1, 3])
def test_every_slot_with_a_value_is_a_constituent(arrays, chunk_bytes, every):
    path, expected, used = arrays
    jets = np.arange(N) % every == 0
    found, counts = read(path, jets=jets, chunk_bytes=chunk_bytes)
    for name, array in {"pt": "fjet_pt", "labels": "labels", "weights": "weights"}.items():
        np.testing.assert_array_equal(found[name], expected[array])
    assert counts.tolist() == [int(row.sum()) for row in used[jets]]
    for name, array in {"pt": "fjet_clus_pt", "eta": "fjet_clus_eta", "energy": "odd-name"}.items():
        plain = [value for row, slots in zip(expected[array][jets], used[jets], strict=True) for value in row[slots]]
        assert found[f"clus_{name}"].tolist() == plain


def test_an_alias_of_jets(arrays):
    path, expected, _ = arrays
    found, _ = read(path, names=["truth"], aliases={"truth": "labels"})
    assert found["truth"].tolist() == expected["labels"].tolist()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"fjet_pt": None}, r"a\.h5: no array 'fjet_pt' or 'pt'\. Did you mean"),
        ({"odd-name": None}, r"a\.h5: no array 'odd-name'"),
        ({"labels": np.zeros((N, 2))}, r"array 'labels' has shape \(57, 2\), not \(jets,\)"),
        ({"fjet_clus_pt": np.zeros(N)}, r"array 'fjet_clus_pt' has shape \(57,\), not \(jets, slots\)"),
        ({"fjet_clus_pt": np.ones((N - 1, SLOTS))}, r"'fjet_clus_pt' has 56 rows and 'fjet_pt' 57"),
        ({"fjet_clus_pt": np.ones((N, 4))}, r"arrays of 'fjet_clus' differ in their slots: 'fjet_clus_pt' 4"),
        ({"labels": np.zeros(N, [("x", "f4")])}, r"'labels' is a structured dataset \(format hdf5\)"),
        ({"labels": np.full(N, b"top")}, r"'labels' is of \|S3, not numbers"),
    ],
)
def test_what_does_not_fit_is_named(arrays, wrong, message):
    change(arrays[0], **wrong)
    with pytest.raises(JetmillError, match=message):
        read(arrays[0])


def test_damage_and_urls(arrays):
    path = arrays[0]
    with pytest.raises(JetmillError, match=r"https://x/a\.h5: .*hdf5"):
        read("https://x/a.h5")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(UnreadableError, match=r"a\.h5: "):
        read(path)
    path.unlink()
    with pytest.raises(UnreadableError, match="no such file"):
        read(path)


def test_zeros_at_the_end_are_a_warning(arrays, caplog):
    path, expected, _ = arrays
    pt = np.ones((4000, SLOTS), "f4")
    pt[3900:] = 0
    change(path, **{name: np.resize(values, (4000, *values.shape[1:])) for name, values in expected.items()})
    change(path, fjet_clus_pt=pt)
    read(path)
    assert [m for m in caplog.messages if "'fjet_clus_pt'" in m] == [
        f"{path}: the last 100 of 4000 rows of 'fjet_clus_pt' are all zeros, as in an incomplete copy"
    ]
