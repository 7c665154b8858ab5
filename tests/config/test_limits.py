"""What is too much for a configuration: refused in a line with the limit, at once, whatever stands there."""

import copy
import math
import resource
import time
from dataclasses import fields, is_dataclass
from pathlib import Path

import h5py
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jetmill.config.load import load
from jetmill.errors import JetmillError
from jetmill.plan import Plan
from jetmill.settings.types import MAX_AXES, MAX_NAMES
from jetmill.workflow.messages import summary
from jetmill.workflow.paths import part_files

# Every key of the configuration.
FULL = {
    "output_dir": "out",
    "seed": 1,
    "strict": True,
    "replace": False,
    "samples": {
        "tt": {"toy": {"process": "ttbar", "files": 2, "jets": 100}},
        "qcd": {"files": ["input.root"], "checksums": "SHA256SUMS", "splits": ["train", "test"], "truth": True},
    },
    "input": {
        "format": "root",
        "tree": "Events",
        "level": "event",
        "jets": "Jet",
        "event": "",
        "matched": {"gen": {"branches": "GenJet", "index": "genJetIdx", "out_of_range": "error"}},
        "event_id": ["run", "event"],
        "files_per_batch": 2,
        "checksum": True,
        "unreadable": "error",
        "timeout": 10,
        "aliases": {"mass": "Jet.M"},
        "optional": {"eta": 0.5},
        "max_files": 7,
        "max_jets_per_file": 1000,
        "chunk_bytes": 10**6,
    },
    "jets": {
        "units": {"pt": 0.001},
        "rank_by": "pt",
        "define": {"double": "2 * pt"},
        "transforms": [
            {"name": "cartesian", "roles": {"pt": "pt"}, "prefix": "my_", "options": {}},
            {"plugin": "plugin.py", "function": "make", "reads": ["pt"], "makes": ["made"]},
        ],
        "networks": [
            {"name": "score", "file": "network.onnx", "variables": ["pt"], "column": 0, "odds": False},
            {"name": "other", "file": "network.onnx", "constituents": "tracks", "slots": 3, "variables": ["d0"]},
        ],
        "missing": {"values": [-999], "values_of": {"pt": [-1]}, "slots": {"n": ["trk"]}},
        "select": ["pt > 20", {"cut": "eta < 2", "missing": "keep"}],
        "variables": ["pt", "eta", "trk_{0..2}"],
        "spectators": ["tagger"],
        "additional_labels": [{"name": "truth", "variable": "flavour", "values": {5: 1}}],
        "targets": ["truth"],
    },
    "constituents": {
        "tracks": {
            "tree": {"branches": "PF", "links": "JetPF", "jet_index": "jetIdx", "index": "pfIdx"},
            "optional": {"d0": 1},
            "units": {"d0": 0.1},
            "define": {"twice": "d0 * 2"},
            "missing": {"values": [-999], "values_of": {"d0": [1]}},
            "select": ["d0 > 0"],
            "sort_by": "d0",
            "select_after_transforms": ["d0 < 9"],
            "transforms": ["log_set", {"name": "image_pixels", "options": {"n": 3, "half_width": 1}}],
            "max": 3,
            "variables": ["d0"],
            "labels": ["origin"],
            "label_classes": {"origin": ["pileup", "b"]},
            "scaling": {"method": "robust", "log": ["d0"], "unscaled": ["*x*"], "defaults": {"d0": 1}, "clip": 3},
        }
    },
    "classes": {
        "b": {"cut": "hadronFlavour == 5", "label": "$b$", "colour": "tab:blue"},
        "c": {"samples": ["tt"], "cut": "hadronFlavour == 4"},
        "light": "rest",
    },
    "split": {"by": "modulo", "modulo": 5, "test": [1], "val": [2]},
    "scaling": {
        "fit_on": "cleaned",
        "variables_per_range": 2,
        "method": "standard",
        "log": ["pt"],
        "unscaled": ["*isDefaults*"],
        "default": "mean",
        "default_offset": 0.1,
        "defaults": {"eta": 1},
        "clip": 3,
    },
    "balance": {
        "bins": {"pt": [[20, 30, 2], [30, 40, 1]], "eta": [-1, 1, 2]},
        "weights": ["average", {"reference": "b"}],
        "max_weight": 20,
        "outside": "drop",
        "event_weights": ["weight_of_event"],
        "resampling": {
            "method": "pdf",
            "target": "b",
            "shares": {"b": 1},
            "max_upsampling": 2,
            "max_repeats": 9,
            "num_jets": 10,
            "components": [
                {
                    "samples": ["tt", "qcd"],
                    "bins": {"pt": [20, 30]},
                    "fraction": 0.5,
                    "max_jets": 5,
                    "equal_samples": [["tt", "qcd"]],
                }
            ],
            "validation": True,
            "num_jets_validation": 3,
        },
    },
    "write": {
        "shuffle": "global",
        "test_per_sample": True,
        "keep_all": False,
        "max_jets_test": 100,
        "native_types": True,
        "outputs": ["train", "val", "test"],
        "parts": {"train": 1, "val": 1, "test": 1},
        "precision": "float16",
        "compression": "gzip",
        "concat_jet_tracks": ["pt"],
        "conditional": ["pt"],
        "merge": True,
        "formats": ["hdf5", "torch"],
        "records_per_file": 10,
    },
    "systematics": {
        "collection": "tracks",
        "roles": {"pt": "pt", "energy": "e", "eta": "eta", "phi": "phi", "taste": "taste"},
        "variations": ["position", {"name": "mine", "jets": {"eta": "2 * eta"}, "keep": "d0 > 1"}],
        "maps": "maps.root",
        "unit": 1,
        "empty": "error",
        "jets": {"pt": "pt"},
        "outputs": ["test"],
    },
    "report": {
        "plots": True,
        "jets": 10,
        "label": "CMS Simulation",
        "variables": {"pt": {"label": "$p_T$", "unit": "GeV"}},
    },
}


@pytest.fixture(scope="module", autouse=True)
def user_files(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("user"))
        for name in ("input.root", "network.onnx", "maps.root"):
            Path(name).touch()
        Path("SHA256SUMS").write_text(f"{'0' * 64}  input.root\n")
        Path("plugin.py").write_text("def make(jets):\n    return {'made': jets['pt']}\n")
        yield


def places(node, place=()):
    """Yield the places of all keys and entries."""
    for key, inner in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield (*place, key)
        yield from places(inner, (*place, key))


def put(raw, place, value):
    *steps, last = place
    for step in steps:
        raw = raw[step]
    raw[last] = value


def refusal(**changes):
    raw = copy.deepcopy(FULL)
    for key, value in changes.items():
        put(raw, [int(step) if step.isdecimal() else step for step in key.split(".")], value)
    with pytest.raises(JetmillError) as error:
        Plan.from_raw(raw)
    return str(error.value)


def test_every_key_is_tried():
    config = load(FULL)
    unset = {"default", "default_offset", "cut", "samples", "missing", "element_links", "reads_jets", "name", "plugin"}
    # Of runs without a split of their own; of truth objects.
    unset |= {"apply", "folds", "fold_by", "objects"}

    def keys(section):
        for key in fields(section):
            value = getattr(section, key.name)
            yield key.name
            for inner in value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else [value]:
                if is_dataclass(inner):
                    yield from keys(inner)

    named = {str(step) for place in places(FULL) for step in place}
    assert set(keys(config)) - named <= unset


TOO_MUCH = [
    ("scaling.default_offset", 1e308, "must be at most 1e+30 (found: 1e+308)."),
    ("scaling.default_offset", -1e31, "must be at least -1e+30 (found: -1e+31)."),
    ("scaling.defaults.eta", 1e39, "must be at most 1e+30 (found: 1e+39)."),
    ("scaling.clip", 1e-320, "must be at least 0.001 (found: 1e-320)."),
    ("jets.units.pt", 0, "must not be smaller than 1e-30 in size (found: 0)."),
    ("jets.units.pt", 1e-320, "must not be smaller than 1e-30 in size (found: 1e-320)."),
    ("balance.bins.pt.0.2", 10**30, "must be at most 100,000 (found: 1" + 30 * "0" + ")."),
    ("balance.bins.pt.0.1", 1e300, "must be at most 1e+30 (found: 1e+300)."),
    ("balance.resampling.shares.b", 1e-320, "must be at least 1e-06 (found: 1e-320)."),
    ("balance.resampling.max_upsampling", 1e7, "must be at most 1e+06 (found: 10000000.0)."),
    ("balance.resampling.components.0.max_jets", 2**63, "must be at most 1,000,000,000,000 ("),
    (
        "balance.weights.1",
        {},
        "must be average, flat, flat_per_unit, mean, min, max, uniform, {reference: class}, {table: file.npy}"
        " or {table: file.root:histogram}.",
    ),
    ("split.modulo", 10**10, "must be at most 10,000 (found: 10000000000)."),
    ("samples.tt.toy.files", 10**9, "must be at most 99,999 (found: 1000000000)."),
    ("samples.tt.toy.jets", 10**9, "must be at most 1,000,000 (found: 1000000000)."),
    ("write.parts.train", 2**63, "must be at most 99,999 (found: 9223372036854775808)."),
    ("write.records_per_file", 2**63, "must be at most 1,000,000,000 (found: 9223372036854775808)."),
    ("report.jets", 10**9, "must be at most 10,000,000 (found: 1000000000)."),
    ("input.timeout", 10**30, "must be at most 86,400 (found: 1" + 30 * "0" + ")."),
    ("jets.variables", ["x_{0..999999999}"], "'x_{0..999999999}' stands for 1,000,000,000 names; a list holds 2,000"),
    ("jets.variables", ["x_{0..1500}", "y_{0..1500}"], "a list holds 2,000 names at most ("),
    ("output_dir", "", "must not be empty (found: '')."),
    ("output_dir", "  ", "must not be empty (found: '  ')."),
    ("output_dir", "a{x}", "must not contain { }, which stand for wildcards in Snakemake (found: 'a{x}')."),
    ("output_dir", "a<b>", "must not contain < >, which stand for wildcards in Snakemake (found: 'a<b>')."),
    ("output_dir", "~/results", "~ does not stand for the home directory here; write its path (found: '~/results')."),
    ("output_dir", "a\nb", r"must be a single line of text (found: 'a\nb')."),
    ("output_dir", 300 * "x", "is too long for a path: 1000 bytes at most, 200 between two slashes."),
    ("jets.networks.0.file", "a\0b", r"must be a single line of text (found: 'a\x00b')."),
    ("samples.qcd.files", "a\0b", r"must be a single line of text (found: 'a\x00b')."),
    ("jets.transforms.0.prefix", "a b", "must be a name of letters, digits and _ (found: 'a b')."),
    ("seed", 10**40, "has 133 bits, 128 is the most"),
    ("jets.define.double", 10_001 * "1", "has 10,001 characters, 10,000 is the most"),
    ("jets.missing", {201 * "x": 1}, "has 201 characters in a key, 200 is the most"),
    ("classes", {f"c{n}": "pt > 1" for n in range(256)}, "must have at most 255 entries."),
    ("jets.select", ["pt > 1"] * 10_001, "has 10,001 entries, 10,000 is the most"),
    ("samples.qcd.files", ["a.root"] * 50_001, "has 50,001 entries, 50,000 is the most"),
]


@pytest.mark.parametrize(
    ("key", "value", "expected"), TOO_MUCH, ids=[f"{key}-{n}" for n, (key, *_) in enumerate(TOO_MUCH)]
)
def test_the_limit_is_named(key, value, expected):
    (line,) = [line for line in refusal(**{key: value}).splitlines() if line.startswith(key)]
    assert line.startswith(f"{key}: {expected}")


def test_a_sample_whose_name_snakemake_takes_for_an_endless_loop():
    name = 20 * "ab"
    expected = f"samples.{name}: repeats a piece of its name 20 times or more; give it another name"
    assert expected in refusal(samples={name: FULL["samples"]["tt"]}).splitlines()
    assert Plan.from_raw(FULL | {"samples": FULL["samples"] | {19 * "ab": {"toy": {"process": "qcd"}}}}).batches


def bins(**axes):
    return {"balance.bins": axes, "balance.resampling": {}}


def test_tables_of_bins_must_fit_into_memory():
    expected = "balance.bins: 10000 x 10000 bins, 3 classes, 2 samples make tables of 600,000,000 numbers"
    assert refusal(**bins(pt=[0, 1, 10_000], eta=[0, 1, 10_000])).startswith(expected)
    many = [{"samples": ["tt"], "bins": {"pt": [n, n + 1]}} for n in range(1000)]
    resampling = {"method": "count", "components": many}
    changes = {"balance.bins": {"pt": [0, 1000, 1000], "eta": [0, 1, 100]}, "balance.resampling": resampling}
    assert "2 samples and 1000 components make tables of 300,600,000 numbers; 100,000,000 fit" in refusal(**changes)
    raw = copy.deepcopy(FULL) | {"balance": {"bins": {"pt": [0, 1, 3000], "eta": [0, 1, 3000]}}}
    assert Plan.from_raw(raw).table_numbers == 27_000_000


def test_bins_of_a_variable():
    assert "balance: bins.pt: has more than 100,000 bins" in refusal(**bins(pt=[[0, 1, 60_000], [1, 2, 60_000]]))
    expected = "balance.bins.pt: some bins are so narrow that their edges are the same number"
    assert refusal(**bins(pt=[1, 1 + 1e-15, 100])) == expected
    assert refusal(**bins(pt=[0, 5e-324, 10])) == expected
    assert "balance.bins: " in refusal(**bins(**{f"v{n}": [0, 1, 1] for n in range(MAX_AXES + 1)}))


def test_many_mistakes_are_reported_once():
    *lines, last = refusal(**{"jets.missing.values_of": {f"v{n}": [1] for n in range(2000)}}).splitlines()
    assert (len(lines), last) == (50, "more mistakes: fix these first")
    *lines, last = refusal(jets={f"v{n}": 1 for n in range(2000)}).splitlines()
    assert (len(lines), last) == (50, "more mistakes: fix these first")


def test_levels_without_end():
    endless = []
    endless.append(endless)
    assert refusal(**{"jets.select": endless}).startswith("jets.select.0.0.0.")
    wide = "x"
    for _ in range(10):
        wide = [wide] * 10
    assert refusal(**{"jets.select": wide}) == "the configuration: has more than 500,000 entries"


@pytest.mark.parametrize("content", [b"a\0b.root\n", b"\xff\xfe\n"])
def test_lists_of_files_that_are_none(content):
    Path("list.txt").write_bytes(content)
    expected = {0: r"a\x00b.root: is not a path", 255: "list.txt: is not a text file of a path per line"}
    assert (
        refusal(**{"samples.qcd.files": "list.txt"})
        == f"samples.qcd.files: {expected[content[0] if content[0] > 127 else 0]}"
    )


def test_as_many_names_as_the_attributes_of_hdf5_hold(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["variables"] = [f"{n}".zfill(200) for n in range(2 * MAX_NAMES)]
        file["table"] = [[0] * 10]
        assert file.create_dataset("t", shape=(3, 2, *[1] * MAX_AXES), dtype=int).ndim == 32


NUMBERS = st.one_of(
    st.integers(),
    st.sampled_from([2**31, 2**63, -(2**63), 2**64, 10**10, 10**30, 10**400]),
    st.floats(),
    st.sampled_from([5e-324, 1e-320, 1e-30, 1e30, 1e300, math.inf, -math.inf, math.nan]),
)
TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            *(
                "",
                " ",
                "\n",
                "a\nb",
                "\0",
                "\u2028",
                "é",
                "a{x}",
                "<a>",
                "..",
                "/",
                "a//b",
                "**",
                "[",
                "~",
                "nan",
                ".inf",
            ),
            *("x_{0..999999999}", "x_{0..1999}", "x_{5..1}", f"x_{{0..{10**30}}}", "a b", "rest", "auto", "9**9**9"),
            *("(" * 5000, "-" * 5000, "1 + " * 2400 + "1", "x" * 300, "x" * 10_000, "x" * 10**6, "漢" * 200),
        ]
    ),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
LARGE = st.one_of(
    st.builds(lambda value, n: [value] * n, SCALARS, st.sampled_from([3, 2000, 10_000, 100_000])),
    st.builds(lambda n: [f"v{k}" for k in range(n)], st.sampled_from([2000, 10_000])),
    st.builds(lambda value, n: {f"k{k}": value for k in range(n)}, SCALARS, st.sampled_from([300, 5000, 100_000])),
    st.just({f"k{k}": f"v{k} + 1" for k in range(2000)}),
    st.just([[k, k + 1, 1] for k in range(2000)]),
)
ANYTHING = st.one_of(
    LARGE,
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SCALARS, inner, max_size=3),
        max_leaves=8,
    ),
)


@settings(max_examples=300)
@given(place=st.sampled_from(list(places(FULL))), value=ANYTHING)
@example(place=("jets", "select"), value=["x"] * 10_000)
@example(place=("jets", "define"), value={f"k{n}": f"v{n} + 1" for n in range(2000)})
@example(place=("samples", "qcd", "files"), value=list(range(50_000)))
@example(place=("balance", "bins", "eta"), value=[0, 1, 100_000])
def test_whatever_stands_there_is_taken_or_refused_at_once(place, value):
    raw = copy.deepcopy(FULL)
    put(raw, place, value)
    start, limits = time.process_time(), resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 200 * 2**20, limits[1]))
    try:
        plan = Plan.from_raw(raw)
        assert summary(plan)
        assert part_files(plan, "hdf5")
        assert plan.cleaning
    except JetmillError as error:
        lines = str(error).splitlines()
        assert len(lines) <= 55
        assert all(": " in line and len(line) < 2000 for line in lines)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    # A second at most on a core of its own; two processes of tests share the caches of one.
    assert time.process_time() - start < 3
