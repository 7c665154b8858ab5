# What the rules that write depend on, format by format. See jetmill.formats.


JOINED = {
    f"{found.joined}/".lstrip("/"): found
    for found in FORMATS.values()
    if found.joined is not None
}


def names_where(has):
    """Return a constraint on the names of the formats of which something holds."""
    return "|".join(name for name, found in FORMATS.items() if has(found)) or "none"


def format_input(w):
    """Return what a part is made from: cleaned columns, or a part of another format."""
    if made_from := FORMATS[w.format].made_from:
        path = FORMATS[made_from].part_path(w.output, w.part)
        return {"source": f"<results>/{w.variation}{path}"}
    return {
        "batches": f"<results>/{w.variation}clean/batches.json",
        "balance": "<results>/balance.h5",
        "scalers": "<results>/scalers.json",
    }


def write_code(w):
    """Return the hash of the code that writes a format."""
    return [code_digest("stages.write"), code_digest(f"formats.{w.format}")]


def write_options(w):
    """Return the keys of `write` that the files of a format depend on."""
    return {key: getattr(CONFIG.write, key) for key in FORMATS[w.format].options}


def directory_input(w):
    """Return the joined output that a directory is made from, and its parts, which it may point to."""
    made_from = FORMATS[w.format].made_from
    path = FORMATS[made_from].joined_path(w.output)
    parts = paths.part_files(PLAN, made_from, w.output, variation=w.variation)
    return {"source": f"<results>/{w.variation}{path}", "parts": parts}


def parts_to_join(w):
    """Return the parts of each output of a format, by output."""
    name, variation = JOINED[w.joined].name, w.get("variation", "")
    return {
        output: paths.part_files(PLAN, name, output, variation=variation)
        for output in PLAN.outputs_of(variation)
    }
