"""What runs again after a change, as ``snakemake -n`` says: what depends on it and nothing else."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import workflow_runs as runs
import yaml
from stage_runs import run_stages

pytestmark = pytest.mark.workflow

# What stands behind each step of the default run, itself included.
PARTS = {"write", "join", "write_manifest", "write_report"}
SCALERS = {"merge_scalers", "export", "plot_jets", *PARTS}
BALANCE = {"balance", "export", "plot_balance", "plot_jets", *PARTS}
LIST = {"list_batches", "bin_jets", "fit_scalers", *SCALERS, *BALANCE}
CLEAN = {"clean", *LIST}
EVERYTHING = {"make_toy", *CLEAN}


def planned(directory: Path, *arguments: str) -> set[str]:
    """Return the rules whose jobs a dry run names."""
    run = runs.snakemake(directory, "-n", "-q", "rules", *arguments)
    assert run.code == 0, run.output
    assert run.jobs or "Nothing to be done" in run.output
    return set(run.jobs) - {"all", "total"}


CONFIGURATION = {
    "report={jets: 500}": {"plot_jets", "write_manifest", "write_report"},
    "report={plots: false}": {"write_manifest"},
    "write={precision: float16}": {"plot_jets", *PARTS},
    "write={compression: gzip}": PARTS,
    "write={parts: {train: 3}}": PARTS,
    "scaling={default_offset: 0.5}": SCALERS,
    "scaling={clip: 5}": SCALERS,
    "scaling={method: robust}": {"fit_scalers", *SCALERS},
    "balance={weights: [flat]}": BALANCE,
    # Scalers are those of the jets that are written, which balance then decides.
    "balance={resampling: {method: count}}": {"fit_scalers", *SCALERS, *BALANCE},
    "scaling={fit_on: cleaned}": {"write_manifest", "write_report"},  # every training jet is written once
    "balance={bins: {pt: [20, 1000, 3]}}": {"bin_jets", *BALANCE},
    "balance={outside: drop}": {"bin_jets", "fit_scalers", *SCALERS, *BALANCE},
    "jets={select: [pt >= 30]}": CLEAN,
    "split={test: 0.3}": CLEAN,
    "input={files_per_batch: 1}": CLEAN,
    "input={unreadable: skip}": {"write_manifest", "write_report"},
    "seed=2": EVERYTHING,
}


def test_what_is_stored_is_not_read_again(default_run, tmp_path):
    """A variable is dropped, the others come in another order, a class gets another name: nothing is cleaned again."""
    shutil.copytree(default_run.directory, tmp_path / "run")
    config = yaml.safe_load((tmp_path / "run/config/config.yaml").read_text())
    config["jets"]["variables"] = config["jets"]["variables"][:0:-1]
    config["classes"] = {f"{name}_jets": cut for name, cut in config["classes"].items()}
    (tmp_path / "run/config/config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    after = planned(tmp_path / "run")
    assert {"fit_scalers", "balance", "write"} <= after
    assert not after & {"make_toy", "clean", "list_batches"}
    outputs = [f"results/{output}.h5" for output in runs.SPLITS]
    runs.succeeds(tmp_path / "run", "--cores", "2", *outputs)
    # The result is that of a run that never had them.
    run_stages(config | {"output_dir": str(tmp_path / "results")})
    for output in outputs:
        ours, theirs = (runs.datasets(directory / output) for directory in (tmp_path / "run", tmp_path))
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(ours[name], theirs[name], equal_nan=ours[name].dtype.kind == "f") for name in ours)


def test_scalers_wait_for_balance_only_where_it_decides_what_is_written(tmp_path):
    def needed(**changes):
        config = runs.changed(yaml.safe_load((runs.ROOT / "config/config.yaml").read_text()), changes)
        run = runs.snakemake(tmp_path, "-n", "results/toy/scalers.json", config=config)
        assert run.code == 0, run.output
        return set(run.jobs) - {"total"}

    alone = {"make_toy", "clean", "list_batches", "fit_scalers", "merge_scalers"}
    resampled = {"resampling": {"method": "count"}}
    assert needed() == alone
    assert needed(balance=resampled) == alone | {"bin_jets", "balance"}
    assert needed(balance={"outside": "drop"}) == alone | {"bin_jets", "balance"}
    assert needed(balance=resampled, scaling={"fit_on": "cleaned"}) == alone


@pytest.mark.parametrize(("change", "expected"), CONFIGURATION.items(), ids=[c.split("=")[0] for c in CONFIGURATION])
def test_another_configuration(default_run, change, expected):
    # The manifest holds the configuration, so it is written again too.
    assert planned(default_run.directory, "--config", change) == expected


CODE = {
    "stages/write_manifest.py": {"write_manifest", "write_report"},
    "stages/plot_jets.py": {"plot_jets", "write_report"},
    "stages/join.py": {"join", "write_manifest", "write_report"},
    "formats/hdf5.py": PARTS,
    "formats/parquet.py": {"write_manifest", "write_report"},  # it imports all formats
    "formats/files/layout.py": {"export", "plot_jets", *PARTS},
    "balancing/resampling.py": BALANCE,
    "scaling/scalers.py": SCALERS,
    "stages/bin_jets.py": {"bin_jets", *BALANCE},
    "stages/fit_scalers.py": {"fit_scalers", *SCALERS},
    "variables/missing.py": EVERYTHING,  # reading, beside which the writing of toys stands
    "toys/ntuples.py": EVERYTHING,
    # What no job of this run imports.
    "loading/streams.py": set(),
    "sources/hdf5.py": EVERYTHING,
}


@pytest.fixture
def library(tmp_path, monkeypatch) -> Path:
    """A copy of the library that tests may change, which Snakemake uses."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return Path(shutil.copytree(runs.ROOT / "src/jetmill", tmp_path / "jetmill"))


@pytest.mark.parametrize(("module", "expected"), CODE.items(), ids=CODE)
def test_other_code(default_run, library, module, expected):
    path = library / module
    path.write_text(path.read_text() + "\n_CHANGED = True\n")
    assert planned(default_run.directory) == expected


def test_a_comment_and_a_docstring_change_nothing(default_run, library):
    path = library / "files.py"
    text = path.read_text()
    path.write_text(text.replace('"""', '"""Indeed: ', 1) + "\n# That is all.\n")
    assert planned(default_run.directory) == set()


def test_the_same_code_elsewhere_changes_nothing(default_run, library):
    assert planned(default_run.directory) == set()


def test_a_change_of_a_script_changes_its_jobs_alone(default_run, tmp_path):
    for name in ("Snakefile", "workflow", "envs", "config", "profiles"):
        source = runs.ROOT / name
        shutil.copytree(source, tmp_path / name) if source.is_dir() else shutil.copy(source, tmp_path / name)
    script = tmp_path / "workflow/scripts/export.py"
    script.write_text(script.read_text() + "\n# More.\n")
    assert planned(default_run.directory, "-s", str(tmp_path / "Snakefile")) == {
        "export",
        "write_manifest",
        "write_report",
    }


FILES = {
    "toy/tt_0000.root": CLEAN,
    "clean/qcd/batch_0000.h5": LIST,
    "scalers/range_01.json": SCALERS,
    "hdf5/test/part_0001.h5": {"join", "write_manifest", "write_report"},
}


@pytest.mark.parametrize(("name", "expected"), FILES.items(), ids=FILES)
def test_a_newer_file_concerns_what_is_made_of_it(default_run, tmp_path, name, expected):
    shutil.copytree(default_run.directory, tmp_path / "run")
    path = tmp_path / "run/results" / name
    path.write_bytes(path.read_bytes() + b"\n")
    assert planned(tmp_path / "run") == expected


@pytest.mark.parametrize("name", ["hdf5/val/part_0000.h5", "clean/batches.json", "train.h5"])
def test_a_removed_file_is_made_again(default_run, tmp_path, name):
    shutil.copytree(default_run.directory, tmp_path / "run")
    before = runs.sha256(tmp_path / "run/results" / name)
    (tmp_path / "run/results" / name).unlink()
    run = runs.snakemake(tmp_path / "run", "--cores", "2", f"results/{name}")
    assert run.code == 0, run.output
    assert sum(run.jobs.values()) == 2  # it and the total
    assert runs.sha256(tmp_path / "run/results" / name) == before
