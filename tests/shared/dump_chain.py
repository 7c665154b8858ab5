"""Dumps of a few hundred jets whose every number is known, and a chain of the stages on them in one process."""

from types import SimpleNamespace

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
from stage_runs import run_stages

from jetmill.errors import JetmillError

SLOTS = 6


SAMPLES = {"ttbar": (2, 700), "zprime": (2, 500)}


def dump(path, n, *, first, rng, high=False, change=None, types=None):
    """Write n jets, b, c and u in falling numbers and of unlike spectra, with up to six tracks."""
    types = types or {}
    jets = np.zeros(
        n,
        [("pt", "f4"), ("hits", "i4"), ("mass", "f4"), ("flavour", "i4"), ("eventNumber", "u8"), ("target", "f4")],
    )
    jets["flavour"] = rng.choice([0, 4, 5], n, p=[0.6, 0.25, 0.15])
    jets["pt"] = rng.gamma(2, 20, n) * (1 + jets["flavour"] / 10) + (100 if high else 0) + 20
    jets["hits"] = rng.poisson(7, n)
    jets["mass"] = np.where(rng.random(n) < 0.2, np.nan, rng.normal(5, 1, n))
    jets["target"] = np.where(rng.random(n) < 0.5, np.nan, rng.normal(size=n))
    jets["eventNumber"] = first + np.arange(n)
    tracks = np.zeros(
        (n, SLOTS), [("d0", "f4"), ("dr", "f4"), ("origin", types.get("origin", "i4")), ("valid", "?"), ("q", "i1")]
    )
    tracks["valid"] = rng.random((n, SLOTS)) < rng.random(n)[:, None]
    tracks["d0"], tracks["dr"] = rng.normal(size=(n, SLOTS)), rng.gamma(1, 0.1, (n, SLOTS))
    # Padding as in a dump that umami cannot read.
    tracks["d0"][~tracks["valid"]] = np.nan
    tracks["origin"] = np.where(tracks["valid"], rng.integers(0, 4, (n, SLOTS)), 0)
    tracks["q"] = rng.choice([-1, 1], (n, SLOTS))
    if change is not None:
        change(jets, tracks)
    with h5py.File(path, "w") as file:
        file["jets"], file["tracks"] = jets, tracks
    return jets, tracks


def config(directory, files, **changes):
    raw = {
        "output_dir": str(directory),
        "samples": {name: {"files": [str(p) for p in paths]} for name, paths in files.items()},
        "input": {"format": "hdf5", "files_per_batch": 1},
        "jets": {"variables": ["pt", "hits", "mass"], "additional_labels": ["target"]},
        "constituents": {
            "tracks": {
                "variables": ["d0", "dr", "q"],
                "labels": ["origin"],
                "label_classes": {"origin": ["pileup", "fake", "primary", "fromB"]},
                "max": 5,
            }
        },
        "classes": {"b": "flavour == 5", "c": "flavour == 4", "u": "flavour == 0"},
        "split": {"by": "modulo", "modulo": 5, "val": [3], "test": [4]},
        "balance": {"bins": {"pt": [[0, 100, 4], [100, 1000, 3]]}},
    }
    for section, value in changes.items():
        raw[section] = raw.get(section, {}) | value if section != "tracks" else raw.get(section)
        if section == "tracks":
            raw.pop("tracks")
            raw["constituents"] = {"tracks": raw["constituents"]["tracks"] | value}
    return raw


def chain(raw, formats=()):
    """Run all stages as the workflow does; return the results."""
    return Results(run_stages(raw, formats))


def unless_refused(raw, name, formats=()):
    """Return the results, or None if a sentence that has `name` refuses the configuration or the data."""
    asked = {"write": raw.get("write", {}) | {"formats": ["hdf5", *formats]}}
    try:
        return chain(raw | asked, formats)
    except JetmillError as error:
        refusal = str(error)
    assert name in refusal
    return None


class Results:
    def __init__(self, out):
        self.out = out

    def arrays(self, output="train"):
        found = {}
        with h5py.File(f"{self.out}/{output}.h5") as file:
            file.visititems(lambda n, x: found.update({n: x[()]}) if isinstance(x, h5py.Dataset) else None)
        return found

    def records(self, output="train"):
        with h5py.File(f"{self.out}/structured/{output}.h5") as file:
            return file["jets"][()], file["tracks"][()]

    def text(self, name):
        with open(f"{self.out}/{name}") as file:  # noqa: PTH123
            return file.read()


def make(directory, **options):
    files, jets, tracks, first = {}, [], [], 1000
    for number, (name, (n_files, n)) in enumerate(SAMPLES.items()):
        files[name] = [directory / f"{name}{k}.h5" for k in range(n_files)]
        for k, path in enumerate(files[name]):
            rng = np.random.default_rng([number, k])
            per_file = options | ({"types": options["types"](name)} if "types" in options else {})
            j, t = dump(path, n, first=first, rng=rng, high=name == "zprime", **per_file)
            first += n
            jets.append(j)
            tracks.append(t)
    jets, tracks = np.concatenate(jets), np.concatenate(tracks)
    return SimpleNamespace(files=files, jets=jets, tracks=tracks, train=jets["eventNumber"] % 5 < 3)


def place(made, arrays):
    """Return the row in the dumps of each jet."""
    return arrays["jets/event/eventNumber"].astype(int) - 1000
