"""Cleaning turns chunks of input files into the columns of a batch."""
