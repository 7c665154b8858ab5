"""What is infinite, undefined or too large for its type is missing, in arrays, records and Parquet, and is counted."""

import logging
import math

import h5py
import numpy as np
import pytest
from stage_runs import run_stages

N = 400
BIG = float(np.finfo(np.float32).max)
# Values that no input can hold, and some that it can.
WRONG, RIGHT = [math.inf, -math.inf, 1e300, -3.5e38, math.nan], [1e38, -1e38, 1e-300, 0.0]


def write(path):
    """Write jets with a track each; return the values as Python numbers, jet by jet."""
    rng = np.random.default_rng(4)
    kinds = {"x": "f8", "label8": "f8", "label4": "f4", "whole": "i4", "divisor": "i4", "tagger": "f8", "track": "f8"}
    jets = np.zeros(N, [("eventNumber", "u8"), ("pt", "f4"), *((n, kind) for n, kind in kinds.items() if n != "track")])
    jets["eventNumber"], jets["pt"] = np.arange(N), rng.uniform(1, 100, N)
    jets["whole"], jets["divisor"] = rng.integers(-5, 6, N), rng.integers(0, 3, N)
    for name in ("x", "label8", "tagger"):
        jets[name] = np.where(rng.random(N) < 0.4, rng.choice(WRONG + RIGHT, N), rng.normal(size=N))
    ends = rng.choice([math.inf, -math.inf, math.nan, BIG], N)
    jets["label4"] = np.where(rng.random(N) < 0.4, ends, rng.normal(size=N))
    tracks = np.zeros((N, 2), [("d0", "f8"), ("valid", "?")])
    tracks["valid"][:, 0] = True
    tracks["d0"][:, 0] = np.where(rng.random(N) < 0.4, rng.choice(WRONG + RIGHT, N), rng.normal(size=N))
    with h5py.File(path, "w") as file:
        file["jets"], file["tracks"] = jets, tracks
    return [{n: jets[n][i].item() for n in jets.dtype.names} | {"d0": tracks["d0"][i, 0].item()} for i in range(N)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("infinite")
    truth = write(directory / "a.h5")
    raw = {
        "output_dir": str(directory / "results"),
        "samples": {"a": {"files": str(directory / "a.h5")}},
        "input": {"format": "hdf5"},
        "jets": {
            "define": {"quotient": "whole // divisor", "square": "x * x", "power": "exp(pt)"},
            "variables": ["pt", "x", "quotient", "square", "power"],
            "additional_labels": ["label8", "label4", "whole"],
            "spectators": ["tagger"],
        },
        "constituents": {
            "tracks": {"variables": ["d0", "big"], "define": {"big": "exp(1000 * d0)"}, "max": 2},
        },
        "classes": {"all": "rest"},
        "balance": {"bins": {"pt": [0, 100, 1]}},
        "write": {"parts": {"train": 1, "val": 1, "test": 1}},
    }
    records = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    logger = logging.getLogger("jetmill.stages.clean")
    level, _ = logger.level, logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        results = run_stages(raw, ["structured", "parquet"])
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    return results, truth, records


def fits(value):
    """Say whether single precision holds a number."""
    return math.isfinite(value) and abs(value) <= BIG


def expected(jet):
    """Return what is known of a jet, None where it is missing; computed with Python's numbers."""
    known = {name: jet[name] if fits(jet[name]) else None for name in ("pt", "x", "d0")}
    known["quotient"] = jet["whole"] // jet["divisor"] if jet["divisor"] else None
    x, d0 = known["x"], known["d0"]
    known["square"] = x * x if x is not None and fits(x * x) else None
    known["power"] = math.exp(jet["pt"]) if jet["pt"] < math.log(BIG) else None
    known["big"] = math.exp(1000 * d0) if d0 is not None and 1000 * d0 < math.log(BIG) else None
    known["label8"] = jet["label8"] if math.isfinite(jet["label8"]) else None
    known["label4"] = jet["label4"] if math.isfinite(jet["label4"]) else None
    known["whole"] = jet["whole"]
    # Infinities of existing taggers are theirs; what became infinite here is missing.
    known["tagger"] = jet["tagger"] if fits(jet["tagger"]) or math.isinf(jet["tagger"]) else None
    return known


def test_arrays(run):
    results, truth, _ = run
    seen = 0
    for output in ("train", "val", "test"):
        with h5py.File(results / f"{output}.h5") as file:
            inputs, default = file["jets/inputs"][()], file["jets/is_default"][()]
            tracks = file["tracks/inputs"][()]
            assert np.isfinite(inputs).all()
            assert np.isfinite(tracks).all()
            labels = {name: file[f"jets/add_labels/{name}"][()] for name in ("label8", "label4", "whole")}
            tagger = file["jets/spectators/tagger"][()]
            names = list(file["jets/inputs"].attrs["jet_variables"])
            for i, event in enumerate(file["jets/event/eventNumber"][()].tolist()):
                known = expected(truth[event])
                assert {n: bool(default[i, k]) for k, n in enumerate(names)} == {n: known[n] is None for n in names}
                for name, values in labels.items():
                    assert values[i] == (known[name] or 0)
                np.testing.assert_equal(tagger[i], np.float32(np.nan if known["tagger"] is None else known["tagger"]))
                seen += 1
    assert seen == N


def test_records_and_parquet(run):
    results, truth, _ = run
    parquet = pytest.importorskip("pyarrow.parquet")
    for output in ("train", "val", "test"):
        with h5py.File(results / f"structured/{output}.h5") as file:
            records = file["jets"][()]
        (path,) = (results / f"parquet/{output}").iterdir()
        table = parquet.read_table(path).to_pydict()
        for columns in (records, table):
            for i, event in enumerate(columns["eventNumber"]):
                known = expected(truth[int(event)])
                for name in ("label8", "label4", "whole"):
                    np.testing.assert_equal(float(columns[name][i]), math.nan if known[name] is None else known[name])
                for name in ("x", "quotient", "square", "power"):
                    assert math.isfinite(columns[name][i])
                    if known[name] is not None:
                        np.testing.assert_allclose(columns[name][i], np.float32(known[name]), rtol=1e-6)


def test_the_log_counts_them(run):
    _, truth, records = run
    known = [expected(jet) for jet in truth]

    def count(name, of=None):
        """Count where a value is missing although what it is made of is there."""
        there = [jet for jet, k in zip(truth, known, strict=True) if of is None or k[of] is not None]
        missing = [k for k in known if k[name] is None and (of is None or k[of] is not None)]
        undefined_in_file = sum(math.isnan(jet[name]) for jet in there) if of is None and name in truth[0] else 0
        return len(missing) - undefined_in_file

    counted = {
        "x": count("x"),
        "quotient": count("quotient"),
        "square": count("square", of="x"),
        "power": count("power"),
        "d0 of tracks": count("d0"),
        "big of tracks": count("big", of="d0"),
        "label8 of additional_labels": count("label8"),
        "label4 of additional_labels": count("label4"),
        "tagger of spectators": count("tagger"),
    }
    assert all(counted.values())
    text = "%12d values of %s are missing: infinite, undefined, or too large for their type"
    assert [r for r in records if "values of" in r] == [text % (n, name) for name, n in sorted(counted.items())]
