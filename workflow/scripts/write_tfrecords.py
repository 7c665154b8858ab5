"""Write an output as TFRecords."""

from jetmill.jobs import job
from jetmill.stages.write_tfrecords import write_tfrecords

with job(snakemake):
    write_tfrecords(snakemake.input.index, snakemake.output[0], records_per_file=snakemake.params.records_per_file)
