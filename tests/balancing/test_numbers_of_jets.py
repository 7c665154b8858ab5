"""Numbers of jets of components and classes, and equal samples: what UPP calls num_jets and equal_jets."""

import h5py
import numpy as np
import pytest

from jetmill.balancing.quotas import Component, quotas
from jetmill.config.load import load
from jetmill.errors import JetmillError
from jetmill.workflow.in_process import run_in_process

CLASSES = ["b", "c", "light"]
# Samples x classes x bins.
COUNTS = np.array([[[100, 80, 60], [90, 50, 70], [400, 400, 400]], [[10, 20, 300], [30, 40, 200], [50, 60, 900]]])
REGIONS = np.array([[True, True, False], [False, False, True]])


def taken(method, *num_jets, **keywords):
    """Return the quotas of a low region of the first sample and a high one of the second."""
    components = [
        Component(name, [sample], REGIONS[sample], num_jets=n)
        for sample, (name, n) in enumerate(zip(("low", "high"), num_jets, strict=True))
    ]
    return quotas(COUNTS, components, method=method, classes=CLASSES, **keywords)


@pytest.mark.parametrize(("method", "target"), [("pdf", 1), ("countup", 1), ("importance", "average"), ("count", None)])
def test_each_class_of_each_component_has_its_number(method, target):
    found = taken(method, [40, 20, 7], [33, 11, 1], target=target)
    assert found.sum(axis=2).tolist() == [[40, 20, 7], [33, 11, 1]]
    assert not found[0, :, 2].any()
    assert not found[1, :, :2].any()
    if target == 1:
        np.testing.assert_allclose(
            found[0] / found[0].sum(axis=1, keepdims=True), [[90 / 140, 50 / 140, 0]] * 3, atol=0.1
        )


def test_without_a_method_classes_keep_their_spectra():
    found = taken("none", [120, 70, 0], [1, 0, 900])
    assert found.tolist() == [[[67, 53, 0], [45, 25, 0], [0, 0, 0]], [[0, 0, 1], [0, 0, 0], [0, 0, 900]]]


def test_a_number_for_all_classes_is_shared():
    found = taken("pdf", 60, 31, target=1, shares=[1, 2, 3])
    assert found.sum(axis=2).tolist()[0] == [10, 20, 30]
    assert found.sum(axis=(1, 2)).tolist() == [60, 31]


@pytest.mark.parametrize(
    ("method", "num_jets", "message"),
    [
        (
            "none",
            ([181, 1, 1], [1, 1, 1]),
            "181 jets of class 'b' of component 'low' are wanted and 180 possible with resampling by 'none', limited by"
            " the jets there are",
        ),
        (
            "pdf",
            ([100, 141, 100], [1, 1, 1]),
            "141 jets of class 'c' of component 'low' are wanted and 140 possible with resampling by 'pdf', limited by"
            " class 'c'",
        ),
        (
            "pdf",
            (10, 601),
            "601 jets of component 'high' are wanted and 600 possible with resampling by 'pdf', limited by class 'c'",
        ),
    ],
)
def test_numbers_that_cannot_be_had(method, num_jets, message):
    with pytest.raises(JetmillError) as error:
        taken(method, *num_jets, target=None if method == "none" else 1)
    assert str(error.value) == message


def test_equal_samples():
    both = Component("both", [0, 1], np.ones(3, dtype=bool), equal_samples=[[0, 1]])
    available = both.available(COUNTS)
    three = Component("three", [2, 0, 1], np.ones(3, dtype=bool), equal_samples=[[0, 1]])
    with_others = three.available(np.concatenate([COUNTS, 7 * COUNTS[:1]]))
    np.testing.assert_array_equal(with_others, [7 * COUNTS[0], *available])
    # The second has 1610 jets, the first 1650: of these each class and bin gives its part, to one jet.
    assert available.sum(axis=(1, 2)).tolist() == [1610, 1610]
    np.testing.assert_array_equal(available[1], COUNTS[1])
    assert (np.abs(available[0] - COUNTS[0] * 1610 / 1650) < 1).all()
    found = quotas(COUNTS, [both], method="count", classes=CLASSES)
    np.testing.assert_array_equal(found[0], np.tile(available.sum(axis=0).min(axis=0), (3, 1)))
    divided = both.by_sample(found[0], COUNTS)
    np.testing.assert_array_equal(divided.sum(axis=0), found[0])
    assert (divided <= available).all()
    assert (np.abs(divided - found[0] * available / available.sum(axis=0)) < 1).all()


def config(**resampling):
    return {
        "samples": {
            name: {"toy": {"process": process, "files": files, "jets": 3000}}
            for name, process, files in (("few", "zprime", 1), ("many", "zprime", 3), ("ttbar", "ttbar", 1))
        },
        "input": {"format": "hdf5"},
        "jets": {"variables": ["pt_btagJes"]},
        "constituents": {},
        "classes": {"b": "HadronConeExclTruthLabelID == 5", "u": "HadronConeExclTruthLabelID == 0"},
        "balance": {
            "bins": {"pt_btagJes": [[20e3, 250e3, 4], [250e3, 6e6, 4]]},
            "outside": "drop",
            "resampling": resampling,
        },
        "write": {"formats": ["structured"]},
        "report": {"plots": False},
    }


LOW = {"samples": ["ttbar"], "bins": {"pt_btagJes": [20e3, 250e3]}}
HIGH = {"samples": ["few", "many"], "bins": {"pt_btagJes": [250e3, 6e6]}, "equal_samples": [["few", "many"]]}


def test_a_run(tmp_path):
    low = LOW | {"num_jets": {"b": 100, "u": 50}, "num_jets_validation": {"b": 10, "u": 5}}
    high = HIGH | {"num_jets": {"b": 400, "u": 200}, "num_jets_validation": 30}
    resampling = {"method": "pdf", "target": "u", "validation": True, "components": [low, high], "max_upsampling": 4}
    results = run_in_process(config(**resampling) | {"output_dir": str(tmp_path / "results")})
    for output, numbers in {"train": {"low": [100, 50], "high": [400, 200]}, "val_resampled": {"low": [10, 5]}}.items():
        with h5py.File(results / f"structured/{output}.h5") as file:
            jets = file["jets"][:]
        in_low = jets["pt_btagJes"] < 250e3
        for region, expected in numbers.items():
            chosen = jets[in_low == (region == "low")]
            assert np.bincount(chosen["flavour_label"]).tolist() == expected
            if region == "high":
                # Each of the two gives half of the jets there are, and so about half of those that are taken.
                few, many = (chosen["sample"] == 0).sum(), (chosen["sample"] == 1).sum()
                assert few + many == 600
                assert abs(few - many) < 60
        assert (~in_low).sum() == (600 if output == "train" else 30)


def test_a_sample_without_jets_cannot_be_equal(tmp_path):
    nowhere = HIGH | {"bins": {"pt_btagJes": [90e6, 91e6]}}
    raw = config(components=[nowhere]) | {"output_dir": str(tmp_path / "results")}
    raw["balance"]["bins"]["pt_btagJes"] += [[6e6, 90e6, 1], [90e6, 91e6, 1]]
    raw |= {"strict": False, "samples": {name: raw["samples"][name] for name in ("few", "many")}}
    raw["classes"] = {"b": "HadronConeExclTruthLabelID == 5", "u": "rest"}
    raw["balance"]["resampling"]["components"].append(HIGH | {"samples": ["few", "many"], "equal_samples": []})
    with pytest.raises(JetmillError) as error:
        run_in_process(raw)
    assert str(error.value) == (
        "balance.resampling, train: sample 'few' has no jets in component 'few many pt_btagJes 9e+07 to 9.1e+07', so"
        " that none are left with equal_samples"
    )


@pytest.mark.parametrize(
    ("resampling", "message"),
    [
        ({"components": [LOW | {"num_jets": 5, "fraction": 1}]}, "num_jets: is the size of the component"),
        ({"components": [LOW | {"num_jets_validation": 5}]}, "num_jets_validation: give num_jets too"),
        ({"components": [LOW | {"num_jets": 5}, HIGH]}, "components: give all of them num_jets or none"),
        ({"components": [LOW | {"num_jets": 5}], "num_jets": 9}, "num_jets is not given beside them"),
        (
            {"components": [LOW | {"num_jets": 5}], "validation": True},
            "num_jets_validation goes with num_jets and validation: true",
        ),
        (
            {"components": [HIGH | {"equal_samples": [["few", "ttbar"]]}]},
            "balance.resampling.components.0.equal_samples: 'ttbar' is not in samples of the component",
        ),
        ({"components": [LOW], "num_jets": {"b": 5}}, "with components, give each of them its number"),
        ({"num_jets": {"b": 5}, "validation": True}, "num_jets_validation: give it for each class too"),
        ({"num_jets": {"bb": 5}}, "balance.resampling.num_jets: 'bb' is not in classes"),
        (
            {"components": [LOW | {"num_jets": {"uu": 5}}]},
            "balance.resampling.components.0.num_jets: 'uu' is not in classes. Did you mean 'u'?",
        ),
        (
            {"method": "count", "num_jets": {"b": 5}, "shares": {"b": 2}},
            "balance.resampling.shares: has no meaning beside num_jets of each class",
        ),
    ],
)
def test_mistakes(resampling, message):
    with pytest.raises(JetmillError) as error:
        load(config(**resampling))
    assert message in str(error.value)
