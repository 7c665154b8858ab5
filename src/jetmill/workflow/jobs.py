"""What surrounds every job: its log, and the hash of what its files are made from."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jetmill.workflow import made_from
from jetmill.workflow.job_log import job_log

logger = logging.getLogger(__name__)


@contextmanager
def job(snakemake: Any) -> Iterator[None]:
    """Run a job of the workflow in the block, given the object ``snakemake`` of its script."""
    given = (snakemake.rule, dict(snakemake.wildcards.items()), dict(snakemake.params.items()))
    outputs = list(snakemake.output)
    with job_log(snakemake.log[0]):
        try:
            with made_from.job(snakemake.config["output_dir"], *given, list(snakemake.input), outputs):
                yield
        except made_from.SupersededError as error:
            logger.error("%s", error)
            # Snakemake would remove the files of a failed job, which are now those of the other run.
            sys.exit(0 if all(Path(path).exists() for path in outputs) else 1)
