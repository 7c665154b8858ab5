"""Networks in ONNX format against their formula; the models are made here."""

import h5py
import numpy as np
import pytest
from batches import clean_batch

from jetmill.cleaning.cleaner import Cleaner
from jetmill.columns.schema import variable
from jetmill.config.load import load
from jetmill.errors import JetmillError
from jetmill.variables.networks import ConstituentNetwork, Network, odds

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.readers

RNG = np.random.default_rng(4)
WEIGHTS = RNG.normal(size=(3, 2)).astype(np.float32)
BIAS = np.array([0.1, -0.2], dtype=np.float32)


def model(path, nodes, *, inputs=(("x", [None, 3]),), outputs=(("y", [None, 2]),), constants=None):
    """Write a network."""
    floats = onnx.TensorProto.FLOAT
    given = {"w": WEIGHTS, "b": BIAS} if constants is None else constants
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(*node[:3], **(node[3] if len(node) > 3 else {})) for node in nodes],
        "net",
        [onnx.helper.make_tensor_value_info(name, floats, shape) for name, shape in inputs],
        [onnx.helper.make_tensor_value_info(name, floats, shape) for name, shape in outputs],
        [onnx.numpy_helper.from_array(values, name) for name, values in given.items()],
    )
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(made, path)
    return path


DENSE = [("MatMul", ["x", "w"], ["m"]), ("Add", ["m", "b"], ["a"]), ("Sigmoid", ["a"], ["y"])]


@pytest.fixture
def net(tmp_path):
    return model(tmp_path / "net.onnx", DENSE)


def formula(x):
    return 1 / (1 + np.exp(-(x.astype(np.float64) @ WEIGHTS + BIAS)))


def test_columns_and_odds(net):
    x = RNG.normal(size=(50, 3)).astype(np.float32)
    network = Network(net, 3)
    for column in (0, 1):
        p = network(x, column)
        assert (p.dtype, p.shape) == (np.float64, (50,))
        assert p == pytest.approx(formula(x)[:, column], abs=1e-6)
        assert odds(p) == pytest.approx(p / (1 - p), rel=1e-12)
    assert network(x.astype(np.float64), 0) == pytest.approx(formula(x)[:, 0], abs=1e-6)


def test_odds_at_the_ends():
    found = odds(np.array([0, 0.5, 0.75, 1, np.nan]))
    assert found == pytest.approx([0, 1, 3, np.nan, np.nan], nan_ok=True)


@pytest.mark.parametrize("size", [1, 7, 50, 51, 65_536])
def test_batches_do_not_matter(net, size):
    x = RNG.normal(size=(50, 3)).astype(np.float32)
    assert Network(net, 3, batch_jets=size)(x, 1) == pytest.approx(formula(x)[:, 1], abs=1e-6)


def test_no_jets(net):
    assert Network(net, 3)(np.empty((0, 3)), 1).shape == (0,)


def test_missing_values_stay_missing(net):
    x = np.array([[1, 2, 3], [1, np.nan, 3]])
    assert np.isnan(Network(net, 3)(x, 0)).tolist() == [False, True]


def test_one_output_per_jet(tmp_path):
    nodes = [("ReduceSum", ["x", "axis"], ["y"], {"keepdims": 0})]
    path = model(tmp_path / "n.onnx", nodes, outputs=[("y", [None])], constants={"axis": np.array([1])})
    x = RNG.normal(size=(9, 3)).astype(np.float32)
    assert Network(path, 3)(x, 0) == pytest.approx(x.sum(axis=1), rel=1e-5, abs=1e-6)
    with pytest.raises(JetmillError, match="has 1 outputs, so there is no column 1"):
        Network(path, 3)(x, 1)


def test_an_output_that_is_not_per_jet(tmp_path):
    """One number for a whole batch would be given to whoever comes first."""
    path = model(tmp_path / "n.onnx", [("ReduceMean", ["x"], ["y"], {"keepdims": 0})], outputs=[("y", [])])
    with pytest.raises(JetmillError, match=r"n\.onnx"):
        Network(path, 3)(np.ones((4, 3)), 0)


def test_a_column_that_is_not_there(net):
    with pytest.raises(JetmillError, match=r"net\.onnx: has 2 outputs, so there is no column 2"):
        Network(net, 3)(np.ones((4, 3)), 2)


def test_another_number_of_variables(net):
    with pytest.raises(JetmillError, match=r"its input 'x' has shape .*, but there are 2 variables: \(jets, 2\) is"):
        Network(net, 2)


def test_a_number_of_variables_that_only_running_tells(tmp_path):
    path = model(tmp_path / "free.onnx", DENSE, inputs=[("x", ["jets", "variables"])])
    network = Network(path, 2)
    with pytest.raises(JetmillError, match=r"free\.onnx: cannot be run \("):
        network(np.ones((4, 2)), 0)


def test_two_inputs(tmp_path):
    inputs = [("x", [None, 3]), ("z", [None, 3])]
    path = model(tmp_path / "two.onnx", [("Add", ["x", "z"], ["y"])], inputs=inputs, outputs=[("y", [None, 3])])
    with pytest.raises(JetmillError, match=r"has 2 inputs \(x, z\); one is expected"):
        Network(path, 3)


@pytest.mark.parametrize("content", [b"", b"no network", None])
def test_a_damaged_file(net, content):
    net.write_bytes(net.read_bytes()[:100] if content is None else content)
    with pytest.raises(JetmillError, match=r"net\.onnx: not a readable ONNX file \("):
        Network(net, 3)


def test_a_missing_file(tmp_path):
    with pytest.raises(JetmillError, match=r"gone\.onnx"):
        Network(tmp_path / "gone.onnx", 3)


# --- in cleaning ---


def config(path, **network):
    network = {"name": "w", "file": str(path), "variables": ["pt", "eta", "half"], "column": 1} | network
    return {
        "samples": {"tt": {"files": "-"}},
        "input": {"format": "hdf5"},
        "jets": {
            "units": {"pt": 0.001},
            "define": {"half": "pt / 2"},
            "networks": [network],
            "variables": ["pt", "w"],
            "select": [{"cut": "w > 0.2", "missing": "keep"}],
        },
        "classes": {"b": "rest"},
        "balance": {"bins": {"pt": [0, 100, 4]}},
    }


@pytest.mark.parametrize("with_odds", [False, True])
def test_a_network_in_cleaning(net, tmp_path, with_odds):
    jets = np.zeros(200, [("pt", "f4"), ("eta", "f4"), ("eventNumber", "u8")])
    jets["pt"], jets["eta"] = RNG.uniform(0, 3000, 200), RNG.normal(size=200)
    jets["eta"][::10] = np.nan
    jets["eventNumber"] = np.arange(200)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["jets"] = jets
    settings = load(config(net, odds=with_odds)).cleaning
    clean_batch([tmp_path / "a.h5"], tmp_path / "c.h5", settings=settings, sample="tt", first_file=0)
    pt, eta = jets["pt"] / 1000, jets["eta"]
    p = formula(np.stack([pt, eta, pt / 2], axis=1))[:, 1]
    expected = p / (1 - p) if with_odds else p
    kept = np.isnan(expected) | (expected > 0.2)
    assert (~kept).sum() > 0
    with h5py.File(tmp_path / "c.h5") as file:
        event, found = file["event/eventNumber"][()], file["variables/w"][()]
        assert found.dtype == np.float32
    order = np.argsort(event)
    assert event[order].tolist() == np.flatnonzero(kept).tolist()
    assert found[order] == pytest.approx(expected[kept], rel=1e-4, abs=1e-6, nan_ok=True)


def test_a_missing_file_is_reported_with_the_configuration(tmp_path):
    with pytest.raises(JetmillError, match=r"^jets\.networks\.0\.file: .*gone\.onnx: no such file$"):
        load(config(tmp_path / "gone.onnx"))


def test_another_file_of_the_same_name_is_another_setting(net):
    before = load(config(net)).cleaning
    assert load(config(net)).cleaning == before
    net.write_bytes(net.read_bytes() + b" ")
    assert load(config(net)).cleaning != before


# --- of constituents ---

W3 = RNG.normal(size=(3, 4)).astype(np.float32)
V3 = RNG.normal(size=(4, 2)).astype(np.float32)
B3 = np.array([0.3, -0.4, 0.5, 0.2], dtype=np.float32)
# Each constituent by itself, those that the mask leaves added up, then to two numbers for each jet.
SET = [
    ("MatMul", ["x", "w"], ["h"]),
    ("Add", ["h", "b"], ["a"]),
    ("Tanh", ["a"], ["t"]),
    ("Cast", ["mask"], ["f"], {"to": 1}),
    ("Unsqueeze", ["f", "last"], ["u"]),
    ("Mul", ["t", "u"], ["m"]),
    ("ReduceSum", ["m", "slots"], ["s"], {"keepdims": 0}),
    ("MatMul", ["s", "v"], ["z"]),
    ("Sigmoid", ["z"], ["y"]),
]
SET_CONSTANTS = {"w": W3, "v": V3, "b": B3, "last": np.array([2]), "slots": np.array([1])}
# Weights that tell the slots apart.
PER_SLOT = np.array([1, 10, 100, 1000, 10_000], dtype=np.float32)
SLOTS = [("MatMul", ["x", "w"], ["h"], {}), ("Squeeze", ["h", "last"], ["q"], {}), ("MatMul", ["q", "v"], ["y"], {})]


def set_model(path, *, slots=5, mask="BOOL", shape=None, constants=SET_CONSTANTS):
    kinds = {"x": "FLOAT", "mask": mask}
    return typed_model(
        path,
        SET,
        {"x": (None, slots, 3) if shape is None else shape, "mask": (None, slots)},
        (None, 2),
        kinds,
        constants,
    )


def slot_model(path, *, slots=5, **kinds):
    """Write a network without a mask: the first variable and twice the second, times powers of ten by slot."""
    constants = {"w": np.array([[1], [2]], dtype=np.float32), "v": PER_SLOT[:slots, None], "last": np.array([2])}
    return typed_model(path, SLOTS, {"x": (None, slots, 2)}, (None, 1), kinds, constants)


def typed_model(path, nodes, inputs, output, kinds, constants):
    info, tensor = onnx.helper.make_tensor_value_info, onnx.TensorProto
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(*node[:3], **(node[3] if len(node) > 3 else {})) for node in nodes],
        "net",
        [info(name, getattr(tensor, kinds.get(name, "FLOAT")), shape) for name, shape in inputs.items()],
        [info("y", tensor.FLOAT, output)],
        [onnx.numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def set_formula(rows):
    """Compute the two numbers of one jet from its constituents (n, 3), none of which is padding."""
    total = np.zeros(4)
    for row in rows:
        total += np.tanh(np.asarray(row, dtype=np.float64) @ W3 + B3)
    return 1 / (1 + np.exp(-(total @ V3)))


def ragged(n_jets, v, most=9, seed=1):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, most, n_jets)
    return rng.normal(size=(counts.sum(), v)).astype(np.float32), counts


def of_each(values, counts):
    return np.split(values, np.cumsum(counts)[:-1])


@pytest.mark.parametrize("mask", ["BOOL", "FLOAT"])
@pytest.mark.parametrize("limits", [{"batch_values": n} for n in (1, 15, 16, 1000)] + [{}], ids=str)
def test_a_set_of_constituents(tmp_path, mask, limits):
    """Only the mask marks padding: the bias gives a row of zeros an output of its own."""
    values, counts = ragged(83, 3)
    assert (counts == 0).any()
    assert (counts > 5).any()
    path = set_model(tmp_path / "set.onnx", mask=mask)
    network = ConstituentNetwork(path, "tracks", ["a", "b", "c"], 5, **limits)
    expected = np.array([set_formula(rows[:5]) for rows in of_each(values, counts)])
    for column in (0, 1):
        found = network(values, counts, column)
        assert (found.dtype, found.shape) == (np.float64, (83,))
        assert found == pytest.approx(expected[:, column], abs=1e-6)


def test_a_batch_is_bounded(tmp_path):
    """The network adds up ones over all inputs that it gets at a time."""
    values, counts = ragged(83, 3)
    constants = {"zero": np.float32([0]), "one": np.float32([1]), "flat": np.array([-1]), "of_jet": np.array([1, 2])}
    nodes = [
        ("Mul", ["x", "zero"], ["zeros"]),
        ("Add", ["zeros", "one"], ["ones"]),
        ("ReduceSum", ["ones"], ["n"]),
        ("Reshape", ["n", "flat"], ["inputs"]),
        ("ReduceSum", ["zeros", "of_jet"], ["of_jets"], {"keepdims": 0}),
        ("Add", ["of_jets", "inputs"], ["y"]),
    ]
    path = typed_model(tmp_path / "s.onnx", nodes, {"x": (None, 5, 3)}, (None,), {}, constants)
    network = ConstituentNetwork(path, "tracks", ["a", "b", "c"], 5, batch_values=150)
    assert network(values, counts, 0).tolist() == [150] * 80 + [45] * 3


def test_slots_in_order_and_zeros_behind(tmp_path):
    network = ConstituentNetwork(slot_model(tmp_path / "s.onnx"), "tracks", ["a", "b"], 5)
    values = np.array([[1, 0], [2, 0], [0, 2], [7, 0], [np.nan, 3], [5, np.nan], [np.inf, 1]], dtype=np.float32)
    counts = np.array([3, 0, 1, 3])
    expected = [1 + 20 + 400, 0, 7, 6 + 50 + 200]
    assert network(values, counts, 0).tolist() == expected


def test_slots_that_the_file_leaves_open(tmp_path):
    values, counts = ragged(20, 3)
    path = set_model(tmp_path / "s.onnx", slots="slots", shape=["jets", "slots", "variables"])
    for slots in (1, 4, 30):
        expected = [set_formula(rows[:slots])[1] for rows in of_each(values, counts)]
        assert ConstituentNetwork(path, "tracks", ["a", "b", "c"], slots)(values, counts, 1) == pytest.approx(
            expected, abs=1e-6
        )


def test_no_jets_with_constituents(tmp_path):
    network = ConstituentNetwork(slot_model(tmp_path / "s.onnx"), "tracks", ["a", "b"], 5)
    assert network(np.empty((0, 2), np.float32), np.empty(0, np.int64), 0).shape == (0,)
    assert network(np.empty((0, 2), np.float32), np.zeros(3, np.int64), 0).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("slots", "variables", "wanted"),
    [
        (
            5,
            ["pt", "eta"],
            r"input 'x' has shape \(any, 5, 3\), but there are 5 slots of tracks with 2 variables \(pt, eta",
        ),
        (4, ["pt", "eta", "phi"], r"4 slots of tracks with 3 variables \(pt, eta, phi\): \(jets, 4, 3\) is expected"),
    ],
)
def test_another_number_of_slots_or_variables(tmp_path, slots, variables, wanted):
    path = set_model(tmp_path / "set.onnx")
    with pytest.raises(JetmillError, match=wanted) as error:
        ConstituentNetwork(path, "tracks", variables, slots)
    assert str(error.value).startswith(f"{path}: ")


def test_a_network_of_jets_given_constituents(net):
    with pytest.raises(
        JetmillError, match=r"net\.onnx: its input 'x' has shape \(any, 3\).* \(jets, 5, 3\) is expected"
    ):
        ConstituentNetwork(net, "tracks", ["a", "b", "c"], 5)


def test_a_network_for_one_jet_at_a_time(tmp_path):
    path = set_model(tmp_path / "set.onnx", shape=(1, 5, 3))
    with pytest.raises(JetmillError, match=r"has shape \(1, 5, 3\).*for any number of jets"):
        ConstituentNetwork(path, "tracks", ["a", "b", "c"], 5)


@pytest.mark.parametrize(
    ("inputs", "kinds", "wanted"),
    [
        ({"x": (None, 5, 2), "mask": (None, 4)}, {}, r"its input 'mask' has shape \(any, 4\).*\(jets, 5\) is expected"),
        ({"mask": (None, 5), "x": (None, 5, 2)}, {}, r"its input 'mask' has shape \(any, 5\).*\(jets, 5, 2\) is"),
        (
            {"x": (None, 5, 2), "mask": (None, 5)},
            {"mask": "INT64"},
            r"'mask' is tensor\(int64\); tensor\(bool\) or ten",
        ),
        ({"x": (None, 5, 2)}, {"x": "DOUBLE"}, r"its input 'x' is tensor\(double\); tensor\(float\) is expected"),
        (
            {"x": (None, 5, 2), "y1": (None, 5), "z": (None, 5)},
            {},
            r"has 3 inputs \(x, y1, z\); one is expected, and a",
        ),
    ],
)
def test_inputs_that_are_not_constituents_and_a_mask(tmp_path, inputs, kinds, wanted):
    nodes = [("Cast", [name], [f"of_{name}"], {"to": 1}) for name in inputs]
    nodes.append(("ReduceSum", ["of_x", "axes"], ["y"], {"keepdims": 0}))
    path = typed_model(tmp_path / "n.onnx", nodes, inputs, (None,), kinds, {"axes": np.array([1, 2])})
    with pytest.raises(JetmillError, match=rf"n\.onnx: .*{wanted}"):
        ConstituentNetwork(path, "tracks", ["a", "b"], 5)


def test_an_output_for_each_constituent(tmp_path):
    """Its columns would be those of the first constituents."""
    nodes = [("Sigmoid", ["x"], ["y"], {})]
    path = typed_model(tmp_path / "n.onnx", nodes, {"x": (None, 5, 2)}, (None, 5, 2), {}, {})
    network = ConstituentNetwork(path, "tracks", ["a", "b"], 5)
    with pytest.raises(
        JetmillError, match=r"n\.onnx: its first output is float32 of shape \(3, 5, 2\); a float for each"
    ):
        network(*ragged(3, 2), 0)


def test_a_column_of_constituents_that_is_not_there(tmp_path):
    network = ConstituentNetwork(slot_model(tmp_path / "n.onnx"), "tracks", ["a", "b"], 5)
    with pytest.raises(JetmillError, match=r"n\.onnx: has 1 outputs, so there is no column 1"):
        network(*ragged(3, 2), 1)


# --- of constituents, in cleaning ---


def dump(path, n=150, slots=9):
    """Write jets with tracks in any order; return them."""
    rng = np.random.default_rng(8)
    jets = np.zeros(n, [("pt", "f4"), ("m", "f4"), ("flavour", "i4"), ("eventNumber", "u8")])
    jets["m"] = np.arange(n) / 10
    jets["pt"], jets["eventNumber"] = rng.uniform(20e3, 90e3, n).round(), np.arange(n)
    jets["flavour"] = rng.choice([0, 5], n)
    tracks = np.zeros((n, slots), [("pt", "f4"), ("d0", "f4"), ("q", "i1"), ("valid", "?")])
    tracks["pt"], tracks["d0"] = rng.exponential(3000, (n, slots)), rng.normal(size=(n, slots))
    tracks["q"] = rng.choice([-1, 1], (n, slots))
    tracks["d0"][rng.random((n, slots)) < 0.1] = -999
    tracks["valid"] = np.arange(slots) < rng.integers(0, slots + 1, n)[:, None]
    with h5py.File(path, "w") as file:
        file["jets"], file["tracks"] = jets, tracks
    return jets, tracks


def of_constituents(path, **network):
    network = {"name": "w", "file": str(path), "constituents": "tracks", "variables": ["share", "d0", "q"]} | network
    return {
        "samples": {"tt": {"files": "-"}},
        "input": {"format": "hdf5"},
        "jets": {"units": {"pt": 0.001}, "variables": ["pt", "w"], "networks": [network], "select": ["pt > 30"]},
        "constituents": {
            "tracks": {
                "units": {"pt": 0.001},
                "missing": {"values_of": {"d0": [-999]}},
                "define": {"share": "pt / jet_pt"},
                "select": ["pt > 0.5"],
                "sort_by": "pt",
                "max": 5,
                "variables": ["pt"],
            }
        },
        "classes": {"b": "flavour == 5", "light": "rest"},
        "balance": {"bins": {"w": [0, 1, 4], "pt": [20, 90, 2]}, "event_weights": ["w"]},
    }


def rows_of(jet, tracks, most):
    """Return shares, d0 and charges of the tracks of a jet as the configuration above has them, the hardest first."""
    pt = float(jet["pt"]) / 1000
    rows = [(float(t["pt"]) / 1000, float(t["d0"]), int(t["q"])) for t in tracks if t["valid"] and t["pt"] > 500]
    rows = sorted(rows, key=lambda row: -row[0])[:most]
    return [(p / pt, 0 if d0 == -999 else d0, q) for p, d0, q in rows]


@pytest.mark.parametrize("with_odds", [False, True])
@pytest.mark.parametrize("slots", [None, 3, 8])
def test_a_network_of_constituents_in_cleaning(tmp_path, with_odds, slots):
    """Selected, with what is defined, sorted and truncated; variables that are not stored too."""
    jets, tracks = dump(tmp_path / "a.h5")
    path = set_model(tmp_path / "set.onnx", slots=5 if slots is None else slots)
    raw = of_constituents(path, column=1, odds=with_odds, slots=slots)
    raw["input"] |= {"chunk_bytes": 5000}
    settings = load(raw).cleaning
    clean_batch([tmp_path / "a.h5"], tmp_path / "c.h5", settings=settings, sample="tt", first_file=0)
    most = 3 if slots == 3 else 5
    expected = {}
    for jet, of_jet in zip(jets, tracks, strict=True):
        if jet["pt"] > 30_000:
            p = set_formula(rows_of(jet, of_jet, most))[1]
            expected[int(jet["eventNumber"])] = p / (1 - p) if with_odds else p
    assert 50 < len(expected) < 150
    with h5py.File(tmp_path / "c.h5") as file:
        events, types = (
            file["event/eventNumber"][()].tolist(),
            {file[n].dtype.name for n in ("variables/w", "event_weights/w")},
        )
        of_variable, of_weight = file["variables/w"][()], file["event_weights/w"][()]
        assert list(file["constituents/tracks/variables"]) == ["pt"]
    assert types == {"float32"}
    assert sorted(events) == sorted(expected)
    assert of_variable == pytest.approx([expected[event] for event in events], rel=1e-4, abs=1e-6)
    assert of_weight.tolist() == of_variable.tolist()


def test_missing_values_of_its_output(tmp_path):
    dump(tmp_path / "a.h5")
    path = slot_model(tmp_path / "s.onnx")
    raw = of_constituents(path, variables=["q", "q"])
    raw["jets"]["missing"] = {"values_of": {"w": [0]}}
    raw["constituents"]["tracks"] |= {"select": [], "missing": {}}
    clean_batch([tmp_path / "a.h5"], tmp_path / "c.h5", settings=load(raw).cleaning, sample="tt", first_file=0)
    with h5py.File(tmp_path / "c.h5") as file:
        counts, w = np.diff(file["constituents/tracks/offsets"][()]), file["variables/w"][()]
    assert (counts == 0).any()
    assert np.isnan(w).tolist() == (counts == 0).tolist()


def test_an_output_that_is_a_slot_of_a_track(tmp_path):
    """It is missing where the jet has no such track: here, flavour 0 of 0 and 5."""
    dump(tmp_path / "a.h5")
    raw = of_constituents(set_model(tmp_path / "s.onnx"), name="track_3")
    raw["jets"] |= {"missing": {"slots": {"flavour": ["track"]}}, "variables": ["pt", "track_3"]}
    raw["balance"] = {"bins": {"pt": [20, 90, 2]}}
    clean_batch([tmp_path / "a.h5"], tmp_path / "c.h5", settings=load(raw).cleaning, sample="tt", first_file=0)
    with h5py.File(tmp_path / "c.h5") as file:
        labels, missing = file["label"][()], np.isnan(file["variables/track_3"][()])
    assert missing.any()
    assert missing.tolist() == (labels == 1).tolist()


def test_a_stream_has_the_same(tmp_path):
    """The cleaner alone, as a stream uses it: its columns hold the output too."""
    jets, tracks = dump(tmp_path / "a.h5")
    cleaner = Cleaner(load(of_constituents(set_model(tmp_path / "set.onnx"))).cleaning, "tt")
    with cleaner.open(str(tmp_path / "a.h5"), 0) as file:
        ((_, columns, _),) = file.chunks()
    kept = jets["pt"] > 30_000
    expected = [set_formula(rows_of(jet, of, 5))[0] for jet, of in zip(jets[kept], tracks[kept], strict=True)]
    assert columns[variable("w")] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("key", ["balance.bins", "balance.event_weights", "jets.variables"])
def test_each_use_alone(tmp_path, key):
    raw = of_constituents(set_model(tmp_path / "set.onnx"))
    raw["jets"]["variables"], raw["balance"] = ["pt"], {"bins": {"pt": [20, 90, 2]}}
    section, name = key.split(".")
    raw[section][name] = {"w": [0, 1, 2]} if name == "bins" else ["w"]
    dump(tmp_path / "a.h5")
    clean_batch([tmp_path / "a.h5"], tmp_path / "c.h5", settings=load(raw).cleaning, sample="tt", first_file=0)
    with h5py.File(tmp_path / "c.h5") as file:
        assert ("w" in file["variables"], "event_weights" in file) == (name != "event_weights", name == "event_weights")


LATE = "uses 'w', which a network makes of constituents, and those are read when all cuts are done;"


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"jets": {"select": ["pt > 30", "w > 0.2"]}}, f"jets.select.1: {LATE}"),
        ({"classes": {"b": "w > 0.5", "light": "rest"}}, f"classes.b: {LATE}"),
        ({"jets": {"define": {"x": "w * 2"}}}, f"jets.define.x: {LATE}"),
        ({"jets": {"transforms": [{"name": "cartesian", "roles": {"pt": "w"}}]}}, f"jets.transforms.0: {LATE}"),
        ({"tracks": {"define": {"share": "pt / jet_w"}}}, f"constituents.tracks: {LATE}"),
        ({"tracks": {"variables": ["pt", "jet_w"]}}, f"constituents.tracks: {LATE}"),
        (
            {"network": {"constituents": "track"}, "tracks": {"missing": {}}},
            "jets.networks.0.constituents: 'track' is not in constituents. Did you",
        ),
        ({"network": {"constituents": None, "slots": 3}}, "jets.networks.0: slots is for a network of constituents"),
        ({"network": {"slots": 0}}, "jets.networks.0.slots: "),
        ({"network": {"variables": ["d0", "jet_w"]}}, f"jets.networks.0: {LATE}"),
        ({"more": {"variables": ["w"]}}, f"jets.networks.1: {LATE}"),
        ({"more": {"variables": ["jet_w"], "constituents": "tracks"}}, f"jets.networks.1: {LATE}"),
        (
            {"tracks": {"units": {"d_0": 2}}},
            "constituents.tracks.units: nothing reads a variable 'd_0'. Did you mean 'd0'",
        ),
    ],
)
def test_what_cannot_be(tmp_path, change, wanted):
    path = set_model(tmp_path / "set.onnx")
    raw = of_constituents(path, **change.pop("network", {}))
    if "more" in change:
        raw["jets"]["networks"].append({"name": "w2", "file": str(path)} | change.pop("more"))
    raw["constituents"]["tracks"] |= change.pop("tracks", {})
    for section, values in change.items():
        raw[section] |= values
    with pytest.raises(JetmillError) as error:
        load(raw)
    assert str(error.value).startswith(wanted)
    assert len(str(error.value).splitlines()) == 1


def test_ranks_cannot_use_it(tmp_path):
    raw = of_constituents(set_model(tmp_path / "set.onnx"))
    raw["input"] = {"event_id": ["event"]}
    raw["jets"]["rank_by"] = "w"
    with pytest.raises(JetmillError) as error:
        load(raw)
    assert str(error.value).startswith(f"jets.rank_by: {LATE}")


def test_units_and_missing_of_what_the_network_alone_reads(tmp_path):
    raw = of_constituents(set_model(tmp_path / "set.onnx"))
    raw["constituents"]["tracks"] |= {"units": {"d0": 10, "pt": 0.001}, "missing": {"values_of": {"q": [1]}}}
    jets, tracks = dump(tmp_path / "a.h5")
    for event, w in outputs(tmp_path, raw):
        used = sorted((t for t in tracks[event] if t["valid"] and t["pt"] > 500), key=lambda t: -t["pt"])[:5]
        rows = [(t["pt"] / jets["pt"][event], 10 * t["d0"], 0 if t["q"] == 1 else t["q"]) for t in used]
        assert w == pytest.approx(set_formula(rows)[0], rel=1e-4, abs=1e-6)


def outputs(tmp_path, raw):
    """Clean the dump and return pairs of event and output of the network."""
    clean_batch([tmp_path / "a.h5"], tmp_path / "c.h5", settings=load(raw).cleaning, sample="tt", first_file=0)
    with h5py.File(tmp_path / "c.h5") as file:
        events, found = file["event/eventNumber"][()], file["variables/w"][()]
    assert len(events) > 50
    return zip(events, found, strict=True)


def test_variables_of_the_jet_that_the_network_alone_reads(tmp_path):
    raw = of_constituents(slot_model(tmp_path / "s.onnx"), variables=["q", "jet_m"])
    raw["constituents"]["tracks"] |= {"sort_by": None, "missing": {}}
    _, tracks = dump(tmp_path / "a.h5")
    for event, w in outputs(tmp_path, raw):
        charges = [int(t["q"]) for t in tracks[event] if t["valid"] and t["pt"] > 500][:5]
        assert w == pytest.approx(sum(10**k * (q + 2 * event / 10) for k, q in enumerate(charges)), rel=1e-5)


def test_a_wrong_network_is_reported_before_a_file_is_read(tmp_path):
    path = set_model(tmp_path / "set.onnx", slots=4)
    with pytest.raises(JetmillError, match=r"set\.onnx: its input 'x' has shape \(any, 4, 3\), but there are 5 slots"):
        clean_batch(
            [tmp_path / "gone.h5"],
            tmp_path / "c.h5",
            settings=load(of_constituents(path)).cleaning,
            sample="tt",
            first_file=0,
        )
