"""Variables of generated jets, from trees to finished files: in definitions, cuts, classes and labels."""

import awkward as ak
import h5py
import numpy as np
import pytest
import workflow_runs as runs
from stage_runs import run_stages

N_EVENTS = 300
CONFIG = {
    "input": {
        "event_id": ["event"],
        "matched": {"gen": {"branches": "GenJet", "index": "genJetIdx"}},
        "files_per_batch": 1,
    },
    "jets": {
        "define": {"response": "pt / gen_pt"},
        "select": ["gen_pt > 25"],
        "variables": ["pt", "response"],
        "additional_labels": ["number", "gen_pt"],
    },
    "classes": {"b": "gen_flavour == 5", "light": "rest"},
    "balance": {"bins": {"pt": [0, 200, 4]}},
}


def events(first):
    """Return events whose jets point to generated jets in any order, or to none, and what each jet points to."""
    rng = np.random.default_rng(first)
    jets, generated = rng.integers(0, 6, N_EVENTS), rng.integers(1, 5, N_EVENTS)
    index = ak.Array([rng.integers(-1, g, j) for j, g in zip(jets, generated, strict=True)])
    gen_pt = ak.unflatten(rng.uniform(20, 100, generated.sum()).astype(np.float32), generated)
    flavour = ak.unflatten(rng.choice([0, 5], generated.sum()).astype(np.uint8), generated)
    pt = ak.unflatten(rng.uniform(20, 200, jets.sum()).astype(np.float32), jets)
    number = ak.unflatten(first + np.arange(jets.sum()), jets)
    branches = {
        "event": np.arange(first, first + N_EVENTS),
        "Jet_pt": pt,
        "Jet_number": number,
        "Jet_genJetIdx": ak.values_astype(index, np.int16),
        "GenJet_pt": gen_pt,
        "GenJet_flavour": flavour,
    }
    return branches, {
        number[event][jet]: (pt[event][jet], gen_pt[event][place], flavour[event][place])
        for event, places in enumerate(index.to_list())
        for jet, place in enumerate(places)
        if place >= 0
    }


def test_jets_have_what_they_point_to(tmp_path, write_root):
    paths, wanted = [], {}
    for first in (0, 10_000):
        branches, jets = events(first)
        paths.append(write_root(tmp_path / f"{first}.root", branches))
        wanted |= {number: jet for number, jet in jets.items() if jet[1] > 25}
    samples = {"tt": {"files": [str(path) for path in paths]}}
    results = run_stages(CONFIG | {"samples": samples, "output_dir": str(tmp_path / "results")})
    found = {}
    for split in runs.SPLITS:
        with h5py.File(results / f"{split}.h5") as file:
            jets, inputs = file["jets"], file["jets/inputs"]
            assert inputs.attrs["jet_variables"].tolist() == ["pt", "response"]
            columns = inputs[()] * inputs.attrs["scale"] + inputs.attrs["shift"]
            labels = [jets[f"add_labels/{name}"][()] for name in ("number", "gen_pt")]
            for number, gen_pt, (pt, response), label in zip(*labels, columns, jets["labels"][()], strict=True):
                found[int(number)] = gen_pt, pt, response, label
    assert found.keys() == wanted.keys()
    assert len(found) > 500
    for number, (pt, gen_pt, flavour) in wanted.items():
        assert found[number][0] == gen_pt
        assert found[number][1:3] == pytest.approx((pt, pt / gen_pt), rel=1e-5)
        assert found[number][3] == (0 if flavour == 5 else 1)
