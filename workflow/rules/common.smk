from snakemake.logging import logger

try:
    from jetmill.errors import JetmillError
    from jetmill.plan import Plan
    from jetmill.provenance import code_digest
    from jetmill.splitting import SPLITS
except ModuleNotFoundError as error:
    logger.error(
        f"{error}. Install jetmill and what it needs first: `make install`, or `pip install -e .`"
    )
    raise SystemExit(1)

try:
    PLAN = Plan.from_raw(config)
except JetmillError as error:
    # A WorkflowError would show where this file raised it, which tells a user nothing.
    logger.error(f"The configuration has mistakes:\n{error}")
    raise SystemExit(1)

CONFIG = PLAN.config
OUTPUT = CONFIG.output_dir
# File name endings of the formats beside HDF5.
EXTENSIONS = [{"torch": "pt"}[name] for name in CONFIG.write.formats]


onstart:
    logger.info(PLAN.summary())


onsuccess:
    logger.info(PLAN.farewell())


onerror:
    logger.error(
        f"Each job's log is under {OUTPUT}/logs/. Mend the cause and start again: what is done stays."
    )
