import json
from dataclasses import fields
from pathlib import Path

import jsonschema
import pytest
import yaml

from jetmill.config.load import load
from jetmill.config.reference import reference, schema, transforms
from jetmill.settings.config import Config

ROOT = Path(__file__).parents[1]


def test_the_page_and_the_schema_are_up_to_date():
    assert (ROOT / "docs/config.md").read_text() == reference(), "run python -m jetmill.config.reference"
    assert (ROOT / "docs/transforms.md").read_text() == transforms(), "run python -m jetmill.config.reference"
    assert (ROOT / "config/schema.json").read_text() == schema(), "run python -m jetmill.config.reference"


def test_the_page_explains_every_key():
    page = reference()
    for row in page.splitlines():
        if row.startswith("| `"):
            assert len(row.rstrip("| ").rsplit(" | ", 1)[1]) > 5, row
    for field in fields(Config):
        assert f"| `{field.name}` |" in page
    for key in ("samples.<name>.toy.process", "jets.select[].missing", "write.parts.val"):
        assert f"| `{key}` |" in page
    for key in ("method", "components[].fraction", "num_jets"):
        assert f"| `balance.resampling.{key}` |" in page
    for key in ("sort_by", "missing.values_of", "scaling.log"):
        assert f"| `constituents.<name>.{key}` |" in page


@pytest.mark.parametrize("path", sorted(ROOT.glob("config/*.yaml")), ids=lambda p: p.name)
def test_shipped_configurations_fit_the_schema_and_the_models(path):
    config = yaml.safe_load(path.read_text())
    components = config["balance"].get("resampling", {}).get("components", [{"samples": ["tt"]}])
    by_sample = [value for value in config["classes"].values() if isinstance(value, dict)]
    names = [name for part in [*components, *by_sample] for name in part["samples"]]
    config.setdefault("samples", {name: {"files": "a"} for name in names})
    jsonschema.validate(config, json.loads(schema()))
    load(config)


def test_the_study_is_as_it_was():
    config = yaml.safe_load((ROOT / "config/cms-deepcsv.yaml").read_text())
    config["samples"] = {"tt": {"files": "tt.root"}}
    study = load(config)
    assert len(study.jets.variables) == 67
    assert study.jets.variables[:3] == ("eta", "pt", "DeepCSV_flightDistance2dSig")
    assert study.jets.variables[57] == "DeepCSV_trackSumJetDeltaR"
    assert study.jets.variables[63:] == (
        "DeepCSV_jetNSecondaryVertices",
        "DeepCSV_jetNSelectedTracks",
        "DeepCSV_jetNTracksEtaRel",
        "DeepCSV_vertexNTracks",
    )
    assert (study.input.files_per_batch, study.scaling.variables_per_range, study.seed) == (50, 6, 1)
    assert study.balance.bins == {"eta": ((-2.5, 2.5, 50),), "pt": ((20, 1000, 50),)}
    assert (study.split.by, study.split.test, study.split.val) == ("jet", 0.2, 0.1)
    # The study wrote a part for each batch, so that its training file was not mixed.
    assert (study.write.shuffle, study.write.precision) == ("global", "float16")
