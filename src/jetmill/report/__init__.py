"""The report of a run: figures, and the page that shows them beside the tables."""

from pathlib import Path

# The page, in a directory of results, and its template.
PAGE = "report/index.html"
TEMPLATE = Path(__file__).with_name("page.html")
