"""``jetmill import-upp``: turn a configuration of UPP into one of jetmill."""

import argparse
import sys
from pathlib import Path

from jetmill.errors import JetmillError
from jetmill.files import atomic_write

NAME = "import-upp"
HELP = "turn a configuration of UPP 0.3.3 into one of jetmill, and say what has no equivalent"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    parser.add_argument("config", type=Path, help="configuration of UPP")
    parser.add_argument("-o", "--output", type=Path, help="file to write; without it, the text is printed")


def run(options: argparse.Namespace) -> int:
    """Translate; return 0, or 1 if the result is not a right configuration yet."""
    from jetmill.config.load import load
    from jetmill.upp.reading import read
    from jetmill.upp.text import as_text
    from jetmill.upp.translation import translate

    if options.output is not None and options.output.exists():
        raise JetmillError(f"{options.output}: already exists; choose another name, or remove it")
    translated = translate(read(options.config))
    text = as_text(translated, options.config)
    if options.output is None:
        print(text, end="")
    else:
        with atomic_write(options.output) as partial:
            partial.write_text(text, encoding="utf-8")
    for note in translated.notes.lines:
        print(note, file=sys.stderr)
    try:
        load(translated.sections)
    except JetmillError as error:
        print(f"to be fixed by hand before it runs:\n{error}", file=sys.stderr)
        return 1
    return 0
