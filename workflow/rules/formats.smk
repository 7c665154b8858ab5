# What the rules that write depend on, format by format. See jetmill.formats.


JOINED = {
    f"{found.joined}/".lstrip("/"): found
    for found in FORMATS.values()
    if found.joined is not None
}


MAIN_FILES = {
    found.main(output)
    for found in FORMATS.values()
    if not found.suffix
    for variation in VARIATIONS
    for output in PLAN.outputs_of(variation)
}


def names_where(has):
    """Return a constraint on the names of the formats of which something holds."""
    return "|".join(name for name, found in FORMATS.items() if has(found)) or "none"


def format_input(w):
    """Return what a part is made from: cleaned columns, or a part of another format."""
    if source := paths.source_file(w.format, w.output, w.part, w.variation):
        return {"source": placed(w, source)}
    return {
        "batches": placed(w, paths.BATCHES.format(variation=w.variation)),
        "balance": placed(w, paths.BALANCE),
        "scalers": placed(w, paths.SCALERS),
    }


def write_code(w):
    """Return the hash of the code that writes a format."""
    return [code_digest("stages.write"), code_digest(f"formats.{w.format}")]


def directory_input(w):
    """Return the joined output that a directory is made from, and its parts, which it may point to."""
    made_from = FORMATS[w.format].made_from
    source = paths.source_file(w.format, w.output, variation=w.variation)
    parts = paths.part_files(PLAN, made_from, w.output, variation=w.variation)
    return {"source": placed(w, source), "parts": placed(w, parts)}


def parts_to_join(w):
    """Return the parts of each output of a format, by output."""
    name, variation = JOINED[w.joined].name, w.get("variation", "")
    return {
        output: placed(w, paths.part_files(PLAN, name, output, variation=variation))
        for output in PLAN.outputs_of(variation)
    }
