"""``jetmill inspect``: what it prints of a file, compared with the file."""

import json
import shutil

import awkward as ak
import h5py
import numpy as np
import pytest
import servers
import uproot

from jetmill.cli.main import main
from jetmill.sources.hdf5 import write_toys


@pytest.fixture
def inspect(capsys):
    def run(*arguments):
        code = main(["inspect", *map(str, arguments)])
        printed = capsys.readouterr()
        return code, printed.out or printed.err

    return run


def test_an_event_tree(ntuples, inspect):
    code, text = inspect(ntuples.files["top"][0])
    lines = text.splitlines()
    assert code == 0
    n_events = uproot.open(ntuples.files["top"][0])["Events"].num_entries
    assert lines[1].startswith(f"  TTree Events: {n_events:,} entries, ")
    assert "It looks like CMS NanoAOD. An entry of 'Events' is an event." in lines
    assert "  flavour       hadronFlavour" in lines
    (line,) = [line for line in lines if line.startswith("Jet_pt ")]
    pt = ak.flatten(uproot.open(ntuples.files["top"][0])["Events/Jet_pt"].array())
    assert line.split()[1:4] == ["float[]", f"{ak.min(pt):.4g}", f"{ak.max(pt):.4g}"]
    (line,) = [line for line in lines if line.startswith("Jet_DeepCSV_flightDistance2dSig ")]
    assert "are -999: missing?" in line


def test_variables_by_pattern(ntuples, inspect):
    _, text = inspect(ntuples.files["top"][0], "*Flavour")
    lines = text.splitlines()
    assert [line.split()[0] for line in lines[lines.index("Events: 1 variables") + 2 :]] == ["Jet_hadronFlavour"]
    flavours = ak.flatten(uproot.open(ntuples.files["top"][0])["Events/Jet_hadronFlavour"].array())
    values, counts = np.unique(ak.to_numpy(flavours), return_counts=True)
    assert ", ".join(f"{v}: {n}" for v, n in zip(values, counts, strict=True)) in lines[-1]
    assert inspect(ntuples.files["top"][0], "Jet_ptt") == (
        2,
        f"{ntuples.files['top'][0]}: no variable matches 'Jet_ptt'. Did you mean 'Jet_pt'?\n",
    )


@pytest.fixture
def dump(tmp_path):
    write_toys(tmp_path / "dump.h5", "ttbar", 500, np.random.default_rng(1), 0)
    return tmp_path / "dump.h5"


def test_constituents_are_those_in_use(dump, inspect):
    code, text = inspect(dump, "tracks/d0", "--json")
    found = json.loads(text)
    with h5py.File(dump) as file:
        tracks = file["tracks"][()]
    d0 = tracks["d0"][tracks["valid"]]
    of_d0 = found["values"]["tracks"]["d0"]
    assert (code, of_d0["n"], of_d0["entries"]) == (0, len(d0), 500)
    assert of_d0["low"] == pytest.approx(np.nanmin(d0))
    assert [(t["name"], t["shape"]) for t in found["tables"]] == [("jets", [500]), ("tracks", list(tracks.shape))]
    assert found["guess"]["constituents"][0]["variables"] == "tracks"


def test_of_a_large_file_the_first_entries_are_read(tmp_path, inspect):
    pt = np.random.default_rng(0).exponential(50, 20_000)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["jets"] = pt.astype([("pt", "f4")])
    _, text = inspect(tmp_path / "a.h5", "pt")
    assert f"{pt[:10_000].min():.4g} {pt[:10_000].max():>10.4g}" in text
    assert "(first 10,000 entries)" in text


def test_a_file_of_something_else(tmp_path, inspect):
    (tmp_path / "text.root").write_text("nothing")
    code, text = inspect(tmp_path / "text.root")
    assert (code, len(text.splitlines())) == (2, 1)


@pytest.mark.parametrize("protocol", [pytest.param("xrootd", marks=pytest.mark.xrootd), "http"])
def test_files_on_servers(protocol, ntuples, inspect):
    if protocol == "xrootd" and (missing := servers.why_no_xrootd()):
        pytest.skip(missing)
    with (servers.xrootd if protocol == "xrootd" else servers.http)() as server:
        shutil.copy(ntuples.files["top"][0], server.directory / "top.root")
        (server.directory / "top.root").chmod(0o644)
        remote = inspect(f"{server.url}top.root")
        code, text = inspect(f"{server.url}gone.root")
    here = inspect(ntuples.files["top"][0])
    assert remote[1].splitlines()[1:] == here[1].splitlines()[1:]
    assert (code, len(text.splitlines())) == (2, 1)
    assert text.startswith(f"{server.url}gone.root: ")
