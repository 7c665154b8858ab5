"""The border to Snakemake: what surrounds every job, and what a run as a whole needs. Nothing else speaks of it."""
