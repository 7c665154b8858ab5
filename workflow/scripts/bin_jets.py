"""Count the jets of some batches in the bins of the balancing histogram."""

from jetmill.columns.batch_list import read_batch_list
from jetmill.stages.bin_jets import bin_jets
from jetmill.workflow.jobs import job

with job(snakemake):
    settings = snakemake.params.settings
    listed = read_batch_list(snakemake.input[0])[settings.first_batch : settings.last_batch]
    batches = [(batch.sample, batch.path) for batch in listed]
    bin_jets(batches, snakemake.output[0], settings, types=listed[0].types)
