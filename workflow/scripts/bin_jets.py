"""Count the jets of some batches in the bins of the balancing histogram."""

from jetmill.columns.batch_list import read_batch_list
from jetmill.stages.bin_jets import bin_jets
from jetmill.workflow.jobs import job

with job(snakemake):
    settings = snakemake.params.settings
    bin_jets(read_batch_list(snakemake.input[0])[slice(*settings.batches)], snakemake.output[0], settings)
