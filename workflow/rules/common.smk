from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

try:
    from jetmill import config as jetmill_config
    from jetmill.errors import JetmillError
    from jetmill.plan import Plan
    from jetmill.provenance import code_digest
    from jetmill.splitting import SPLITS
except ModuleNotFoundError as error:
    raise WorkflowError(f"{error}. Install jetmill and what it needs first: `make install`, or `pip install -e .`")

try:
    CONFIG = jetmill_config.load(config)
    OUTPUT = CONFIG.output_dir
    PLAN = Plan(CONFIG, toy_dir=f"{OUTPUT}/toy")
except JetmillError as error:
    raise WorkflowError(*str(error).split("\n"))

# File name endings of the formats beside HDF5.
EXTENSIONS = [{"torch": "pt"}[name] for name in CONFIG.write.formats]


onstart:
    logger.info(PLAN.summary())


onsuccess:
    logger.info(f"""
Done. The jets are in {OUTPUT}/train.h5, val.h5 and test.h5. To load them:

    import jetmill
    train = jetmill.load("{OUTPUT}/train.h5")   # train.inputs, train.labels, train.weight, ...

The plots are in {OUTPUT}/report/; `snakemake --report report.html` makes one page of them.""")


onerror:
    logger.error(f"Something went wrong; each job's log is under {OUTPUT}/logs/. Mend it and start again: what is done stays.")
