"""Where the configuration comes from, and the messages about mistakes in it."""

import re
import shutil

import pytest
import workflow_runs as runs
import yaml

pytestmark = pytest.mark.workflow

HEADLINE = "The configuration has mistakes:\n"


def dry_run(directory, *arguments, **kwargs):
    run = runs.snakemake(directory, "-n", *arguments, **kwargs)
    assert run.code == 0, run.output
    return run


@pytest.fixture
def repository(tmp_path):
    """A directory with the embedded default in it, as a clone has it."""
    shutil.copytree(runs.ROOT / "config", tmp_path / "config")
    return tmp_path


def test_a_configfile_replaces_the_embedded_default(repository, ntuples):
    embedded = dry_run(repository)
    assert embedded.jobs["make_toy"] == 8
    own = dry_run(repository, config=ntuples.config)
    assert "make_toy" not in own.jobs
    assert own.jobs["clean"] == 4
    assert "of top" in own.output
    assert "of tt" not in own.output


def test_a_key_on_the_command_line_overrides_the_default(repository):
    run = dry_run(repository, "--config", "output_dir=elsewhere", "input={files_per_batch: 1}")
    assert run.jobs["clean"] == 8
    assert "Missing output files: elsewhere/toy/tt_0000.root" in run.output
    assert "results/" not in run.output


def test_a_key_on_the_command_line_overrides_a_configfile(tmp_path, ntuples):
    run = dry_run(tmp_path, "--config", "input={files_per_batch: 1}", config=ntuples.config)
    assert run.jobs["clean"] == 6
    assert "make_toy" not in run.jobs


def test_two_configfiles_are_merged(tmp_path, ntuples):
    samples = {"samples": ntuples.config["samples"], "input": {"files_per_batch": 3}}
    (tmp_path / "samples.yaml").write_text(yaml.safe_dump(samples))
    study = runs.ROOT / "config/cms-deepcsv.yaml"
    run = dry_run(tmp_path, "--configfile", str(study), str(tmp_path / "samples.yaml"))
    assert run.jobs["clean"] == 2  # files_per_batch: 50 in the study
    assert run.jobs["fit_scalers"] == 12  # its 67 variables, 6 at a time
    assert "results/cms-deepcsv/train.h5" in run.output


# --- mistakes ---


def mistakes_of(directory, config) -> list[str]:
    """Return the sentences about a wrong configuration."""
    run = runs.snakemake(directory, "--cores", "1", config=config)
    assert run.code == 1
    assert "Traceback" not in run.output
    assert not run.results.exists()
    assert run.output.count(HEADLINE) == 1
    return run.output.split(HEADLINE)[1].strip().splitlines()


MISTAKES = {
    "in every section": (
        {
            "sede": 3,
            "split": {"by": "events"},
            "jets": {"variabels": ["eta"]},
            "balance": {"bins": {"pt": [1000, 20, 5]}},
            "classes": {"b": "hadronFlavour = 5"},
            "write": {"precision": "float64", "parts": {"train": 0}},
        },
        [
            ("sede:", "unknown key", "Did you mean 'seed'?"),
            ("split.by:", "'event', 'jet', 'modulo' or 'expression'", "Did you mean 'event'?", "(found: 'events')"),
            ("jets.variabels:", "unknown key", "Did you mean 'variables'?"),
            ("balance:", "bins.pt", "low must be below high"),
            ("classes.b.cut:", "hadronFlavour = 5"),
            ("write.precision:", "'float16' or 'float32'", "(found: 'float64')"),
            ("write.parts.train:", "must be at least 1", "(found: 0)"),
        ],
    ),
    "between sections": (
        {
            "scaling": {"defaults": {"ptt": 0.0}},
            "balance": {"weights": [{"reference": "bbb"}]},
            "input": {"event_id": []},
            "classes": {"udsg": "rest", "b": "hadronFlavour == 5", "bb": "nBHadrons > 1"},
        },
        [
            ("scaling.defaults:", "'ptt'", "Did you mean 'pt'?"),
            ("balance.weights:", "'bbb' is not in classes", "Did you mean 'bb'?"),
            ("split:", "input.event_id", "by: jet"),
            ("classes:", "only the last class can be 'rest'"),
        ],
    ),
    "a misspelt section": ({"clases": {"b": "hadronFlavour == 5"}}, [("clases:", "Did you mean 'classes'?")]),
    "a misspelt key": (
        {"input": {"file_per_batch": 5}},
        [("input.file_per_batch:", "Did you mean 'files_per_batch'?")],
    ),
}


@pytest.mark.parametrize(("changes", "expected"), MISTAKES.values(), ids=MISTAKES.keys())
def test_all_mistakes_are_reported_in_one_line_each(ntuples, tmp_path, changes, expected):
    lines = mistakes_of(tmp_path, runs.changed(ntuples.config, changes))
    assert len(lines) == len(expected)
    for key, *pieces in expected:
        (line,) = [line for line in lines if line.startswith(key)]
        for piece in pieces:
            assert piece in line


def test_all_samples_without_files_are_reported(ntuples, tmp_path):
    path = ntuples.config["samples"]["top"]["files"][0]
    samples = {
        "a": {"files": [f"{tmp_path}/nowhere/*.root"]},
        "b": {"files": [path, f"{tmp_path}/gone.root"]},
        "c": {"files": [path, path]},
        "d": {"files": f"{tmp_path}/list.txt"},
        "e": {"files": []},
    }
    assert mistakes_of(tmp_path, {**ntuples.config, "samples": samples}) == [
        f"samples.a.files: no file matches '{tmp_path}/nowhere/*.root'",
        f"samples.b.files: {tmp_path}/gone.root: no such file",
        f"samples.c.files: {path} is listed more than once",
        f"samples.d.files: {tmp_path}/list.txt: No such file or directory",
        "samples.e.files: no files are named",
    ]


def test_the_study_without_samples_asks_for_them(tmp_path):
    study = yaml.safe_load((runs.ROOT / "config/cms-deepcsv.yaml").read_text())
    (line,) = mistakes_of(tmp_path, study)
    assert line.startswith("samples: ")
    assert "required" in line


# --- what YAML would lose without a word ---


def test_a_key_given_twice_is_refused_in_every_file(repository, ntuples):
    """Snakemake takes the last one: cuts, formats or classes of the first one are lost."""
    good, twice = repository / "good.yaml", repository / "twice.yaml"
    good.write_text(yaml.safe_dump(ntuples.config, sort_keys=False))
    twice.write_text("jets:\n  select: [pt >= 30]\n  rank_by: pt\n  select: [pt <= 100]\n")
    expected = f"{twice}: jets.select: given twice, in lines 2 and 4; "
    for files in ([twice], [twice, good], [good, twice]):
        run = runs.snakemake(repository, "-n", "--configfile", *map(str, files))
        assert run.code == 1
        (line,) = run.output.split(HEADLINE)[1].strip().splitlines()
        assert line.startswith(expected)
        assert "Traceback" not in run.output
    embedded = repository / "config/config.yaml"
    embedded.write_text(f"{embedded.read_text()}\nseed: 2\n")
    run = runs.snakemake(repository, "-n")
    assert run.code == 1
    assert "config/config.yaml: seed: given twice, in lines 4 and " in run.output


# --- what runs code ---


def test_templates_are_refused_and_the_embedded_one_before_it_runs(repository):
    """Snakemake evaluates what `--configfile` names before it looks at the workflow: see SECURITY.md."""
    ran = repository / "ran"
    template = yaml.safe_dump(
        {"__use_yte__": True, "__definitions__": ["import pathlib", f"pathlib.Path({str(ran)!r}).touch()"]}
    )
    (repository / "my.yaml").write_text(template)
    for arguments in (["--configfile", str(repository / "my.yaml")], []):
        ran.unlink(missing_ok=True)
        (repository / "config/config.yaml").write_text(template)
        run = runs.snakemake(repository, "-n", *arguments)
        assert run.code == 1
        lines = run.output.split(HEADLINE)[1].strip().splitlines()
        assert [line.split(": ")[1] for line in lines] == ["__definitions__", "__use_yte__"]
        assert "Traceback" not in run.output
    assert not ran.exists()


def test_plug_ins_and_networks_are_named_before_they_run(ntuples, tmp_path):
    plugin, network = tmp_path / "mine.py", tmp_path / "net.onnx"
    plugin.write_text("print('the plug-in runs')\ndef make(jets):\n    return {'double': 2 * jets['pt']}\n")
    network.write_bytes(b"")
    config = runs.changed(
        ntuples.config,
        {
            "jets": {
                "transforms": [{"plugin": str(plugin), "function": "make", "reads": ["pt"], "makes": ["double"]}],
                "networks": [{"file": str(network), "name": "score", "variables": ["pt"]}],
            }
        },
    )
    run = runs.snakemake(tmp_path, "-n", "-q", "all", config=config)
    named = f"Runs code that the configuration names: plug-in {plugin}, network {network}"
    assert run.output.index(named) < run.output.index("the plug-in runs")


# --- results of others ---


def test_the_embedded_default_leaves_other_results_alone(repository, ntuples, finished_run, tmp_path_factory):
    directory = tmp_path_factory.mktemp("user")
    shutil.copytree(finished_run.directory / "results", directory / "results")
    shutil.copytree(repository / "config", directory / "config")
    run = dry_run(directory)
    assert "results/toy/train.h5" in run.output
    assert not set(re.findall(r"results/(?!toy/)\S+", run.output))


def test_results_of_other_samples_are_replaced_only_if_asked(repository, ntuples, tmp_path):
    """Both have samples of these names, and only the files show that they are others."""
    samples = dict(zip(("tt", "qcd"), ntuples.config["samples"].values(), strict=True))
    config = {**ntuples.config, "samples": samples, "report": {"plots": False}}
    run = runs.snakemake(tmp_path, "--cores", "2", config=config)
    assert run.code == 0, run.output
    before = (run.results / "manifest.json").read_bytes()
    toys = [*("--config", "output_dir=results"), "--configfile", str(repository / "config/config.yaml")]
    for arguments in (["-n"], ["--cores", "2"]):
        refused = runs.snakemake(tmp_path, *arguments, *toys)
        assert refused.code == 1
        assert "output_dir: results holds results of other samples: tt (" in refused.output
        assert "Choose another output_dir, or add `--config replace=true`" in refused.output
        assert "Traceback" not in refused.output
    assert (run.results / "manifest.json").read_bytes() == before
    assert dry_run(tmp_path, *toys[:2], "replace=true", *toys[2:]).jobs["make_toy"] == 8
    # It is no setting of the results.
    again = runs.snakemake(tmp_path, "--cores", "2", "--config", "replace=true", config=config)
    assert "Nothing to be done" in again.output
