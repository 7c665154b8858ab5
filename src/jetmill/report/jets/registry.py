"""All figures of the training jets."""

from jetmill.discovery import found_in
from jetmill.report import jets
from jetmill.report.jets.figure import Figure

FIGURES: dict[str, Figure] = found_in(jets, "FIGURE")
