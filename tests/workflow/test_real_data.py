"""Real CMS files through the workflow, and through its stages, against the rules of the study written out by hand."""

import json
from collections import Counter
from math import isfinite

import numpy as np
import pytest
import uproot
import workflow_runs as runs
from scipy.stats import binned_statistic_2d
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from stage_runs import run_once

DATA = runs.ROOT.parent / "shared/data"

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.real_data,
    pytest.mark.skipif(not DATA.is_dir(), reason="the real input files are not in ../shared/data"),
]

# --- the study, on PFNano ---

PER_TRACK = ["DecayLenVal", "DeltaR", "JetDistVal", "PtRatio", "PtRel", "Sip2dSig", "Sip3dSig"]
ABOVE_CHARM = ["Sip2dSig", "Sip2dVal", "Sip3dSig", "Sip3dVal"]
TAGGER = ["btagDeepB_b", "btagDeepB_bb", "btagDeepC", "btagDeepL"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return runs.snakemake(
        tmp_path_factory.mktemp("pfnano"),
        *(f"results/cms-deepcsv/{split}.h5" for split in runs.SPLITS),
        *("--cores", "2", "--configfile", str(runs.ROOT / "config/cms-deepcsv.yaml")),
        *("--config", "strict=false", f"samples={{qcd: {{files: ['{DATA / 'pfnano.root'}']}}}}"),
    )


@pytest.fixture(scope="module")
def results(run):
    assert run.code == 0, run.output
    return run.results / "cms-deepcsv"


@pytest.fixture(scope="module")
def names():
    """The 67 features, as they come in the file: the study took them by position."""
    with uproot.open(DATA / "pfnano.root") as file:
        keys = file["Events"].keys()
    found = [key for key in keys if key in ("Jet_eta", "Jet_pt") or "Jet_DeepCSV" in key]
    assert len(found) == 67
    return [key.removeprefix("Jet_") for key in found]


def missing_features(jet: dict[str, float]) -> set[str]:
    """Return which features of a jet are missing, rule by rule as section 1 of the study has them."""
    missing = {name for name, value in jet.items() if not isfinite(value) or value == -999}
    for feature in PER_TRACK:
        missing |= {f"DeepCSV_track{feature}_{k}" for k in range(6) if jet["DeepCSV_jetNSelectedTracks"] <= k}
    missing |= {f"DeepCSV_trackEtaRel_{k}" for k in range(4) if jet["DeepCSV_jetNTracksEtaRel"] <= k}
    for feature in ABOVE_CHARM:
        if jet[f"DeepCSV_track{feature}AboveCharm"] == -1:
            missing.add(f"DeepCSV_track{feature}AboveCharm")
    return missing


def target(flavour: int, n_b_hadrons: int) -> int:
    if flavour == 5:
        return 1 if n_b_hadrons > 1 else 0
    return 2 if flavour == 4 else 3


@pytest.fixture(scope="module")
def study(names):
    """The cleaned jets in the order of the file: values in float64, what is missing, target, outputs, event."""
    with uproot.open(DATA / "pfnano.root") as file:
        wanted = [*names, *TAGGER, "nBHadrons", "hadronFlavour"]
        events = file["Events"].arrays(["event", *(f"Jet_{name}" for name in wanted)]).to_list()
    jets = []
    for event in events:
        for i in range(len(event["Jet_pt"])):
            jet = {name: float(event[f"Jet_{name}"][i]) for name in names}
            missing = missing_features(jet)
            sum_delta_r = "DeepCSV_trackSumJetDeltaR"
            if not (-2.5 <= jet["eta"] <= 2.5 and 20 <= jet["pt"] <= 1000):
                continue
            if sum_delta_r not in missing and jet[sum_delta_r] > 0.3:
                continue
            outputs = tuple(event[f"Jet_{name}"][i] for name in TAGGER)
            label = target(event["Jet_hadronFlavour"][i], event["Jet_nBHadrons"][i])
            jets.append((jet, missing, label, outputs, event["event"]))
    # The outputs tell all jets apart.
    assert len({outputs for _, _, _, outputs, _ in jets}) == len(jets)
    return {
        "values": np.array([[jet[name] for name in names] for jet, *_ in jets]),
        "missing": np.array([[name in missing for name in names] for _, missing, *_ in jets]),
        "label": np.array([label for _, _, label, _, _ in jets]),
        "outputs": np.array([outputs for *_, outputs, _ in jets]),
        "event": np.array([event for *_, event in jets], dtype=np.uint64),
    }


@pytest.fixture(scope="module")
def split_rows(study):
    rest, test = train_test_split(np.arange(len(study["label"])), test_size=0.2, random_state=1)
    train, val = train_test_split(rest, test_size=0.1, random_state=1)
    return {"train": train, "val": val, "test": test}


def rows_of(study, outputs: np.ndarray) -> np.ndarray:
    """Return the row in the study of each jet, found by its four tagger outputs, which pass through unchanged."""
    place = {tuple(row): number for number, row in enumerate(study["outputs"].tolist())}
    return np.array([place[tuple(row)] for row in outputs.astype(np.float64).tolist()])


@pytest.fixture(scope="module")
def found(results, study):
    """The finished files, and for each of their jets its row in the study."""
    files = {split: runs.datasets(results / f"{split}.h5") for split in runs.SPLITS}
    for jets in files.values():
        jets["row"] = rows_of(study, np.stack([jets[f"jets/spectators/{name}"] for name in TAGGER], axis=1))
    return files


def test_the_study_keeps_22_jets(run, results, study):
    assert "Traceback" not in run.output
    assert np.bincount(study["label"], minlength=4).tolist() == [0, 0, 3, 19]
    assert len(runs.datasets(results / "clean/qcd/batch_0000.h5")["label"]) == 22
    assert study["missing"].any(axis=0).sum() > 40


def test_cleaned_values_and_what_is_missing(results, study, names):
    columns = runs.datasets(results / "clean/qcd/batch_0000.h5")
    rows = rows_of(study, np.stack([columns[f"spectators/{name}"] for name in TAGGER], axis=1))
    assert sorted(rows) == list(range(22))
    for i, name in enumerate(names):
        expected = np.where(study["missing"][rows, i], np.nan, study["values"][rows, i])
        assert np.array_equal(columns[f"variables/{name}"].astype(np.float64), expected, equal_nan=True), name


def test_splits_are_those_of_train_test_split(found, split_rows):
    for split, expected in split_rows.items():
        assert np.array_equal(np.sort(found[split]["row"]), np.sort(expected))
    assert [len(found[split]["row"]) for split in runs.SPLITS] == [15, 2, 5]


@pytest.mark.parametrize("split", runs.SPLITS)
def test_targets_masks_events_and_outputs(found, study, split):
    jets = found[split]
    assert np.array_equal(jets["jets/labels"], study["label"][jets["row"]])
    assert np.array_equal(jets["jets/is_default"], study["missing"][jets["row"]])
    assert np.array_equal(jets["jets/event/event"], study["event"][jets["row"]])
    for i, name in enumerate(TAGGER):
        assert np.array_equal(jets[f"jets/spectators/{name}"], study["outputs"][jets["row"], i].astype(np.float32))


@pytest.mark.parametrize("split", runs.SPLITS)
def test_bins_are_those_of_scipy(found, study, split):
    eta, pt = study["values"][found[split]["row"]][:, :2].T
    limits = ((-2.5, 2.5), (20, 1000))
    from_one = binned_statistic_2d(eta, pt, None, "count", (50, 50), limits, expand_binnumbers=True).binnumber
    assert np.array_equal(found[split]["jets/bins"], from_one.T - 1)


@pytest.mark.parametrize("split", runs.SPLITS)
def test_inputs_are_those_of_standard_scaler(found, study, split_rows, names, split):
    inputs, rows = found[split]["jets/inputs"], found[split]["row"]
    assert inputs.dtype == np.float16
    constant = []
    for i, name in enumerate(names):
        x, missing = study["values"][:, i], study["missing"][:, i]
        fitted = x[split_rows["train"]][~missing[split_rows["train"]]]
        scaler = StandardScaler().fit(fitted[:, None])
        if scaler.scale_[0] == 1:
            constant.append(name)
        filled = np.where(missing[rows], fitted.min() - 0.001, x[rows])
        expected = scaler.transform(filled[:, None])[:, 0].astype(np.float16)
        ulp = np.maximum(np.spacing(np.abs(expected)), np.spacing(np.float16(2**-10)))
        assert (np.abs(inputs[:, i].astype(float) - expected) <= ulp).all(), name
    assert constant == ["DeepCSV_trackEtaRel_2", "DeepCSV_trackEtaRel_3"]


def test_weights_of_the_two_classes_there_are(found, study):
    jets = found["train"]
    counts = np.zeros((4, 50, 50))
    np.add.at(counts, (jets["jets/labels"], *jets["jets/bins"].T), 1)
    place = (jets["jets/labels"], *jets["jets/bins"].T)
    shapes = [table / table.sum() for table in counts if table.any()]
    for dataset, wanted in (("jets/weight", np.mean(shapes, axis=0)), ("jets/weight_flat", np.ones((50, 50)))):
        assert jets[dataset] == pytest.approx(runs.balanced_weights(counts, wanted)[place], rel=1e-6)


# --- NanoAOD of two versions ---

NANO = {"v5": DATA / "NanoAODv5_sample.root", "v12": DATA / "nano_tt_v12.root"}
VARIABLES = ["pt", "eta", "mass", "area", "nConstituents"]


@pytest.fixture(scope="module")
def nano_run(tmp_path_factory):
    config = {
        "samples": {name: {"files": [str(path)]} for name, path in NANO.items()},
        "jets": {"variables": VARIABLES},
        "classes": {"b": "hadronFlavour == 5", "c": "hadronFlavour == 4", "udsg": "rest"},
        "balance": {"bins": {"pt": [[15, 105, 6], [105, 205, 1], [205, 1000, 1]]}, "weights": [{"reference": "b"}]},
        "write": {"parts": {"train": 2}},
    }
    return run_once(tmp_path_factory, "nano", config)[1]


@pytest.fixture(scope="module")
def nano_written(nano_run):
    files = [runs.datasets(nano_run / f"{split}.h5") for split in runs.SPLITS]
    return {name: np.concatenate([file[name] for file in files]) for name in files[0]}


@pytest.fixture(scope="module")
def nano_read():
    jets = runs.read_ntuples({name: [path] for name, path in NANO.items()}, [*VARIABLES, "hadronFlavour"])
    return {**jets, "label": np.select([jets["hadronFlavour"] == 5, jets["hadronFlavour"] == 4], [0, 1], 2)}


def test_types_differ_between_the_versions():
    types = []
    for path in NANO.values():
        with uproot.open(path) as file:
            types.append(file["Events/Jet_hadronFlavour"].typename)
    assert types == ["int32_t[]", "uint8_t[]"]


@pytest.mark.parametrize(("sample", "light_c_b"), [(0, (6308, 850, 1862)), (1, (948, 150, 406))])
def test_classes_of_each_version(nano_written, sample, light_c_b):
    labels = nano_written["jets/labels"][nano_written["jets/sample"] == sample]
    assert tuple(np.bincount(labels)) == light_c_b[::-1]


def test_counts_in_the_manifest_of_both(nano_run):
    manifest = json.loads((nano_run / "manifest.json").read_text())
    assert [(entry["sample"], entry["jets"], entry["kept"]) for entry in manifest["inputs"]] == [
        ("v5", 9020, 9020),
        ("v12", 1504, 1504),
    ]
    assert sum(part["jets"] for part in manifest["outputs"]) == 9020 + 1504


def test_event_identity_is_exact(nano_written, nano_read):
    keys = ("run", "luminosityBlock", "event")
    columns = [nano_written["jets/sample"], *(nano_written[f"jets/event/{key}"] for key in keys)]
    expected = [nano_read["sample"], *(nano_read[key] for key in keys)]
    assert Counter(zip(*map(np.ndarray.tolist, columns), strict=True)) == Counter(
        zip(*map(np.ndarray.tolist, expected), strict=True)
    )
    assert all(column.dtype.kind == "u" for column in columns)


def test_variables_of_both_versions_share_one_scale(nano_run, nano_written, nano_read):
    scalers = json.loads((nano_run / "scalers.json").read_text())["jets"]
    for i, name in enumerate(VARIABLES):
        own = nano_written["jets/inputs"][:, i].astype(np.float64) * scalers[name]["scale"] + scalers[name]["shift"]
        for sample in range(2):
            expected = np.sort(nano_read[name][nano_read["sample"] == sample].astype(np.float64))
            found = np.sort(own[nano_written["jets/sample"] == sample])
            assert found == pytest.approx(expected, rel=1e-5, abs=1e-5 * scalers[name]["scale"]), name


def test_reference_weights_give_every_class_the_spectrum_of_b(nano_run):
    train = runs.datasets(nano_run / "train.h5")
    labels, bins, weight = train["jets/labels"], train["jets/bins"][:, 0], train["jets/weight"].astype(np.float64)
    spectra = np.zeros((3, 8))
    np.add.at(spectra, (labels, bins), weight)
    assert spectra.sum(axis=1) == pytest.approx(len(labels) / 3, rel=1e-5)
    plain_b = np.bincount(bins[labels == 0], minlength=8)
    for spectrum in spectra:
        assert spectrum / spectrum.sum() == pytest.approx(plain_b / plain_b.sum(), rel=1e-5)
