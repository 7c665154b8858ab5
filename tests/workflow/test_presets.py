"""Example configurations as they are, on real or generated files, against loops over plain uproot."""

from math import cos, cosh, hypot, log, sin, sqrt

import awkward as ak
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
