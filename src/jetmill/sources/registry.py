"""The input formats: all modules beside this one with a `FORMAT`."""

from jetmill import sources
from jetmill.discovery import found_in
from jetmill.sources.input_format import InputFormat

INPUT_FORMATS: dict[str, InputFormat] = found_in(sources, "FORMAT")
