"""Mistakes in what cleaning computes, varies and labels: a sentence for each."""

import copy

import pytest

from jetmill.config.load import load
from jetmill.errors import JetmillError

PLUGIN = {"plugin": "{dir}/mine.py", "function": "f", "reads": ["pt"], "makes": ["x"]}
ROLES = {"pt": "pt", "energy": "E", "eta": "eta", "phi": "phi", "taste": "taste"}
SYSTEMATICS = {"collection": "clusters", "roles": ROLES, "variations": ["energy_scale_up"], "maps": "{dir}/maps.root"}
RAW = {
    "samples": {"top": {"files": "-"}, "qcd": {"files": "-"}},
    "jets": {
        "variables": ["pt", "eta"],
        "units": {"pt": 0.001},
        "define": {"abs_eta": "abs(eta)"},
        "transforms": [{"name": "cartesian"}, PLUGIN],
        "networks": [{"name": "w", "file": "{dir}/net.onnx", "variables": ["pt"]}],
    },
    "constituents": {
        "clusters": {
            "variables": ["pt", "delta_r"],
            "units": {"pt": 0.001},
            "define": {"half": "pt / jet_pt"},
            "transforms": ["relative_angles", {"name": "delta_r"}],
        }
    },
    "classes": {"signal": {"samples": ["top"]}, "background": {"samples": ["qcd"], "cut": "pt > 10"}},
    "balance": {"bins": {"pt": [20, 1000, 5]}},
    "systematics": SYSTEMATICS,
}


@pytest.fixture
def raw(tmp_path):
    (tmp_path / "mine.py").write_text("def f(jets):\n    return jets\nnumber = 3\n")
    for name in ("net.onnx", "maps.root"):
        (tmp_path / name).write_text("")

    def filled(value):
        if isinstance(value, dict):
            return {k: filled(v) for k, v in value.items()}
        if isinstance(value, list):
            return [filled(v) for v in value]
        return value.replace("{dir}", str(tmp_path)) if isinstance(value, str) else value

    return filled(copy.deepcopy(RAW))


def put(raw, key, value):
    *steps, last = key.split(".")
    for step in steps:
        raw = raw[int(step)] if isinstance(raw, list) else raw.setdefault(step, {})
    if value is None:
        del raw[last]
    else:
        raw[int(last) if isinstance(raw, list) else last] = value


def test_it_is_right_as_it_is(raw):
    config = load(raw)
    assert config.cleaning.made == ["count(clusters)", "abs_eta", "px", "py", "pz", "x", "w"]
    assert config.constituents["clusters"].read == ["pt", "eta", "phi"]
    assert config.constituents["clusters"].of_jets == ["pt", "eta", "phi"]


OF = "constituents.clusters"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        # Steps.
        ("jets.transforms.0", {}, "jets.transforms.0: give either the name of a transform or a plugin"),
        ("jets.transforms.1.name", "cartesian", "jets.transforms.1: give either the name of a transform or a plugin"),
        ("jets.transforms.0.reads", ["pt"], "jets.transforms.0: reads is for a plugin"),
        ("jets.transforms.0.makes", ["y"], "jets.transforms.0: makes is for a plugin"),
        ("jets.transforms.0.function", "f", "jets.transforms.0: function is for a plugin"),
        ("jets.transforms.1.function", None, "jets.transforms.1: a plugin needs function, and makes"),
        ("jets.transforms.1.makes", None, "jets.transforms.1: a plugin needs function, and makes"),
        ("jets.transforms.1.read", ["pt"], "jets.transforms.1.read: unknown key. Did you mean 'reads'?"),
        ("jets.transforms.0.name", "cartesia", "jets.transforms.0: unknown transform 'cartesia'. Did you mean"),
        ("jets.transforms.0", "log_set", "jets.transforms.0: unknown transform 'log_set'."),
        ("jets.transforms.0.roles", {"ptt": "pt"}, "has no role 'ptt'. Did you mean 'pt'?"),
        ("jets.transforms.0.options", {"n": 3}, "transform 'cartesian' has no option 'n'. Known: none"),
        ("jets.transforms.1.function", "g", "there is no function 'g'"),
        ("jets.transforms.1.function", "number", "'number' is not a function"),
        ("jets.transforms.1.plugin", "gone.py", "gone.py: there is no such file"),
        ("jets.transforms.1.roles", {"pt": "pt"}, "jets.transforms.1: roles"),
        ("jets.transforms.1.options", {"n": 3}, "jets.transforms.1: options"),
        ("jets.transforms.1.prefix", "a_", "jets.transforms.1: prefix"),
        ("jets.transforms.1.reads_jets", ["pt"], "jets.transforms.1: reads_jets"),
        (f"{OF}.transforms.0", "relativ_angles", f"{OF}.transforms.0: unknown transform 'relativ_angles'. Did you"),
        (f"{OF}.transforms.0", "cartesian_from_mass", f"{OF}.transforms.0: unknown transform"),
        (f"{OF}.transforms.1.options", {"n": 3}, f"{OF}.transforms.1: transform 'delta_r' has no option 'n'"),
        (f"{OF}.transforms.1", {"name": "image_pixels", "options": {"m": 3}}, "has no option 'm'"),
        # Made twice.
        ("jets.define", {"px": "pt"}, "jets: 'px' is made more than once"),
        # Counts of constituents.
        (
            "jets.define.n",
            "count(cluster)",
            "jets.define.n: 'count(cluster)': 'cluster' is not in constituents. Did you mean 'clusters'?",
        ),
        ("jets.select", ["count(tracks) > 1"], "jets.select.0: 'count(tracks)': 'tracks' is not in constituents."),
        ("jets.rank_by", "count(tracks)", "jets.rank_by: 'count(tracks)': 'tracks' is not in constituents."),
        ("classes.signal.cut", "count(tracks) > 1", "classes.signal: 'count(tracks)': 'tracks' is not in const"),
        (
            f"{OF}.select",
            ["pt * count(clusters) > 5"],
            f"{OF}.select.0: 'count(clusters)' is a number of the jet; with jets.define: "
            "{n_clusters: count(clusters)} it is jet_n_clusters here",
        ),
        (f"{OF}.define.n", "count(clusters)", f"{OF}.define.n: 'count(clusters)' is a number of the jet"),
        (f"{OF}.sort_by", "count(clusters)", f"{OF}.sort_by: 'count(clusters)' is a number of the jet"),
        ("jets.define.n", "count(3)", "count() takes the name of one collection of constituents, as count(tracks)"),
        ("jets.transforms.1.makes", ["px"], "jets: 'px' is made more than once"),
        ("jets.networks.0.name", "x", "jets: 'x' is made more than once"),
        (f"{OF}.define", {"delta_r": "pt"}, f"{OF}: 'delta_r' is made more than once"),
        (f"{OF}.transforms.0", "delta_r", f"{OF}: 'delta_r' is made more than once"),
        # Computed, where it must be of the files.
        ("input.event_id", ["x"], "input.event_id: 'x' is computed"),
        ("input.event_id", ["abs_eta"], "input.event_id: 'abs_eta' is one of jets.define"),
        # Units.
        ("jets.units", {"ptt": 0.001}, "jets.units: nothing reads a variable 'ptt'. Did you mean 'pt'?"),
        ("jets.units", {"px": 0.001}, "jets.units: nothing reads a variable 'px'"),
        ("jets.units", {"pt": "GeV"}, "jets.units.pt: "),
        ("jets.units", {"event": 0.001}, "jets.units: 'event' identifies the event (input.event_id) and has no unit"),
        (f"{OF}.units", {"e": 0.001}, f"{OF}.units: nothing reads a variable 'e'"),
        (f"{OF}.units", {"half": 0.001}, f"{OF}.units: nothing reads a variable 'half'"),
        # Expressions.
        ("jets.rank_by", "pt +", "jets.rank_by: expression 'pt +' cannot be read"),
        (f"{OF}.define", {"a": "b", "b": "pt"}, f"{OF}.define.a: uses 'b', which is not defined before it"),
        # Networks.
        ("jets.networks.0.file", "gone.onnx", "jets.networks.0.file: gone.onnx: no such file"),
        ("jets.networks.0.variables", [], "jets.networks.0.variables"),
        ("jets.networks.0.column", -1, "jets.networks.0.column"),
        ("jets.networks.0.odd", True, "jets.networks.0.odd: unknown key. Did you mean 'odds'?"),
        # Classes.
        ("classes.signal.samples", ["to"], "classes.signal.samples: 'to' is not in samples. Did you mean 'top'?"),
        ("classes.signal.samples", [], "classes.signal.samples"),
        ("classes.signal.sample", ["top"], "classes.signal.sample: unknown key. Did you mean 'samples'?"),
        ("classes.signal.cut", "pt >", "classes.signal.cut: expression 'pt >' cannot be read"),
        ("classes", {"a": "rest", "b": {"samples": ["top"]}}, "classes: only the last class can be 'rest'"),
        # Systematics.
        ("systematics.collection", "tracks", "systematics.collection: 'tracks' is not in constituents"),
        ("systematics.roles.pT", "pt", "systematics.roles.pT"),
        ("systematics.roles.taste", None, "systematics.roles: does not say which variable is taste"),
        ("systematics.roles.energy", None, "systematics.roles: does not say which variable is energy"),
        (
            "systematics.variations",
            ["position", "positio"],
            "systematics.variations.1: there is no variation 'positio'. Did you mean 'position'?",
        ),
        ("systematics.variations", [], "systematics.variations"),
        ("systematics.variations", ["energy_scale_down"] * 2, "systematics"),
        ("systematics.maps", "gone.root", "systematics.maps: gone.root: no such file"),
        ("systematics.maps", None, "systematics.maps: energy_scale_up needs the histograms Scale, Mean"),
        ("systematics.unit", 0, "systematics.unit"),
        ("systematics.empty", "ignore", "systematics.empty: must be 'fallback' or 'error'"),
        ("systematics.outputs", ["tests"], "systematics.outputs.0: must be 'train', 'val' or 'test'"),
        ("systematics.jets", {"e": "E"}, "systematics.jets.e"),
        ("systematics.roles.pt", "half", "systematics.roles"),
    ],
)
def test_mistake(raw, key, value, expected):
    put(raw, key, value)
    with pytest.raises(JetmillError) as error:
        load(raw)
    assert expected in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_jets_anew_need_all_of_the_momentum(raw):
    raw["systematics"] |= {"variations": ["position"], "jets": {"pt": "pt"}}
    del raw["systematics"]["roles"]["energy"]
    with pytest.raises(JetmillError, match=r"systematics\.roles: does not say which variable is energy"):
        load(raw)


def test_variations_of_a_split_that_follows_the_selection(raw):
    """By jet, the split depends on which jets are left: test jets of a variation would be training jets."""
    raw["split"] = {"by": "jet"}
    with pytest.raises(JetmillError, match=r"split\.by: jet: with systematics"):
        load(raw)


def test_variations_of_a_split_by_what_varies(raw):
    raw["systematics"]["jets"] = {"pt": "pt"}
    raw["split"] = {"by": "expression", "test": "event % 2 == 0", "val": "pt > 50"}
    with pytest.raises(
        JetmillError, match=r"split\.val: uses 'pt', which is varied or computed; jets must be in one split"
    ):
        load(raw)
    raw["split"]["val"] = "event % 4 == 1"
    assert load(raw).split.conditions == {"test": "event % 2 == 0", "val": "event % 4 == 1"}


def test_rank_needs_events(raw):
    raw["input"] = {"level": "jet"}
    raw["jets"]["rank_by"] = "pt"
    with pytest.raises(JetmillError, match="rank_by"):
        load(raw)


def test_all_at_once(raw):
    put(raw, "jets.units", {"ptt": 1})
    put(raw, "systematics.collection", "tracks")
    put(raw, "classes.signal.samples", ["to"])
    with pytest.raises(JetmillError) as error:
        load(raw)
    keys = [line.partition(": ")[0] for line in str(error.value).splitlines()]
    assert sorted(keys) == ["classes.signal.samples", "jets.units", "systematics.collection"]


def test_a_variation_depends_on_itself_alone(raw, tmp_path):
    """Its settings tell whether clean runs again."""
    before = load(raw)
    raw["systematics"]["variations"] = ["energy_scale_up", "position"]
    raw["systematics"]["outputs"] = ["test", "val"]
    after = load(raw)
    assert after.cleaning == before.cleaning
    assert after.varied("energy_scale_up") == before.varied("energy_scale_up")
    settings, other = after.varied("energy_scale_up"), after.varied("position")
    (tmp_path / "maps.root").write_text("other")
    assert load(raw).cleaning == before.cleaning
    assert load(raw).varied("position") == other
    assert load(raw).varied("energy_scale_up") != settings
