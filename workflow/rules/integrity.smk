# Keep files of other configurations out of the results: see docs/reliability.md and jetmill.workflow.made_from.
import atexit
import json
import os
import traceback
from functools import cache
from uuid import uuid4

from jetmill.workflow.made_from import VARIABLE, Record, check_job, digest, digest_in
from jetmill.workflow.run_lock import RunLock
from snakemake.iocontainers import Wildcards

# One hash of all that results depend on: if a finished run has the same one, no file needs checking.
SETTINGS = digest(
    "run",
    {},
    {
        "config": {
            key: value
            for key, value in PLAN.manifest_settings.config.items()
            if key != "output_dir"
        },
        "files": PLAN.files,
        "checksums": {name: expected.of for name, expected in PLAN.checksums.items()},
    },
    [],
)
NOT_STARTED = "Not started:"
before = or_stop(NOT_STARTED, Record.read, OUTPUT)
if not workflow.is_main_process:
    or_stop(NOT_STARTED, check_job, OUTPUT)

lock = RunLock(OUTPUT)
atexit.register(lock.release)


def made_by(path):
    """Return the rule that makes a file, None if it is input."""
    makers = (r for r in workflow.rules if any(o.match(path) for o in r.output))
    return next(makers, None)


def digest_of(path):
    """Return the hash that a file of this run carries."""
    maker = made_by(path)
    return digest_of_job(maker, tuple(maker.get_wildcards(path).items()))


@cache
def digest_of_job(maker, named):
    wildcards = Wildcards(fromdict=dict(named))
    given, *_ = maker.expand_input(wildcards)
    made, _ = maker.expand_output(wildcards)
    params, _ = maker.expand_params(wildcards, given, made, None)
    return digest(
        maker.name,
        dict(named),
        dict(params.items()),
        [digest_of(path) for path in given if made_by(path)],
    )


def snakemake_knows():
    """Return whether Snakemake's records or the manifest show what every file was made from."""
    if before is None:
        return False
    try:
        if (
            json.loads(records().read_text()).get(os.path.realpath(OUTPUT))
            == before.run
        ):
            return True
    except (OSError, ValueError, AttributeError):
        pass  # No records, or somebody removed them.
    return before.settings == SETTINGS and all(
        digest_in(path) == before.digests.get(os.path.normpath(path)) is not None
        for path in MANIFESTS
    )


def records():
    """Return the file beside Snakemake's records that lists the runs they describe."""
    return Path(workflow.persistence.path, "jetmill.json")


def look_for_stale_files():
    """Return the files of other configurations that Snakemake would take for those of this one."""
    found = []
    for directory, folders, names in os.walk(OUTPUT):
        if directory == OUTPUT:
            folders[:] = [
                f for f in folders if f not in (".jetmill", "logs", "benchmarks")
            ]
        for path in (os.path.join(directory, name) for name in [*folders, *names]):
            if made_by(path) and digest_in(path) != digest_of(path):
                found.append(path)
    return sorted(found)


stale_files = None


# Input functions are the only hook between Snakemake's start and its decision what to run.
def after_a_look(paths):
    """Return the paths; make Snakemake rebuild stale files, also in a dry run, which changes nothing."""
    global stale_files
    if stale_files is None and workflow.is_main_process:
        stale_files = []  # The search calls this function.
        try:
            stale_files = [] if snakemake_knows() else look_for_stale_files()
        except Exception:
            # Snakemake would ignore the exception and go on without these inputs.
            logger.error(traceback.format_exc())
            raise SystemExit(1)
        workflow.dag.forcefiles.update(stale_files)
        if stale_files:
            more = f" and {len(stale_files) - 1} more" if stale_files[1:] else ""
            logger.warning(
                f"{stale_files[0]}{more}: made from other settings or input files, or of unknown origin;"
                " rebuilding"
            )
    return paths


def digests_of_planned_jobs():
    """Return the hashes of all files that this run makes, as `digest_of` does one by one."""
    makers = {path: job for job in workflow.dag.jobs for path in job.output}

    @cache
    def of(job):
        return digest(
            job.rule.name,
            dict(job.wildcards.items()),
            dict(job.params.items()),
            [of(makers[path]) for path in job.input if path in makers],
        )

    return {path: of(job) for path, job in makers.items()}


def begin():
    """Lock the output directory, and record the hashes that the jobs of this run must produce."""
    or_stop(NOT_STARTED, lock.acquire)
    now = or_stop(NOT_STARTED, Record.read, OUTPUT)
    if (now and now.run) != (before and before.run):
        logger.error(
            f"{NOT_STARTED}\n{OUTPUT}: another run used it while this one was planned; start again"
        )
        raise SystemExit(1)
    run = uuid4().hex[:12]
    wanted = digests_of_planned_jobs()
    or_stop(NOT_STARTED, Record.write, OUTPUT, run, SETTINGS, wanted)
    or_stop(NOT_STARTED, record_stored, PLAN.cleaning, OUTPUT)
    os.environ[VARIABLE] = run
    if workflow.execution_settings.keep_metadata and stale_files == []:
        known = {}
        if records().exists():
            known = json.loads(records().read_text())
        known[os.path.realpath(OUTPUT)] = run
        records().write_text(json.dumps(known))
