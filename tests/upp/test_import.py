"""`jetmill import-upp`: what it writes and says, and that the result runs and has the jets that UPP is asked for."""

import h5py
import numpy as np
import pytest
import yaml

from jetmill.cli.main import main
from jetmill.config.load import load
from jetmill.errors import JetmillError
from jetmill.upp.reading import read
from jetmill.upp.translation import translate
from jetmill.workflow.in_process import run_in_process


def translated(path):
    """Return the sections, after a check, and the notes of a translation."""
    found = translate(read(path))
    load(found.sections)
    return found.sections, found.notes


def test_what_it_writes(upp_directory, tmp_path, capsys):
    output = tmp_path / "jetmill.yaml"
    assert main(["import-upp", str(upp_directory / "upp.yaml"), "-o", str(output)]) == 0
    notes = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[:2] for line in notes] == [["differs", "components.num_jets_test"]]
    text = output.read_text()
    assert all(line.split(": ")[1] in text for line in notes)  # they are comments of the file, too
    dumps = f"{upp_directory}/dumps"
    assert yaml.safe_load(text) == {
        "output_dir": f"{upp_directory}/output",
        "seed": 1,
        "samples": {
            "ttbar": {"files": f"{dumps}/tt*.h5"},
            "zprime": {"files": [f"{dumps}/zp_1.h5", f"{dumps}/zp_2.h5"]},
        },
        "input": {
            "format": "hdf5",
            "jets": "jets",
            "event_id": ["eventNumber"],
            "files_per_batch": 1,
            "checksum": False,
        },
        "jets": {
            "variables": ["pt_btagJes", "eta_btagJes"],
            "additional_labels": ["HadronConeExclTruthLabelID", "HadronConeExclTruthLabelPt"],
        },
        "constituents": {
            "tracks": {
                "max": 12,
                "select": ["d0 < 3.5", "numberOfPixelSharedHits + numberOfSCTSharedHits / 2 <= 1.5"],
                "variables": ["d0", "qOverP", "numberOfPixelHits"],
                "labels": ["ftagTruthOriginLabel"],
                "label_classes": {
                    "ftagTruthOriginLabel": [
                        *("pileup", "fake", "primary", "fromB", "fromBC", "fromC", "fromTau", "otherSecondary")
                    ]
                },
            }
        },
        "classes": {
            "beauty": {"cut": "HadronConeExclTruthLabelID == 5", "label": "$b$-jets", "colour": "tab:blue"},
            "charm": {"cut": "HadronConeExclTruthLabelID == 4", "label": "$c$-jets", "colour": "tab:orange"},
            "rest": {"cut": "HadronConeExclTruthLabelID in (0, 15)", "label": "other", "colour": "tab:green"},
        },
        "split": {"by": "modulo", "modulo": 10, "val": [8], "test": [9]},
        "balance": {
            "bins": {
                # The regions meet inside of a bin, which is split there.
                "pt_btagJes": {
                    "edges": [*range(20_000, 240_001, 55_000), 250_000, *range(1_200_000, 6_000_001, 960_000)]
                },
                "absEta_btagJes": [0, 2.5, 2],
            },
            "outside": "drop",
            "resampling": {
                "method": "countup",
                "target": "charm",
                "components": [
                    {
                        "samples": ["ttbar"],
                        "bins": {"pt_btagJes": [20_000, 250_000]},
                        "num_jets": {"beauty": 200, "charm": 200, "rest": 400},
                        "num_jets_validation": {"beauty": 20, "charm": 20, "rest": 40},
                    },
                    {
                        "samples": ["zprime"],
                        "bins": {"pt_btagJes": [250_000, 6_000_000]},
                        "num_jets": {"beauty": 100, "charm": 100, "rest": 200},
                        "num_jets_validation": {"beauty": 10, "charm": 10, "rest": 20},
                    },
                ],
                "validation": True,
            },
        },
        "write": {
            "formats": ["structured"],
            "compression": "lz4",
            "outputs": ["train", "test"],
            "test_per_sample": True,
            "max_jets_test": {"zprime": {"rest": 7}},
        },
    }
    assert main(["import-upp", str(upp_directory / "upp.yaml"), "-o", str(output)]) == 2
    assert capsys.readouterr().err == f"{output}: already exists; choose another name, or remove it\n"


def in_regions(path):
    """Return the jets of each class in each region of a finished file."""
    with h5py.File(path) as file:
        jets = file["jets"][:]
    low = jets["pt_btagJes"] < 250_000
    regions = {"low": jets[low], "high": jets[~low]}
    return {name: np.bincount(chosen["flavour_label"], minlength=3).tolist() for name, chosen in regions.items()}


def test_the_result_runs(upp_directory, tmp_path):
    output = tmp_path / "jetmill.yaml"
    main(["import-upp", str(upp_directory / "upp.yaml"), "-o", str(output)])
    changes = {"output_dir": str(tmp_path / "results"), "report": {"plots": False}}
    results = run_in_process(yaml.safe_load(output.read_text()) | changes)
    # The numbers of the configuration of UPP.
    assert in_regions(results / "structured/train.h5") == {"low": [200, 200, 400], "high": [100, 100, 200]}
    assert in_regions(results / "structured/val_resampled.h5") == {"low": [20, 20, 40], "high": [10, 10, 20]}
    with h5py.File(results / "structured/test_zprime.h5") as file:
        assert np.bincount(file["jets"]["flavour_label"])[2] == 7
    with h5py.File(results / "structured/train.h5") as file:
        tracks, jets = file["tracks"][:], file["jets"]
        assert jets.attrs["flavour_label"].tolist() == ["beauty", "charm", "rest"]
        assert (jets["eventNumber"] % 10 <= 7).all()
    assert tracks.shape == (1200, 12)
    assert tracks["d0"][tracks["valid"]].max() < 3.5


def test_equal_jets(changed):
    sections, notes = translated(changed(("equal_jets: false", "equal_jets: true"), ("[zp_1", "[mc.123456.zp_1")))
    assert list(sections["samples"]) == ["ttbar", "zprime_1", "zprime_2"]
    component = sections["balance"]["resampling"]["components"][1]
    assert component["samples"] == ["zprime_1", "zprime_2"]
    assert component["equal_samples"] == [["zprime_1", "zprime_2"]]
    assert "sample zprime: equal_jets" in notes.different
    sections, _ = translated(
        changed(("  equal_jets: false\n", ""), ("zp_1.h5, zp_2.h5", "a.123456.b/*.h5, a.654321.b/*.h5"))
    )
    assert list(sections["samples"]) == ["ttbar", "zprime_123456", "zprime_654321"]


def test_a_class_of_one_sample_in_a_region_of_two(changed):
    sections, _ = translated(
        changed(
            ("{region: *high, sample: *zprime, flavours: [rest]", "{region: *low, sample: *zprime, flavours: [charm]")
        )
    )
    assert sections["balance"]["resampling"]["components"][0]["samples"] == ["ttbar", "zprime"]
    # Charm jets are from both, the others from ttbar alone in the low region.
    assert sections["classes"]["rest"]["samples"] == ["ttbar"]


@pytest.mark.parametrize(
    ("cuts", "split", "dropped"),
    [
        (
            {
                "train": [["eventNumber", "%10<=", 3]],
                "val": [["eventNumber", "%10==", 4]],
                "test": [["eventNumber", "%5==", 0]],
            },
            {"by": "modulo", "modulo": 10, "val": [4], "test": [0, 5]},
            [f"eventNumber % 10 != {r}" for r in (6, 7, 8, 9)],
        ),
        (
            {
                "train": [["jetFoldHash", "%4!=", 2], ["eventNumber", "%10<=", 8]],
                "val": [["jetFoldHash", "%4!=", 2], ["eventNumber", "%10==", 9]],
                "test": [["jetFoldHash", "%4==", 2]],
            },
            {
                "by": "expression",
                "val": "jetFoldHash % 4 != 2 & eventNumber % 10 == 9",
                "test": "jetFoldHash % 4 == 2",
            },
            [],
        ),
        (
            {"train": [["n", "<", 5]], "val": [["n", "==", 5]], "test": [["n", ">", 5], ["n", "<", 9]]},
            {"by": "expression", "val": "n == 5", "test": "n > 5 & n < 9"},
            ["(n < 5) | (n == 5) | (n > 5 & n < 9)"],
        ),
        (
            {name: [["n", ">", 0]] for name in ("train", "val", "test")},
            {"by": "event", "test": 0.1, "val": 0.1},
            [],
        ),
    ],
)
def test_splits(changed, cuts, split, dropped):
    path = changed(("!include splits.yaml", yaml.safe_dump(cuts, default_flow_style=True).strip()))
    sections, notes = translated(path)
    assert sections["split"] == split
    shared = ["n > 0"] if cuts["train"] == cuts["test"] else []
    assert sections["jets"].get("select", []) == shared + dropped
    assert ("global_cuts" in notes.different) == bool(shared or split["by"] == "modulo")


def test_without_resampling(changed):
    path = changed(
        ("target: charm", "target: null"),
        ("method: countup", "method: none"),
        ("num_jets: 200", "num_jets: -1"),
        ("num_jets: 400, num_jets_val: 40", "num_jets: -1"),
        ("num_jets: 100", "num_jets: -1"),
    )
    sections, _ = translated(path)
    balance = sections["balance"]
    assert balance["bins"] == {"pt_btagJes": {"edges": [20_000, 250_000, 6_000_000]}}
    assert balance["resampling"] == {
        "method": "none",
        "components": [
            {"samples": ["ttbar"], "bins": {"pt_btagJes": [20_000, 250_000]}},
            {"samples": ["zprime"], "bins": {"pt_btagJes": [250_000, 6_000_000]}},
        ],
        "validation": True,
    }


def test_one_region_without_resampling(changed):
    path = changed(
        ("target: charm", "target: null"),
        ("method: countup", "method: none"),
        ("num_jets: 200", "num_jets: -1"),
        ("num_jets: 400, num_jets_val: 40", "num_jets: -1"),
        ("num_jets: 100", "num_jets: -1"),
        ("region: *high", "region: *low"),
        ('    - [pt_btagJes, ">", 20_000]\n    - [pt_btagJes, "<", 250_000]\n', '    - [n, "==", 3]\n'),
    )
    sections, notes = translated(path)
    assert sections["balance"] == {"bins": {"pt_btagJes": {"edges": [-1e30, 1e30]}}, "outside": "drop"}
    assert "outputs" not in sections["write"]
    assert sections["jets"]["select"] == ["n == 3"]
    assert "region.cuts" in notes.different


def test_cuts_of_all_regions_keep_their_signs(changed):
    limit = ', [m, ">=", 5], [m, "<", 9]]'
    path = changed(
        ('"<", 6_000_000]]', f'"<", 6_000_000]{limit}'),
        (
            '    - [pt_btagJes, "<", 250_000]\n',
            '    - [pt_btagJes, "<", 250_000]\n    - [m, "<", 9]\n    - [m, ">=", 5]\n',
        ),
    )
    assert translated(path)[0]["jets"]["select"] == ["m < 9", "m >= 5"]


REWEIGHTING = """
reweighting:
  reweights:
    - &mean
      group: jets
      reweight_vars: [pt_btagJes]
      bins: {pt_btagJes: [[20_000, 6_000_000, 2]]}
      class_var: flavour_label
      class_target: mean
    - {<<: *mean, class_target: 2}
    - {<<: *mean, class_target: [0, 1]}
    - {<<: *mean, bins: {pt_btagJes: [[0, 100, 3]]}}
    - {<<: *mean, group: tracks}
"""


def test_weights(changed):
    path = changed(
        ("method: countup", "method: none"), ("target: charm", "target: null"), ("\nglobal:", f"{REWEIGHTING}\nglobal:")
    )
    sections, notes = translated(path)
    assert sections["balance"]["weights"] == ["mean", {"reference": "rest"}]
    assert sections["balance"]["bins"] == {"pt_btagJes": {"edges": [20_000, 250_000, 3_010_000, 6_000_000]}}
    assert notes.different["reweighting"] == "a region ends inside a bin of pt_btagJes, which is split there"
    assert list(notes.without_equal) == [
        "reweighting.reweights.2.class_target",
        "reweighting.reweights.3",
        "reweighting.reweights.4",
    ]


def test_weights_in_other_bins_than_resampling(changed):
    sections, notes = translated(changed(("\nglobal:", f"{REWEIGHTING}\nglobal:")))
    assert "weights" not in sections["balance"]
    assert notes.without_equal["reweighting.reweights.0"].startswith("has other bins than balance.bins")


TRANSFORM = """
transform:
  variable_map: {tracks: {truthOrigin: ftagTruthOriginLabel, old_d0: d0}}
  ints_map: {tracks: {ftagTruthOriginLabel: {0: 1}}, ftagTruthOriginLabel: {0: 1}}
  floats_map: {jets: {pt_btagJes: log}, tracks: {qOverP: cbrt}}
"""


def test_transforms(changed):
    sections, notes = translated(changed(("\nglobal:", f"{TRANSFORM}\nglobal:")))
    assert sections["jets"]["define"] == {"log_pt_btagJes": "log(pt_btagJes)"}
    assert sections["jets"]["variables"] == ["log_pt_btagJes", "eta_btagJes"]
    tracks = sections["constituents"]["tracks"]
    assert tracks["define"] == {"d0": "old_d0"}
    assert tracks["labels"] == [{"name": "ftagTruthOriginLabel", "variable": "truthOrigin"}]
    assert set(notes.without_equal) == {
        "transform.ints_map.tracks.ftagTruthOriginLabel",
        "transform.ints_map.ftagTruthOriginLabel",
        "transform.floats_map.tracks.qOverP",
    }


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("method: countup", "method: pdf\n  upscale_pdf: 4", "resampling.upscale_pdf"),
        ("  batch_size:", "  batch_sise:", "global.batch_sise"),
        ("target:", "taget: a\n  target:", "resampling.taget"),
        ("\nglobal:", "\nplottting: {}\nglobal:", "plottting"),
        ("\nglobal:", "\numami: {general: {}}\nglobal:", "umami"),
        (
            '  cuts: [[pt_btagJes, ">", 250_000],',
            '  cuts: [[m, ">", 5], [pt_btagJes, ">", 250_000],',
            "region high: m > 5",
        ),
        (
            '&high\n  name: high\n  cuts: [[pt_btagJes, ">", 250_000]',
            '&high\n  name: high\n  cuts: [[pt_btagJes, ">", 20_000]',
            None,
        ),
        ("global:", "global:\n  num_jets_per_output_file: 500", None),
        ("sample: *zprime", "sample: *ttbar", None),
        ("num_jets: 200}", "num_jets: -1}", "components.num_jets: -1"),
        ("num_jets: 200}", "num_jets: 200, equal_jets: true}", "components.0.equal_global_objects"),
    ],
)
def test_what_has_no_equal_is_named(changed, old, new, key):
    _, notes = translated(changed((old, new)))
    assert list(notes.without_equal) == ([] if key is None else [key])


def test_the_number_of_test_jets(changed):
    path = changed(
        ("flavours: [beauty, charm], num_jets: 200", "flavours: [beauty, charm], num_jets: 200, num_jets_test: 30"),
        ("equal_jets: false", "equal_jets: true"),
        ("rest], num_jets: 400, num_jets_val: 40", "rest], num_jets: 400, num_jets_test: -1"),
        ("flavours: [beauty, charm], num_jets: 100", "flavours: [beauty, charm], num_jets: 100, num_jets_test: -1"),
    )
    sections, notes = translated(path)
    # Half of them of each pattern; -1 is all.
    assert sections["write"]["max_jets_test"] == {
        "ttbar": {"beauty": 30, "charm": 30},
        "zprime_1": {"rest": 4},
        "zprime_2": {"rest": 4},
    }
    assert list(notes.different) == ["sample zprime: equal_jets"]
    sections, notes = translated(changed(("num_jets_test: 7", "num_jets_test: 0")))
    assert "max_jets_test" not in sections["write"]
    assert notes.different["components.num_jets_test"].startswith("where it is not given, or 0, all test jets are")


def test_jets_with_another_name(changed, upp_directory, tmp_path):
    path = changed(("jets_name: jets", "jets_name: muons"))
    variables = tmp_path / "variables.yaml"
    variables.write_text(variables.read_text().replace("jets:", "muons:"))
    sections, notes = translated(path)
    assert (sections["input"]["jets"], sections["jets"]["name"]) == ("muons", "muons")
    assert list(notes.different) == ["components.num_jets_test"]


def test_the_number_of_files(changed):
    sections, _ = translated(changed(("global:", "global:\n  num_jets_per_output_file: 500")))
    assert sections["write"]["parts"] == {"train": 3}  # of 1200 jets


def test_regions_that_overlap(changed):
    path = changed(("sample: *zprime", "sample: *ttbar"), ('[pt_btagJes, ">", 250_000]', '[pt_btagJes, ">", 20_000]'))
    _, notes = translated(path)
    assert list(notes.without_equal) == ["regions low and high"]


def test_a_class_that_is_not_there_is_reported_at_once(changed, capsys):
    path = changed(("flavours: [rest]", "flavours: [resd]"))
    assert main(["import-upp", str(path)]) == 2
    assert "components: class 'resd' is not in flavours.yaml. Did you mean 'rest'?" in capsys.readouterr().err


def test_a_result_to_be_put_right(changed, capsys):
    assert main(["import-upp", str(changed(("target: charm", "target: sharm")))]) == 1
    printed = capsys.readouterr()
    assert yaml.safe_load(printed.out)["balance"]["resampling"]["target"] == "sharm"
    assert "to be fixed by hand before it runs:\nbalance.resampling.target: must be one of" in printed.err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "!include splits.yaml",
            "!include splitz.yaml",
            "upp.yaml: !include splitz.yaml: no such file; put it",
        ),
        (
            "!include splits.yaml",
            "!include /gone/splits.yaml",
            "no such file; write splits.yaml, which is beside it",
        ),
        ("!include splits.yaml", "!include [a]", "!include: give the path of one file"),
        ("!include splits.yaml", "{train: []}", "global_cuts: has no val."),
        ("!include splits.yaml", "{train: [a], val: [], test: []}", "global_cuts.train: '('a',)' is not a cut ["),
        ("components:", "component:", "has no components. Did you mean 'component'?"),
        ("name: low\n", "nam: low\n", "components.0.region: must have name and cuts"),
        (
            "flavours: [beauty, charm], num_jets: 200",
            "num_jets: 200",
            "components.0: must have region, sample, classes",
        ),
        ("num_jets: 200}", "num_jets: auto}", "some numbers of jets are auto"),
        ("[[0, 2.5, 2]]", "[0, 2.5, 2]", "bins of absEta_btagJes: must be a list of [low, high, number of bins]"),
        ("[[0, 2.5, 2]]", "[[2.5, 0, 2]]", "bins of absEta_btagJes: the edges of the bins must increase"),
        ("jets_name: jets", "jets_name: muons", "variables: has no muons, the dataset of jets"),
        ("variables: !include variables.yaml", "variables: 5", "variables: must be a mapping of keys"),
        ("ttbar: &ttbar", "ttbar: [&ttbar", "is not YAML"),
    ],
)
def test_mistakes_in_the_configuration(changed, old, new, message):
    with pytest.raises(JetmillError) as error:
        translate(read(changed((old, new))))
    assert message in str(error.value)


@pytest.mark.readers
def test_flavours_of_the_package(changed):
    pytest.importorskip("ftag")
    renamed = [
        ("  flavour_config: flavours.yaml\n", ""),
        ("beauty", "bjets"),
        ("charm", "cjets"),
        ("[rest]", "[ujets]"),
    ]
    path = changed(*renamed)
    assert translated(path)[0]["classes"] == {"bjets": "ftag.bjets", "cjets": "ftag.cjets", "ujets": "ftag.ujets"}
    renamed[1:3] = ("beauty", "singlebjets"), ("charm", "singlecjets")
    extended = changed(*renamed, ("global:", "global:\n  flavour_category: extended"))
    assert translated(extended)[0]["classes"]["ujets"] == "ftag.extended.ujets"
