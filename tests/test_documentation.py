"""Links lead somewhere, and the site builds and needs no network."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

import jetmill

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("config/*.md")])


def prose(page):
    """Return the text of a page without code blocks and code."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", lambda code: code[0].replace("(", "").replace("]", ""), text)


def anchors(page):
    """Return the anchors of the headings, by the rule of forges: lower case, no punctuation, hyphens for spaces."""
    headings = re.findall(r"^#+ (.*)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):  # pictures too
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{target}: no such file"
        assert not anchor or anchor in anchors(found), f"{target}: no such heading"


class References(HTMLParser):
    """What a page loads."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        loads = attrs.get("src") or (attrs.get("href") if tag == "link" else None)
        if loads and attrs.get("rel") != "canonical":
            self.found.append(loads)


def test_the_site_builds_and_loads_nothing_from_other_servers(tmp_path):
    pytest.importorskip("material", reason="mkdocs-material is not installed, see requirements-docs.txt")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    built = sorted(tmp_path.rglob("*.html"))
    assert {page.with_suffix(".html").name for page in ROOT.glob("docs/*.md")} <= {page.name for page in built}
    for page in built:
        references = References()
        references.feed(page.read_text())
        assert references.found
        for loaded in references.found:
            assert "//" not in loaded, f"{page.name} loads {loaded}"
            assert page.name == "404.html" or (page.parent / loaded.split("?")[0]).exists(), f"{page.name}: {loaded}"


def test_the_release_is_the_same_everywhere():
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == jetmill.__version__
    releases = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert jetmill.__version__ in releases[:2]  # below what is not released yet, if anything


def test_the_workflow_catalog_finds_what_it_asks_for():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert set(usage["mandatory-flags"]) == {"desc", "flags"}
    for name in ("workflow/Snakefile", "config/README.md", "config/config.yaml"):
        assert (ROOT / name).is_file()
