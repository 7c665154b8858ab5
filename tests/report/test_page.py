"""The page of the report: its tables beside plain loops over the files, and nothing that needs a network."""

import json
import re
import shutil
from html import unescape
from html.parser import HTMLParser

import pytest

import jetmill
from jetmill.cli.main import main
from jetmill.files import write_json
from jetmill.report.page import jobs, readable_size, write_page


class Page(HTMLParser):
    """Tables of a page by id, as lists of rows, the addresses it names, and its images."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.addresses, self.images, self.table, self.cell = {}, [], [], None, False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.addresses += [attributes[key] for key in ("src", "href") if key in attributes]
        if tag == "img":
            self.images.append(attributes["alt"])
        if tag == "table":
            self.table = self.tables.setdefault(attributes.get("id", f"table {len(self.tables)}"), [])
        if tag == "tr":
            self.table.append([])
        if tag in ("td", "th"):
            self.table[-1].append("")
            self.cell = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.cell = False

    def handle_data(self, data):
        if self.cell:
            self.table[-1][-1] += data


@pytest.fixture(scope="module")
def page(default_run):
    return Page((default_run.results / "report/index.html").read_text())


@pytest.fixture(scope="module")
def manifest(default_run):
    return json.loads((default_run.results / "manifest.json").read_text())


def number(text):
    return int(text.replace(",", ""))


@pytest.mark.workflow
def test_the_page_needs_no_other_file_and_no_network(default_run, page):
    directory = default_run.results / "report"
    others = [a for a in page.addresses if not a.startswith(("#", "data:image/png;base64,"))]
    assert sorted(others) == sorted(str(p.relative_to(directory)) for p in directory.rglob("*.pdf"))
    text = (directory / "index.html").read_text()
    assert not re.search(r"https?:|url\(|@import|<script", text)
    # Links to places on the page lead somewhere.
    assert {a[1:] for a in page.addresses if a.startswith("#")} <= set(re.findall(r'id="([^"]+)"', text))


@pytest.mark.workflow
def test_every_figure_is_on_the_page_and_in_both_forms(default_run, page):
    pngs, pdfs = (
        sorted(p.stem for p in (default_run.results / "report").rglob(f"*.{form}")) for form in ("png", "pdf")
    )
    assert pngs == pdfs
    assert len(page.images) == len(pngs) >= 8


@pytest.mark.workflow
def test_samples_and_classes_are_those_of_the_files(default_run, page, manifest):
    for row in page.tables["table-samples"][1:]:
        files = [entry for entry in manifest["inputs"] if entry["sample"] == row[0]]
        assert [number(row[1]), number(row[2])] == [len(files), 0]
        assert [number(row[4]), number(row[5])] == [sum(f[key] for f in files) for key in ("jets", "kept")]
    header, *rows = page.tables["table-classes"]
    assert header == ["split", "b", "bb", "c", "udsg", "all"]
    for row in rows:
        labels = jetmill.load(default_run.results / f"{row[0]}.h5").labels
        assert [number(n) for n in row[1:]] == [sum(labels == k) for k in range(4)] + [len(labels)]
    assert [row[0] for row in rows] == ["train", "val", "test"]


@pytest.mark.workflow
def test_the_cutflow_and_warnings_are_those_of_the_manifest(default_run, page, manifest):
    rows = page.tables["table-cutflow"][1:]
    assert [(step, number(n)) for step, n, _ in rows] == [tuple(step) for step in manifest["jets"]["cutflow"]]
    assert rows[0][2] == "100.00 %"
    text = (default_run.results / "report/index.html").read_text()
    section = unescape(text.partition('<h2 id="warnings">')[2].partition('<h2 id="loading">')[0])
    assert all(warning in section for warning in manifest["warnings"])
    # Those that are alike share an entry.
    assert 1 <= section.count("<li>") < len(manifest["warnings"])


@pytest.mark.workflow
def test_time_and_memory_of_each_rule(default_run, page):
    rows = {row[0]: row[1:] for row in page.tables["table-jobs"][1:]}
    # All jobs but the page's own.
    assert {rule: int(row[0]) for rule, row in rows.items()} == {
        rule: n for rule, n in default_run.jobs.items() if rule not in ("all", "total", "write_report")
    }


@pytest.mark.workflow
def test_the_command_rebuilds_the_page_from_what_is_there(default_run, tmp_path, capsys):
    here = shutil.copytree(default_run.results, tmp_path / "results")
    (here / "report/index.html").unlink()
    assert main(["report", str(here)]) == 0
    assert capsys.readouterr().out.strip() == str(here / "report/index.html")
    rebuilt = Page((here / "report/index.html").read_text())
    original = Page((default_run.results / "report/index.html").read_text())
    for tables in (rebuilt.tables, original.tables):
        tables.pop("table-jobs")
    assert rebuilt.tables == original.tables


def test_the_command_without_results_or_manifest(tmp_path, capsys):
    assert main(["report", str(tmp_path / "nowhere")]) == 2
    assert "nowhere: no such directory" in capsys.readouterr().err
    assert main(["report", str(tmp_path)]) == 2
    assert "has no manifest.json; it is not the directory of a finished run" in capsys.readouterr().err


def test_jobs_are_added_up_by_rule(tmp_path):
    logs = {
        "clean/tt/batch_0000.log": "12:00:00 INFO x\n12:00:01 INFO done in 2.0 s, 1.5 s of CPU, peak memory 100 MB\n",
        "variations/up/clean/tt/batch_0000.log": "12:00:01 INFO done in 3.0 s, 0.5 s of CPU, peak memory 90 MB\n",
        "fold_0/balance.log": "12:00:01 INFO done in 1.0 s, 1.0 s of CPU, peak memory 50 MB\n",
        "fold_1/balance.log": "12:00:01 INFO done in 9.0 s, 9.0 s of CPU, peak memory 50 MB\n",
        "join.log": "12:00:01 ERROR no space left\n",
    }
    for name, text in logs.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = [(j.rule, j.jobs, j.seconds, j.cpu, j.longest, j.memory) for j in jobs(tmp_path, "fold_0")]
    assert found == [("balance", 1, 1.0, 1.0, 1.0, 50), ("clean", 2, 5.0, 2.0, 3.0, 100)]


@pytest.mark.parametrize(
    ("n", "text"), [(0, "0 B"), (999, "999 B"), (1234, "1.23 kB"), (999_600, "1 MB"), (5e9, "5 GB"), (2e12, "2 TB")]
)
def test_sizes(n, text):
    assert readable_size(n) == text


def test_names_of_the_user_cannot_break_the_page(tmp_path):
    (tmp_path / "report").mkdir()
    manifest = {
        "jetmill": "1", "commit": None, "python": "3", "packages": {}, "user_files": [], "inputs": [], "outputs": [],
        "joined": [], "tables": [], "constituents": {}, "warnings": ["variable '<script>' is missing"],
        "jets": {"read": 0, "cutflow": [["read", 0]], "cleaned": {"train": {"a&b": 0}},
                 "training after resampling": {"a&b": 0}},
        "config": {"output_dir": "r", "jets": {}, "constituents": {}, "write": {"formats": ["hdf5"]}},
    }  # fmt: skip
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    write_json(tmp_path / "scalers.json", {"jets": {}})
    text = write_page(tmp_path).read_text()
    assert "&lt;script&gt;" in text
    assert "<script" not in text
    assert "a&amp;b" in text
