"""Results in an output directory: which ones a run may replace."""

import json

import pytest

from jetmill.errors import JetmillError
from jetmill.workflow.earlier_results import check_samples, left_over


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Finished results of two samples and of toys, as their manifest says."""
    monkeypatch.chdir(tmp_path)
    inputs = [
        {"sample": "top", "path": "data/top_0.root"},
        {"sample": "top", "path": "data/top_1.root"},
        {"sample": "jj", "path": "root://server//jj_0.root"},
        {"sample": "toys", "path": "old/toy/toys_0000.root"},
    ]
    (tmp_path / "results").mkdir()
    manifest = {"config": {"output_dir": "old"}, "inputs": inputs}
    (tmp_path / "results/manifest.json").write_text(json.dumps(manifest))
    return tmp_path / "results"


def test_results_of_other_folds_are_named(results):
    """A run leaves them, and says so: their files have the names that one without folds would look for."""
    for k in range(3):
        (results / f"fold_{k}").mkdir()
        (results / f"fold_{k}/manifest.json").write_text("{}")
    of_folds = ["results/fold_0", "results/fold_1"]
    assert "those that results/manifest.json, results/fold_2/manifest.json names" in left_over("results", of_folds)
    assert "those that results/fold_0/manifest.json" in left_over("results", ["results"])
    (results / "manifest.json").unlink()
    assert left_over("results", [*of_folds, "results/fold_2"]) == left_over("nowhere", ["nowhere"]) == ""


SAME = {"top": ["data/top_0.root", "data/top_1.root"], "jj": ["root://server//jj_0.root"]}


@pytest.mark.parametrize(
    "files",
    [
        SAME,
        SAME | {"more": ["data/more.root"]},
        SAME | {"top": ["data/top_1.root", "data/top_2.root"]},
        SAME | {"top": ["./data//top_0.root"]},
    ],
    ids=["the same", "one more", "other files of one", "otherwise written"],
)
def test_the_same_samples_go_on(results, files):
    check_samples("results", files)


def test_paths_through_links_are_the_same(results):
    (results.parent / "data").mkdir()
    (results.parent / "data/top_0.root").touch()
    (results.parent / "link").symlink_to("data")
    check_samples("results", SAME | {"top": [f"{results.parent}/link/top_0.root"]})


@pytest.mark.parametrize(
    "top", [["data/top_3.root"], ["other/top_0.root"], None], ids=["other files", "another place", "gone"]
)
def test_other_samples_are_refused(results, top):
    files = {"top": top, "jj": SAME["jj"]}
    with pytest.raises(JetmillError) as error:
        check_samples("results", {name: paths for name, paths in files.items() if paths})
    text = str(error.value)
    assert text.startswith(
        "output_dir: results holds results of other samples: top (data/top_0.root, ...); this run has"
    )
    assert "jj (root://server//jj_0.root)" in text
    assert text.endswith("Choose another output_dir, or add `--config replace=true` to replace them")


@pytest.mark.parametrize("text", [None, "{", "[]", "{}"], ids=["none", "cut short", "a list", "empty"])
def test_without_a_manifest_there_are_no_results(tmp_path, text):
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    check_samples(tmp_path, SAME)
