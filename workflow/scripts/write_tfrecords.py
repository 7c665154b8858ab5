"""Write an output as TFRecords."""

from jetmill.logs import job_log
from jetmill.stages.write_tfrecords import write_tfrecords

with job_log(snakemake.log[0]):
    write_tfrecords(snakemake.input.index, snakemake.output[0], records_per_file=snakemake.params.records_per_file)
