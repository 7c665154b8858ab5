"""Count the jets of some batches in the bins of the balancing histogram."""

from jetmill.columns.batch_list import read_batch_list
from jetmill.jobs import job
from jetmill.stages.bin_jets import bin_jets

with job(snakemake):
    params = snakemake.params
    listed = read_batch_list(snakemake.input[0])[params.batches]
    batches = [(batch.sample, batch.path) for batch in listed]
    options = {"bins": params.bins, "n_classes": params.n_classes, "outside": params.outside}
    options |= {"weight_columns": params.weight_columns}
    bin_jets(batches, snakemake.output[0], **options, types=listed[0].types)
