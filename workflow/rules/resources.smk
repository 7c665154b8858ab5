# What jobs ask a batch system for, from what they read, and more with each attempt: memory in MB and
# time in minutes. Measured peaks are less than half of these; of clean, 0.8 GB and Snakemake's 0.35.
from jetmill.balancing.table_size import (
    balance_megabytes,
    bin_megabytes,
    lookup_megabytes,
)

WEIGHTED = {"event_weights": bool(CONFIG.balance.event_weights)}
LOOKUP = lookup_megabytes(PLAN.table_numbers, len(CONFIG.balance.weights))


# Not from input.size_mb, which is slow: a dry run of 14,000 jobs would take half as long again.
def clean_memory(w, attempt):
    """Return the memory of a clean job, at most 800 MB and Snakemake's own, whatever the size of the batch."""
    return 1500 * attempt


def clean_time(w, attempt):
    return round(attempt * (20 + input_megabytes(PLAN, w.sample, w.batch) / 200))


def megabytes_of_part(w):
    results = results_of(w)
    return cleaned_megabytes(PLAN, w.output, w.part, w.variation, results=results)


def part_memory(w, input, attempt):
    """Return the memory of a job that holds a part, proportional to its input."""
    found = FORMATS[w.format]
    if found.made_from:
        return round(attempt * (1000 + found.memory * input.size_mb))
    read = megabytes_of_part(w)
    return round(attempt * (700 + found.memory * read + LOOKUP))


def bin_memory(w, attempt):
    samples = {batch.sample for batch in PLAN.batches[PLAN.bin_groups[w.group]]}
    tables = bin_megabytes(PLAN.table_numbers, len(samples), **WEIGHTED)
    return round(attempt * (1000 + tables))


def balance_memory(w, attempt):
    pools = CONFIG.balance.resampling.pools
    tables = balance_megabytes(
        PLAN.table_numbers, len(CONFIG.samples), pools, **WEIGHTED
    )
    return round(attempt * (1000 + tables))


def range_memory(w, attempt):
    """Return the memory of a job that reads one of the ranges of variables."""
    return round(attempt * (1000 + LOOKUP * PLAN.scalers_need_balance))


def table_memory(w, attempt):
    """Return the memory of a job that reads the tables of bins."""
    return round(attempt * (1000 + LOOKUP))


def part_time(w, attempt):
    read = megabytes_of_part(w)
    return round(attempt * (20 + read / 200))


# Training parts are the largest; started last, one of them would keep all other cores waiting.
def training_first(w):
    return int(split_of(w.output) == "train")


def file_time(w, input, attempt):
    return round(attempt * (20 + input.size_mb / 500))


def range_time(w, attempt):
    """Return the time of a job that reads one of the ranges of variables."""
    return round(
        attempt
        * (20 + cleaned_megabytes(PLAN, results=results_of(w)) / len(PLAN.ranges) / 500)
    )


def all_time(w, attempt):
    """Return the time of a job that reads a few variables of all jets."""
    return round(attempt * (20 + cleaned_megabytes(PLAN, results=results_of(w)) / 5000))
