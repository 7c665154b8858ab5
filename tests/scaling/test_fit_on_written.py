"""Scalers describe the training jets as they are written, against scikit-learn on the rows of the training file.

What is written is looked up in the dumps by the event number of each row.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from dump_chain import SLOTS, chain, config, make, place
from sklearn.preprocessing import RobustScaler, StandardScaler

from jetmill.files import read_json

METHODS = {
    "pdf": {"method": "pdf", "target": "c", "max_upsampling": 4},
    "repeated": {"method": "countup", "target": "u"},
    "count": {"method": "count"},
    "fewer": {"num_jets": 300},
    "components": {
        "components": [
            {"samples": ["ttbar"], "bins": {"pt": [0, 100]}},
            {"samples": ["zprime"], "bins": {"pt": [100, 1000]}},
        ]
    },
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("dumps"))


def run(made, directory, resampling=None, **changes):
    changes |= {"balance": {"resampling": resampling}} if resampling else {}
    return chain(config(directory, made.files, **changes), ("structured",))


@pytest.fixture(scope="module", params=METHODS)
def resampled(request, made, tmp_path_factory):
    return run(made, tmp_path_factory.mktemp(request.param), METHODS[request.param])


def in_dumps(made, rows):
    """Return the values of jets and of tracks within the five slots, as float64 columns by name."""
    jets, tracks = made.jets[rows], made.tracks[rows]
    used = tracks["valid"] & (np.cumsum(tracks["valid"], axis=1) <= SLOTS - 1)
    return {
        "jets": {name: jets[name].astype(float) for name in ("pt", "hits", "mass")},
        "tracks": {name: tracks[name][used].astype(float) for name in ("d0", "dr", "q")},
    }


def scalers_of(result):
    return read_json(f"{result.out}/scalers.json")


def rows_written(made, result):
    return place(made, result.arrays())


def assert_fitted(scalers, columns):
    for of, variables in columns.items():
        for name, values in variables.items():
            row, theirs = scalers[of][name], StandardScaler().fit(values[:, None])
            assert row["count"] == np.count_nonzero(~np.isnan(values))
            assert row["mean"] == pytest.approx(theirs.mean_[0], rel=1e-12)
            assert row["variance"] == pytest.approx(theirs.var_[0], rel=1e-12)
            assert (row["minimum"], row["maximum"]) == (np.nanmin(values), np.nanmax(values))
            assert (row["shift"], row["scale"]) == (np.float32(theirs.mean_[0]), np.float32(theirs.scale_[0]))
            assert row["default"] == np.float32(np.nanmin(values) - 0.001)


def test_scalers_are_those_of_the_rows_that_are_written(made, resampled):
    rows = rows_written(made, resampled)
    # What is written is not each training jet once, so that it makes a difference.
    assert sorted(rows) != np.flatnonzero(made.train).tolist()
    assert_fitted(scalers_of(resampled), in_dumps(made, rows))


def test_written_inputs_have_mean_0_and_deviation_1(resampled):
    found = resampled.arrays()
    present = np.where(found["jets/is_default"], np.nan, found["jets/inputs"].astype(float))
    tracks = found["tracks/inputs"][found["tracks/valid"]].astype(float)
    for columns in (present, tracks):
        np.testing.assert_allclose(np.nanmean(columns, axis=0), 0, atol=2e-6)
        np.testing.assert_allclose(np.nanstd(columns, axis=0), 1, atol=2e-6)


def test_salt_gets_mean_and_deviation_of_the_records_it_reads(made, resampled):
    """As UPP, which computes them from its training file, without NaN and empty slots."""
    jets, tracks = resampled.records()
    jets["mass"][np.isnan(made.jets["mass"][jets["eventNumber"].astype(int) - 1000])] = np.nan
    norms = yaml.safe_load(resampled.text("norm_dict.yaml"))
    for of, records in (("jets", jets), ("tracks", tracks[tracks["valid"]])):
        for name, row in norms[of].items():
            values = records[name].astype(float)
            assert row == pytest.approx({"mean": np.nanmean(values), "std": np.nanstd(values)}, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("log", [[], ["pt"]])
def test_quartiles_are_those_of_the_rows_that_are_written(made, tmp_path, log):
    result = run(
        made,
        tmp_path,
        balance={"resampling": METHODS["pdf"]},
        scaling={"method": "robust", "log": log},
        tracks={"scaling": {"method": "robust"}},
    )
    scalers = scalers_of(result)
    columns = in_dumps(made, rows_written(made, result))
    if log:
        columns["jets"]["pt"] = np.log(columns["jets"]["pt"].astype(np.float32)).astype(float)
    for of, variables in columns.items():
        for name in set(variables) - {"q"}:
            row, values = scalers[of][name], variables[name]
            theirs = RobustScaler().fit(values[:, None])
            np.testing.assert_allclose(row["quartiles"], np.nanpercentile(values, [25, 50, 75]), rtol=1e-12)
            assert (row["shift"], row["scale"]) == pytest.approx((theirs.center_[0], theirs.scale_[0]), rel=1e-6)


@pytest.mark.parametrize("resampling", [None, METHODS["pdf"], METHODS["components"]])
def test_fitted_on_cleaned_jets_every_training_jet_counts_once(made, tmp_path, resampling):
    balance = {"balance": {"resampling": resampling}} if resampling else {}
    result = run(made, tmp_path, scaling={"fit_on": "cleaned"}, **balance)
    assert_fitted(scalers_of(result), in_dumps(made, np.flatnonzero(made.train)))


def test_without_resampling_both_are_the_same(made, tmp_path):
    found = [
        run(made, tmp_path / fit_on, scaling={"fit_on": fit_on}).text("scalers.json")
        for fit_on in ("written", "cleaned")
    ]
    assert found[0] == found[1]


def test_scalers_do_not_depend_on_the_batches(made, tmp_path):
    found = []
    for n in (1, 2, 5):
        input_ = {"format": "hdf5", "files_per_batch": n}
        options = {"input": input_, "balance": {"resampling": METHODS["pdf"]}, "scaling": {"variables_per_range": n}}
        result = run(made, tmp_path / str(n), **options)
        scalers = scalers_of(result)
        applied = {
            of: {name: [row[key] for key in ("shift", "scale", "default", "count")] for name, row in rows.items()}
            for of, rows in scalers.items()
        }
        found.append((applied, {name: values.tobytes() for name, values in result.arrays().items()}))
    assert found[0] == found[1] == found[2]


def test_warnings_are_of_the_jets_that_are_written(tmp_path):
    """A sentinel in jets that are not taken enters no scaler."""

    def spoil(jets, _):
        jets["mass"][jets["pt"] > 100] = -999

    made = make(tmp_path, change=spoil)
    below = {"components": [{"samples": ["ttbar", "zprime"], "bins": {"pt": [0, 100]}}]}
    found = {}
    for fit_on in ("written", "cleaned"):
        changes = {"balance": {"resampling": below}, "scaling": {"fit_on": fit_on}}
        scalers = scalers_of(run(made, tmp_path / fit_on, **changes))
        found[fit_on] = SimpleNamespace(**scalers["jets"]["mass"])
    assert found["written"].warnings == []
    assert found["written"].minimum > 0
    assert "is exactly -999" in found["cleaned"].warnings[0]
