"""Example configurations as they are, on real or generated files, against loops over plain uproot."""

from math import cos, cosh, hypot, log, sin, sqrt

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot
import workflow_runs as runs
import yaml
from stage_runs import run_stages

import jetmill

CLASSES = ["QCD", "Hbb", "Hcc", "Hgg", "H4q", "Hqql", "Zqq", "Wqq", "Tbqq", "Tbl"]


def run(name, files, out):
    """Run an example on files; return finished jets by split."""
    raw = yaml.safe_load((runs.ROOT / f"config/{name}.yaml").read_text())
    raw |= {"samples": {"all": {"files": [str(f) for f in files]}}, "strict": False, "output_dir": str(out)}
    raw["write"] |= {"parts": {}, "formats": ["hdf5"]}
    results = run_stages(raw)
    return {split: jetmill.load(results / f"{split}.h5") for split in runs.SPLITS}


def unscaled(jets, collection):
    """Return the variables of constituents in their own units (n_jets, slots, n_variables), and their names."""
    found = jets.constituents[collection]
    return found.scaling.inverse(found.inputs.astype(np.float64)), list(found.variables)


@pytest.fixture(scope="module")
def jetclass(tmp_path_factory):
    """A tree with the branches of JetClass, and its jets as plain dictionaries by pt."""
    rng, n = np.random.default_rng(5), 400
    counts = rng.integers(1, 20, n)

    def parts(values, dtype=np.float32):
        return ak.unflatten(np.asarray(values, dtype), counts)

    m = int(counts.sum())
    px, py, pz = rng.normal(0, 9, (3, m))
    branches = {f"part_{x}": parts(v) for x, v in {"px": px, "py": py, "pz": pz}.items()}
    branches["part_energy"] = parts(np.sqrt(px**2 + py**2 + pz**2) + 0.1)
    branches |= {f"part_{x}": parts(rng.normal(size=m)) for x in ("deta", "dphi", "d0val", "dzval")}
    branches |= {f"part_{x}": parts(rng.random(m)) for x in ("d0err", "dzerr", "charge")}
    kinds = ("isChargedHadron", "isNeutralHadron", "isPhoton", "isElectron", "isMuon")
    branches |= {f"part_{x}": parts(rng.random(m) < 0.2, np.int32) for x in kinds}
    jets = ("pt", "eta", "phi", "energy", "nparticles", "sdmass", "tau1", "tau2", "tau3", "tau4")
    branches |= {f"jet_{x}": rng.random(n).astype(np.float32) for x in jets}
    branches["jet_pt"], branches["jet_energy"] = rng.uniform(500, 1000, n).astype("f4"), rng.uniform(900, 2000, n)
    truth = rng.integers(0, 10, n)
    branches |= {f"label_{name}": (truth == k).astype(np.float32) for k, name in enumerate(CLASSES)}
    branches["aux_genpart_pdgId"] = rng.integers(-6, 7, n).astype(np.float32)
    path = tmp_path_factory.mktemp("jetclass") / "a.root"
    with uproot.recreate(path) as file:
        file.mktree("tree", {k: v.type if isinstance(v, ak.Array) else v.dtype for k, v in branches.items()})
        file["tree"].extend(branches)
    return path, {np.float32(j["jet_pt"]): j for j in ak.Array(branches).to_list()}


def test_jetclass(jetclass, tmp_path):
    path, expected = jetclass
    found = run("jetclass", [path], tmp_path)
    assert sum(map(len, found.values())) == len(expected)
    for jets in found.values():
        rows, names = unscaled(jets, "part")
        for i, pt in enumerate(jets.variable("pt").astype(np.float32)):
            jet = min(expected.values(), key=lambda j: abs(j["jet_pt"] - pt))
            assert jets.classes[jets.labels[i]] == next(c for c in CLASSES if jet[f"label_{c}"])
            order = np.argsort(
                [-hypot(x, y) for x, y in zip(jet["part_px"], jet["part_py"], strict=True)], kind="stable"
            )
            assert jets.constituents["part"].valid[i].sum() == len(order)
            for slot, k in enumerate(order[:3]):
                row = dict(zip(names, rows[i, slot], strict=True))
                pt_of_part = hypot(jet["part_px"][k], jet["part_py"][k])
                assert row["log_pt_fraction"] == pytest.approx(log(pt_of_part / jet["jet_pt"]), abs=1e-4)
                assert row["log_energy"] == pytest.approx(log(jet["part_energy"][k]), abs=1e-4)
                assert row["delta_r"] == pytest.approx(hypot(jet["part_deta"][k], jet["part_dphi"][k]), abs=1e-4)
                assert row["tanh_d0"] == pytest.approx(np.tanh(jet["part_d0val"][k]), abs=1e-5)
                assert row["isPhoton"] == jet["part_isPhoton"][k]


@pytest.mark.real_data
def test_nanoaod_v15(shared_data, tmp_path):
    path = shared_data("nano_tt_v15.root")
    found = run("nanoaod-v15", [path], tmp_path)
    with uproot.open(path) as file:
        names = ["event", "FatJet_pt", "FatJet_eta", "FatJet_phi", "FatJet_msoftdrop", "FatJet_genJetAK8Idx"]
        names += ["GenJetAK8_pt", "GenJetAK8_mass", "GenJetAK8_nBHadrons", "GenJetAK8_nCHadrons"]
        names += [
            "FatJetPFCand_jetIdx",
            "FatJetPFCand_pfCandIdx",
            *(f"PFCand_{x}" for x in ("pt", "eta", "phi", "mass", "pdgId")),
        ]
        events = file["Events"].arrays(names).to_list()
    expected = {}
    for e in events:
        for j, (pt, eta, index) in enumerate(
            zip(e["FatJet_pt"], e["FatJet_eta"], e["FatJet_genJetAK8Idx"], strict=True)
        ):
            if pt > 200 and abs(eta) < 2.5 and e["FatJet_msoftdrop"][j] > 20 and index >= 0:
                b, c = e["GenJetAK8_nBHadrons"][index], e["GenJetAK8_nCHadrons"][index]
                label = "bb" if b >= 2 else "b" if b == 1 else "c" if c >= 1 else "light"
                links = zip(e["FatJetPFCand_jetIdx"], e["FatJetPFCand_pfCandIdx"], strict=True)
                cands = sorted((p for of, p in links if of == j), key=lambda p: -e["PFCand_pt"][p])
                expected[e["event"], j] = (label, e["GenJetAK8_mass"][index], e, cands)
    assert len(expected) > 10
    assert sum(map(len, found.values())) == len(expected)
    for jets in found.values():
        rows, names = unscaled(jets, "pf")
        for i, identity in enumerate(zip(jets.event["event"].tolist(), jets.event["jet"].tolist(), strict=True)):
            label, mass, e, cands = expected[identity]
            assert (jets.classes[jets.labels[i]], jets.targets[i, 0]) == (label, np.float32(mass))
            assert jets.constituents["pf"].valid[i].sum() == min(len(cands), 128)
            total = sum(e["PFCand_pt"][p] for p in cands)
            for slot, p in enumerate(cands[:1]):
                row = dict(zip(names, rows[i, slot], strict=True))
                pt, eta, m = (e[f"PFCand_{x}"][p] for x in ("pt", "eta", "mass"))
                assert row["log_pt"] == pytest.approx(log(pt), abs=1e-4)
                assert row["log_energy"] == pytest.approx(log(sqrt((pt * cosh(eta)) ** 2 + m**2)), abs=1e-4)
                assert row["log_pt_fraction"] == pytest.approx(log(pt / total), abs=1e-4)
                shift = e["PFCand_phi"][p] - e["FatJet_phi"][identity[1]]
                shift = np.arctan2(sin(shift), cos(shift))
                assert row["delta_r"] == pytest.approx(hypot(eta - e["FatJet_eta"][identity[1]], shift), abs=1e-4)
                assert row["is_charged_hadron"] == (abs(e["PFCand_pdgId"][p]) == 211)


def write_dump(path, raw, n, seed):
    """Write a dump with the fields that a configuration names: random numbers, and plausible truth."""
    rng, jets = np.random.default_rng(seed), raw["jets"]
    labels = ("HadronConeExclTruthLabelID", "HadronGhostTruthLabelID", "PartonTruthLabelID")
    fields = [*jets["variables"], *(name for name in jets["additional_labels"] if name not in labels)]
    table = np.zeros(n, [(name, "f4") for name in fields] + [(name, "i4") for name in labels] + [("eventNumber", "i8")])
    for name in fields:
        table[name] = rng.uniform(-2, 2, n)
    table["pt_btagJes"] = np.exp(rng.uniform(np.log(21e3), np.log(2e6), n))
    table["HadronConeExclTruthLabelID"] = table["HadronGhostTruthLabelID"] = rng.choice([0, 4, 5, 15], n)
    table["PartonTruthLabelID"], table["eventNumber"] = rng.choice([1, 2, 3, 21], n), seed * n + np.arange(n)
    with h5py.File(path, "w") as file:
        file["jets"] = table
        for name, settings in raw["constituents"].items():
            of_each = [(v, "f4") for v in settings["variables"]] + [(v, "i4") for v in settings.get("labels", [])]
            rows = np.zeros((n, 8), [*of_each, ("valid", "?")])
            for v in settings["variables"]:
                rows[v] = rng.uniform(0.5, 2, (n, 8))
            for v in settings.get("labels", []):
                rows[v] = rng.integers(0, 8, (n, 8))
            rows["valid"] = np.arange(8) < rng.integers(0, 9, n)[:, None]
            file[name] = rows
    return table


@pytest.mark.parametrize("name", ["gn3", "atlas-jetset"])
def test_dumps(name, tmp_path):
    raw = yaml.safe_load((runs.ROOT / f"config/{name}.yaml").read_text())
    tables = [write_dump(tmp_path / f"{k}.h5", raw, 4000, seed) for seed, k in enumerate(("ttbar", "zprime"))]
    raw |= {"samples": {k: {"files": [str(tmp_path / f"{k}.h5")]} for k in ("ttbar", "zprime")}, "strict": False}
    raw |= {"output_dir": str(tmp_path / "results")}
    raw["write"] |= {"parts": {}, "formats": ["hdf5"], "compression": "none"}
    results = run_stages(raw)
    found = {split: jetmill.load(results / f"{split}.h5") for split in runs.SPLITS}
    by_event = {e: row for table in tables for e, row in zip(table["eventNumber"].tolist(), table, strict=True)}
    for split, remainders in (("train", range(8)), ("val", [8]), ("test", [9])):
        jets = found[split]
        assert {e % 10 for e in jets.event["eventNumber"].tolist()} == set(remainders)
        rows = [by_event[e] for e in jets.event["eventNumber"].tolist()]
        flavour = {0: {"ujets", "sjets", "udjets", "gjets"}, 4: {"cjets"}, 5: {"bjets"}, 15: {"taujets"}}
        for label, row in zip(jets.labels, rows, strict=True):
            assert jets.classes[label] in flavour[row["HadronGhostTruthLabelID"]]
        np.testing.assert_allclose(jets.variable("pt_btagJes"), [row["pt_btagJes"] for row in rows], rtol=1e-5)
    if name == "gn3":
        # ttbar below 250 GeV, Z' above, all classes as c.
        low = found["train"].variable("pt_btagJes") < 250e3
        assert np.array_equal(found["train"].event["eventNumber"] < 4000, low)
        counts = np.bincount(found["train"].labels[low], minlength=6)
        assert (counts > 0).all()
        assert counts.max() - counts.min() <= 1
    else:
        of_class = [found["train"].weight[found["train"].labels == k].sum() for k in range(4)]
        assert of_class == pytest.approx([sum(of_class) / 4] * 4, rel=1e-4)


def test_top_tagging(tmp_path):
    arrays = {}
    for seed, name in enumerate(("train_nominal", "test_nominal")):
        rng, n = np.random.default_rng(seed), 600
        used = np.arange(12) < rng.integers(1, 13, n)[:, None]
        of = arrays[name] = {"labels": rng.integers(0, 2, n).astype("i4"), "fjet_pt": rng.uniform(35e4, 3e6, n)}
        of |= {"fjet_eta": rng.uniform(-2, 2, n), "fjet_phi": rng.uniform(-3, 3, n), "fjet_m": rng.uniform(4e4, 3e5, n)}
        if name == "train_nominal":
            of["weights"] = rng.random(n).astype("f4")
        clusters = {"pt": rng.exponential(3e4, (n, 12)), "E": rng.exponential(5e4, (n, 12))}
        clusters |= {"eta": rng.uniform(-2, 2, (n, 12)), "phi": rng.uniform(-3, 3, (n, 12))}
        of |= {f"fjet_clus_{x}": np.where(used, values, 0) for x, values in clusters.items()}
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            for key, values in of.items():
                file[key] = values
    raw = yaml.safe_load((runs.ROOT / "config/top-tagging.yaml").read_text())
    splits = {"train_nominal": ["train", "val"], "test_nominal": ["test"]}
    raw["samples"] = {name: {"files": [str(tmp_path / f"{name}.h5")], "splits": of} for name, of in splits.items()}
    raw |= {"strict": False, "output_dir": str(tmp_path / "results")}
    raw["write"] |= {"parts": {}, "formats": ["hdf5"]}
    results = run_stages(raw)
    found = {split: jetmill.load(results / f"{split}.h5") for split in runs.SPLITS}
    assert len(found["test"]) == 600
    assert len(found["train"]) + len(found["val"]) == 600
    for split, jets in found.items():
        of = arrays["test_nominal" if split == "test" else "train_nominal"]
        rows, names = unscaled(jets, "fjet_clus")
        weights = jets.spectators["weights"]
        for i, pt in enumerate(jets.variable("pt")):
            k = int(np.argmin(abs(of["fjet_pt"] / 1e3 - pt)))
            assert jets.classes[jets.labels[i]] == ("top" if of["labels"][k] else "qcd")
            assert weights[i] == (1 if split == "test" else of["weights"][k])
            order = np.argsort(-of["fjet_clus_pt"][k], kind="stable")[: np.count_nonzero(of["fjet_clus_pt"][k])]
            assert jets.constituents["fjet_clus"].valid[i].sum() == len(order)
            row, c = dict(zip(names, rows[i, 0], strict=True)), order[0]
            assert row["log_pt"] == pytest.approx(log(of["fjet_clus_pt"][k, c] / 1e3), abs=1e-4)
            assert row["log_energy"] == pytest.approx(log(of["fjet_clus_E"][k, c] / 1e3), abs=1e-4)
            assert row["log_pt_fraction"] == pytest.approx(log(of["fjet_clus_pt"][k, c] / of["fjet_pt"][k]), abs=1e-4)
            shift = of["fjet_clus_phi"][k, c] - of["fjet_phi"][k]
            expected = hypot(of["fjet_clus_eta"][k, c] - of["fjet_eta"][k], np.arctan2(sin(shift), cos(shift)))
            assert row["delta_r"] == pytest.approx(expected, abs=1e-4)
