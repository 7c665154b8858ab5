"""Small ntuples whose every jet has a number, and finished runs on them, each made once."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import workflow_runs as runs
import yaml
from stage_runs import run_stages

from jetmill.toys.ntuples import toy_jets

N_JETS = 3000  # per file
N_FILES = 3  # per sample


@dataclass(frozen=True)
class Ntuples:
    """Input files, and their jets read without jetmill: the row of a jet is its number."""

    files: dict[str, list[Path]]
    jets: dict[str, np.ndarray]

    @property
    def config(self) -> dict[str, Any]:
        samples = {name: {"files": [str(path) for path in paths]} for name, paths in self.files.items()}
        return {"samples": samples, **runs.CONFIG}

    @property
    def kept(self) -> np.ndarray:
        """Numbers of the jets that pass all cuts, in the order of the files."""
        return np.flatnonzero(runs.passes(self.jets)[-1])


@pytest.fixture(scope="session")
def ntuples(tmp_path_factory: pytest.TempPathFactory) -> Ntuples:
    return Ntuples(*runs.once(tmp_path_factory, "ntuples", make_ntuples))


def make_ntuples(directory: Path) -> tuple[dict[str, list[Path]], dict[str, np.ndarray]]:
    rng = np.random.default_rng(20210601)
    files: dict[str, list[Path]] = {"top": [], "jj": []}
    start = 0
    for sample, process, mean in (("top", "ttbar", 5), ("jj", "qcd", 3)):
        for number in range(N_FILES):
            per_event = 1 + rng.poisson(mean, N_JETS // mean)
            jets = toy_jets(int(per_event.sum()), process, rng)
            jets["number"] = np.arange(start, start + per_event.sum(), dtype=np.float32)
            start += int(per_event.sum())
            files[sample].append(directory / f"{sample}_{number}.root")
            runs.write_ntuple(files[sample][-1], jets, per_event)
    names = [*runs.CONFIG["jets"]["variables"], *runs.CONFIG["jets"]["spectators"], "hadronFlavour", "nBHadrons"]
    jets = runs.read_ntuples(files, names)
    assert np.array_equal(jets["number"], np.arange(start))
    return files, jets


@pytest.fixture(scope="session")
def finished(ntuples: Ntuples, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Run all stages from nothing to the finished files, once for each configuration; return where they are."""
    done: dict[str, Path] = {}

    def run(*formats: str, **changes: Any) -> Path:
        key = repr((formats, changes))
        if key not in done:
            results = tmp_path_factory.mktemp("finished") / "results"
            done[key] = run_stages({**runs.changed(ntuples.config, changes), "output_dir": str(results)}, formats)
        return done[key]

    return run


@pytest.fixture(scope="session")
def finished_run(ntuples: Ntuples, tmp_path_factory: pytest.TempPathFactory) -> runs.Run:
    """The same of the configuration as it is, by the workflow on two cores."""

    def make(directory: Path) -> runs.Run:
        return runs.succeeds(directory, "--cores", "2", *runs.FINISHED, config=ntuples.config)

    return runs.once(tmp_path_factory, "finished_run", make)


@pytest.fixture(scope="session")
def default_config() -> dict[str, Any]:
    """The embedded default with fewer toy jets."""
    config = yaml.safe_load((runs.ROOT / "config/config.yaml").read_text()) | {"output_dir": "results"}
    for sample in config["samples"].values():
        sample["toy"] |= {"files": 2, "jets": 3000}
    return config


@pytest.fixture(scope="session")
def default_run(default_config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> runs.Run:
    """Everything that the embedded default makes, plots and all, where a user would have it: in config/."""

    def make(directory: Path) -> runs.Run:
        (directory / "config").mkdir()
        (directory / "config/config.yaml").write_text(yaml.safe_dump(default_config, sort_keys=False))
        return runs.succeeds(directory, "--cores", "2")

    return runs.once(tmp_path_factory, "default_run", make)
