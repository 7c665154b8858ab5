"""From chunks of input files to the columns of a batch."""
