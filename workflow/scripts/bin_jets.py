"""Count the jets of some batches in the bins of the balancing histogram."""

from jetmill.columns.batch_list import read_sources
from jetmill.stages.bin_jets import bin_jets
from jetmill.workflow.jobs import job

with job(snakemake):
    settings = snakemake.params.settings
    batches, types = read_sources(snakemake.input[0])
    bin_jets(batches[settings.first_batch : settings.last_batch], snakemake.output[0], settings, types=types)
