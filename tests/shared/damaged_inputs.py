"""Small input files, ways to damage them, and the clean stage on them."""

import awkward as ak
import h5py
import numpy as np
import uproot
from batches import clean_batch, columns_of

from jetmill.cleaning.column_buffer import LIMITS
from jetmill.columns.batch_file import Batch
from jetmill.config.load import load

N_EVENTS, N_JETS = 2000, 6000


ROOT = {
    "samples": {"tt": {"toy": {"process": "ttbar"}}},
    "input": {"chunk_bytes": 20_000},
    "jets": {"select": ["pt >= 30"], "variables": ["pt", "eta"], "additional_labels": ["hadronFlavour"]},
    "classes": {"b": "hadronFlavour == 5", "light": "rest"},
    "balance": {"bins": {"pt": [30, 100, 4]}},
}


HDF5 = ROOT | {
    "input": {"format": "hdf5", "chunk_bytes": 50_000},
    "constituents": {"tracks": {"variables": ["d0"], "select": ["d0 > 0"], "labels": ["origin"]}},
}


def write_jets(path, number, n_events=N_EVENTS, **other_types):
    """Write an event tree of several clusters of entries; zeros and repeats would hide what is damaged."""
    rng = np.random.default_rng(number)
    counts = rng.poisson(3, n_events)
    n, types = counts.sum(), {"pt": "f4", "eta": "f4", "hadronFlavour": "i4", "event": "u8"} | other_types
    jets = {"pt": rng.uniform(10, 100, n), "eta": rng.normal(size=n), "hadronFlavour": rng.choice([0, 4, 5], n)}
    branches = {f"Jet_{name}": ak.unflatten(values.astype(types[name]), counts) for name, values in jets.items()}
    branches |= {name: np.arange(n_events).astype("u4") for name in ("run", "luminosityBlock")}
    branches["event"] = (np.arange(n_events) + 10**6 * number).astype(types["event"])
    with uproot.recreate(path, compression=uproot.ZLIB(1)) as file:
        file.mktree("Events", {name: v.type if isinstance(v, ak.Array) else v.dtype for name, v in branches.items()})
        for start in range(0, n_events, 500):
            file["Events"].extend({name: values[start : start + 500] for name, values in branches.items()})
    return path


def write_dump(path, number, n_jets=N_JETS):
    rng = np.random.default_rng(number)
    jets = np.zeros(n_jets, [("pt", "f4"), ("eta", "f4"), ("hadronFlavour", "i4"), ("eventNumber", "u8")])
    jets["pt"], jets["eta"] = rng.uniform(10, 100, n_jets), rng.normal(size=n_jets)
    jets["hadronFlavour"], jets["eventNumber"] = rng.choice([0, 4, 5], n_jets), np.arange(n_jets) + 10**6 * number
    tracks = np.zeros((n_jets, 4), [("d0", "f4"), ("origin", "i4"), ("valid", "?")])
    tracks["d0"], tracks["valid"] = rng.normal(size=(n_jets, 4)), rng.random((n_jets, 4)) < 0.6
    with h5py.File(path, "w") as file:
        for name, values in {"jets": jets, "tracks": tracks}.items():
            file.create_dataset(
                name,
                data=values,
                chunks=(min(500, n_jets or 1), *values.shape[1:]),
                maxshape=(None, *values.shape[1:]),
                compression=1,
                fletcher32=True,
            )
    return path


def overwrite(path, start, size=60):
    content = bytearray(path.read_bytes())
    content[start : start + size] = b"\xa5" * size
    path.write_bytes(content)


def corrupt_basket(path, branch="Jet_eta", number=-1):
    """Spoil one basket behind its key, so that it does not decompress; everything else stays whole."""
    with uproot.open(path) as file:
        found = file["Events"][branch]
        number = range(found.num_baskets)[number]
        key = found.basket_key(number)
        start = int(key.fSeekKey) + int(key.fKeylen) + 20
    overwrite(path, start)


def corrupt_chunk(path, dataset):
    with h5py.File(path) as file:
        found = file[dataset].id
        start = found.get_chunk_info(found.get_num_chunks() - 1).byte_offset + 10
    overwrite(path, start)


def cut(share):
    return lambda path: path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


WRITE, CONFIG = {"root": write_jets, "hdf5": write_dump}, {"root": ROOT, "hdf5": HDF5}


def cleaned(kind, files, output, *, first_file=0, limits=LIMITS, **options):
    config = CONFIG[kind] | {"input": CONFIG[kind]["input"] | options}
    clean_batch(files, output, settings=load(config).cleaning, sample="tt", first_file=first_file, limits=limits)
    return content(output)


def content(path):
    """Return all datasets and attributes of a column file."""
    with Batch(path) as batch:
        names = ("cutflow", "constituents", "splits", "class_counts", "inputs")
        return columns_of(path), {name: batch.attribute(name) for name in names}


def equal(one, other):
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name])
        assert values.dtype == other[name].dtype, name
