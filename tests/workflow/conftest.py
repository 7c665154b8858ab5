"""Small ntuples whose every jet has a number, and finished runs on them, each made once."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import workflow_runs as runs
import yaml

from jetmill.plan import Plan
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
    directory = tmp_path_factory.mktemp("ntuples")
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
    return Ntuples(files, jets)


@pytest.fixture(scope="session")
def finished(ntuples: Ntuples, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., runs.Run]:
    """Run the workflow from nothing to the finished files, once for each configuration."""
    done: dict[str, runs.Run] = {}

    def run(*, cores: int = 2, **changes: Any) -> runs.Run:
        key = repr((cores, changes))
        if key not in done:
            config = runs.changed(ntuples.config, changes)
            directory = tmp_path_factory.mktemp("finished")
            targets = [f"results/{output}.h5" for output in Plan.from_raw(config).outputs]
            done[key] = runs.snakemake(directory, "--cores", str(cores), *targets, config=config)
            assert done[key].code == 0, done[key].output
        return done[key]

    return run


@pytest.fixture(scope="session")
def brought_up_to_date(
    ntuples: Ntuples, finished: Callable[..., runs.Run], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., runs.Run]:
    """Copy the finished run and run it again with a changed configuration, once for each."""
    done: dict[str, runs.Run] = {}

    def run(*targets: str, **changes: Any) -> runs.Run:
        key = repr((targets, changes))
        if key not in done:
            directory = tmp_path_factory.mktemp("changed") / "run"
            shutil.copytree(finished().directory, directory)
            config = runs.changed(ntuples.config, changes)
            done[key] = runs.snakemake(directory, "--cores", "2", *(targets or runs.FINISHED), config=config)
            assert done[key].code == 0, done[key].output
        return done[key]

    return run


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
    directory = tmp_path_factory.mktemp("default")
    (directory / "config").mkdir()
    (directory / "config/config.yaml").write_text(yaml.safe_dump(default_config, sort_keys=False))
    run = runs.snakemake(directory, "--cores", "2")
    assert run.code == 0, run.output
    return run
