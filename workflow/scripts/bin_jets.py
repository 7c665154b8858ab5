"""Find the cell of each jet of a batch in the balancing histogram."""

from jetmill.logs import job_log
from jetmill.stages.bin_jets import bin_jets

with job_log(snakemake.log[0]):
    params = snakemake.params
    bin_jets(snakemake.input[0], snakemake.output[0], bins=params.bins, n_classes=params.n_classes)
