"""Where the files of a run are, as patterns and lists.

In them, ``<output_dir>`` stands for the output directory, and ``<results>`` for that of results: the same one, or that
of a fold.
"""

from pathlib import Path

from jetmill.formats.registry import FORMATS
from jetmill.plan import Plan
from jetmill.report import PAGE

CLEANED = "<output_dir>/{variation}clean/{sample}/batch_{batch}.h5"
BATCHES = "<results>/{variation}clean/batches.json"
NOMINAL_BATCHES = BATCHES.format(variation="")
BINS = "<results>/bins/{group}.h5"
BALANCE = "<results>/balance.h5"
RANGE = "<results>/scalers/range_{range}.json"
SCALERS = "<results>/scalers.json"
# For other programs: see `jetmill.stages.export`.
EXPORTS = {
    "scale_dict": "<results>/scale_dict.json",
    "norm_dict": "<results>/norm_dict.yaml",
    "class_dict": "<results>/class_dict.yaml",
}
CARD = "<results>/{card}"
MANIFEST = "<results>/manifest.json"
REPORT = f"<results>/{PAGE}"


def batch_files(plan: Plan, variation: str = "") -> list[str]:
    """Return the column files of all batches."""
    return [CLEANED.format(variation=variation, sample=b.sample, batch=b.number) for b in plan.batches]


def bin_files(plan: Plan) -> list[str]:
    """Return the counts of all groups of batches."""
    return [BINS.format(group=group) for group in plan.bin_groups]


def range_files(plan: Plan) -> list[str]:
    """Return the statistics of all ranges of variables, of this run or of the finished one that it applies."""
    if plan.config.apply is not None:
        return sorted(map(str, Path(plan.config.apply, "scalers").glob("range_*.json")))
    return [RANGE.format(range=number) for number in plan.range_numbers]


def applied_balance(plan: Plan) -> list[str]:
    """Return the balance tables of the finished run that is applied, if one is."""
    return [] if plan.config.apply is None else [str(Path(plan.config.apply, "balance.h5"))]


def exports(plan: Plan) -> list[str]:
    """Return the files for other programs that the run makes: none if it applies a finished one, which has them."""
    return [] if plan.config.apply is not None else list(EXPORTS.values())


def class_weights(plan: Plan) -> list[str]:
    """Return the file of class weights that the run makes, if it makes one."""
    return [] if plan.config.apply is not None else [EXPORTS["class_dict"]]


def part_files(plan: Plan, format_name: str, *outputs: str, variation: str = "") -> list[str]:
    """Return the files of all parts of some outputs, or of all, in a format; directories if it has no parts."""
    found = FORMATS[format_name]
    paths = [
        found.part_path(output, part) for output in outputs or plan.outputs_of(variation) for part in plan.parts(output)
    ]
    return [f"<results>/{variation}{path}" for path in dict.fromkeys(paths)]


def joined_files(plan: Plan, format_name: str, variation: str = "") -> dict[str, str]:
    """Return the file that joins the parts of each output; none if the format does not join them."""
    found = FORMATS[format_name]
    outputs = () if found.joined is None else plan.outputs_of(variation)
    return {output: f"<results>/{variation}{found.joined_path(output)}" for output in outputs}


def source_file(format_name: str, output: str, part: str = "", variation: str = "") -> str | None:
    """Return the file that a part, or the directory of an output, is made from; None if it is cleaned columns."""
    found = FORMATS[format_name]
    if not found.made_from:
        return None
    other = FORMATS[found.made_from]
    path = other.part_path(output, part) if found.suffix else other.joined_path(output)
    return f"<results>/{variation}{path}"


def data_files(plan: Plan) -> list[str]:
    """Return all requested files of jets except those that join others."""
    variations, formats = ["", *plan.variations], plan.config.write.formats
    return [path for v in variations for name in formats for path in part_files(plan, name, variation=v)]


def all_joined_files(plan: Plan) -> list[str]:
    """Return all requested files that join others."""
    variations, formats = ["", *plan.variations], plan.config.write.formats
    return [path for v in variations for name in formats for path in joined_files(plan, name, v).values()]


def cards(plan: Plan) -> list[str]:
    """Return the cards of the requested formats."""
    config = plan.manifest_settings.config
    found = (card for name in plan.config.write.formats for card in FORMATS[name].cards)
    return [CARD.format(card=card.path) for card in found if card.wanted(config)]


def placed(plan: Plan, path: str, results: str) -> str:
    """Return a path with directories in place of ``<output_dir>`` and ``<results>``."""
    return path.replace("<output_dir>", plan.config.output_dir).replace("<results>", results)
