import copy
import math
import pickle
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
import yaml

from jetmill.config.load import as_json, load
from jetmill.errors import JetmillError, nearest
from jetmill.settings.balance import weight_name
from jetmill.settings.report import ShownVariable

ROOT = Path(__file__).parents[2]


def put(raw, key, value):
    """Set ``a.b.0.c`` in nested dictionaries and lists."""
    *steps, last = key.split(".")
    for step in steps:
        raw = raw[int(step)] if isinstance(raw, list) else raw.setdefault(step, {})
    raw[last] = value


def refusal(raw, **changes):
    for key, value in changes.items():
        put(raw, key, value)
    with pytest.raises(JetmillError) as error:
        load(raw)
    return str(error.value)


def test_defaults(raw_config):
    config = load(raw_config)
    assert (config.output_dir, config.seed, config.strict) == ("results", 1, True)
    assert (config.split.by, config.split.test, config.split.val) == ("event", 0.2, 0.1)
    assert config.samples["tt"].toy.files == 4
    assert config.balance.bins == {"pt": ((20, 1000, 5),)}
    assert config.input.event_id == ("run", "luminosityBlock", "event")


@pytest.mark.parametrize(
    ("key", "wrong", "right"),
    [
        ("", "sead", "seed"),
        ("samples.tt.", "tyo", "toy"),
        ("samples.tt.toy.", "proces", "process"),
        ("input.", "tre", "tree"),
        ("jets.", "variable", "variables"),
        ("jets.missing.", "value", "values"),
        ("jets.select.0.", "mising", "missing"),
        ("split.", "tset", "test"),
        ("scaling.", "defaultoffset", "default_offset"),
        ("balance.", "weigths", "weights"),
        ("balance.resampling.", "metod", "method"),
        ("balance.resampling.components.0.", "fracton", "fraction"),
        ("constituents.tracks.", "sortby", "sort_by"),
        ("constituents.tracks.scaling.", "default_ofset", "default_offset"),
        ("write.", "shufle", "shuffle"),
        ("write.parts.", "trian", "train"),
        ("report.", "jet", "jets"),
    ],
)
def test_unknown_key_names_the_nearest(raw_config, key, wrong, right):
    raw_config["jets"]["select"] = [{"cut": "pt > 20"}]
    raw_config["constituents"] = {"tracks": {"variables": ["d0"]}}
    put(raw_config, "balance.resampling.components", [{"samples": ["tt"]}])
    message = refusal(raw_config, **{f"{key}{wrong}": 1})
    assert f"{key}{wrong}: unknown key. Did you mean '{right}'?" in message
    assert right in message.partition("Allowed: ")[2].split(", ")


@pytest.mark.parametrize("name", ["toy", "files"])
def test_unknown_key_of_a_sample_named_as_a_key(raw_config, name):
    raw_config["samples"] = {name: {"file": "a.root"}}
    assert f"samples.{name}.file: unknown key. Did you mean 'files'? Allowed: files, checksums, toy" in refusal(
        raw_config
    )


def test_a_forgotten_sample_name(raw_config):
    raw_config["samples"] = {"toy": {"process": "ttbar", "files": 4}}
    message = refusal(raw_config)
    assert "samples.toy.process" in message
    assert "Allowed: files, checksums, toy" in message


@pytest.mark.parametrize("key", ["samples", "jets", "classes", "jets.variables"])
def test_missing_required_key(raw_config, key):
    section, _, inner = key.rpartition(".")
    del (raw_config[section] if section else raw_config)[inner]
    assert f"{key}: is required but missing" in refusal(raw_config)


@pytest.mark.parametrize("key", ["samples.tt.toy.process", "jets.select.0.cut"])
def test_missing_key_of_a_nested_section(raw_config, key):
    raw_config |= {"samples": {"tt": {"toy": {}}}}
    raw_config["jets"]["select"] = [{"missing": "keep"}]
    assert f"{key}: is required but missing" in refusal(raw_config)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("samples.tt.toy.process", "tbar", ["must be 'qcd', 'ttbar' or 'zprime'", "'tbar'", "Did you mean 'ttbar'?"]),
        ("input.format", "rot", ["'root'", "Did you mean 'root'?"]),
        ("input.level", "events", ["must be 'event' or 'jet'", "'events'", "Did you mean 'event'?"]),
        ("split.by", "modul", ["'event', 'jet', 'modulo' or 'expression'", "Did you mean 'modulo'?"]),
        ("balance.resampling.method", "counts", ["'none', 'count', 'importance', 'pdf' or 'countup'", "mean 'count'?"]),
        ("scaling.method", "robst", ["'standard' or 'robust'", "Did you mean 'robust'?"]),
        ("scaling.default", "men", ["'below_minimum' or 'mean'", "Did you mean 'mean'?"]),
        ("write.compression", "gzp", ["'none', 'gzip', 'lzf', 'lz4' or 'zstd'", "Did you mean 'gzip'?"]),
        ("write.shuffle", "globl", ["'global' or 'batch'", "Did you mean 'global'?"]),
        ("write.precision", "float23", ["'float16' or 'float32'", "Did you mean 'float32'?"]),
        ("write.formats.0", "toch", ["'torch'", "Did you mean 'torch'?"]),
        ("balance.weights.0", "avrage", ["'avrage'", "Did you mean 'average'?"]),
        ("jets.select.0.missing", "kep", ["'drop' or 'keep'", "Did you mean 'keep'?"]),
    ],
)
def test_wrong_literal_names_the_choices(raw_config, key, value, expected):
    raw_config["write"], raw_config["balance"]["weights"] = {"formats": ["x"]}, ["x"]
    raw_config["jets"]["select"] = [{"cut": "pt > 20"}]
    if key.endswith(".0"):
        put(raw_config, key[:-2], [value])
    else:
        raw_config["write"]["formats"], raw_config["balance"]["weights"] = [], []
        put(raw_config, key, value)
    line = next(line for line in refusal(raw_config).splitlines() if line.startswith(f"{key}:"))
    assert all(part in line for part in expected), line


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("seed", -1, "at least 0 (found: -1)"),
        ("seed", 2**32, "must be below 4,294,967,296"),
        ("seed", "one", "valid integer"),
        ("strict", "perhaps", "valid boolean"),
        ("input.files_per_batch", 0, "at least 1 (found: 0)"),
        ("input.event_id", ["run number"], "must be a name of letters, digits and _ (found: 'run number')"),
        ("scaling.variables_per_range", 0, "at least 1"),
        ("scaling.default_offset", "small", "valid number"),
        ("write.parts.train", 0, "at least 1"),
        ("jets.variables", [], "at least 1"),
        ("jets.variables", ["pt", "et-a"], "must be a name of letters, digits and _ (found: 'et-a')"),
        ("jets.variables", "pt", "must be a list"),
        ("classes", {}, "at least 1"),
        ("samples", {}, "at least 1"),
        ("samples.tt.toy.files", 0, "at least 1"),
        ("split.test", 1.0, "below 1"),
        ("split.val", -0.1, "at least 0"),
        ("balance.max_weight", 0.5, "at least 1"),
        ("balance.bins.pt", [], "at least 1"),
        ("balance.bins.pt", [20, 1000], "balance.bins.pt"),
        ("balance.bins.pt", [20, 1000, 0], "at least 1"),
        ("balance.bins.pt", [20, 1000, 2.5], "valid integer"),
        ("balance.bins.pt", 50, "must be a list"),
        ("balance.bins.pt", ["low", 1000, 5], "valid number"),
        ("jets", ["pt"], "must be a section of keys (found: ['pt'])"),
    ],
)
def test_wrong_value_names_key_and_value(raw_config, key, value, expected):
    message = refusal(raw_config, **{key: value})
    assert key in message
    assert expected in message


def test_a_name_that_is_no_name(raw_config):
    raw_config["samples"] = {"my-sample": {"files": "a.root"}}
    assert "samples: must be a name of letters, digits and _ (found: 'my-sample')" in refusal(raw_config)


@pytest.mark.parametrize(
    ("bins", "expected"),
    [
        ([1000, 20, 5], "bins.pt: low must be below high"),
        ([20, 20, 5], "bins.pt: low must be below high"),
        ([[20, 100, 5], [110, 1000, 5]], "bins.pt: each segment must start where the one before ends"),
        ([[20, 100, 5], [100, 50, 5]], "bins.pt: low must be below high"),
        ([20, math.inf, 5], "bins.pt"),
        ([math.nan, 20, 5], "bins.pt"),
    ],
)
def test_bad_bins(raw_config, bins, expected):
    assert expected in refusal(raw_config, **{"balance.bins.pt": bins})


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ({"by": "event", "modulo": 5}, "by: event takes test (a share), val (a share)"),
        ({"by": "jet", "test": [1]}, "by: jet takes test (a share), val (a share)"),
        ({"by": "modulo", "test": [0], "val": [1]}, "by: modulo takes modulo (a number), test (a list of remainders)"),
        ({"by": "modulo", "modulo": 5}, "val (a list of remainders)"),
        ({"by": "modulo", "modulo": 5, "test": [0], "val": 0.1}, "val (a list of remainders)"),
        ({"by": "expression", "test": "pt > 5"}, "by: expression takes test (an expression), val (an expression)"),
        ({"by": "expression", "test": "pt >", "val": "pt < 5"}, "split.test: expression 'pt >' cannot be read"),
        ({"by": "expression", "test": "count(muons) > 5", "val": "pt < 5"}, "'muons' is not in constituents"),
        ({"by": "event", "test": "pt > 5"}, "by: event takes test (a share)"),
        ({"fold_by": "event"}, "fold_by needs folds"),
        ({"folds": 2}, "split.folds: must be at least 3"),
        ({"folds": 4, "test": 0.3}, "folds are by: event, or by the expression fold_by, and take no test"),
        ({"folds": 4, "by": "jet"}, "and take no by"),
        ({"folds": 4, "fold_by": "jetFoldHash +"}, "split.fold_by: expression 'jetFoldHash +' cannot be read"),
        ({"by": "modulo", "modulo": 5, "test": [0], "val": [0]}, "different remainders from 0 to 4"),
        ({"by": "modulo", "modulo": 5, "test": [0], "val": [5]}, "different remainders from 0 to 4"),
        ({"by": "modulo", "modulo": 5, "test": [-1], "val": [1]}, "different remainders from 0 to 4"),
        ({"by": "modulo", "modulo": 1, "test": [0], "val": []}, "split.modulo"),
    ],
)
def test_bad_split(raw_config, split, expected):
    message = refusal(raw_config, split=split)
    assert message.startswith("split")
    assert expected in message


def test_good_splits(raw_config):
    for split in ({"by": "modulo", "modulo": 5, "test": [0, 1], "val": [2]}, {"by": "jet", "test": 0, "val": 0}):
        assert load(raw_config | {"split": split}).split.by == split["by"]


@pytest.mark.parametrize("by", ["event", "modulo"])
def test_a_split_that_needs_the_event(raw_config, by):
    split = {"by": by} | ({"modulo": 3, "test": [0], "val": [1]} if by == "modulo" else {})
    message = refusal(raw_config, split=split, input={"event_id": []})
    assert f"split: by {by}" in message.replace("by: ", "by ")
    assert "input.event_id" in message


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("jets.select", ["pt >= "]),
        ("jets.select", [{"cut": "pt.real > 1"}]),
        ("jets.define", {"x": "sqr(pt)"}),
        ("classes", {"b": "flavour = 5"}),
    ],
)
def test_bad_expression_names_key_and_text(raw_config, key, text):
    bad = text[0] if isinstance(text, list) else next(iter(text.values()))
    bad = bad["cut"] if isinstance(bad, dict) else bad
    message = refusal(raw_config, **{key: text})
    assert message.startswith(key)
    assert f"expression '{bad}'" in message


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"scaling.defaults": {"p": 1}}, "scaling.defaults: 'p' is not in jets.variables. Did you mean 'pt'?"),
        ({"jets.missing": {"values_of": {"ett": [1]}}}, "jets.missing.values_of: nothing uses a variable 'ett'. Did"),
        ({"jets.missing": {"slots": {"n": ["trk"]}}}, "jets.missing.slots.n: no variable is named 'trk_0'"),
        (
            {"balance.weights": [{"reference": "ligth"}]},
            "balance.weights: 'ligth' is not in classes. Did you mean 'light'?",
        ),
        ({"classes": {"a": "rest", "b": "flavour == 5"}}, "classes: only the last class can be 'rest'"),
        ({"write": {"shuffle": "batch", "parts": {"train": 2}}}, "parts is for shuffle: global"),
        ({"write": {"outputs": ["test"]}}, "outputs: train must be among them"),
        ({"write": {"outputs": ["train", "val", "val"]}}, "outputs names val more than once"),
        ({"write": {"outputs": ["train", "tets"]}}, "Did you mean 'test'?"),
        ({"samples": {"tt": {}}}, "samples.tt: give either files or toy"),
        ({"samples.tt.files": "a.root"}, "samples.tt: give either files or toy"),
        ({"jets.variables": ["pt", "eta", "pt"]}, "variables names pt more than once"),
        ({"jets.spectators": ["a", "a"]}, "spectators names a more than once"),
        ({"jets.variables": ["t_{0..3}", "t_2"]}, "variables names t_2 more than once"),
        ({"balance.weights": ["flat", "flat"]}, "weights names flat more than once"),
    ],
)
def test_what_does_not_fit_together(raw_config, changes, expected):
    assert expected in refusal(raw_config, **changes)


ATLAS = {
    "samples": {"tt": {"files": "tt.h5"}},
    "input": {"format": "hdf5"},
    "jets": {"variables": ["pt", "eta"]},
    "constituents": {"tracks": {"variables": ["d0", "z0"], "labels": ["origin"]}},
    "classes": {"b": "flavour == 5", "light": "rest"},
    "balance": {"bins": {"pt": [[20, 100, 4], [100, 1000, 3]]}},
}


def test_names_that_are_usual_in_dumps():
    config = load(ATLAS)
    assert (config.input.jets, config.input.event_id) == ("jets", ("eventNumber",))
    changed = load(ATLAS | {"input": {"format": "hdf5", "jets": "Jets", "event_id": ["run", "event"]}})
    assert (changed.input.jets, changed.input.event_id) == ("Jets", ("run", "event"))


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("input.level", "jet", "input.level: is for format: root"),
        (
            "constituents.jets",
            {"variables": ["x"]},
            "constituents.jets: a collection cannot be called 'jets', as jets.name is",
        ),
        ("constituents.tracks.define", {"a": "b", "b": "d0"}, "constituents.tracks.define.a: uses 'b', which is not"),
        ("constituents.tracks.sort_by", "absd(d0)", "constituents.tracks.sort_by: expression 'absd(d0)'"),
        ("constituents.tracks.select", ["d0 <"], "constituents.tracks.select.0: expression 'd0 <'"),
        ("constituents.tracks.missing", {"values_of": {"q": [1]}}, "tracks.missing.values_of: nothing uses a variable"),
        (
            "constituents.tracks.label_classes",
            {"orgin": ["a"]},
            "'orgin' is not in constituents.tracks.labels. Did you",
        ),
        ("constituents.tracks.scaling", {"log": ["z1"]}, "constituents.tracks.scaling.log: 'z1' is not in"),
        ("constituents.tracks.max", 0, "constituents.tracks.max: must be at least 1"),
        ("constituents.tracks.variables", ["d0", "d0"], "constituents.tracks: variables names d0 more than once"),
        ("constituents.tracks.labels", ["t", "t"], "constituents.tracks: labels names t more than once"),
        ("jets.additional_labels", ["m", "m"], "jets: additional_labels names m more than once"),
        (
            "jets",
            {"variables": ["pt"], "spectators": ["m"], "targets": ["m"]},
            "jets.targets: 'm' is not in jets.additional_labels",
        ),
        ("scaling.log", ["p"], "scaling.log: 'p' is not in jets.variables"),
        ("scaling.unscaled", ["ptt"], "scaling.unscaled: 'ptt' is not in jets.variables. Did you mean 'pt'?"),
        ("scaling", {"log": ["pt"], "unscaled": ["p*"]}, "scaling.log: 'pt' is unscaled"),
        ("scaling", {"log": ["pt"], "defaults": {"pt": 0}}, "scaling: defaults.pt: must be above 0"),
        ("scaling.clip", 0, "scaling.clip: must be at least 0.001"),
        ("write.conditional", ["p"], "write.conditional: 'p' is not in jets.variables. Did you mean 'pt'?"),
        ("write.concat_jet_tracks", ["p"], "write.concat_jet_tracks: 'p' is not in jets.variables"),
        ("balance.resampling", {"method": "pdf"}, "balance.resampling: method: pdf needs a target"),
        ("balance.resampling", {"method": "count", "target": "flat"}, "resampling: method: count has no target"),
        (
            "balance.resampling",
            {"method": "pdf", "target": "flt"},
            "must be one of b, light, average, flat, flat_per_unit (found: 'flt')",
        ),
        ("balance.resampling", {"method": "countup", "target": "flat"}, "must be one of b, light (found: 'flat')"),
        ("balance.resampling", {"validation": True}, "balance.resampling: validation: there is no resampling to do"),
        ("balance.resampling", {"max_upsampling": 2}, "max_upsampling: method: none repeats no jets"),
        (
            "balance.resampling",
            {"method": "count", "max_repeats": 2},
            "max_repeats: method: count repeats no jets; pdf and countup do",
        ),
        (
            "balance.resampling",
            {"shares": {"b": 1}},
            "balance.resampling: shares: method: none takes classes as they are",
        ),
        (
            "balance.resampling",
            {"method": "count", "shares": {"c": 1}},
            "balance.resampling.shares: 'c' is not in classes",
        ),
        (
            "balance.resampling",
            {"shares": {"b": 0}},
            "balance.resampling.shares.b: must be at least 1e-06",
        ),
        ("balance.resampling", {"num_jets": 0}, "balance.resampling.num_jets: must be at least 1"),
    ],
)
def test_wrong_settings_of_dumps_and_resampling(key, value, expected):
    assert expected in refusal(copy.deepcopy(ATLAS), **{key: value})


@pytest.mark.parametrize(
    ("components", "expected"),
    [
        ([{"samples": ["t"]}], "components.0.samples: 't' is not in samples. Did you mean 'tt'?"),
        (
            [{"samples": ["tt"], "bins": {"p": [20, 100]}}],
            "components.0.bins: 'p' is not in balance.bins. Did you mean",
        ),
        (
            [{"samples": ["tt"], "bins": {"pt": [20, 95]}}],
            "components.0.bins.pt: 95 is not an edge of a bin; the nearest",
        ),
        ([{"samples": ["tt"], "bins": {"pt": [100, 20]}}], "components.0.bins.pt: low must be below high"),
        ([{"samples": ["tt"], "fraction": 1}, {"samples": ["tt"]}], "give all of them a fraction or none"),
        ([{"samples": ["tt"], "fraction": 0}], "components.0.fraction: must be at least 1e-06"),
        ([{"samples": []}], "components.0.samples: "),
    ],
)
def test_wrong_components(components, expected):
    message = refusal(copy.deepcopy(ATLAS), **{"balance.resampling.components": components})
    assert message.startswith("balance.resampling")
    assert expected in message


def test_edges_of_components_may_be_rounded():
    raw = ATLAS | {"balance": {"bins": {"pt": [0, 1, 3]}, "resampling": {}}}
    put(raw, "balance.resampling.components", [{"samples": ["tt"], "bins": {"pt": [0.3333333333, 1]}}])
    load(raw)


def test_slots_name_the_nearest_variable(raw_config):
    message = refusal(raw_config, **{"jets.variables": ["track_{0..2}"], "jets.missing.slots": {"n": ["trak"]}})
    assert "'trak_0'" in message
    assert "Did you mean 'track_" in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("jet $p_{T$", "its mathematics is wrong at its end"),
        (r"$\alfa_s$", r"its mathematics is wrong at '\\alfa_s'"),
        ("$p_T", "has a $ too many or too few"),
    ],
)
@pytest.mark.parametrize("key", ["label", "unit"])
def test_titles_that_cannot_be_drawn(raw_config, key, text, message):
    found = refusal(raw_config, **{"report.variables": {"pt": {key: text}}})
    assert found.startswith(f"report.variables.pt.{key}: {message}")


def test_titles_that_can_be_drawn(raw_config):
    titles = {"label": r"jet $p_T$ in \$", "unit": r"$\mathrm{GeV}^{-1}$"}
    put(raw_config, "report.variables", {"pt": titles})
    assert load(raw_config).report.variables["pt"] == ShownVariable(**titles)


def test_a_title_of_a_variable_that_no_figure_shows(raw_config):
    message = refusal(raw_config, **{"report.variables": {"ptt": {"unit": "GeV"}}})
    assert message == "report.variables: no figure shows a variable 'ptt'. Did you mean 'pt'?"


def test_all_problems_are_reported_at_once(raw_config):
    message = refusal(raw_config, sead=1, **{"input.level": "x", "write.shufle": "y", "split.test": 3})
    assert {line.partition(":")[0] for line in message.splitlines()} == {
        "sead",
        "input.level",
        "write.shufle",
        "split.test",
    }


def test_ranges_of_names(raw_config):
    raw_config["jets"]["variables"] = ["a_{0..2}", "pt", "b{9..10}x", "{3..3}"]
    assert "must be a name of letters" in refusal(raw_config)
    raw_config["jets"]["variables"] = ["a_{0..2}", "pt", "b{9..10}x"]
    assert load(raw_config).jets.variables == ("a_0", "a_1", "a_2", "pt", "b9x", "b10x")


def test_a_backward_range_of_names_is_not_silently_nothing(raw_config):
    assert "a_{2..0}" in refusal(raw_config, **{"jets.variables": ["pt", "a_{2..0}"]})


def test_short_forms_are_the_long_ones(raw_config):
    put(raw_config, "jets.select", ["pt > 20", {"cut": "eta < 2", "missing": "keep"}])
    put(raw_config, "balance.bins", {"pt": [20, 30, 1], "eta": [[-2, 0, 3], [0, 2.5, 4]]})
    config = load(raw_config)
    assert [(c.cut, c.missing) for c in config.jets.select] == [("pt > 20", "drop"), ("eta < 2", "keep")]
    assert config.balance.bins == {"pt": ((20, 30, 1),), "eta": ((-2, 0, 3), (0, 2.5, 4))}
    assert load(as_json(config)) == config


def test_settings_reach_a_job(raw_config):
    config = load(raw_config | {"balance": {"bins": {"mass": [0, 9, 3], "pt": [20, 30, 1]}}})
    cleaning = config.cleaning
    assert cleaning.stored_variables == ("pt", "eta", "mass")
    assert pickle.loads(pickle.dumps(cleaning)) == cleaning


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"balance.weights": ["flat"]}, True),
        ({"write": {"precision": "float16"}}, True),
        ({"scaling.default_offset": 1}, True),
        ({"scaling": {"log": ["pt"], "method": "robust"}}, True),
        ({"write.conditional": ["pt"]}, True),
        ({"balance.resampling": {"method": "count"}}, True),
        ({"jets.additional_labels": ["mass"]}, False),
        ({"input.event_id": ["event"]}, False),
        ({"samples.qcd": {"toy": {"process": "qcd"}}}, True),
        ({"balance.bins.pt": [20, 1000, 7]}, True),
        ({"balance.bins": {"mass": [0, 1, 2]}}, False),
        ({"seed": 2}, False),
        ({"jets.select": ["pt > 30"]}, False),
        ({"split.test": 0.3}, False),
    ],
)
def test_cleaning_depends_only_on_what_it_uses(raw_config, changes, same):
    before = load(raw_config).cleaning
    for key, value in changes.items():
        put(raw_config, key, value)
    assert (load(raw_config).cleaning == before) == same


@pytest.mark.parametrize(
    ("key", "value", "same"),
    [
        ("scaling", {"log": ["z0"]}, True),
        ("label_classes", {"origin": ["pileup", "b"]}, True),
        ("max", 7, False),
        ("sort_by", "abs(d0)", False),
        ("labels", [], False),
    ],
)
def test_cleaning_depends_only_on_what_it_uses_of_constituents(key, value, same):
    changed = copy.deepcopy(ATLAS)
    put(changed, f"constituents.tracks.{key}", value)
    assert (load(changed).cleaning == load(ATLAS).cleaning) == same


@pytest.mark.parametrize(
    ("key", "value", "same"),
    [
        ("constituents.tracks.max", 7, False),
        ("constituents.tracks.label_classes", {"origin": ["pileup", "b"]}, False),
        ("write.concat_jet_tracks", True, False),
        ("write.conditional", ["pt"], False),
        ("constituents.tracks.sort_by", "d0", True),
        ("scaling.clip", 5, True),
        ("balance.bins.pt", [20, 1000, 2], True),
        ("write.parts", {"train": 2}, True),
    ],
)
def test_content_depends_only_on_what_it_uses(key, value, same):
    changed = copy.deepcopy(ATLAS)
    put(changed, key, value)
    assert (load(changed).content == load(ATLAS).content) == same


def test_constituents_read_what_they_use():
    tracks = {"define": {"sd0": "abs(d0) / e"}, "select": ["q > 0"], "sort_by": "sd0 + w"}
    tracks |= {"variables": ["sd0", "z0"], "labels": ["origin"]}
    config = load(ATLAS | {"constituents": {"tracks": tracks}})
    assert sorted(config.constituents["tracks"].read) == ["d0", "e", "origin", "q", "w", "z0"]


def test_the_configuration_does_not_change(raw_config):
    config = load(raw_config)
    with pytest.raises(FrozenInstanceError):
        config.seed = 3


def test_weight_names():
    assert [weight_name(w) for w in ("flat", {"reference": "b"})] == ["flat", "reference_b"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("pT", " Did you mean 'pt'?"),
        ("ETA", " Did you mean 'eta'?"),
        ("xyz", ""),
        ("Jet_ptt", " Did you mean 'Jet_pt'?"),
    ],
)
def test_nearest(name, hint):
    assert nearest(name, ["pt", "eta", "Jet_pt"]) == hint


@pytest.mark.parametrize("name", ["config.yaml", "cms-deepcsv.yaml"])
def test_configurations_of_the_project_are_valid(name):
    raw = yaml.safe_load((ROOT / "config" / name).read_text())
    config = load({"samples": {"tt": {"toy": {"process": "ttbar"}}}} | raw)
    assert len(config.jets.variables) == 67


def test_a_key_without_a_value_is_as_if_it_were_not_there(raw_config):
    given = raw_config | {"systematics": None, "write": {"precision": None, "parts": None}, "seed": None}
    assert load(given) == load(raw_config)
    assert refusal(raw_config, jets=None) == "jets: is required but missing"


def test_edges_of_bins_as_a_list(raw_config):
    put(raw_config, "balance.bins", {"pt": {"edges": [20, 30, 50, 100.5]}, "eta": [-2, 2, 4]})
    assert load(raw_config).balance.bins["pt"] == ((20, 30, 1), (30, 50, 1), (50, 100.5, 1))


@pytest.mark.parametrize(
    ("bins", "message"),
    [
        ({"edges": [20]}, "must be [low, high, number of bins], a list of these, or {edges: [two or more numbers]}"),
        ({"edges": 20}, "must be [low, high, number of bins], a list of these, or {edges: [two or more numbers]}"),
        ({"edge": [20, 30]}, "must be [low, high, number of bins], a list of these, or {edges: [two or more numbers]}"),
        ({"edges": [20, "x"]}, "should be a valid number, unable to parse string as a number (found: 'x')"),
    ],
)
def test_wrong_edges_name_the_key(raw_config, bins, message):
    found = refusal(raw_config, **{"balance.bins.pt": bins})
    assert found.startswith("balance.bins.pt")
    assert message in found


def test_edges_that_do_not_rise(raw_config):
    assert (
        refusal(raw_config, **{"balance.bins.pt": {"edges": [20, 20]}}) == "balance: bins.pt: low must be below high."
    )
