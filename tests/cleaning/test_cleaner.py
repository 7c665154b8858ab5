"""The steps of cleaning and their order, against a rendering of one jet at a time."""

from math import ceil, cosh, log, sinh
from pathlib import Path

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot
from batches import clean_batch

from jetmill.cleaning.cleaner import Cleaner
from jetmill.config.load import load
from jetmill.errors import JetmillError
from jetmill.toys.dumps import toy_dump

NAN = float("nan")
PLUGIN = """
import numpy as np

def of_jets(jets):
    return {"twice": 2 * jets["jet_px"] + jets["half"]}

def of_clusters(clusters, jets):
    return {"mixed": clusters["log_pt"] + jets["pt"][clusters["jet"]], "soft": clusters["pt"] < 5}
"""


def events(n, seed):
    """Return branches of events with jets and a table of clusters; every jet and cluster has a number."""
    rng = np.random.default_rng(seed)
    per_event = rng.integers(0, 5, n)
    n_jets = per_event.sum()
    # Few values, so that some are equal; not sorted; some are not there.
    pt = rng.choice([30e3, 40e3, 50e3, 60e3, np.nan], n_jets).astype(np.float32)
    jets = {
        "pt": pt,
        "eta": rng.normal(size=n_jets).astype(np.float32),
        "phi": rng.uniform(-3, 3, n_jets).astype(np.float32),
        "m": rng.uniform(5e3, 9e3, n_jets).astype(np.float32),
        "flavour": rng.choice([0, 5, 6], n_jets).astype(np.int32),
        "number": (1000 * seed + np.arange(n_jets)).astype(np.float32),
    }
    per_jet = rng.integers(0, 8, n_jets)
    n_clusters = per_jet.sum()
    eta = rng.normal(0, 1, n_clusters)
    pt = rng.exponential(9e3, n_clusters) + 1
    in_event = np.add.reduceat(np.r_[per_jet, 0], np.r_[0, np.cumsum(per_event)[:-1]])[:n] * (per_event > 0)
    clusters = {
        "jetIdx": np.repeat(np.concatenate([np.arange(k) for k in per_event]), per_jet).astype(np.int32),
        "pt": pt.astype(np.float32),
        "E": (pt * np.cosh(eta)).astype(np.float32),
        "eta": eta.astype(np.float32),
        "phi": rng.uniform(-3, 3, n_clusters).astype(np.float32),
        "taste": rng.integers(0, 3, n_clusters).astype(np.int32),
        "id": np.arange(n_clusters, dtype=np.float32),
    }
    branches = {f"Jet_{name}": ak.unflatten(x, per_event) for name, x in jets.items()}
    branches |= {f"Cl_{name}": ak.unflatten(x, in_event) for name, x in clusters.items()}
    return branches | {"event": np.arange(n, dtype=np.uint64) + np.uint64(10**6 * seed)}


@pytest.fixture(scope="module")
def files(tmp_path_factory, write_root):
    directory = tmp_path_factory.mktemp("steps")
    (directory / "mine.py").write_text(PLUGIN)
    rng = np.random.default_rng(3)
    edges = np.array([0, 2.0, 5, 10, 20, 50]), np.array([0, 0.5, 1, 2])
    with uproot.recreate(directory / "maps.root") as file:
        for name in ("Scale", "Mean", "RMS"):
            file[name] = (rng.uniform(0.6, 1.4, (5, 3)), *edges)
    return [write_root(directory / f"{i}.root", events(n, i)) for i, n in enumerate((60, 1, 90, 40))]


def config(directory, *, jets=None, clusters=None, **changes):
    plugin = {"plugin": str(directory / "mine.py")}
    names = ["id", "pt", "E", "share", "log_pt", "log_pt_fraction", "relative_eta", "mixed", "soft"]
    return {
        "samples": {"tt": {"files": "-"}, "qcd": {"files": "-"}},
        "input": {"event_id": ["event"], "checksum": False},
        "jets": {
            "units": {"pt": 0.001, "m": 0.001},
            "rank_by": "pt",
            "define": {"half": "pt / 2 + rank", "n_clusters": "count(clusters)"},
            "transforms": [
                {"name": "cartesian_from_mass", "roles": {"mass": "m"}, "prefix": "jet_"},
                plugin | {"function": "of_jets", "reads": ["half", "jet_px"], "makes": ["twice"]},
            ],
            "select": ["rank < 2", "count(clusters) >= 1", "pt > 35"],
            "variables": ["number", "pt", "rank", "n_clusters", "half", "jet_px", "jet_energy", "twice"],
        }
        | (jets or {}),
        "constituents": {
            "clusters": {
                "tree": {"links": "Cl"},
                "units": {"pt": 0.001, "E": 0.001},
                "define": {"share": "pt / jet_pt", "of_half": "share * jet_half"},
                "select": ["share > 0.05", "of_half < 30"],
                "transforms": [
                    {"name": "log_set", "roles": {"energy": "E"}},
                    "relative_angles",
                    plugin
                    | {
                        "function": "of_clusters",
                        "reads": ["pt", "log_pt"],
                        "reads_jets": ["pt"],
                        "makes": ["mixed", "soft"],
                    },
                ],
                "sort_by": "log_energy - jet_eta",
                "max": 3,
                "variables": names,
            }
            | (clusters or {})
        },
        "classes": {"b": "flavour == 5", "other": "rest"},
        "balance": {"bins": {"pt": [20, 100, 4]}},
        "systematics": {
            "collection": "clusters",
            "roles": {"pt": "pt", "energy": "E", "eta": "eta", "phi": "phi", "taste": "taste"},
            "variations": ["energy_scale_up", "energy_resolution", "reconstruction_efficiency", "position"],
            "maps": str(directory / "maps.root"),
        },
    } | changes


def clean(files, output, raw, *, sample="tt", variation=None, first_file=0):
    config = load(raw)
    settings = config.cleaning if variation is None else config.varied(variation)
    clean_batch(files, output, settings=settings, sample=sample, first_file=first_file)
    return stored(output)


def stored(path):
    """Return (event, number) of a jet to its class, its variables, and those of its clusters."""
    with h5py.File(path) as file:
        jets = {n: c[()] for n, c in file["variables"].items()}
        found = {}
        group = file.get("constituents/clusters")
        if group is not None:
            ends = group["offsets"][()]
            of = {n: c[()] for kind in ("variables", "labels") for n, c in group.get(kind, {}).items()}
        for j, (event, label) in enumerate(zip(file["event/event"][()], file["label"][()], strict=True)):
            rows = {} if group is None else {n: c[ends[j] : ends[j + 1]].tolist() for n, c in of.items()}
            row = {n: float(c[j]) for n, c in jets.items()}
            found[int(event), row.get("number")] = int(label), row, rows
        return found


def plain(files, vary=None):
    """Do it jet by jet with the numbers of Python."""
    result = {}
    for path in files:
        with uproot.open(path) as file:
            tree = file["Events"].arrays().to_list()
        for e in tree:
            jets = [
                {n[4:]: x[k] for n, x in e.items() if n.startswith("Jet_")} | {"place": k}
                for k in range(len(e["Jet_pt"]))
            ]
            for jet in jets:
                jet["pt"], jet["m"] = jet["pt"] / 1000, jet["m"] / 1000
            known = [j for j in jets if j["pt"] == j["pt"]]
            order = sorted(known, key=lambda j: -j["pt"]) + [j for j in jets if j["pt"] != j["pt"]]
            for rank, jet in enumerate(order):
                clusters = [
                    {n[3:]: x[i] for n, x in e.items() if n.startswith("Cl_")}
                    for i, of in enumerate(e["Cl_jetIdx"])
                    if of == jet["place"]
                ]
                for c in clusters:
                    c["pt"], c["E"] = c["pt"] / 1000, c["E"] / 1000
                    if vary:
                        vary(c)
                if rank >= 2 or not clusters or not jet["pt"] > 35:
                    continue
                half = jet["pt"] / 2 + rank
                px, p = jet["pt"] * np.cos(jet["phi"]), jet["pt"] * cosh(jet["eta"])
                of_jet = {"number": jet["number"], "pt": jet["pt"], "rank": rank, "n_clusters": len(clusters)}
                of_jet |= {"half": half, "jet_px": px, "jet_energy": np.hypot(p, jet["m"]), "twice": 2 * px + half}
                for c in clusters:
                    c["share"] = c["pt"] / jet["pt"]
                selected = [c for c in clusters if c["share"] > 0.05 and c["share"] * half < 30]
                total = sum(c["pt"] for c in selected)
                for c in selected:
                    c["log_pt"], c["log_pt_fraction"] = log(c["pt"]), log(c["pt"] / total)
                    c["relative_eta"] = c["eta"] - jet["eta"]
                    c["mixed"], c["soft"] = c["log_pt"] + jet["pt"], float(c["pt"] < 5)
                selected.sort(key=lambda c: jet["eta"] - log(c["E"]))
                label = 0 if jet["flavour"] == 5 else 1
                result[e["event"], jet["number"]] = label, of_jet, selected[:3], len(selected)
    return result


def same(found, wanted):
    assert found.keys() == wanted.keys()
    for jet, (label, variables, clusters, _) in wanted.items():
        assert found[jet][0] == label
        assert found[jet][1] == pytest.approx(variables, rel=1e-5, abs=1e-4), jet
        for name, values in found[jet][2].items():
            assert values == pytest.approx([c[name] for c in clusters], rel=1e-5, abs=1e-5), (jet, name)


def test_units_define_select_transform_sort_cut_off(files, tmp_path):
    wanted = plain(files)
    # Some clusters are truncated, so that fractions of the rest would be others; ranks tie; some are NaN.
    assert sum(n > 3 for *_, n in wanted.values()) > 20
    same(clean(files, tmp_path / "c.h5", config(files[0].parent)), wanted)


@pytest.mark.parametrize("chunk_bytes", [1000, 8000])
def test_chunks_do_not_matter(files, tmp_path, chunk_bytes):
    for variation in (None, "energy_resolution"):
        before = clean(files[:2], tmp_path / "a.h5", config(files[0].parent), variation=variation)
        raw = config(files[0].parent)
        raw["input"] |= {"chunk_bytes": chunk_bytes}
        clean(files[:2], tmp_path / "b.h5", raw, variation=variation)
        assert stored(tmp_path / "b.h5") == before
        assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


@pytest.mark.parametrize("variation", [None, "energy_resolution", "reconstruction_efficiency", "position"])
def test_files_per_batch_do_not_matter(files, tmp_path, variation):
    raw = config(files[0].parent)
    together = clean(files, tmp_path / "all.h5", raw, variation=variation)
    apart = {}
    for i, path in enumerate(files):
        apart |= clean([path], tmp_path / f"{i}.h5", raw, variation=variation, first_file=i)
    assert apart == together
    if variation:
        nominal = clean(files, tmp_path / "n.h5", raw)
        assert nominal != together
        other = clean(files, tmp_path / "n.h5", raw | {"seed": 2}, variation=variation)
        assert other != together


def scale_up(maps):
    with uproot.open(maps) as file:
        scale, mean = (file[name].to_numpy() for name in ("Scale", "Mean"))

    def value(histogram, c, energy):
        x = sum(energy >= edge for edge in histogram[1][1:-1])
        y = sum(abs(c["eta"]) >= edge for edge in histogram[2][1:-1])
        return histogram[0][x, y]

    def vary(c):
        if c["taste"]:
            p = c["E"] / value(scale, c, c["E"])
            size = 0.1 if p > 350 else abs(value(mean, c, p) - 1)
            c["pt"], c["E"] = c["pt"] * (1 + size), c["E"] * (1 + size)

    return vary


def test_varied_after_units_before_everything_else(files, tmp_path):
    found = clean(files, tmp_path / "c.h5", config(files[0].parent), variation="energy_scale_up")
    wanted = plain(files, scale_up(files[0].parent / "maps.root"))
    assert [n for *_, n in wanted.values()] != [n for *_, n in plain(files).values()]
    same(found, wanted)


def test_lost_clusters_are_not_counted(files, tmp_path):
    raw = config(files[0].parent)
    nominal = clean(files, tmp_path / "n.h5", raw)
    varied = clean(files, tmp_path / "v.h5", raw, variation="reconstruction_efficiency")
    fewer = [jet for jet in varied if varied[jet][1]["n_clusters"] < nominal[jet][1]["n_clusters"]]
    assert fewer
    assert all(varied[jet][1]["n_clusters"] <= nominal[jet][1]["n_clusters"] for jet in varied)


def test_jets_computed_anew(files, tmp_path):
    """Momenta of jets from all varied clusters, before rank, define and select."""
    raw = config(files[0].parent)
    raw["systematics"]["jets"] = {"pt": "pt"}
    raw["jets"]["select"] = ["pt > 35"]
    found = clean(files, tmp_path / "c.h5", raw, variation="energy_scale_up")
    vary, wanted = scale_up(files[0].parent / "maps.root"), {}
    for path in files:
        with uproot.open(path) as file:
            tree = file["Events"].arrays().to_list()
        for e in tree:
            momenta = np.zeros((len(e["Jet_pt"]), 2))
            for i, k in enumerate(e["Cl_jetIdx"]):
                c = {n: e[f"Cl_{n}"][i] / 1000 for n in ("pt", "E")} | {n: e[f"Cl_{n}"][i] for n in ("eta", "taste")}
                vary(c)
                momenta[k] += c["pt"] * np.cos(e["Cl_phi"][i]), c["pt"] * np.sin(e["Cl_phi"][i])
            pt = [p if k in e["Cl_jetIdx"] else -1 for k, p in enumerate(np.hypot(*momenta.T).tolist())]
            order = sorted(range(len(pt)), key=lambda k: -pt[k])
            wanted |= {
                (e["event"], e["Jet_number"][k]): {"pt": pt[k], "rank": rank, "half": pt[k] / 2 + rank}
                for rank, k in enumerate(order)
                if pt[k] > 35
            }
    assert found.keys() == wanted.keys()
    for jet, values in wanted.items():
        assert {n: found[jet][1][n] for n in values} == pytest.approx(values, rel=1e-5)


# --- small trees of jets ---


@pytest.fixture
def small(tmp_path, write_root):
    """Return a function that cleans six jets with parts of known values, with changes of the configuration."""
    pt = ak.Array(np.array([[4, 3, 2, 1], [], [1, 2], [5], [8, 1, 1], [2, 6]], dtype=object).tolist())
    eta = ak.Array([[-3.0, 0.1, 1.9, 5.0], [], [0.0, NAN], [-0.1], [-2.0, 2.0, 1.0], [0.5, -0.5]])
    branches = {"pt": np.arange(1, 7, dtype=np.float32), "flavour": np.array([5, 0, 5, 0, 5, 0])}
    branches |= {"event": np.arange(6), "clusters_pt": ak.values_astype(pt, np.float32)}
    branches |= {f"clusters_{n}": ak.values_astype(eta, np.float32) for n in ("eta", "phi")}
    branches |= dict.fromkeys(("number", "eta", "phi"), branches["pt"])
    write_root(tmp_path / "small.root", branches)

    def run(*, sample="tt", jets=None, clusters=None, output="small.h5", **changes):
        raw = {
            "samples": {"tt": {"files": "-"}, "qcd": {"files": "-"}, "more": {"files": "-"}},
            "input": {"level": "jet", "jets": "", "event_id": ["event"]},
            "jets": {"variables": ["pt", "number"]} | (jets or {}),
            "constituents": {"clusters": {"variables": ["pt"]} | (clusters or {})},
            "classes": {"b": "flavour == 5", "light": "rest"},
            "balance": {"bins": {"pt": [0, 10, 1]}},
        } | changes
        return clean([tmp_path / "small.root"], tmp_path / output, raw, sample=sample)

    return run


def test_count_of_constituents_is_before_their_selection(small):
    jets = {"variables": ["pt", "number", "n_clusters"], "select": ["count(clusters) != 3"]}
    jets |= {"define": {"n_clusters": "count(clusters)"}}
    found = small(jets=jets, clusters={"select": ["pt > 1.5"], "max": 1})
    counts = [4, 0, 2, 1, 3, 2]
    assert {n: row["n_clusters"] for (_, n), (_, row, _) in found.items()} == {
        n: counts[n - 1] for n in (1, 2, 3, 4, 6)
    }
    assert found[0, 1][2] == {"pt": [4]}


def test_pixels_as_labels(small):
    steps = [{"name": "image_pixels", "options": {"n": 4}}]
    found = small(clusters={"transforms": steps, "labels": ["pixel_eta"]})
    wanted = [[0, 2, 3, 3], [], [2, -1], [1], [0, 3, 3], [2, 1]]
    assert {n: row["pixel_eta"] for (_, n), (*_, row) in found.items()} == dict(enumerate(wanted, 1))


def test_a_variable_of_the_jet_as_input_of_constituents(small):
    """It is written as it is used in expressions."""
    found = small(clusters={"variables": ["pt", "jet_pt"]})
    assert found[0, 1][2]["jet_pt"] == [1, 1, 1, 1]


def test_a_variable_made_with_the_prefix_of_jets(small):
    """`jet_` in a name that is made here does not mean a variable of jets."""
    steps = [{"name": "cartesian", "prefix": "jet_"}]
    found = small(clusters={"transforms": steps, "variables": ["pt", "jet_pz"], "sort_by": "jet_pz"})
    rows = {n: row["jet_pz"] for (_, n), (*_, row) in found.items()}
    assert rows[6] == pytest.approx([2 * sinh(0.5), 6 * sinh(-0.5)], rel=1e-6)


@pytest.mark.parametrize(
    ("sample", "classes", "expected"),
    [
        ("tt", {"b": {"samples": ["qcd"]}, "s": {"samples": ["tt", "more"]}}, dict.fromkeys(range(1, 7), 1)),
        ("qcd", {"b": {"samples": ["qcd"]}, "s": {"samples": ["tt", "more"]}}, dict.fromkeys(range(1, 7), 0)),
        ("tt", {"s": {"samples": ["tt"], "cut": "pt > 3"}, "b": {"samples": ["qcd"]}}, {4: 0, 5: 0, 6: 0}),
        ("tt", {"s": {"samples": ["tt"], "cut": "pt > 3"}, "b": "flavour == 5"}, {1: 1, 3: 1, 4: 0, 5: 0, 6: 0}),
        ("tt", {"s": {"samples": ["tt"], "cut": "pt > 3"}, "b": "rest"}, {1: 1, 2: 1, 3: 1, 4: 0, 5: 0, 6: 0}),
        ("qcd", {"s": {"samples": ["tt"], "cut": "pt > 3"}, "b": "rest"}, dict.fromkeys(range(1, 7), 1)),
        ("more", {"b": {"samples": ["qcd"]}, "s": {"samples": ["tt"]}}, {}),
    ],
)
def test_classes_by_sample(small, sample, classes, expected):
    found = small(sample=sample, classes=classes)
    assert {number: label for (_, number), (label, *_) in found.items()} == expected


# --- rank ---


def ranks(write_root, path, pt, *, chunk_bytes=16_000_000, **changes):
    branches = {"Jet_pt": ak.values_astype(ak.Array(pt), np.float32), "event": np.arange(len(pt))}
    branches["Jet_number"] = ak.values_astype(ak.local_index(branches["Jet_pt"]), np.float32)
    raw = {
        "samples": {"tt": {"files": "-"}},
        "input": {"event_id": ["event"], "chunk_bytes": chunk_bytes},
        "jets": {"rank_by": "pt", "variables": ["number", "rank"]} | changes,
        "classes": {"b": "rest"},
        "balance": {"bins": {"rank": [0, 10, 1]}},
    }
    write_root(path, branches)
    found = clean([path], path.with_suffix(".h5"), raw)
    return [[int(found[e, k][1]["rank"]) for k in range(len(of)) if (e, k) in found] for e, of in enumerate(pt)]


def test_rank(tmp_path, write_root):
    pt = [[1.0, 3, 2], [], [5], [7, 7, 8, 7], [NAN, 1, NAN, 2], [-1, -2], [NAN]]
    wanted = [[2, 0, 1], [], [0], [1, 2, 0, 3], [2, 1, 3, 0], [0, 1], [0]]
    assert ranks(write_root, tmp_path / "a.root", pt) == wanted


def test_rank_by_an_expression_and_missing_values(tmp_path, write_root):
    pt = [[1.0, 3, 2], [999, 5, 6]]
    changes = {"rank_by": "abs(pt - 3)", "missing": {"values": [999]}}
    assert ranks(write_root, tmp_path / "a.root", pt, **changes) == [[0, 2, 1], [2, 1, 0]]
    assert ranks(write_root, tmp_path / "b.root", pt, rank_by="1") == [[0, 1, 2], [0, 1, 2]]
    assert ranks(write_root, tmp_path / "c.root", [[], []]) == [[], []]


@pytest.mark.parametrize("chunk_bytes", [100, 1000])
def test_rank_in_chunks(tmp_path, write_root, chunk_bytes):
    rng = np.random.default_rng(0)
    pt = [rng.integers(0, 6, k).astype(float).tolist() for k in rng.integers(0, 7, 60)]
    wanted = [[sorted(range(len(of)), key=lambda k, of=of: -of[k]).index(k) for k in range(len(of))] for of in pt]
    assert ranks(write_root, tmp_path / "a.root", pt, chunk_bytes=chunk_bytes) == wanted


# --- HDF5 ---


@pytest.mark.parametrize("chunk_bytes", [1, 500, 8_000_000])
def test_steps_on_dumps(tmp_path, chunk_bytes):
    rng = np.random.default_rng(5)
    jets = np.zeros(50, [("pt", "f4"), ("eta", "f4"), ("phi", "f4"), ("eventNumber", "u8"), ("number", "f4")])
    jets["pt"], jets["eta"], jets["phi"] = rng.uniform(20, 90, 50), rng.normal(size=50), rng.uniform(-3, 3, 50)
    jets["number"] = jets["eventNumber"] = np.arange(50)
    tracks = np.zeros((50, 6), [("pt", "f4"), ("eta", "f4"), ("phi", "f4"), ("valid", "?")])
    tracks["pt"], tracks["valid"] = rng.exponential(9000, (50, 6)), rng.random((50, 6)) < 0.7
    tracks["eta"], tracks["phi"] = rng.normal(size=(50, 6)), rng.uniform(-3, 3, (50, 6))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["jets"], file["clusters"] = jets, tracks
    raw = {
        "samples": {"tt": {"files": "-"}},
        "input": {"format": "hdf5", "chunk_bytes": chunk_bytes},
        "jets": {
            "variables": ["number", "n_clusters", "px"],
            "define": {"n_clusters": "count(clusters)"},
            "transforms": [{"name": "cartesian"}],
        },
        "constituents": {
            "clusters": {
                "units": {"pt": 0.001},
                "select": ["pt > 2"],
                "transforms": [{"name": "relative_angles", "prefix": "rel_"}, "energy_massless"],
                "sort_by": "energy",
                "max": 2,
                "variables": ["pt", "rel_eta", "energy"],
            }
        },
        "classes": {"b": "rest"},
        "balance": {"bins": {"pt": [20, 100, 4]}},
    }
    clean_batch([tmp_path / "a.h5"], tmp_path / "c.h5", settings=load(raw).cleaning, sample="tt", first_file=0)
    with h5py.File(tmp_path / "c.h5") as file:
        ends, group = file["constituents/clusters/offsets"][()], file["constituents/clusters/variables"]
        number = file["variables/number"][()].astype(int)
        px, count = file["variables/px"][()], file["variables/n_clusters"][()]
        columns = {n: group[n][()] for n in ("pt", "rel_eta", "energy")}
    assert sorted(number) == list(range(50))
    assert ceil(ends[-1]) > 50
    for row, k in enumerate(number):
        used = tracks[k][tracks[k]["valid"]]
        assert count[row] == len(used)
        assert px[row] == pytest.approx(float(jets["pt"][k]) * np.cos(float(jets["phi"][k])), rel=1e-5)
        rows = [(t["pt"] / 1000, float(t["eta"] - jets["eta"][k])) for t in used if t["pt"] > 2000]
        rows = [(pt, eta, pt * cosh(eta + float(jets["eta"][k]))) for pt, eta in rows]
        rows.sort(key=lambda r: -r[2])
        for i, name in enumerate(columns):
            wanted = [r[i] for r in rows[:2]]
            assert columns[name][ends[row] : ends[row + 1]] == pytest.approx(wanted, rel=1e-5, abs=1e-5)


# --- plug-ins ---


def step(path, body, **keys):
    path.write_text(f"import numpy as np\ndef f(jets):\n{body}")
    return {"plugin": str(path), "function": "f", "reads": ["pt"], "makes": ["x"]} | keys


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("    return 1 / 0", "mine.py, function 'f', line 3: ZeroDivisionError: division by zero"),
        ("    return {'x': jets['tp']}", "line 3: KeyError: 'tp'"),
        ("    return {'x': jets['pt'][1:]}", "'x' has shape (5,), not (6,): one number for each jet"),
        ("    return {'x': jets['pt'], 'y': jets['pt']}", "makes x, y, but the configuration says x"),
        ("    return {'y': jets['pt']}", "makes y, but the configuration says x"),
        ("    return {}", "makes nothing, but the configuration says x"),
        ("    return jets['pt']", "it must return a dict of arrays, and returned ndarray"),
        ("    jets['pt'][0] = 1\n    return {'x': jets['pt']}", "read-only"),
    ],
)
def test_a_plugin_that_fails_in_a_job(small, tmp_path, body, sentence):
    with pytest.raises(JetmillError) as error:
        small(jets={"transforms": [step(tmp_path / "mine.py", body)]})
    assert sentence in str(error.value)
    assert not (tmp_path / "small.h5").exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "mine.py: there is no such file. Did you mean 'mine_.py'?"),
        ("def f(jets:\n  pass", "mine.py, line 1: SyntaxError"),
        ("\nraise ValueError('no')", "mine.py, line 2: ValueError: no"),
        ("def g(jets): pass", "there is no function 'f'"),
    ],
)
@pytest.mark.parametrize("of", ["jets", "constituents.clusters"])
def test_a_plugin_that_cannot_be_loaded_is_reported_with_the_configuration(small, tmp_path, text, sentence, of):
    (tmp_path / "mine_.py").write_text("")
    one = step(tmp_path / "mine.py", "    pass")
    (tmp_path / "mine.py").unlink() if text is None else (tmp_path / "mine.py").write_text(text)
    keys = {"jets": {"transforms": [one]}} if of == "jets" else {"clusters": {"transforms": [one]}}
    with pytest.raises(JetmillError) as error:
        small(**keys)
    assert str(error.value).startswith(f"{of}.transforms.0: plug-in ")
    assert sentence in str(error.value)


def test_a_plugin_of_jets_that_reads_nothing(small, tmp_path):
    """It cannot know how many jets there are, so that is a mistake to tell."""
    one = step(tmp_path / "mine.py", "    return {'x': np.zeros(6)}", reads=[])
    with pytest.raises(JetmillError, match="reads"):
        small(jets={"transforms": [one]})


def test_a_plugin_that_makes_a_slot_of_a_track(small, tmp_path):
    one = step(tmp_path / "mine.py", "    return {'track_1': jets['pt']}", makes=["track_1"])
    missing = {"slots": {"flavour": ["track"]}}
    found = small(jets={"transforms": [one], "missing": missing, "variables": ["pt", "number", "track_1"]})
    made = {n: row["track_1"] for (_, n), (_, row, _) in found.items()}
    assert made == pytest.approx({1: 1, 2: NAN, 3: 3, 4: NAN, 5: 5, 6: NAN}, nan_ok=True)


def test_order_of_steps_of_jets(small, tmp_path):
    """A step uses what the step before it made, and missing values of what is made are missing."""
    first = step(tmp_path / "a.py", "    return {'x': jets['pt'] - 3}")
    second = step(
        tmp_path / "b.py",
        "    with np.errstate(divide='ignore'):\n        return {'y': 1 / jets['x']}",
        reads=["x"],
        makes=["y"],
    )
    found = small(jets={"transforms": [first, second], "variables": ["pt", "number", "y"], "select": ["y < 1"]})
    assert sorted(n for _, n in found) == [1, 2, 5, 6]


@pytest.mark.parametrize(
    "keys",
    [
        {"jets": {"define": {"x": "px + 1"}, "transforms": [{"name": "cartesian"}], "variables": ["x"]}},
        {"jets": {"rank_by": "x", "define": {"x": "pt + 1"}, "variables": ["pt", "rank"]}},
        {"clusters": {"transforms": [{"name": "cartesian"}], "select": ["px > 1"]}},
        {"clusters": {"transforms": [{"name": "cartesian"}], "define": {"x": "px + 1"}, "variables": ["x"]}},
        {"clusters": {"transforms": [{"name": "delta_r", "roles": {"eta": "px", "phi": "py"}}, "cartesian"]}},
    ],
    ids=["define", "rank_by", "select of constituents", "define of constituents", "transform"],
)
def test_what_is_used_before_it_is_made_is_reported(small, keys):
    with pytest.raises(JetmillError, match=r"'(px|x)'"):
        small(**keys)


def test_count_of_tracks_beside_the_number_that_a_dump_has(tmp_path):
    """A dump counts all tracks of a jet; its slots are truncated. Names of the file win."""
    dump = toy_dump(3000, "ttbar", np.random.default_rng(2), n_tracks=10)
    jets = dump["jets"]
    n_tracks, n_slots = jets["n_tracks"], dump["tracks"]["valid"].sum(axis=1)
    assert (n_tracks > 10).mean() > 0.1
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["jets"], file["tracks"] = jets, dump["tracks"]
    cleaned = {}
    for name, cut in {"of the file": "n_tracks > 10", "of the slots": "count(tracks) < 10 & n_tracks > 0"}.items():
        raw = {
            "samples": {"tt": {"files": "-"}},
            "input": {"format": "hdf5", "checksum": False},
            "jets": {
                "define": {"n_trk": "count(tracks)", "lost": "n_tracks - count(tracks)"},
                "select": [cut],
                "variables": ["n_tracks", "n_trk", "lost"],
                "additional_labels": ["n_tracks"],
            },
            "constituents": {"tracks": {"variables": ["d0", "jet_n_tracks"], "select": ["pt > 2e3"], "max": 3}},
            "classes": {"full": "count(tracks) == 10", "other": "rest"},
            "balance": {"bins": {"n_trk": [0, 50, 5]}},
        }
        settings = load(raw).cleaning
        clean_batch([tmp_path / "a.h5"], tmp_path / "c.h5", settings=settings, sample="tt", first_file=0)
        with h5py.File(tmp_path / "c.h5") as file:
            found = [file[f"variables/{name}"][()] for name in ("n_tracks", "n_trk", "lost")]
            found += [file["additional_labels/n_tracks"][()], file["label"][()]]
            assert found[3].dtype == n_tracks.dtype
            counts = np.diff(file["constituents/tracks/offsets"][()])
            of_track = file["constituents/tracks/variables/jet_n_tracks"][()]
            np.testing.assert_array_equal(of_track, np.repeat(found[0], counts))
        cleaned[name] = sorted(zip(*(x.tolist() for x in found), strict=True))
    for name, kept in {"of the file": n_tracks > 10, "of the slots": (n_slots < 10) & (n_tracks > 0)}.items():
        rows = zip(n_tracks[kept].tolist(), n_slots[kept].tolist(), strict=True)
        assert cleaned[name] == sorted((all_, slots, all_ - slots, all_, int(slots != 10)) for all_, slots in rows)
    assert len(cleaned["of the file"]) > 300


def test_bits_of_a_flag_with_missing_values_do_not_depend_on_files_or_chunks(tmp_path, write_root):
    """A missing value makes floats of a column, but expressions see the integers of the file."""
    rng = np.random.default_rng(0)
    flags = [rng.integers(0, 8, 50), rng.choice([-1, 0, 3, 6, 7], 50)]
    files = []
    for i, flag in enumerate(flags):
        part = {"flag": flag.astype(np.int16)}
        branches = {"pt": np.arange(50, dtype=np.float32), "number": (50 * i + np.arange(50)).astype(np.float32)}
        branches |= {"flag": flag.astype(np.int32), "event": np.arange(50) + 50 * i}
        branches |= {f"clusters_{name}": ak.unflatten(x, 1) for name, x in part.items()}
        files.append(write_root(tmp_path / f"{i}.root", branches))
    raw = {
        "samples": {"tt": {"files": "-"}},
        "input": {"level": "jet", "jets": "", "event_id": ["event"]},
        "jets": {
            "missing": {"values": [-1]},
            "define": {"bits": "flag & 3"},
            "select": [{"cut": "(flag & 1) == 1", "missing": "keep"}],
            "variables": ["number", "flag", "bits"],
        },
        "constituents": {
            "clusters": {
                "missing": {"values": [-1]},
                "select": ["(flag & 2) == 2 & (jet_flag & 4) == 4"],
                "variables": ["flag"],
            }
        },
        "classes": {"loose": "(flag & 2) == 2", "other": "rest"},
        "balance": {"bins": {"number": [0, 100, 1]}},
    }
    flag = np.concatenate(flags).tolist()
    wanted = {}
    for n, value in enumerate(flag):
        if value == -1 or value & 1:
            bits = float(value & 3) if value != -1 else None
            parts = [float(value)] if value & 2 and value & 4 and value != -1 else []
            wanted[n] = int(value == -1 or not value & 2), bits, parts
    for raw["input"]["chunk_bytes"] in (100, 10**6):
        found = clean(files, tmp_path / "c.h5", raw)
        bits = {n: None if np.isnan(row["bits"]) else row["bits"] for (_, n), (_, row, _) in found.items()}
        assert {n: (label, bits[n], rows["flag"]) for (_, n), (label, _, rows) in found.items()} == wanted
    message = (
        r"expression '\(flag & 1\) \| pt > 3' cannot be computed: .* write \(flag & 1\) != 0 to use it as a condition"
    )
    with pytest.raises(JetmillError, match=message):
        clean(files, tmp_path / "c.h5", raw | {"jets": raw["jets"] | {"select": ["(flag & 1) | pt > 3"]}})


@pytest.mark.parametrize(
    ("name", "cut", "oracle", "n_kept"),
    [
        ("nano_tt_v12.root", "event - 400000000 < 0", lambda t: t["event"] < 400_000_000, 1504),
        ("nano_tt_v12.root", "-event < 0", lambda t: t["event"] > 0, 1504),
        (
            "nano_tt_v12.root",
            "event * event * event % 7 == 6",
            lambda t: [n**3 % 7 == 6 for n in t["event"].to_list()],
            567,
        ),
        ("NanoAODv5_sample.root", "(puId & 1) == 1", lambda t: t["Jet_puId"] & 1 == 1, 5664),
        (
            "NanoAODv5_sample.root",
            "(puId & 6) == 6 & pt < 50",
            lambda t: (t["Jet_puId"] & 6 == 6) & (t["Jet_pt"] < 50),
            3538,
        ),
        ("NanoAODv5_sample.root", "(~jetId & 2) == 0", lambda t: ~t["Jet_jetId"] & 2 == 0, 8820),
    ],
)
def test_real_integers(shared_data, tmp_path, name, cut, oracle, n_kept):
    path = shared_data(name)
    raw = {
        "samples": {"tt": {"files": "-"}},
        "jets": {"variables": ["pt"], "select": [cut]},
        "classes": {"all": "rest"},
        "balance": {"bins": {"pt": [0, 10000, 1]}},
    }
    clean_batch([path], tmp_path / "c.h5", settings=load(raw).cleaning, sample="tt", first_file=0)
    with uproot.open(path) as file:
        names = ["event", "Jet_pt", *(n for n in ("Jet_puId", "Jet_jetId") if n in file["Events"])]
        tree = file["Events"].arrays(names)
    kept = ak.broadcast_arrays(ak.Array(oracle(tree)), tree["Jet_pt"])[0]
    with h5py.File(tmp_path / "c.h5") as file:
        np.testing.assert_array_equal(np.sort(file["variables/pt"]), np.sort(ak.flatten(tree["Jet_pt"][kept])))
        assert len(file["label"]) == n_kept


UNIT_TYPES = ["f2", "f4", "f8", ">f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]


@pytest.mark.parametrize("chunk_bytes", [500, 8_000_000])
def test_units_reach_whatever_a_variable_is_used_for(tmp_path, chunk_bytes):
    rng = np.random.default_rng(1)
    names = [f"x_{t.replace('>', 'big')}" for t in UNIT_TYPES]
    fields = [*zip(names, UNIT_TYPES, strict=True), ("w", "f4"), ("other", "i4"), ("eventNumber", "u8"), ("pt", "f4")]
    jets = np.zeros(300, fields)
    for name in (*names, "w", "other"):
        jets[name] = rng.integers(0, 100, 300)
    jets["x_f4"], jets["eventNumber"], jets["pt"] = rng.uniform(2e4, 5e5, 300), np.arange(300), rng.uniform(2, 9, 300)
    # 77 means missing.
    jets["x_i4"][::7] = jets["x_u1"][::5] = 77
    jets["x_f8"][::3] = np.nan
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["jets"] = jets
    raw = {
        "samples": {"tt": {"files": "-"}},
        "input": {"format": "hdf5", "checksum": False, "chunk_bytes": chunk_bytes},
        "jets": {
            "units": dict.fromkeys((*names, "w", "pt"), 0.001),
            "missing": {"values": [77]},
            "select": ["x_f4 > 100", "pt < 1"],
            "variables": names,
            "additional_labels": [*names, "other"],
            "spectators": names,
        },
        "classes": {"high": "x_f4 > 300", "low": "rest"},
        "balance": {"bins": {"x_f4": [0, 1000, 4]}, "event_weights": ["w"]},
    }
    settings = load(raw).cleaning
    clean_batch([tmp_path / "a.h5"], tmp_path / "c.h5", settings=settings, sample="tt", first_file=0)
    with h5py.File(tmp_path / "c.h5") as file:
        found = {group: {n: c[()] for n, c in file[group].items()} for group in file if group not in ("key", "label")}
        label = file["label"][()]
    place = found["event"]["eventNumber"].astype(int)
    assert sorted(place) == np.flatnonzero(jets["x_f4"] > 1e5).tolist()
    assert found["event"]["eventNumber"].dtype == np.uint64
    for name in names:
        # As variables are stored, so that no number of the file is cut off.
        of = found["additional_labels"][name]
        assert of.dtype == found["variables"][name].dtype == np.result_type(jets.dtype[name], np.float32)
        assert found["spectators"][name].dtype == np.float32
        for row, k in enumerate(place):
            value = float(jets[name][k])
            unscaled = value == 77 or value != value
            assert of[row] == pytest.approx(value if unscaled else value / 1000, rel=1e-6, nan_ok=True)
            assert found["spectators"][name][row] == pytest.approx(of[row], rel=1e-6, nan_ok=True)
            assert found["variables"][name][row] == pytest.approx(np.nan if unscaled else of[row], nan_ok=True)
    np.testing.assert_array_equal(found["additional_labels"]["other"], jets["other"][place])
    assert found["additional_labels"]["other"].dtype == np.int32
    np.testing.assert_allclose(
        found["event_weights"]["w"], np.where(jets["w"] == 77, np.nan, jets["w"] / 1e3)[place], 1e-6
    )
    np.testing.assert_array_equal(label, np.where(found["additional_labels"]["x_f4"] > 300, 0, 1))


def test_the_unit_of_a_label_alone(tmp_path, write_root):
    branches = {"pt": np.arange(5, dtype=np.float32), "target": np.arange(5, dtype=np.int16), "event": np.arange(5)}
    raw = {
        "samples": {"tt": {"files": "-"}},
        "input": {"level": "jet", "jets": "", "event_id": ["event"]},
        "jets": {"units": {"target": 0.5}, "variables": ["pt"], "additional_labels": ["target"]},
        "classes": {"all": "rest"},
        "balance": {"bins": {"pt": [0, 10, 1]}},
    }
    clean([write_root(tmp_path / "a.root", branches)], tmp_path / "c.h5", raw)
    with h5py.File(tmp_path / "c.h5") as file:
        np.testing.assert_array_equal(file["additional_labels/target"][()], file["variables/pt"][()] / 2)
        assert file["additional_labels/target"].dtype == np.float32


# --- the cleaner alone ---


def test_the_steps_are_those_of_the_documentation(files):
    cleaner = Cleaner(load(config(files[0].parent)).cleaning, "tt")
    text = (Path(__file__).parents[2] / "docs/design.md").read_text()
    for steps in (cleaner.jet_steps, cleaner.constituent_steps["clusters"]):
        assert ", ".join(steps) in " ".join(text.split())


@pytest.mark.parametrize("variation", [None, "reconstruction_efficiency"])
def test_nothing_stays_from_one_chunk_to_the_next(files, variation):
    """The same chunk gives the same columns and counts, however often it is cleaned and whatever comes between."""
    found = load(config(files[0].parent))
    cleaner = Cleaner(found.cleaning if variation is None else found.varied(variation), "tt")

    def cleaned(path):
        with cleaner.open(str(path), 0) as file:
            ((_, columns, counts),) = file.chunks()
        return columns, counts

    first, _, again = (cleaned(path) for path in (files[0], files[2], files[0]))
    assert first[0].keys() == again[0].keys()
    for column, values in first[0].items():
        assert values.dtype == again[0][column].dtype
        np.testing.assert_array_equal(values, again[0][column])
    for name, flow in (("jets", first[1].flow), *first[1].constituents.items()):
        np.testing.assert_array_equal(flow, again[1].flow if name == "jets" else again[1].constituents[name])
    assert first[1].lost == again[1].lost
    assert first[1].flow[0] > first[1].flow[-1] > 0
