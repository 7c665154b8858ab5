"""Variations of one's own, against loops over the jets of the file."""

import h5py
import numpy as np
import pytest
from batches import clean_batch

from jetmill.config.load import load
from jetmill.errors import JetmillError

N, SLOTS = 600, 5


@pytest.fixture(scope="module")
def dump(tmp_path_factory):
    """A dump, and its jets and tracks."""
    path, rng = tmp_path_factory.mktemp("dump") / "a.h5", np.random.default_rng(3)
    jets = np.zeros(N, [("pt", "f4"), ("mass", "f4"), ("eventNumber", "i8")])
    jets["pt"], jets["mass"], jets["eventNumber"] = rng.uniform(10, 60, N), rng.uniform(1, 9, N), np.arange(N)
    tracks = np.zeros((N, SLOTS), [("pt", "f4"), ("d0", "f4"), ("number", "i4"), ("valid", "?")])
    tracks["pt"], tracks["d0"] = rng.uniform(1, 9, (N, SLOTS)), rng.normal(size=(N, SLOTS))
    tracks["number"], tracks["valid"] = np.arange(N * SLOTS).reshape(N, SLOTS), rng.random((N, SLOTS)) < 0.7
    with h5py.File(path, "w") as file:
        file["jets"], file["tracks"] = jets, tracks
    return path, jets, tracks


def config(dump, variation, **more):
    return {
        "samples": {"tt": {"files": [str(dump[0])]}},
        "input": {"format": "hdf5"},
        "jets": {"variables": ["pt", "ratio"], "define": {"ratio": "mass / pt"}, "select": ["pt > 20"]} | more,
        "constituents": {"tracks": {"variables": ["pt", "d0", "number"], "select": ["pt > 2"]}},
        "classes": {"all": "rest"},
        "systematics": {"collection": "tracks", "variations": [{"name": "mine"} | variation]},
        "balance": {"bins": {"pt": [0, 100, 1]}},
    }


def clean(raw, path):
    """Clean the varied jets; return event number to the variables of the jet and the list of its tracks."""
    settings = load(raw).varied("mine")
    files = raw["samples"]["tt"]["files"]
    clean_batch(files, path, settings=settings, sample="tt", first_file=0)
    with h5py.File(path) as file:
        ends = file["constituents/tracks/offsets"][()]
        tracks = list(
            zip(*(file[f"constituents/tracks/variables/{n}"][()] for n in ("pt", "d0", "number")), strict=True)
        )
        jets = list(zip(*(file[f"variables/{n}"][()] for n in ("pt", "ratio")), strict=True))
        events = file["event/eventNumber"][()].tolist()
    return {e: (jets[i], tracks[ends[i] : ends[i + 1]]) for i, e in enumerate(events)}


def test_a_scale_of_jets_reaches_cuts_and_what_is_computed(dump, tmp_path):
    found = clean(config(dump, {"jets": {"pt": "1.1 * pt", "mass": "mass + pt"}}), tmp_path / "c.h5")
    wanted = {}
    for jet in dump[1]:
        pt, mass = np.float32(1.1 * float(jet["pt"])), float(jet["mass"]) + float(jet["pt"])
        if 1.1 * float(jet["pt"]) > 20:
            wanted[int(jet["eventNumber"])] = (pt, mass / (1.1 * float(jet["pt"])))
    assert found.keys() == wanted.keys()
    for event, (jet, _) in found.items():
        np.testing.assert_allclose(jet, wanted[event], rtol=1e-6)
    assert any(jet["pt"] < 20 for jet in dump[1][list(found)])


@pytest.mark.parametrize("count_first", [False, True])
def test_constituents_by_expression_plugin_and_loss(dump, tmp_path, count_first):
    (tmp_path / "mine.py").write_text(
        "def shift(tracks, jets):\n    return {'d0': tracks['d0'] + jets['pt'][tracks['jet']]}\n"
    )
    shift = {"plugin": str(tmp_path / "mine.py"), "function": "shift", "reads": ["d0"], "reads_jets": ["pt"]}
    variation = {"transforms": [shift | {"makes": ["d0"]}], "constituents": {"pt": "pt + d0 / 100"}, "keep": "d0 < 50"}
    more = {"define": {"ratio": "mass / pt", "n": "count(tracks)"}} if count_first else {}
    found = clean(config(dump, variation, **more), tmp_path / "c.h5")
    for event, (_, tracks) in found.items():
        jet, of_jet = dump[1][event], dump[2][event]
        wanted = []
        for track in of_jet[of_jet["valid"]]:
            d0 = np.float32(track["d0"] + jet["pt"])
            pt = float(track["pt"]) + float(d0) / 100
            if d0 < 50 and pt > 2:
                wanted.append((pt, d0, track["number"]))
        np.testing.assert_allclose(np.reshape(tracks, (-1, 3)), np.reshape(wanted, (-1, 3)), rtol=1e-6)
    lost = sum(map(len, (tracks for _, tracks in found.values())))
    assert 0 < lost < (dump[2]["valid"] & (dump[1]["pt"] > 20)[:, None]).sum()


def test_random_numbers_belong_to_the_jet_and_the_constituent(dump, tmp_path):
    variation = {"jets": {"mass": "mass + random_normal"}, "constituents": {"d0": "random_uniform"}}
    found = clean(config(dump, variation), tmp_path / "a.h5")
    numbers = np.array([track[1] for _, tracks in found.values() for track in tracks])
    assert 0 <= numbers.min() < 0.01 < 0.99 < numbers.max() < 1
    assert len(np.unique(numbers)) > 0.99 * len(numbers)
    shifts = np.array([jet[1] * jet[0] - dump[1][event]["mass"] for event, (jet, _) in found.items()])
    assert abs(shifts.mean()) < 5 / len(shifts) ** 0.5
    assert abs(shifts.std() - 1) < 0.15
    # Fewer jets and tracks: the others have the same numbers.
    fewer = config(dump, variation, select=["pt > 40"])
    fewer["constituents"]["tracks"]["select"] = ["pt > 5"]
    for event, (jet, tracks) in clean(fewer, tmp_path / "b.h5").items():
        of_all, tracks_of_all = found[event]
        assert jet == of_all
        assert set(tracks) <= set(tracks_of_all)


@pytest.mark.parametrize(
    ("variation", "message"),
    [
        ({"jets": {"ptt": "pt"}}, "systematics.variations.0.jets: nothing uses a variable 'ptt'. Did you mean 'pt'?"),
        ({"jets": {"ratio": "2"}}, "systematics.variations.0.jets: 'ratio' is computed later; take a variable of the"),
        ({"jets": {"pt": "ratio"}}, "systematics.variations.0.jets: 'ratio' is computed later"),
        ({"constituents": {"z0": "d0"}}, "systematics.variations.0.constituents: nothing uses a variable 'z0'"),
        ({"jets": {"pt": "pt +"}}, "systematics.variations.0.jets.pt: "),
        ({"transforms": [{"name": "log_set"}]}, "systematics.variations.0: transforms of a variation are plug-ins"),
        ({"name": "position", "keep": "d0 > 0"}, "'position' is a built-in variation; take another name"),
        ({}, "there is no variation 'mine'. One of your own says what it changes"),
    ],
)
def test_wrong_variations(dump, variation, message):
    with pytest.raises(JetmillError) as error:
        load(config(dump, variation))
    assert message in str(error.value)


def test_jets_change_by_expression_or_with_their_constituents(dump, tmp_path):
    """With `systematics.jets`, jets are recomputed for variations of constituents alone."""
    raw = config(dump, {"jets": {"pt": "1.1 * pt"}})
    raw["systematics"] |= {"jets": {"pt": "pt"}, "roles": dict.fromkeys(["pt", "energy", "eta", "phi"], "d0")}
    for event, (jet, _) in clean(raw, tmp_path / "c.h5").items():
        assert jet[0] == pytest.approx(1.1 * dump[1][event]["pt"], rel=1e-6)
    raw["systematics"]["variations"][0]["keep"] = "d0 > 0"
    with pytest.raises(JetmillError, match="'pt' is recomputed from the constituents"):
        load(raw)


def test_constituents_need_a_collection(dump):
    raw = config(dump, {"keep": "d0 > 0"})
    del raw["systematics"]["collection"]
    with pytest.raises(JetmillError, match=r"systematics\.collection: does not name the constituents to vary"):
        load(raw)
