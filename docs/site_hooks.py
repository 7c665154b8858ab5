"""The site also shows pages from outside docs/; links are those of the repository."""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
# Path in the repository to path in the site; everything in docs/ keeps its name there.
PAGES = {"README.md": "index.md", "config/README.md": "config/README.md"}
PAGES |= {name: name for name in ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")}
CONFIGURATIONS = {f"config/{path.name}": f"config/{path.stem}.md" for path in sorted(ROOT.glob("config/*.yaml"))}
SOURCES = {in_site: path for path, in_site in PAGES.items()}
LINK = re.compile(r"(\]\()([^)#\s]+)((?:#[^)\s]*)?\))")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages outside docs/, and a page for each example configuration."""
    for path, in_site in PAGES.items():
        files.append(File.generated(config, in_site, content=(ROOT / path).read_text()))
    for path, in_site in CONFIGURATIONS.items():
        text = f"# {Path(path).name}\n\n```yaml\n{(ROOT / path).read_text()}```\n"
        files.append(File.generated(config, in_site, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links between files of the repository into links between pages."""
    here = page.file.src_uri
    directory = posixpath.dirname(SOURCES.get(here, f"docs/{here}"))

    def link(match: re.Match[str]) -> str:
        before, target, after = match.groups()
        if "://" in target:
            return match[0]
        path = posixpath.normpath(posixpath.join(directory, target))
        in_site = PAGES.get(path) or CONFIGURATIONS.get(path) or path.removeprefix("docs/")
        return before + posixpath.relpath(in_site, posixpath.dirname(here) or ".") + after

    return LINK.sub(link, markdown)
