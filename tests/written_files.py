"""Finished files, written as the rules of the workflow do."""

from jetmill.balancing.selection import PartSpec
from jetmill.formats.content.part import Part
from jetmill.formats.files.joining import join
from jetmill.formats.registry import FORMATS
from jetmill.stages.write import write
from jetmill.workflow.paths import part_files


def write_part(spec, balance_path, scalers_path, output, *, content, format_name="hdf5", **options):
    """Write one part."""
    write(format_name, Part.read(spec, balance_path, scalers_path, content), output, options)


def write_format(plan, name, at):
    """Write all outputs in a format, whose source is there; `at` gives the place of a path with <results>."""
    found, settings = FORMATS[name], plan.config.write
    options = {key: getattr(settings, key) for key in found.options}
    for output in plan.outputs:
        for part in plan.parts(output) if found.suffix else ["0000"]:
            target = at(f"<results>/{found.part_path(output, part)}")
            if not found.made_from:
                batches = at("<results>/clean/batches.json")
                spec = PartSpec.from_batch_list(batches, output, plan.slice_of_keys(output, part), plan.sources(part))
                tables, scalers = at("<results>/balance.h5"), at("<results>/scalers.json")
                write_part(spec, tables, scalers, target, content=plan.config.content, format_name=name, **options)
            elif found.suffix:
                write(name, at(f"<results>/{FORMATS[found.made_from].part_path(output, part)}"), target, options)
            else:
                write(name, at(f"<results>/{FORMATS[found.made_from].joined_path(output)}"), target, options)
        if found.joined is not None:
            parts = [at(path) for path in part_files(plan, name, output)]
            join(
                parts,
                at(f"<results>/{found.joined_path(output)}"),
                merge=settings.merge,
                compression=settings.compression,
            )
