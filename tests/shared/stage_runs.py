"""Whole runs without Snakemake."""

from pathlib import Path

import workflow_runs as runs

from jetmill.workflow.in_process import run_in_process


def run_stages(raw, formats=()):
    """Run all stages, with further formats; return the directory of the results."""
    write = raw.get("write", {})
    write = write | {"formats": list(dict.fromkeys([*write.get("formats", ["hdf5"]), *formats]))}
    return run_in_process(raw | {"write": write}, last="write")


def run_once(tmp_path_factory, name, raw):
    """Run all stages once a session; return the configuration with its directory, and the directory of the results."""

    def make(directory: Path):
        config = raw | {"output_dir": str(directory / "results")}
        return config, run_in_process(config)

    return runs.once(tmp_path_factory, f"run_{name}", make)
