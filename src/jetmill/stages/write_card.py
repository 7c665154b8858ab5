"""Text files from which other programs know how to read the results."""

from pathlib import Path

from jetmill.files import atomic_write, open_intermediate_file
from jetmill.formats.cards.card import Results
from jetmill.formats.content.scaled import Tables
from jetmill.formats.registry import CARDS
from jetmill.scaling.scalers import read_scalers
from jetmill.settings.stages import CardSettings


def write_card(
    card: str,
    output: str | Path,
    scalers_path: str | Path,
    balance_path: str | Path,
    settings: CardSettings,
    directory: str,
) -> None:
    """Write a card (`jetmill.formats.cards`), given by its path below the `directory` of the results."""
    with open_intermediate_file(balance_path) as file:
        tables = Tables.read(file)
    results = Results(directory, settings.outputs, settings.config, tables, read_scalers(scalers_path))
    with atomic_write(output) as partial:
        partial.write_text(CARDS[card][1].text(results))
