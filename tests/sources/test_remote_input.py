"""Input files on servers: read as if they were here, or an error that names them and says what is wrong."""

import logging
import subprocess
import sys
import time

import numpy as np
import pytest
import servers
from damaged_inputs import ROOT, cleaned, cut, equal, write_jets

from jetmill.cleaning.column_buffer import ColumnBuffer
from jetmill.columns.schema import KEY
from jetmill.errors import JetmillError
from jetmill.plan import Plan
from jetmill.settings.input import Input
from jetmill.sources import UnreadableError, open_source

SECONDS = 2


def _start(kind):
    if kind == "xrootd":
        if missing := servers.why_no_xrootd():
            pytest.skip(missing)
        return servers.xrootd()
    pytest.importorskip("aiohttp")
    return servers.http()


@pytest.fixture(scope="module", params=[pytest.param("xrootd", marks=pytest.mark.xrootd), "http"])
def server(request):
    with _start(request.param) as running:
        for number in range(2):
            write_jets(running.directory / f"{number}.root", number)
        write_jets(running.directory / "cut.root", 2)
        cut(0.8)(running.directory / "cut.root")
        (running.directory / "empty.root").touch()
        (running.directory / "text.root").write_text("run,event\n1,2\n" * 100)
        yield running


def failure(path, **options):
    started = time.monotonic()
    with pytest.raises(JetmillError) as error, open_source(path, Input(timeout=SECONDS, **options)) as source:
        list(source.chunks(["pt"], {}))
    assert time.monotonic() - started < 15 * SECONDS
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return error.value


def test_the_same_jets_as_from_local_files(server, tmp_path):
    local, here = cleaned("root", [server.directory / f"{n}.root" for n in range(2)], tmp_path / "a.h5")
    remote, there = cleaned("root", [f"{server.url}{n}.root" for n in range(2)], tmp_path / "b.h5")
    equal(remote, local)
    assert len(local["key"]) > 3000
    for number, (one, other) in enumerate(zip(here["inputs"], there["inputs"], strict=True)):
        assert other == one | {"path": f"{server.url}{number}.root", "sha256": None}
        assert other["size"] == (server.directory / f"{number}.root").stat().st_size
        assert other["uuid"] == one["uuid"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "b.h5"]


@pytest.mark.parametrize("name", ["gone.root", "cut.root", "empty.root", "text.root"])
def test_files_that_cannot_be_read(server, name):
    error = failure(server.url + name)
    assert isinstance(error, UnreadableError)
    if name == "gone.root":
        assert "no such file" in str(error)
    if name == "cut.root":
        assert "cut short" in str(error)


def test_unreadable_remote_files_can_be_skipped(server, tmp_path, caplog):
    names = ["gone.root", "0.root", "cut.root", "1.root"]
    columns, attributes = cleaned("root", [server.url + name for name in names], tmp_path / "a.h5", unreadable="skip")
    assert ["skipped" in entry for entry in attributes["inputs"]] == [True, False, True, False]
    alone = [cleaned("root", [server.directory / f"{n}.root"], tmp_path / "b.h5", first_file=2 * n + 1) for n in (0, 1)]
    keys = np.concatenate([found["key"] for found, _ in alone])
    np.testing.assert_array_equal(np.sort(columns["key"]), np.sort(keys))
    assert f"skipped {server.url}gone.root: " in caplog.text


@pytest.mark.parametrize("protocol", [pytest.param("root", marks=pytest.mark.xrootd), "http"])
@pytest.mark.parametrize("kind", ["nobody", "silent"])
def test_a_server_that_does_not_answer(protocol, kind):
    _start({"root": "xrootd"}.get(protocol, protocol))  # Skips where something is missing.
    with servers.silent() as silent:
        port = silent if kind == "silent" else servers.free_port()
        assert isinstance(failure(f"{protocol}://127.0.0.1:{port}//0.root"), UnreadableError)


@pytest.mark.parametrize("unreadable", ["error", "skip"])
@pytest.mark.xrootd
def test_a_connection_that_is_cut_in_the_middle(tmp_path, monkeypatch, caplog, unreadable):
    """The server dies after some jets of its file were cleaned; none of them may stay."""
    last = write_jets(tmp_path / "1.root", 1)
    alone, _ = cleaned("root", [last], tmp_path / "a.h5", first_file=1)
    caplog.set_level(logging.INFO)
    with _start("xrootd") as server:
        write_jets(server.directory / "0.root", 0, n_events=4000)
        append, appended = ColumnBuffer.append, []

        def kill_and_append(buffer, columns):
            appended.append(len(columns[KEY]))
            if len(appended) == 2:
                server.kill()
            append(buffer, columns)

        monkeypatch.setattr(ColumnBuffer, "append", kill_and_append)
        files, options = [f"{server.url}0.root", last], {"unreadable": unreadable, "timeout": SECONDS}
        if unreadable == "error":
            with pytest.raises(UnreadableError, match="cannot be read to the end; the connection was cut") as error:
                cleaned("root", files, tmp_path / "out/b.h5", **options)
            assert str(error.value).startswith(f"{server.url}0.root: ")
            assert list((tmp_path / "out").iterdir()) == []
        else:
            columns, attributes = cleaned("root", files, tmp_path / "b.h5", **options)
            equal(columns, alone)
            assert "the connection was cut" in attributes["inputs"][0]["skipped"]
    assert len(appended) >= 2
    assert appended[0] > 0


def test_an_http_server_without_ranges():
    pytest.importorskip("aiohttp")
    with servers.http(ranges=False) as server:
        write_jets(server.directory / "0.root", 0)
        assert isinstance(failure(f"{server.url}0.root"), UnreadableError)


@pytest.mark.parametrize(
    ("protocol", "module", "advice"),
    [
        ("root", "fsspec_xrootd", "`pip install fsspec-xrootd xrootd`"),
        ("root", "XRootD", "`pip install fsspec-xrootd xrootd`"),
        ("http", "aiohttp", "`pip install aiohttp requests`"),
        ("https", "aiohttp", "`pip install aiohttp requests`"),
    ],
)
def test_a_missing_package_is_named_and_nothing_is_skipped(protocol, module, advice):
    path = f"{protocol}://127.0.0.1:1//a.root"
    code = f"""
import sys
sys.modules[{module!r}] = None
from jetmill.settings.input import Input
from jetmill.sources import UnreadableError, open_source
try:
    open_source({path!r}, Input()).__enter__()
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"JetmillError {path}: {protocol}:// needs a package that is not installed: ")
    assert advice in done.stdout


def test_an_unknown_protocol():
    error = failure("rood://host//a.root")
    assert not isinstance(error, UnreadableError)
    assert "rood:// is not known; root://, http:// and https:// are" in str(error)


@pytest.mark.parametrize("protocol", ["s3", "gs", "xroot", "simplecache::https"])
def test_an_unknown_protocol_is_refused_before_any_work(protocol):
    with pytest.raises(JetmillError) as error:
        planned(["root://host//a.root", f"{protocol}://host/a.root"], classes={"b": "hadronFlavour ="})
    expected = (
        f"samples.tt.files: {protocol}://host/a.root: {protocol}:// is not known; root://, http:// and https:// are"
    )
    assert str(error.value).splitlines()[1:] == [expected]


def planned(files, **changes):
    return Plan.from_raw(ROOT | {"samples": {"tt": {"files": files}}} | changes)


@pytest.mark.parametrize(
    "path",
    ["root://host:1094//store/a.root", "root://[::1]:1094//a.root", "https://host/a.root?token=b"],
)
def test_urls_are_taken_as_they_are(tmp_path, path):
    (tmp_path / "list.txt").write_text(f"# remote\n{path}\n\n")
    assert planned([path]).files == {"tt": [path]}
    assert planned(str(tmp_path / "list.txt")).files == {"tt": [path]}


def test_patterns_of_urls_are_refused():
    with pytest.raises(JetmillError) as error:
        planned(["root://host//store/*.root"])
    expected = "samples.tt.files: root://host//store/*.root: patterns find local files only"
    assert str(error.value).startswith(expected)


def test_a_url_that_is_listed_twice():
    with pytest.raises(JetmillError, match="is listed more than once"):
        planned(["root://host//a.root", "root://host//b.root", "root://host//a.root"])


def test_remote_hdf5_is_refused_before_any_work():
    with pytest.raises(JetmillError) as error:
        planned(["root://host//a.h5", "root://host//b.h5"], input={"format": "hdf5"})
    assert str(error.value).startswith("samples.tt.files: root://host//a.h5: files of format hdf5 are not read")
    error = failure("root://host//a.h5", format="hdf5")
    assert not isinstance(error, UnreadableError)
