#!/bin/sh
# Run a job of Snakemake in the directory where snakemake was started. HTCondor starts jobs in a scratch
# directory unless it knows that the file system is shared; its description of the job names the other one.
directory=$(sed -n 's/^OrigIwd = "\(.*\)"$/\1/p' "$_CONDOR_JOB_AD")
cd "$directory" || exit 1
exec "$@"
