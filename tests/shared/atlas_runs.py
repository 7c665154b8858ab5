"""A finished run of the workflow on ATLAS jets with tracks, in all formats."""

import pytest
import workflow_runs as runs

CONFIG = {
    "samples": {name: {"toy": {"process": name, "files": 2, "jets": 1000}} for name in ("ttbar", "zprime")},
    "input": {"format": "hdf5", "files_per_batch": 1},
    "jets": {
        "select": ["pt_btagJes >= 20e3", "pt_btagJes < 6000e3", "absEta_btagJes < 2.5"],
        "variables": ["pt_btagJes", "eta_btagJes"],
    },
    "constituents": {
        "tracks": {
            "variables": ["d0", "dr"],
            "labels": ["ftagTruthOriginLabel"],
            "label_classes": {"ftagTruthOriginLabel": list("abcdefgh")},
            "scaling": {"method": "robust"},
            "max": 10,
        }
    },
    "classes": {"b": "HadronConeExclTruthLabelID == 5", "other": "rest"},
    "split": {"by": "modulo", "modulo": 10, "val": [8], "test": [9]},
    "balance": {
        "bins": {"pt_btagJes": [20e3, 6e6, 4]},
        "resampling": {"method": "pdf", "target": "b", "max_upsampling": 2},
    },
    "write": {"parts": {"train": 2}, "formats": runs.FORMATS},
    "report": {"plots": False},
}


@pytest.fixture(scope="session")
def atlas_run(tmp_path_factory):
    return runs.once(tmp_path_factory, "atlas", lambda path: runs.succeeds(path, "--cores", "2", config=CONFIG))
