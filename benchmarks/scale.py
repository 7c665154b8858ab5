"""Time Snakemake itself on as many files as the CMS study has, and on thousands of tiny jobs.

    python benchmarks/scale.py --directory bench

First a dry run (``snakemake -n``) of the study's configuration with 2,446 + 11,407 empty input files, in batches of 50
and with one file per batch: seconds, jobs, peak memory. Then a real run of tiny jobs, each cleaning an ATLAS dump of a
few jets: seconds, CPU time of Snakemake's own process per job in each quarter of the run, and its peak memory.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import h5py
import yaml

from jetmill.randomness import generator
from jetmill.toys.dumps import toy_dump

ROOT = Path(__file__).resolve().parents[1]
FILES = {"tt": 2446, "qcd": 11407}
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Do the dry runs, then the run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=2000, help="tiny clean jobs to run; 0 for none")
    parser.add_argument("--repeat", type=int, default=3, help="of the dry runs")
    arguments = parser.parse_args()
    directory = arguments.directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    for files_per_batch in (50, 1):
        for shuffle in ("batch", "global") if files_per_batch > 1 else ("global",):
            dry_run(directory, files_per_batch, shuffle, arguments.repeat)
    if arguments.jobs:
        run_tiny_jobs(directory, arguments.jobs)


def dry_run(directory: Path, files_per_batch: int, shuffle: str, repeat: int) -> None:
    """Time ``snakemake -n -q rules`` on empty files."""
    (directory / "empty").mkdir(exist_ok=True)
    for sample, n in FILES.items():
        for number in range(n):
            (directory / f"empty/{sample}_{number:05d}.root").touch()
    config = yaml.safe_load((ROOT / "config/cms-deepcsv.yaml").read_text())
    config["samples"] = {sample: {"files": f"empty/{sample}_*.root"} for sample in FILES}
    config["input"]["files_per_batch"] = files_per_batch
    config["write"] = {"shuffle": shuffle, "precision": "float16"}
    if shuffle == "global":
        config["write"]["parts"] = {"train": 100, "val": 10, "test": 25}
    (directory / "dry_run.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        process = subprocess.Popen(
            [*snakemake("dry_run.yaml"), "-n", "-q", "rules"],
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        output = process.stdout.read()  # type: ignore[union-attr]
        _, status, usage = os.wait4(process.pid, 0)
        seconds.append(time.perf_counter() - start)
        if status:
            sys.exit(output)
    jobs = int(re.findall(r"^total +(\d+)", output, flags=re.MULTILINE)[0])
    print(
        f"-n, {files_per_batch} files a batch, shuffle {shuffle}: {jobs} jobs,"
        f" {sorted(seconds)[repeat // 2]:.1f} s ({min(seconds):.1f} to {max(seconds):.1f}),"
        f" {usage.ru_maxrss / 1024:.0f} MB"
    )


def run_tiny_jobs(directory: Path, n_jobs: int) -> None:
    """Run a workflow of `n_jobs` clean jobs and watch Snakemake's own process."""
    (directory / "tiny").mkdir(exist_ok=True)
    for number in range(n_jobs):
        path = directory / f"tiny/ttbar_{number:05d}.h5"
        if not path.exists():
            with h5py.File(path, "w") as file:
                for name, rows in toy_dump(20, "ttbar", generator(1, "tiny", number)).items():
                    file[name] = rows
    config = yaml.safe_load((ROOT / "config/atlas-tdd.yaml").read_text())
    config |= {
        "samples": {"ttbar": {"files": "tiny/ttbar_*.h5"}},
        "output_dir": "tiny_results",
        "strict": False,
        "report": {"plots": False},
        "write": {"parts": {"train": 4}},
        "balance": {"bins": {"pt_btagJes": [20e3, 6e6, 4]}},
    }
    config["input"]["files_per_batch"] = 1
    config["jets"]["select"] = ["pt_btagJes > 20e3", "pt_btagJes < 6e6"]
    (directory / "tiny.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    log = directory / "tiny.log"
    start = time.perf_counter()
    with log.open("w") as file:
        command = [*snakemake("tiny.yaml"), "--cores", "2", "--forceall", "-q", "rules"]
        process = subprocess.Popen(command, cwd=directory, stdout=file, stderr=subprocess.STDOUT)
    marks = [(0, 0.0, 0.0)]
    while process.poll() is None:
        time.sleep(0.5)
        done = re.findall(r"^(\d+) of \d+ steps", log.read_text(), flags=re.MULTILINE)
        try:
            fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
            peak = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
        except OSError:
            break
        if done and peak:
            memory = int(peak[1]) / 1024
            marks.append((int(done[-1]), time.perf_counter() - start, (int(fields[11]) + int(fields[12])) / TICKS))
    if process.wait():
        sys.exit(log.read_text()[-3000:])
    print(f"{marks[-1][0]} jobs in {time.perf_counter() - start:.0f} s, peak memory of snakemake {memory:.0f} MB")
    for quarter in range(4):
        first, last = (min(marks, key=lambda m: abs(m[0] - n_jobs * q / 4)) for q in (quarter, quarter + 1))
        n = max(1, last[0] - first[0])
        print(
            f"jobs {first[0]:5d} to {last[0]:5d}: {(last[1] - first[1]) / n * 1000:.0f} ms each,"
            f" {(last[2] - first[2]) / n * 1000:.1f} ms of CPU of snakemake itself"
        )


def snakemake(config: str) -> list[str]:
    """Return the command without what it is to do."""
    return [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--configfile", config]


if __name__ == "__main__":
    main()
