"""The border to Snakemake: what surrounds every job, and what a run as a whole needs. Nothing else speaks of it.

A Snakefile of three lines runs the workflow of the jetmill that is installed::

    from jetmill.workflow import SNAKEFILE
    include: SNAKEFILE
    workflow.default_target = "all"
"""

from pathlib import Path

_INSTALLED = Path(__file__).parents[1] / "_workflow"

ROOT = _INSTALLED if _INSTALLED.exists() else Path(__file__).parents[3]
"""Where workflow/, profiles/, config/ and envs/ are: in the clone, or inside of the installed package."""

SNAKEFILE = str(ROOT / "workflow/Snakefile")
