"""Jets outside the bins of the balancing histogram, or that miss one of its variables.

In training they are an error or dropped; validation and test jets are written, with weight 0 and bin -1.
"""

import json
import logging

import h5py
import numpy as np
import pytest
from dump_chain import chain, config, make, place
from sklearn.preprocessing import StandardScaler

import jetmill
from jetmill.columns.batch_list import read_batch_list
from jetmill.errors import JetmillError
from jetmill.settings.figures import FigureSettings
from jetmill.stages.plot_balance import plot_balance
from jetmill.stages.write_manifest import write_manifest

# The spectrum reaches beyond 90, and every fifth jet has no mass.
BINS = {"pt": [[30, 90, 3]], "mass": [-10, 20, 2]}
OUTPUTS = {"train": (0, 1, 2), "val": (3,), "test": (4,)}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("dumps"))


@pytest.fixture(scope="module")
def inside(made):
    pt, mass = made.jets["pt"], made.jets["mass"]
    found = (pt >= 30) & (pt <= 90) & (mass >= -10) & (mass <= 20)
    assert 0.2 < found.mean() < 0.6
    return found


def raw(made, directory, outside="drop", **balance):
    return config(directory, made.files, balance={"bins": BINS, "outside": outside, "weights": ["average"]} | balance)


@pytest.fixture(scope="module")
def dropped(made, tmp_path_factory):
    return chain(raw(made, tmp_path_factory.mktemp("dropped")), ("structured",))


def events(made, output, also=True):
    """Return the rows in the dumps of the jets of a split, sorted."""
    return np.flatnonzero(np.isin(made.jets["eventNumber"] % 5, OUTPUTS[output]) & also)


def test_training_jets_outside_are_an_error_by_default(made, tmp_path):
    assert "outside" not in config(tmp_path, made.files)["balance"]
    changed = raw(made, tmp_path)
    del changed["balance"]["outside"]
    with pytest.raises(JetmillError) as error:
        chain(changed)
    in_first = made.jets[:700]
    train = in_first["eventNumber"] % 5 < 3
    lost = train & ~((in_first["pt"] >= 30) & (in_first["pt"] <= 90))
    assert f"batch_0000.h5: {lost.sum()} of {train.sum()} training jets are outside the bins of 'pt' (30 to 90)" in str(
        error.value
    )
    assert "balance.outside: drop" in str(error.value)


def test_training_jets_that_miss_a_variable_of_the_bins_are_an_error_by_default(made, tmp_path):
    with pytest.raises(JetmillError, match=r"training jets are outside the bins of 'mass' .* missing\. Cut them away"):
        chain(raw(made, tmp_path, "error", bins={"mass": [-10, 20, 2]}))


def test_dropped_jets_are_not_written_and_others_all_are(made, inside, dropped):
    assert sorted(place(made, dropped.arrays())) == events(made, "train", inside).tolist()
    for output in ("val", "test"):
        assert sorted(place(made, dropped.arrays(output))) == events(made, output).tolist()


@pytest.mark.parametrize("output", OUTPUTS)
def test_weight_0_and_bin_minus_1(made, inside, dropped, output):
    found = dropped.arrays(output)
    rows, bins, weight = place(made, found), found["jets/bins"], found["jets/weight"]
    assert bins.dtype == np.int8
    assert (~inside[rows]).any() == (output != "train")
    np.testing.assert_array_equal(bins[~inside[rows]], -1)
    np.testing.assert_array_equal(weight[~inside[rows]], 0)
    of_inside = made.jets[rows[inside[rows]]]
    expected = [np.digitize(of_inside["pt"], [50, 70]), np.digitize(of_inside["mass"], [5])]
    np.testing.assert_array_equal(bins[inside[rows]], np.stack(expected, axis=1))
    assert (weight[inside[rows]] > 0).all()
    if output == "train":
        assert weight.mean(dtype=float) == pytest.approx(1, rel=1e-6)


def test_without_tables_weights_are_1_inside_and_0_outside(made, inside, tmp_path):
    result = chain(raw(made, tmp_path, weights=[]))
    for output in OUTPUTS:
        found = result.arrays(output)
        np.testing.assert_array_equal(found["jets/weight"], inside[place(made, found)])


def test_scalers_are_those_of_the_jets_that_are_written(made, inside, dropped):
    row = json.loads(dropped.text("scalers.json"))["jets"]["pt"]
    theirs = StandardScaler().fit(made.jets["pt"][events(made, "train", inside), None].astype(float))
    assert (row["shift"], row["scale"]) == (np.float32(theirs.mean_[0]), np.float32(theirs.scale_[0]))


def test_validation_and_test_jets_outside_are_no_error(made, tmp_path):
    """With `outside: error` the arrays of training are those of a run without them."""

    def spoil(jets, _):
        jets["pt"][(jets["eventNumber"] % 5 > 2) & (jets["hits"] > 8)] = 2000

    spoilt = make(tmp_path, change=spoil)
    balance = {"weights": ["average"]}
    found = [chain(config(tmp_path / name, m.files, balance=balance)) for name, m in (("a", spoilt), ("b", made))]
    of_train = [result.arrays() for result in found]
    assert of_train[0].keys() == of_train[1].keys()
    for name, values in of_train[0].items():
        np.testing.assert_array_equal(values, of_train[1][name])
    for output in ("val", "test"):
        arrays = found[0].arrays(output)
        outside = spoilt.jets["pt"][place(spoilt, arrays)] == 2000
        assert 0 < outside.sum() < len(outside)
        np.testing.assert_array_equal((arrays["jets/bins"] == -1).all(axis=1), outside)
        np.testing.assert_array_equal(arrays["jets/weight"] == 0, outside)


def test_resampled_jets_come_from_the_bins(made, inside, tmp_path):
    resampling = {"method": "pdf", "target": "flat", "max_upsampling": 2, "validation": True}
    result = chain(raw(made, tmp_path, resampling=resampling))
    for output in ("train", "val_resampled"):
        found = result.arrays(output)
        assert inside[place(made, found)].all()
        assert (found["jets/bins"] >= 0).all()
    assert sorted(place(made, result.arrays("val"))) == events(made, "val").tolist()


def test_the_result_does_not_depend_on_batches(made, tmp_path):
    found = []
    for n in (1, 2):
        result = chain(raw(made, tmp_path / str(n)) | {"input": {"format": "hdf5", "files_per_batch": n}})
        found.append({(o, name): x.tobytes() for o in OUTPUTS for name, x in result.arrays(o).items()})
    assert found[0] == found[1]


@pytest.mark.parametrize("output", OUTPUTS)
def test_streams_have_the_jets_that_are_written(made, dropped, tmp_path, output):
    stream = jetmill.Stream(raw(made, dropped.out), output, batch_size=100)
    batches = list(stream.epoch())
    written = dropped.arrays(output)
    assert stream.n_jets == sum(len(batch["jets/labels"]) for batch in batches) == len(written["jets/labels"])
    for name in ("jets/bins", "jets/weight", "jets/event/eventNumber"):
        rows = np.concatenate([batch[name] for batch in batches])
        assert rows.dtype == written[name].dtype
        assert sorted(rows.tolist()) == sorted(written[name].tolist())


def test_they_are_counted(made, inside, dropped, tmp_path, caplog):
    with h5py.File(f"{dropped.out}/structured/test.h5") as file:
        assert sum(json.loads(file.attrs["jet_counts"]).values()) == len(events(made, "test")) == file["jets"].shape[0]
    batches = read_batch_list(f"{dropped.out}/clean/batches.json")
    balance = f"{dropped.out}/balance.h5"
    write_manifest(batches, balance, [], tmp_path / "manifest.json", config={})
    jets = json.loads((tmp_path / "manifest.json").read_text())["jets"]
    label = np.select([made.jets["flavour"] == 5, made.jets["flavour"] == 4], [0, 1], 2)
    for output in OUTPUTS:
        for key, also in (("cleaned", True), ("outside the bins", ~inside)):
            of_class = np.bincount(label[events(made, output, also)], minlength=3)
            assert jets[key][output] == dict(zip("bcu", of_class.tolist(), strict=True))
    n_dropped = len(events(made, "train", ~inside))
    assert jets["cutflow"][-2:] == [
        ["in a class", len(made.jets)],
        ["training jets outside the bins dropped", len(made.jets) - n_dropped],
    ]
    plot_balance(batches, balance, tmp_path / "figures", FigureSettings())
    with caplog.at_level(logging.INFO):
        chain(raw(made, tmp_path / "again"))
    lines = [r.message.strip() for r in caplog.records if "outside the bins" in r.message]
    n = {output: len(events(made, output)) for output in OUTPUTS}
    assert lines == [
        f"{n['train']} jets in train, {n_dropped} of them outside the bins, dropped",
        *(
            f"{n[o]} jets in {o}, {len(events(made, o, ~inside))} of them outside the bins, with weight 0 and bin -1"
            for o in ("val", "test")
        ),
    ]


def test_no_training_jet_inside(made, tmp_path):
    with pytest.raises(JetmillError, match=r"no training jets are left: all 1440 are outside balance\.bins"):
        chain(raw(made, tmp_path, bins={"pt": [2000, 3000, 2]}))
