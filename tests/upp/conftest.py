"""A configuration of UPP of our own, with the features that theirs use, and toy dumps for it."""

import h5py
import pytest

from jetmill.randomness import generator
from jetmill.toys.dumps import toy_dump

VARIABLES = """
jets:
  inputs: [pt_btagJes, eta_btagJes]
  labels: [HadronConeExclTruthLabelID, HadronConeExclTruthLabelPt, eventNumber]
tracks:
  inputs: [d0, qOverP, numberOfPixelHits]
  labels: [ftagTruthOriginLabel]
  selection:
    - [d0, "<", 3.5]
    - [NSHARED, "<=", 1.5]
"""
SPLITS = """
train: [[eventNumber, "%10<=", 7]]
val: [[eventNumber, "%10==", 8]]
test: [[eventNumber, "%10==", 9]]
"""
FLAVOURS = """
- {name: beauty, label: $b$-jets, cuts: ["HadronConeExclTruthLabelID == 5"], colour: tab:blue, category: mine}
- {name: charm, label: $c$-jets, cuts: ["HadronConeExclTruthLabelID == 4"], colour: tab:orange, category: mine}
- {name: rest, label: other, cuts: ["HadronConeExclTruthLabelID in (0,15)"], colour: tab:green, category: mine}
"""
CONFIG = """
variables: !include variables.yaml
global_cuts: !include splits.yaml

ttbar: &ttbar
  name: ttbar
  pattern: "tt*.h5"
zprime: &zprime
  name: zprime
  equal_jets: false
  pattern: [zp_1.h5, zp_2.h5]
low: &low
  name: low
  cuts:
    - [pt_btagJes, ">", 20_000]
    - [pt_btagJes, "<", 250_000]
high: &high
  name: high
  cuts: [[pt_btagJes, ">", 250_000], [pt_btagJes, "<", 6_000_000]]

components:
  - {region: *low, sample: *ttbar, flavours: [beauty, charm], num_jets: 200}
  - {region: *low, sample: *ttbar, flavours: [rest], num_jets: 400, num_jets_val: 40}
  - {region: *high, sample: *zprime, flavours: [beauty, charm], num_jets: 100}
  - {region: *high, sample: *zprime, flavours: [rest], num_jets: 200, num_jets_test: 7}

resampling:
  target: charm
  method: countup
  sampling_fraction: auto
  variables:
    pt_btagJes: {bins: [[20_000, 240_000, 4], [240_000, 6_000_000, 6]]}
    absEta_btagJes: {bins: [[0, 2.5, 2]]}

global:
  jets_name: jets
  batch_size: 10_000
  num_jets_estimate: 5_000
  base_dir: BASE
  ntuple_dir: dumps
  flavour_config: flavours.yaml
"""


@pytest.fixture(scope="session")
def upp_directory(tmp_path_factory):
    """A directory with the configuration of UPP, all that it includes, and dumps of 12 slots."""
    directory = tmp_path_factory.mktemp("upp")
    (directory / "dumps").mkdir()
    for process, names in {"ttbar": ["tt_1", "tt_2"], "zprime": ["zp_1", "zp_2"]}.items():
        for name in names:
            with h5py.File(directory / f"dumps/{name}.h5", "w") as file:
                for dataset, rows in toy_dump(8000, process, generator(1, name), n_tracks=12).items():
                    file[dataset] = rows
    texts = {"variables": VARIABLES, "splits": SPLITS, "flavours": FLAVOURS, "upp": CONFIG}
    for name, text in texts.items():
        (directory / f"{name}.yaml").write_text(text.replace("BASE", str(directory)))
    return directory


@pytest.fixture
def changed(upp_directory, tmp_path):
    """Write the configuration with some texts replaced by others; returns its path."""

    def write(*pairs, without=()):
        for name in ("variables", "splits"):
            (tmp_path / f"{name}.yaml").write_text((upp_directory / f"{name}.yaml").read_text())
        text = (upp_directory / "upp.yaml").read_text()
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "upp.yaml"
        path.write_text(text)
        return path

    return write
