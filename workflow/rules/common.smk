from snakemake.logging import logger

try:
    from jetmill import config as jetmill_config
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
    CONFIG = jetmill_config.load(config)
    OUTPUT = CONFIG.output_dir
    PLAN = Plan(CONFIG, toy_dir=f"{OUTPUT}/toy")
except JetmillError as error:
    # A WorkflowError would show where this file raised it, which tells a user nothing.
    logger.error(f"The configuration has mistakes:\n{error}")
    raise SystemExit(1)

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
