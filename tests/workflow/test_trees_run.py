"""The examples for trees, run on small files: steps, variations and what an edit makes run again."""

import importlib.util
import shutil
from math import atan2, cos, cosh, hypot, log, pi, sin, tan

import h5py
import numpy as np
import pytest
import uproot
import workflow_runs as runs
import yaml
from tfrecord_files import read_tfrecord

pytestmark = pytest.mark.workflow

DATA = runs.ROOT.parent / "shared/data"
N_JETS = 300
SAMPLES = ("top", "qcd")
JET_SCALE = {"name": "JES_up2", "jets": {"pt": "1.02 * pt"}}
GIVEN = ["energy_scale_up", "position", JET_SCALE]
VARIATIONS = ("energy_scale_up", "position", "JES_up2")
MORE_FORMATS = ["structured", "tfrecords"]
ENERGY, ABS_ETA = np.array([0, 1, 5, 20, 100, 1000.0]), np.array([0, 0.5, 1, 1.5, 2.5])
PLUGIN = "def make(clusters, jets):\n    return {'mine': clusters['pt'] / jets['pt'][clusters['jet']] + 0}\n"


def write_maps(path, seed):
    rng = np.random.default_rng(seed)
    with uproot.recreate(path) as file:
        for name in ("Scale", "Mean", "RMS"):
            file[name] = (rng.uniform(0.8, 1.2, (len(ENERGY) - 1, len(ABS_ETA) - 1)), ENERGY, ABS_ETA)


def example(name):
    return yaml.safe_load((runs.ROOT / f"config/{name}.yaml").read_text()) | {"report": {"plots": False}}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return the finished run of config/root2hdf5.yaml with a plug-in and variations."""
    spec = importlib.util.spec_from_file_location("bench", runs.ROOT / "benchmarks/root2hdf5.py")
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    directory = tmp_path_factory.mktemp("trees") / "run"
    directory.mkdir()
    for sample in SAMPLES:
        bench.write_tree(directory / f"{sample}.root", sample, N_JETS, 0)
    write_maps(directory / "maps.root", 1)
    (directory / "mine.py").write_text(PLUGIN)
    config = example("root2hdf5") | {"samples": {s: {"files": [f"{s}.root"]} for s in SAMPLES}}
    config["write"]["parts"] = {"train": 1, "val": 1, "test": 1}
    config["write"]["formats"] = ["hdf5", *MORE_FORMATS]
    clusters = config["constituents"]["clusters"]
    clusters["transforms"].append(
        {"plugin": "mine.py", "function": "make", "reads": ["pt"], "reads_jets": ["pt"], "makes": ["mine"]}
    )
    clusters["variables"].append("mine")
    clusters["max"] = 40
    config["systematics"] = {
        "collection": "clusters",
        "roles": {"pt": "pt", "energy": "E", "eta": "eta", "phi": "phi", "taste": "taste"},
        "variations": GIVEN,
        "maps": "maps.root",
    }
    run = runs.snakemake(directory, "--cores", "2", config=config)
    assert run.code == 0, run.output
    return run, config


@pytest.fixture(scope="module")
def trees(made):
    """The jets of both trees, as Python objects."""
    jets = {}
    for number, sample in enumerate(SAMPLES):
        with uproot.open(made[0].directory / f"{sample}.root") as file:
            for jet in file["FlatSubstructureJetTree"].arrays().to_list():
                jets[number, jet["EventInfo_mcEventNumber"]] = {k.removeprefix("fjet_"): v for k, v in jet.items()}
    return jets


def clusters_of(jet):
    names = ("pt", "E", "eta", "phi", "taste")
    rows = [dict(zip(names, row, strict=True)) for row in zip(*(jet[f"clus_{n}"] for n in names), strict=True)]
    return [row | {"pt": row["pt"] / 1000, "E": row["E"] / 1000} for row in rows]


def wrapped(angle):
    return (angle + pi) % (2 * pi) - pi


def plain(clusters, jet):
    """Do what the example says with one jet: rows of its variables, the hardest first."""
    rows = sorted(clusters, key=lambda c: -c["pt"])
    deta = [c["eta"] - rows[0]["eta"] for c in rows]
    dphi = [wrapped(c["phi"] - rows[0]["phi"]) for c in rows]
    angle = atan2(dphi[1], deta[1]) + pi / 2
    eta = [x * cos(angle) + y * sin(angle) for x, y in zip(deta, dphi, strict=True)]
    phi = [y * cos(angle) - x * sin(angle) for x, y in zip(deta, dphi, strict=True)]
    if eta[2] < 0:
        eta = [-x for x in eta]
    pts, energies = sum(c["pt"] for c in rows), sum(c["E"] for c in rows)
    logs = [(log(c["pt"]), log(c["E"]), log(c["pt"] / pts), log(c["E"] / energies)) for c in rows]
    made = zip(eta, phi, logs, rows, strict=True)
    return np.array([(x, y, *of, hypot(x, y), c["pt"] / (jet["pt"] / 1000)) for x, y, of, c in made])


def scale_up(c, maps):
    def value(name, energy):
        x = sum(energy >= edge for edge in ENERGY[1:-1])
        y = sum(abs(c["eta"]) >= edge for edge in ABS_ETA[1:-1])
        return maps[name][x, y]

    p = c["E"] / value("Scale", c["E"])
    size = 0.1 if p > 350 else abs(value("Mean", p) - 1)
    factor = 1 if c["taste"] == 0 else 1 + size
    return c | {"pt": c["pt"] * factor, "E": c["E"] * factor}


def inputs(path):
    """Return what identifies a jet to its clusters in their own units, and to the jet."""
    found = {}
    with h5py.File(path) as file:
        data = file["clusters/inputs"]
        values = data[()] * data.attrs["scale"] + data.attrs["shift"]
        of_jet = file["jets/inputs"]
        jets = of_jet[()] * of_jet.attrs["scale"] + of_jet.attrs["shift"]
        labels, events = file["jets/labels"][()], file["jets/event/EventInfo_mcEventNumber"][()]
        for i, (sample, event) in enumerate(zip(file["jets/sample"][()], events, strict=True)):
            valid = file["clusters/valid"][i]
            found[int(sample), int(event)] = values[i][valid], jets[i], int(labels[i])
    return found


def passing(trees, remainder):
    """Return the jets of a split, by the cuts of the example."""
    return {
        key
        for key, jet in trees.items()
        if key[1] % 10 in remainder
        and abs(jet["true_eta"]) < 2
        and jet["true_pt"] / 1000 > 350
        and jet["m"] / 1000 > 40
        and len(jet["clus_pt"]) >= 3
        and jet["pt"] / 1000 < 4000
    }


def test_nominal(made, trees):
    run, _ = made
    for split, remainder in {"train": range(2, 10), "val": [1], "test": [0]}.items():
        found = inputs(run.results / f"{split}.h5")
        assert found.keys() == passing(trees, remainder)
        for (sample, event), (clusters, of_jet, label) in found.items():
            jet = trees[sample, event]
            assert label == 1 - sample
            pt, eta, phi, m = jet["pt"] / 1000, jet["eta"], jet["phi"], jet["m"] / 1000
            expected = [pt, eta, m, pt * cos(phi), pt * sin(phi), pt * np.sinh(eta), hypot(pt * cosh(eta), m)]
            assert of_jet == pytest.approx([*expected, len(jet["clus_pt"])], rel=1e-4, abs=1e-2)
            if split == "test":
                assert clusters == pytest.approx(plain(clusters_of(jet), jet)[:40], rel=1e-4, abs=1e-4)


def test_energy_scale_up(made, trees):
    run, _ = made
    with uproot.open(run.directory / "maps.root") as file:
        maps = {name: file[name].values() for name in ("Scale", "Mean")}
    nominal, found = (inputs(run.results / f"{of}test.h5") for of in ("", "variations/energy_scale_up/"))
    assert found.keys() == nominal.keys()
    for key, (clusters, of_jet, label) in found.items():
        jet = trees[key]
        expected = plain([scale_up(c, maps) for c in clusters_of(jet)], jet)[:40]
        assert clusters == pytest.approx(expected, rel=1e-4, abs=1e-4)
        # Jets are as they were, unless systematics.jets asks for more.
        assert (of_jet.tolist(), label) == (nominal[key][1].tolist(), nominal[key][2])
        assert np.abs(clusters - nominal[key][0][: len(clusters)]).max() > 1e-3


def test_positions_move_a_little(made, trees):
    run, _ = made
    nominal, found = (inputs(run.results / f"{of}test.h5") for of in ("", "variations/position/"))
    assert found.keys() == nominal.keys()
    # delta_r does not depend on how the axes are rotated; those of taste 1 move, and the hardest may.
    shifts = np.concatenate([np.sort(found[k][0][:, 6])[1:] - np.sort(nominal[k][0][:, 6])[1:] for k in found])
    assert 0.001 < np.std(shifts) < 0.02


def test_a_scale_of_jets(made):
    run, _ = made
    nominal, found = (inputs(run.results / f"{of}test.h5") for of in ("", "variations/JES_up2/"))
    both = nominal.keys() & found.keys()
    assert len(both) > 0.9 * len(nominal)
    for key in both:
        assert found[key][1][0] == pytest.approx(1.02 * nominal[key][1][0], rel=1e-5)


@pytest.mark.parametrize("variation", VARIATIONS[:2])
def test_scalers_and_tables_are_the_nominal_ones(made, variation):
    run, _ = made
    varied = run.results / f"variations/{variation}/test.h5"
    assert {path.name for path in varied.parent.glob("*.h5")} == {"test.h5"}
    with h5py.File(run.results / "test.h5") as a, h5py.File(varied) as b:
        assert a["jets/weight"].attrs.keys() == b["jets/weight"].attrs.keys()
        for name in ("jets/inputs", "clusters/inputs"):
            for attribute in ("shift", "scale", "default"):
                assert np.array_equal(a[name].attrs[attribute], b[name].attrs[attribute])
        order = [np.lexsort((f["jets/event/EventInfo_mcEventNumber"], f["jets/sample"])) for f in (a, b)]
        assert np.array_equal(a["jets/weight"][()][order[0]], b["jets/weight"][()][order[1]])


@pytest.mark.parametrize("variation", VARIATIONS)
def test_variations_are_in_every_format(made, variation):
    run, _ = made
    varied = run.results / f"variations/{variation}"
    arrays = runs.datasets(varied / "test.h5")
    with h5py.File(varied / "structured/test.h5") as file:
        assert list(file.attrs["parts"]) == ["test/part_0000.h5"]
        np.testing.assert_array_equal(file["jets"]["weight"], arrays["jets/weight"])
        np.testing.assert_array_equal(file["clusters"]["valid"], arrays["clusters/valid"])
    records = read_tfrecord(varied / "tfrecords/test/test_0001.tfrecord")
    np.testing.assert_array_equal(records["X_jets"], arrays["jets/inputs"])


# --- what runs again ---


@pytest.fixture
def edited(made, tmp_path):
    """Return a function that says which jobs run after an edit of the finished run."""
    run, config = made

    def jobs(edit=lambda directory: None, **changes):
        directory = tmp_path / "copy"
        shutil.copytree(run.directory, directory)
        edit(directory)
        return runs.snakemake(directory, "-n", config=runs.changed(config, changes))

    return jobs


def test_nothing_to_do(edited):
    again = edited()
    assert again.code == 0
    assert "Nothing to be done" in again.output


def test_another_plugin_cleans_again(edited):
    again = edited(lambda directory: (directory / "mine.py").write_text(PLUGIN.replace("+ 0", "+ 1")))
    assert again.jobs["clean"] == len(SAMPLES) * (1 + len(VARIATIONS))


def test_other_maps_clean_their_variations_again(edited):
    jobs = edited(lambda directory: write_maps(directory / "maps.root", 2)).jobs
    # Not the nominal jets, nor positions.
    assert (jobs.get("clean"), jobs.get("list_batches"), jobs.get("write")) == (2, 1, 2)
    assert (jobs["join_variation"], jobs["write_directory"]) == (2, 1)
    assert not {"bin_jets", "fit_scalers", "balance", "join"} & jobs.keys()


def test_a_further_variation_leaves_the_others_alone(edited):
    jobs = edited(systematics={"variations": [*GIVEN, "energy_scale_down"]}).jobs
    # Joined records hold the configuration.
    assert (jobs["join"], jobs["join_variation"]) == (1, len(VARIATIONS) + 2)
    assert (jobs["clean"], jobs["write"], jobs["write_directory"]) == (2, 2, 1)
    assert not {"fit_scalers", "balance"} & jobs.keys()


def test_other_outputs_of_variations_leave_nominal_jets_alone(edited):
    jobs = edited(systematics={"outputs": ["test", "val"]}).jobs
    assert "clean" not in jobs
    assert jobs["write"] == 2 * len(VARIATIONS)


# --- ATLAS ---

PHYSLITE = DATA / "physlite_ttbar_100events.root"


@pytest.mark.real_data
@pytest.mark.skipif(not PHYSLITE.exists(), reason="../shared/data is not there")
def test_physlite(tmp_path):
    config = example("physlite") | {"samples": {"ttbar": {"files": [str(PHYSLITE)]}}}
    run = runs.snakemake(tmp_path, "--cores", "2", config=config)
    assert run.code == 0, run.output
    with uproot.open(PHYSLITE) as file:
        tree = file["CollectionTree"]
        jets = {n: tree[f"AnalysisJetsAuxDyn.{n}"].array().to_list() for n in ("pt", "eta", "phi", "m", "GhostTrack")}
        names = ("theta", "qOverP", "phi", "d0", "z0", "numberOfPixelHits", "numberOfSCTHits")
        of_tracks = {n: tree[f"InDetTrackParticlesAuxDyn.{n}"].array().to_list() for n in names}
        events = tree["EventInfoAuxDyn.eventNumber"].array().to_list()
    expected = {}
    for e, event in enumerate(events):
        for pt, eta, phi, m, links in zip(*(jets[n][e] for n in jets), strict=True):
            if pt / 1000 < 20 or abs(eta) >= 2.5:
                continue
            at = [link["m_persIndex"] for link in links if link["m_persKey"] != 0]
            rows = []
            for i in at:
                theta, q, track_phi, d0, z0, pixels, sct = (of_tracks[n][e][i] for n in names)
                track_pt = sin(theta) / abs(q) / 1000
                deta, dphi = -log(tan(theta / 2)) - eta, wrapped(track_phi - phi)
                share = log(track_pt / (pt / 1000))
                if track_pt > 0.5:
                    charge = 1 if q > 0 else -1
                    rows.append((log(track_pt), deta, dphi, hypot(deta, dphi), share, charge, d0, z0, pixels, sct))
            rows.sort(key=lambda row: -row[0])
            expected[event, round(pt)] = [pt / 1000, eta, m / 1000, len(at)], rows[:20]
    found = {}
    for split in runs.SPLITS:
        with h5py.File(run.results / f"{split}.h5") as file:
            data, of_jet = file["tracks/inputs"], file["jets/inputs"]
            tracks = data[()].astype(np.float64) * data.attrs["scale"] + data.attrs["shift"]
            rows = of_jet[()].astype(np.float64) * of_jet.attrs["scale"] + of_jet.attrs["shift"]
            valid, numbers = file["tracks/valid"][()], file["jets/event/eventNumber"][()].tolist()
            for event, jet, row, mask in zip(numbers, rows, tracks, valid, strict=True):
                found[event, round(jet[0] * 1000)] = jet, row[mask]
    near = {(e, pt): next((k for k in ((e, pt), (e, pt - 1), (e, pt + 1)) if k in expected), None) for e, pt in found}
    assert sorted(near.values()) == sorted(expected)
    for key, (jet, rows) in found.items():
        of_jet, wanted = expected[near[key]]
        assert jet == pytest.approx(of_jet, rel=1e-4, abs=1e-3)
        assert len(rows) == len(wanted)
        for row, right in zip(rows, wanted, strict=True):
            assert row == pytest.approx(right, rel=1e-3, abs=1e-3)
    assert sum(len(rows) for _, rows in expected.values()) > 300
