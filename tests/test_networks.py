"""Networks in ONNX format against their formula; the models are made here."""

import h5py
import numpy as np
import pytest

from jetmill import networks
from jetmill.config_checks import load
from jetmill.errors import JetmillError
from jetmill.networks import Network, odds
from jetmill.stages.clean import clean_batch

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
def test_batches_do_not_matter(net, monkeypatch, size):
    x = RNG.normal(size=(50, 3)).astype(np.float32)
    monkeypatch.setattr(networks, "BATCH_JETS", size)
    assert Network(net, 3)(x, 1) == pytest.approx(formula(x)[:, 1], abs=1e-6)


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


def test_a_missing_file_is_told_with_the_configuration(tmp_path):
    with pytest.raises(JetmillError, match=r"^jets\.networks\.0\.file: .*gone\.onnx: no such file$"):
        load(config(tmp_path / "gone.onnx"))


def test_another_file_of_the_same_name_is_another_setting(net):
    before = load(config(net)).cleaning.model_dump()
    assert load(config(net)).cleaning.model_dump() == before
    net.write_bytes(net.read_bytes() + b" ")
    assert load(config(net)).cleaning.model_dump() != before
