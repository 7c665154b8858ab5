"""``jetmill report``: rebuild the page of a finished run."""

import argparse
from pathlib import Path

from jetmill.cli.verify import all_results
from jetmill.report.page import write_page

NAME = "report"
HELP = "rebuild the page with tables and figures of a finished run, and print its path"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the results."""
    parser.add_argument("results", type=Path, help="directory of the run (output_dir of its configuration)")


def run(options: argparse.Namespace) -> int:
    """Write the page of the run, or of each of its folds, from the figures that are there."""
    for results in all_results(options.results):
        print(write_page(results))
    return 0
