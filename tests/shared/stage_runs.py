"""A whole run without Snakemake."""

from jetmill.workflow.in_process import run_in_process


def run_stages(raw, formats=(), *, start="make_toys"):
    """Run all stages from `start` on, with further formats; return the directory of the results."""
    write = raw.get("write", {})
    write = write | {"formats": list(dict.fromkeys([*write.get("formats", ["hdf5"]), *formats]))}
    return run_in_process(raw | {"write": write}, first=start, last="write")
