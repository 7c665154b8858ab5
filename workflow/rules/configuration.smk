# Read and check the configuration; plan the run.
from pathlib import Path

from snakemake.logging import logger

try:
    from jetmill.config.user_code import user_code
    from jetmill.config.yaml_files import read_yaml
    from jetmill.workflow.earlier_results import check_samples, left_over
    from jetmill.errors import JetmillError
    from jetmill.workflow.made_from import passed
    from jetmill.plan import Plan
    from jetmill.workflow.code_hash import code_digest
    from jetmill.splitting import split_of
    from jetmill.workflow.stored_columns import keep_stored, record_stored
    from jetmill.workflow.warning_summary import warning_summary
except ModuleNotFoundError as error:
    logger.error(
        f"{error}. Install jetmill and what it needs first: `make install`, or `pip install -e .`"
    )
    raise SystemExit(1)


def or_stop(headline, ask, *arguments, **options):
    """Call a function; end the run with the message of a user's mistake."""
    try:
        return ask(*arguments, **options)
    except JetmillError as error:
        # A WorkflowError would print a line of this file, which does not help a user.
        logger.error(f"{headline}\n{error}")
        raise SystemExit(1)


MISTAKES = "The configuration has mistakes:"
MISFITS = "The configuration does not fit the input files:"
# Of the command line, and of a Snakefile that includes this one.
given = list(workflow.configfiles)
local = Path("config/config.yaml")
embedded = local if local.exists() else workflow.source_path("../../config/config.yaml")
# Check them before Snakemake reads them, since it silently takes the last of two equal keys.
for path in given or [embedded]:
    or_stop(MISTAKES, read_yaml, path)

# A configuration given with --configfile replaces the embedded default: Snakemake would merge the
# two deeply, and the toy's samples would join the user's.
if not given:

    configfile: embedded


# Checking the configuration runs this code, and so do jobs. Warnings appear even with --quiet.
if workflow.is_main_process and (named := user_code(config)):
    logger.warning(f"Runs code that the configuration names: {', '.join(named)}")

# Environments that Snakemake creates for jobs have other packages than this process.
jobs_run_here = not workflow.deployment_settings.deployment_method
PLAN = or_stop(MISTAKES, Plan.from_raw, config, jobs_run_here=jobs_run_here)
PLAN.cleaning = keep_stored(PLAN.cleaning, PLAN.config.output_dir)

if workflow.is_main_process and not PLAN.config.replace:
    or_stop(
        "Results of other samples are not replaced:",
        check_samples,
        PLAN.config.output_dir,
        PLAN.files,
    )
