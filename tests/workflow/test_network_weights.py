"""Weights from a network of constituents, from trees to finished files, nominal and varied."""

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot

from jetmill.workflow.in_process import run_in_process

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytestmark = [pytest.mark.workflow, pytest.mark.readers]

N_JETS, SLOTS = 400, 4
W = np.array([[0.3, -0.2, 0.1], [0.05, 0.1, -0.4]], dtype=np.float32)
V = np.array([[0.5], [-0.4], [0.3]], dtype=np.float32)
CONFIG = {
    "input": {"level": "jet", "jets": "", "event_id": ["event"], "files_per_batch": 1, "checksum": False},
    "jets": {
        "variables": ["pt", "w"],
        "networks": [
            {"name": "w", "file": "set.onnx", "constituents": "clusters", "variables": ["log_pt", "eta"], "odds": True}
        ],
        "select": ["pt > 30"],
    },
    "constituents": {
        "clusters": {
            "transforms": ["log_set"],
            "select": ["pt > 1"],
            "sort_by": "pt",
            "max": SLOTS,
            "variables": ["pt"],
        }
    },
    "classes": {"signal": {"samples": ["top"]}, "background": {"samples": ["qcd"]}},
    "split": {"by": "modulo", "modulo": 4, "val": [1], "test": [0]},
    "scaling": {"unscaled": ["w"]},
    "balance": {"bins": {"w": [[0, 20, 5]], "pt": [[0, 200, 2]]}, "event_weights": ["w"]},
    "systematics": {
        "collection": "clusters",
        "roles": {"pt": "pt", "energy": "energy", "eta": "eta", "phi": "phi", "taste": "taste"},
        "variations": ["energy_scale_up"],
        "maps": "maps.root",
    },
    "report": {"plots": False},
}
MEAN = 0.25


def write_network(path):
    """Write sigmoid(sum over constituents of tanh(x W) V); a mask takes empty slots out."""
    info, types = onnx.helper.make_tensor_value_info, onnx.TensorProto
    nodes = [
        ("MatMul", ["x", "w"], "h"),
        ("Tanh", ["h"], "t"),
        ("Cast", ["mask"], "f", {"to": 1}),
        ("Unsqueeze", ["f", "last"], "u"),
        ("Mul", ["t", "u"], "m"),
        ("ReduceSum", ["m", "slots"], "s", {"keepdims": 0}),
        ("MatMul", ["s", "v"], "z"),
        ("Sigmoid", ["z"], "y"),
    ]
    constants = {"w": W, "v": V, "last": np.array([2]), "slots": np.array([1])}
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(kind, given, [made], **dict(*rest)) for kind, given, made, *rest in nodes],
        "net",
        [info("x", types.FLOAT, (None, SLOTS, 2)), info("mask", types.BOOL, (None, SLOTS))],
        [info("y", types.FLOAT, (None, 1))],
        [onnx.numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8), path)


def write_tree(path, first, seed):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 8, N_JETS)
    pt, eta = rng.exponential(5, counts.sum()) + 0.5, rng.normal(size=counts.sum())
    clusters = {"pt": pt, "eta": eta, "energy": pt * np.cosh(eta), "phi": rng.uniform(-3, 3, counts.sum())}
    branches = {f"clusters_{n}": ak.unflatten(x.astype(np.float32), counts) for n, x in clusters.items()}
    branches["clusters_taste"] = ak.unflatten(rng.integers(0, 2, counts.sum()).astype(np.int32), counts)
    branches["pt"] = rng.uniform(20, 200, N_JETS).astype(np.float32)
    branches["event"] = np.arange(first, first + N_JETS)
    with uproot.recreate(path) as file:
        file.mktree("Events", {n: x.type if isinstance(x, ak.Array) else x.dtype for n, x in branches.items()})
        file["Events"].extend(branches)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("weights") / "run"
    directory.mkdir()
    for number, name in enumerate(("top", "qcd_0", "qcd_1")):
        write_tree(directory / f"{name}.root", 10_000 * number, number)
    write_network(directory / "set.onnx")
    with uproot.recreate(directory / "maps.root") as file:
        for name, value in (("Scale", 1), ("Mean", 1 + MEAN), ("RMS", 1)):
            file[name] = np.full((2, 1), value, dtype=float), np.array([0, 50, 1000.0]), np.array([0, 5.0])
    samples = {"top": {"files": "top.root"}, "qcd": {"files": "qcd_*.root"}}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)  # the paths of the configuration
        run_in_process(CONFIG | {"samples": samples, "output_dir": "results"}, last="write")
    return directory


def expected(directory, factor):
    """Return the weight of each event of a split, jet by jet; neutral clusters times a factor."""
    found = {}
    for path in directory.glob("*[pq0-9].root"):
        with uproot.open(path) as file:
            jets = file["Events"].arrays().to_list()
        for jet in jets:
            pts = [p * (factor if t else 1) for p, t in zip(jet["clusters_pt"], jet["clusters_taste"], strict=True)]
            rows = sorted(((p, eta) for p, eta in zip(pts, jet["clusters_eta"], strict=True) if p > 1), reverse=True)
            total = sum((np.tanh(np.array([np.log(p), eta]) @ W) for p, eta in rows[:SLOTS]), np.zeros(3))
            if jet["pt"] > 30:
                # The odds of a sigmoid are the exponential of what is in it.
                found[jet["event"]] = float(np.exp(total @ V)[0])
    return found


@pytest.mark.parametrize(
    ("output", "remainders", "factor"),
    [("train", (2, 3), 1), ("test", (0,), 1), ("variations/energy_scale_up/test", (0,), 1 + MEAN)],
)
def test_weights(run, output, remainders, factor):
    wanted = {e: w for e, w in expected(run, factor).items() if e % 4 in remainders}
    assert len(wanted) > 200
    with h5py.File(run / f"results/{output}.h5") as file:
        events = file["jets/event/event"][()].tolist()
        inputs, weights = file["jets/inputs"][:, 1], file["jets/weight"][()]
    assert sorted(events) == sorted(wanted)
    values = [wanted[event] for event in events]
    assert inputs == pytest.approx(values, rel=1e-4)
    assert weights == pytest.approx(values, rel=1e-4)


def test_the_variation_changes_weights(run):
    nominal, varied = expected(run, 1), expected(run, 1 + MEAN)
    assert sum(abs(nominal[e] - varied[e]) > 0.01 * nominal[e] for e in nominal) > 200
