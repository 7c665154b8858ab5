import numpy as np
import pytest

from jetmill.toys.dumps import toy_dump

N = 20_000
PROCESSES = ("ttbar", "zprime")
FLOATS = {
    "d0",
    "z0SinTheta",
    "dphi",
    "deta",
    "dr",
    "pt",
    "ptfrac",
    "qOverP",
    "qOverPUncertainty",
    "thetaUncertainty",
    "phiUncertainty",
    "IP3D_signed_d0_significance",
    "IP3D_signed_z0_significance",
    "lifetimeSignedD0Significance",
    "lifetimeSignedZ0SinThetaSignificance",
}
TRUTH = {"ftagTruthOriginLabel", "ftagTruthVertexIndex"}


@pytest.fixture(scope="module", params=PROCESSES)
def dump(request):
    return toy_dump(N, request.param, np.random.default_rng(1))


def of_kind(array, kinds):
    return [name for name in array.dtype.names if array.dtype[name].kind in kinds]


def test_layout(dump):
    jets, tracks = dump["jets"], dump["tracks"]
    assert jets.shape == (N,)
    assert tracks.shape == (N, 40)
    assert {jets.dtype[name].str for name in jets.dtype.names} == {"<f4", "<i4", "<u8", "|u1"}
    assert {name for name in jets.dtype.names if jets.dtype[name].kind == "u"} == {
        "eventNumber",
        "SV1_isDefaults",
        "JetFitter_isDefaults",
    }
    assert set(of_kind(tracks, "f")) == FLOATS
    assert set(of_kind(tracks, "i")) == TRUTH
    assert of_kind(tracks, "b") == ["valid"]
    hits = of_kind(tracks, "u")
    assert len(hits) == 9
    assert all("Hits" in name and tracks.dtype[name] == np.uint8 for name in hits)
    assert all(tracks.dtype[name] == np.float32 for name in FLOATS)
    assert all(tracks.dtype[name] == np.int32 for name in TRUTH)


def test_valid_tracks_come_first(dump):
    valid = dump["tracks"]["valid"]
    n_valid = valid.sum(axis=1)
    np.testing.assert_array_equal(valid, np.arange(40) < n_valid[:, None])
    np.testing.assert_array_equal(n_valid, np.minimum(dump["jets"]["n_tracks"], 40))


def test_tracks_are_ordered_by_displacement(dump):
    tracks = dump["tracks"]
    size = np.abs(tracks["IP3D_signed_d0_significance"])
    falling = size[:, :-1] >= size[:, 1:]
    assert falling[tracks["valid"][:, 1:]].all()


def test_truncation_keeps_the_most_displaced():
    whole = toy_dump(5000, "zprime", np.random.default_rng(2), n_tracks=200)
    cut = toy_dump(5000, "zprime", np.random.default_rng(2), n_tracks=10)
    assert cut["tracks"].tobytes() == whole["tracks"][:, :10].tobytes()
    assert (whole["tracks"]["valid"].sum(axis=1) > 10).mean() > 0.3
    assert whole["jets"].tobytes() == cut["jets"].tobytes()


def test_padding(dump):
    tracks = dump["tracks"]
    used, unused = tracks[tracks["valid"]], tracks[~tracks["valid"]]
    for name in FLOATS:
        assert np.isnan(unused[name]).all(), name
        assert np.isfinite(used[name]).all(), name
    for name in of_kind(tracks, "u"):
        assert (unused[name] == 0).all(), name
        assert used[name].std() > 0.1, name
    for name in TRUTH:
        assert (unused[name] == -1).all(), name
    assert set(np.unique(used["ftagTruthOriginLabel"])) == set(range(8))
    assert set(np.unique(used["ftagTruthVertexIndex"])) == {-1, 0, 1, 2, 3}


@pytest.mark.parametrize("finder", ["SV1", "JetFitter"])
def test_a_jet_without_vertex_has_defaults(dump, finder):
    jets = dump["jets"]
    without = jets[f"{finder}_isDefaults"] == 1
    assert 0.3 < without.mean() < 0.9
    for name in jets.dtype.names:
        if not name.startswith(finder) or name.endswith("isDefaults"):
            continue
        missing = jets[name] == -1 if jets.dtype[name].kind == "i" else np.isnan(jets[name])
        np.testing.assert_array_equal(missing, without, err_msg=name)


def test_target_is_missing_for_light_jets_only(dump):
    jets = dump["jets"]
    missing = np.isnan(jets["HadronConeExclTruthLabelPt"])
    np.testing.assert_array_equal(missing, jets["HadronConeExclTruthLabelID"] == 0)
    known = jets[~missing]
    assert (known["HadronConeExclTruthLabelPt"] < known["pt_btagJes"]).all()


def test_tagger_knows_the_flavours_and_adds_up(dump):
    jets = dump["jets"]
    outputs = np.stack([jets[f"GN2_{name}"] for name in ("pu", "pc", "pb", "ptau")])
    np.testing.assert_allclose(outputs.sum(axis=0), 1, rtol=1e-5)
    for label, output in zip((0, 4, 5, 15), outputs, strict=True):
        of_flavour = jets["HadronConeExclTruthLabelID"] == label
        assert output[of_flavour].mean() > 1.5 * output[~of_flavour].mean()


def test_all_flavours_are_there_and_tau_is_rare(dump):
    labels, counts = np.unique(dump["jets"]["HadronConeExclTruthLabelID"], return_counts=True)
    assert labels.tolist() == [0, 4, 5, 15]
    assert counts[3] == counts.min()
    assert 0.01 < counts[3] / N < 0.05


def test_flavours_differ_in_displacement(dump):
    first = dump["tracks"]["IP3D_signed_d0_significance"][:, 0]
    label = dump["jets"]["HadronConeExclTruthLabelID"]
    light, charm, bottom = (np.nanmedian(first[label == flavour]) for flavour in (0, 4, 5))
    assert 1.3 * light < charm < bottom / 1.3


def test_events_are_shared_by_jets_in_order_of_pt(dump):
    jets = dump["jets"]
    event, rank = jets["eventNumber"], jets["jetPtRank"]
    assert event.min() > 2**31
    assert (np.diff(event) <= 1).all()
    _, counts = np.unique(event, return_counts=True)
    assert 2 < counts.mean() < 7
    np.testing.assert_array_equal(rank, np.concatenate([np.arange(n) for n in counts]))
    same = rank[1:] > 0
    assert (jets["pt_btagJes"][1:] <= jets["pt_btagJes"][:-1])[same].all()
    assert (jets["mcEventWeight"][1:] == jets["mcEventWeight"][:-1])[same].all()
    # A split by event number modulo ten must be fair.
    np.testing.assert_allclose(np.bincount((event % 10).astype(int)) / N, 0.1, rtol=0.15)


def test_spectra_differ_between_processes():
    pt = {name: toy_dump(N, name, np.random.default_rng(3))["jets"]["pt_btagJes"] for name in PROCESSES}
    assert (pt["ttbar"] < 250e3).mean() > 0.95
    assert (pt["zprime"] > 250e3).mean() > 0.7
    assert 0 < (pt["zprime"] > 6e6).mean() < 0.01
    for values in pt.values():
        assert 0.005 < (values < 20e3).mean() < 0.1
        assert values.min() > 0


def test_spectra_differ_between_flavours(dump):
    jets = dump["jets"]
    pt, label = jets["pt_btagJes"], jets["HadronConeExclTruthLabelID"]
    assert np.mean(pt[label == 5]) > 1.05 * np.mean(pt[label == 0])
    central = jets["absEta_btagJes"] < 2.5
    assert 0.9 < central.mean() < 0.999
    np.testing.assert_array_equal(jets["absEta_btagJes"], np.abs(jets["eta_btagJes"]))


def test_numbers_of_tracks_are_realistic():
    low, high = (toy_dump(N, name, np.random.default_rng(4)) for name in PROCESSES)
    mean = np.mean([low["tracks"]["valid"].sum(axis=1), high["tracks"]["valid"].sum(axis=1)])
    assert 8 < mean < 11
    assert high["jets"]["n_tracks"].mean() > 1.4 * low["jets"]["n_tracks"].mean()
    assert 0.002 < (low["jets"]["n_tracks"] == 0).mean() < 0.05
    assert 0 < (high["jets"]["n_tracks"] > 40).mean() < 0.02


@pytest.mark.parametrize("process", PROCESSES)
def test_is_a_function_of_the_seed(process):
    one, same, other = (toy_dump(300, process, np.random.default_rng(seed)) for seed in (7, 7, 8))
    for name in ("jets", "tracks"):
        assert one[name].tobytes() == same[name].tobytes()
        assert one[name].tobytes() != other[name].tobytes()


def test_no_jets():
    empty = toy_dump(0, "ttbar", np.random.default_rng(0))
    assert empty["jets"].shape == (0,)
    assert empty["tracks"].shape == (0, 40)
