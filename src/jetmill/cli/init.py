"""``jetmill init``: from files to a directory in which ``snakemake`` runs."""

import argparse
import shutil
from pathlib import Path

from jetmill.errors import JetmillError
from jetmill.inspection.draft import draft
from jetmill.inspection.guesses import guess
from jetmill.inspection.tables import open_tables
from jetmill.sources.remote import is_remote
from jetmill.workflow import ROOT

NAME = "init"
HELP = "write a first configuration for some files, in a directory in which snakemake runs"

SNAKEFILE = """\
from jetmill.workflow import SNAKEFILE
include: SNAKEFILE
workflow.default_target = "all"
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add files and directory."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="input files or URLs, of the same layout")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="the directory to make")


def run(options: argparse.Namespace) -> int:
    """Make the directory, and say what comes next."""
    directory: Path = options.output
    config = directory / "config/config.yaml"
    if there := [path for path in (config, directory / "Snakefile") if path.exists()]:
        raise JetmillError(f"{there[0]}: already exists; choose another directory")
    files = [path if is_remote(path) else str(Path(path).absolute()) for path in options.files]
    if gone := [path for path in files if not (is_remote(path) or Path(path).is_file())]:
        what = "is a directory; give its files" if Path(gone[0]).is_dir() else "no such file"
        raise JetmillError(f"{gone[0]}: {what}")
    with open_tables(files[0]) as tables:
        found = guess(tables)
        if found is None:
            what = "no jets found: no collection has a pt and an eta; `jetmill inspect` shows what the file holds"
            raise JetmillError(f"{files[0]}: {what}")
        text = draft(files, tables, found)
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(text)
    (directory / "Snakefile").write_text(SNAKEFILE)
    if not (directory / "profiles").exists():
        shutil.copytree(ROOT / "profiles", directory / "profiles")
    if not (directory / "slurm").is_symlink():
        (directory / "slurm").symlink_to("profiles/slurm")
    print(f"{config}: looks like {found.layout}. Next:")
    print(f"    cd {directory}")
    print("    jetmill check config/config.yaml    # try it on the first jets")
    print("    snakemake --cores 8")
    return 0
