"""Expected checksums of input files: every form of a line, whose file it is, and what happens where it is wrong."""

import hashlib
import shutil
import subprocess
import zlib

import h5py
import numpy as np
import pytest
from batches import clean_batch
from hypothesis import given
from hypothesis import strategies as st

from jetmill.columns.batch_file import Batch
from jetmill.config.load import load
from jetmill.errors import JetmillError
from jetmill.inputs.checksum_lists import match, parse, read_checksums
from jetmill.plan import Plan
from jetmill.sources import UnreadableError
from jetmill.sources.checksums import check_bytes
from jetmill.workflow.messages import summary

SHA, MD5, ADLER = "a1" * 32, "b2" * 16, "0c3d4e5f"
CONFIG = {
    "input": {"format": "hdf5", "files_per_batch": 2},
    "jets": {"variables": ["pt"], "additional_labels": ["hadronFlavour"]},
    "classes": {"b": "hadronFlavour == 5", "light": "rest"},
    "balance": {"bins": {"pt": [0, 100, 4]}},
}
EXPECTED = "expected a path and its checksum, as '<sha256> <path>', '<path> adler32:<digits>' or 'MD5 (<path>) = <md5>'"


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def adler32(content):
    return f"{zlib.adler32(content):08x}"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write_dump(path, number=0, n_jets=500):
    """Write a dump without compression, whose damage nothing but a checksum shows."""
    rng = np.random.default_rng(number)
    jets = np.zeros(n_jets, [("pt", "f4"), ("hadronFlavour", "i4"), ("eventNumber", "u8")])
    jets["pt"], jets["hadronFlavour"] = rng.uniform(10, 90, n_jets), rng.choice([0, 5], n_jets)
    jets["eventNumber"] = np.arange(n_jets) + number * n_jets
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["jets"] = jets
    return path


def flip_a_byte(path):
    """Change one number of one jet."""
    with h5py.File(path) as file:
        place = file["jets"].id.get_offset() + 100 * file["jets"].dtype.itemsize + 1
    content = bytearray(path.read_bytes())
    content[place] ^= 16
    path.write_bytes(content)


# --- lines ---


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"{SHA}  a.root", ("a.root", "sha256", SHA)),
        (f"{SHA} *a.root", ("a.root", "sha256", SHA)),
        (f"{MD5}  dir/with space/a b.root", ("dir/with space/a b.root", "md5", MD5)),
        (f"SHA256 (a (1).root) = {SHA}", ("a (1).root", "sha256", SHA)),
        (f"MD5 (a.root) = {MD5}", ("a.root", "md5", MD5)),
        (f"SHA2-256(a.root)= {SHA}", ("a.root", "sha256", SHA)),
        (f"\\{SHA}  a\\\\b.root", ("a\\b.root", "sha256", SHA)),
        (f"\\MD5 (a\\\\b\\n.root) = {MD5}", ("a\\b\n.root", "md5", MD5)),
        (f"/store/mc/a.root adler32:{ADLER}", ("/store/mc/a.root", "adler32", ADLER)),
        (f"adler32:{ADLER} /store/mc/a.root", ("/store/mc/a.root", "adler32", ADLER)),
        (f"/store/mc/a.root {ADLER}", ("/store/mc/a.root", "adler32", ADLER)),
        (f"{ADLER} root://host.org//store/a.root", ("root://host.org//store/a.root", "adler32", ADLER)),
        (f"/store/mc/a.root\t{ADLER.upper()}", ("/store/mc/a.root", "adler32", ADLER)),
        (f"mc23_13p6TeV:DAOD.a.root ad:{ADLER}", ("mc23_13p6TeV:DAOD.a.root", "adler32", ADLER)),
        (f"mc23_13p6TeV:DAOD.a.root md:{MD5}", ("mc23_13p6TeV:DAOD.a.root", "md5", MD5)),
        (f"a.root sha256:{SHA}", ("a.root", "sha256", SHA)),
        ("a.root adler32:c3d4e5f", ("a.root", "adler32", ADLER)),
        ("a.root ad:0xc3d4e5f", ("a.root", "adler32", ADLER)),
        ("a.root adler32:1", ("a.root", "adler32", "00000001")),
        # The file is named as a checksum looks.
        (f"deadbeef adler32:{ADLER}", ("deadbeef", "adler32", ADLER)),
    ],
)
def test_a_line(line, expected):
    assert parse(line) == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a.root", f"found 'a.root', {EXPECTED}"),
        (SHA, f"found '{SHA}', {EXPECTED}"),
        ("a.root 12 b.root", f"found 'a.root 12 b.root', {EXPECTED}"),
        ("mc23:a.root ad:None", f"found 'mc23:a.root ad:None', {EXPECTED}"),
        (f"{SHA[:-1]}  a.root", f"found '{SHA[:-1]}  a.root', {EXPECTED}"),
        ("x" * 500 + " y", f"found '{'x' * 120}...', {EXPECTED}"),
        (
            "a.root c3d4e5f",
            "found 'a.root c3d4e5f', where 'c3d4e5f' is no checksum; write 'adler32:c3d4e5f' if it is an adler32"
            " without its leading zeros",
        ),
        (
            f"deadbeef  {ADLER}",
            f"found 'deadbeef  {ADLER}', where either could be the checksum; write adler32:, md5: or sha256: before it",
        ),
        (f"{'ab' * 20}  a.root", "found 40 hexadecimal digits, as of SHA-1; adler32, md5 and sha256 are known"),
        (f"{'ab' * 64}  a.root", "found 128 hexadecimal digits, as of SHA-512; adler32, md5 and sha256 are known"),
        (f"SHA1 (a.root) = {'ab' * 20}", "found a checksum 'SHA1'; adler32, md5 and sha256 are known"),
        (
            "a.root crc32:1234abcd",
            "found a checksum 'crc32' in 'a.root crc32:1234abcd'; adler32, md5 and sha256 are known",
        ),
        (f"a.root md5:{MD5[:-1]}", f"found md5 '{MD5[:-1]}', expected 32 hexadecimal digits"),
        ("a.root adler32:123456789", "found adler32 '123456789', expected 8 hexadecimal digits"),
        ("MD5 (a.root) = none", "found md5 'none', expected 32 hexadecimal digits"),
    ],
)
def test_a_line_that_is_wrong(line, message):
    with pytest.raises(ValueError, match=r"^found") as error:
        parse(line)
    assert str(error.value) == message


@pytest.mark.parametrize("tool", ["sha256sum", "md5sum"])
@pytest.mark.parametrize("options", [[], ["--tag"], ["--binary"]], ids=["plain", "tag", "binary"])
@pytest.mark.parametrize("name", ["a.root", "a b (1).root", "back\\slash.root"])
def test_what_coreutils_write(tmp_path, tool, options, name):
    if shutil.which(tool) is None:
        pytest.skip(f"no {tool}")
    (tmp_path / name).write_bytes(b"some jets")
    written = subprocess.run([tool, *options, name], capture_output=True, text=True, check=True).stdout
    (tmp_path / "SUMS").write_text(written)
    expected = {"sha256": sha256(b"some jets")} if tool == "sha256sum" else {"md5": md5(b"some jets")}
    assert read_checksums("SUMS") == {name: expected}


@given(content=st.binary(max_size=100))
def test_an_adler32_without_its_leading_zeros(content):
    assert parse(f"a.root adler32:{zlib.adler32(content):x}")[2] == f"{zlib.adler32(content):08x}"


@given(line=st.text(max_size=60))
def test_any_line_is_read_or_refused(line):
    try:
        path, algorithm, checksum = parse(line)
    except ValueError:
        return
    assert path
    assert len(checksum) == {"adler32": 8, "md5": 32, "sha256": 64}[algorithm]


# --- files of checksums ---


def refusal(ask, *arguments):
    with pytest.raises(JetmillError) as error:
        ask(*arguments)
    return str(error.value).splitlines()


def test_a_file_of_checksums(tmp_path):
    lines = ["\ufeff# of the copy at CERN", "", f"a.root adler32:{ADLER}\r", f"{SHA}  a.root", f"a.root ad:{ADLER}"]
    (tmp_path / "SUMS").write_text("\n".join([*lines, f"  {MD5}  b.root "]))
    assert read_checksums("SUMS") == {"a.root": {"adler32": ADLER, "sha256": SHA}, "b.root": {"md5": MD5}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", [f"SUMS: holds no checksums; {EXPECTED}"]),
        ("# nothing\n", [f"SUMS: holds no checksums; {EXPECTED}"]),
        (
            f"{SHA}  a\nb\n\nc ad:x",
            [f"SUMS: line {n}: found '{line}', {EXPECTED}" for n, line in ((2, "b"), (4, "c ad:x"))],
        ),
        (
            f"a.root ad:{ADLER}\na.root ad:1",
            [f"SUMS: line 2: found adler32 00000001 of 'a.root', and {ADLER} in line 1; keep the right one"],
        ),
        (b"\xff\xfe\x00", [f"SUMS: is not a text file (UTF-8); {EXPECTED}"]),
    ],
)
def test_a_file_of_checksums_that_is_wrong(tmp_path, content, message):
    (tmp_path / "SUMS").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert refusal(read_checksums, "SUMS") == message


def test_many_wrong_lines(tmp_path):
    (tmp_path / "SUMS").write_text("wrong\n" * 1000)
    found = refusal(read_checksums, "SUMS")
    assert len(found) == 21
    assert found[-1] == "SUMS: and 980 more lines"


def test_what_is_no_file_of_checksums(tmp_path):
    assert refusal(read_checksums, "gone") == ["gone: no such file"]
    assert refusal(read_checksums, ".") == [".: is not a file"]
    with (tmp_path / "large").open("wb") as file:
        file.truncate(10**9)
    assert refusal(read_checksums, "large") == [
        "large: has 1,000,000,000 bytes, 100,000,000 is the most for a file of checksums"
    ]


# --- whose checksum it is ---


@pytest.mark.parametrize(
    ("files", "entry"),
    [
        (["data/a.root"], "data/a.root"),
        (["data/a.root"], "./data//a.root"),
        (["./data/../data/a.root"], "data/a.root"),
        (["data/a.root"], "a.root"),
        (["data/a.root"], "{here}/data/a.root"),
        (["data/a.root"], "file://{here}/data/a.root"),
        (["{here}/data/a.root"], "a.root"),
        (["link.root"], "data/a.root"),
        (["link.root"], "a.root"),
        (["data/a.root"], "../link.root"),
        (["data/a.root"], "/store/mc/Run3/a.root"),
        (["data/a.root"], "root://host.org//store/a.root"),
        (["data/a.root"], "mc23_13p6TeV:a.root"),
        (["data/a.root"], "cms:/store/mc/a.root"),
        (["run:1/b.root"], "run:1/b.root"),
    ],
)
def test_whose_checksum_it_is(tmp_path, files, entry):
    for path in (tmp_path / "data/a.root", tmp_path / "run:1/b.root"):
        path.parent.mkdir()
        path.touch()
    (tmp_path / "link.root").symlink_to("data/a.root")
    files = [path.format(here=tmp_path) for path in files]
    found = match(files, {entry.format(here=tmp_path): {"md5": MD5}, "z.root": {"md5": "0" * 32}}, "data/SUMS")
    assert found.of == {files[0]: {"md5": MD5}}
    assert found.unused == 1


def test_the_path_counts_before_the_name():
    listed = {"a.root": {"md5": "1" * 32}, "data/a.root": {"md5": "2" * 32}, "c/a.root": {"md5": "3" * 32}}
    found = match(["data/a.root", "a.root"], listed, "SUMS")
    assert found.of == {"data/a.root": listed["data/a.root"], "a.root": listed["a.root"]}


def test_several_checksums_of_one_file():
    listed = {"x/a.root": {"md5": MD5}, "y/a.root": {"md5": MD5, "adler32": ADLER}}
    assert match(["a.root"], listed, "SUMS").of == {"a.root": {"md5": MD5, "adler32": ADLER}}


def test_names_that_are_not_unique():
    advice = "list checksums by the paths that are in files"
    of_name = {"/store/a.root": {"md5": MD5}}
    assert refusal(match, ["x/a.root", "y/a.root"], of_name, "SUMS") == [
        f"SUMS: 'a.root' is the name of x/a.root, y/a.root; {advice}"
    ]
    of_name |= {"/other/a.root": {"md5": "0" * 32}}
    assert refusal(match, ["x/a.root"], of_name, "SUMS") == [
        f"SUMS: x/a.root can be /store/a.root, /other/a.root, whose checksums differ; {advice}"
    ]


def test_files_without_a_checksum_are_named_at_once():
    assert refusal(match, ["a.root", "b.root", "c.root"], {"b.root": {"md5": MD5}}, "SUMS") == [
        "SUMS: has no checksum of a.root, c.root; add the missing ones"
    ]
    many = [f"{k}.root" for k in range(100)]
    assert refusal(match, many, {"b.root": {"md5": MD5}}, "SUMS") == [
        f"SUMS: has no checksum of {', '.join(many[:20])} and 80 more; add the missing ones"
    ]


# --- the configuration ---


def plan_of(sample, **changes):
    return Plan.from_raw(CONFIG | {"samples": {"tt": sample}} | changes)


def test_mistakes_are_reported_with_all_others(tmp_path):
    for name in ("a.h5", "b.h5"):
        write_dump(tmp_path / name)
    (tmp_path / "SUMS").write_text(f"{SHA}  b.h5\n")
    sample = {"files": "*.h5", "checksums": "SUMS"}
    message = "samples.tt.checksums: SUMS: has no checksum of a.h5; add the missing ones"
    assert refusal(plan_of, sample) == [message]
    assert refusal(lambda: plan_of(sample, seeds=1))[1:] == [message]
    (tmp_path / "SUMS").write_text("b.h5")
    assert refusal(plan_of, sample) == [f"samples.tt.checksums: SUMS: line 1: found 'b.h5', {EXPECTED}"]
    assert refusal(plan_of, sample | {"checksums": "gone"}) == ["samples.tt.checksums: gone: no such file"]


def test_toys_and_remote_files_have_none(tmp_path):
    toy = {"toy": {"process": "ttbar"}, "checksums": "SUMS"}
    (found,) = refusal(plan_of, toy)
    assert "checksums are for files; those of a toy are made by the run" in found
    (tmp_path / "SUMS").write_text(f"{SHA}  a.root\n")
    remote = {"files": ["root://host.org//a.root", "b.root"], "checksums": "SUMS"}
    (tmp_path / "b.root").touch()
    assert refusal(lambda: plan_of(remote, input={})) == [
        "samples.tt.checksums: root://host.org//a.root: remote files cannot be checked, as only what is used of them is"
        " read; copy them here, or have them in a sample without checksums"
    ]


def test_each_batch_has_the_checksums_of_its_files(tmp_path):
    files = [write_dump(tmp_path / f"{k}.h5", k).name for k in range(3)]
    sums = {name: adler32((tmp_path / name).read_bytes()) for name in files}
    (tmp_path / "SUMS").write_text("\n".join([f"{name} ad:{s}" for name, s in sums.items()] + ["other.h5 ad:1"]))
    plan = plan_of({"files": "*.h5", "checksums": "SUMS"})
    assert [batch.checksums for batch in plan.batches] == [
        {name: {"adler32": sums[name]} for name in batch} for batch in (files[:2], files[2:])
    ]
    assert "tt: 3 files in 2 batches, to be checked with SUMS (1 of its paths are of no file of the sample)" in (
        summary(plan)
    )
    assert plan_of({"files": "*.h5"}).batches[0].checksums == {}


# --- reading ---


@pytest.mark.parametrize("size", [0, 1, 2**20, 3 * 2**20 + 17])
def test_checksums_of_a_file(tmp_path, size):
    content = np.random.default_rng(1).bytes(size)
    (tmp_path / "a").write_bytes(content)
    right = {"adler32": adler32(content), "md5": md5(content), "sha256": sha256(content)}
    assert check_bytes("a", right) == right
    assert check_bytes("a", {}, ["sha256"]) == {"sha256": right["sha256"]}
    for name, checksum in right.items():
        wrong = "0" * len(checksum)
        with pytest.raises(UnreadableError) as error:
            check_bytes("a", right | {name: wrong})
        assert str(error.value) == (
            f"a: its {name} is {checksum}, expected {wrong}; it is damaged, or another version of the file"
        )


def test_nothing_is_read_for_no_checksum():
    assert check_bytes("gone", {}) == {}


def cleaned(files, output, checksums, **of_input):
    raw = CONFIG | {"samples": {"tt": {"files": "x"}}, "input": CONFIG["input"] | of_input}
    options = {"sample": "tt", "first_file": 0, "checksums": checksums}
    clean_batch(files, output, settings=load(raw).cleaning, **options)
    with Batch(output) as batch:
        return batch.attribute("inputs"), batch.attribute("warnings")


@pytest.mark.parametrize("record", [True, False])
@pytest.mark.parametrize(("algorithm", "of"), [("adler32", adler32), ("md5", md5), ("sha256", sha256)])
def test_a_flipped_byte(tmp_path, algorithm, of, record):
    """It makes another number of a jet, without a word, unless there is a checksum."""
    files = [str(write_dump(tmp_path / f"{k}.h5", k)) for k in range(2)]
    sums = {path: {algorithm: of((tmp_path / path).read_bytes())} for path in files}
    options = {"checksum": record}
    inputs, _ = cleaned(files, tmp_path / "right.h5", sums, **options)
    assert [entry["checked"] for entry in inputs] == list(sums.values())
    assert [entry["jets"] for entry in inputs] == [500, 500]
    flip_a_byte(tmp_path / "1.h5")
    now = of((tmp_path / "1.h5").read_bytes())
    message = (
        f"its {algorithm} is {now}, expected {sums[files[1]][algorithm]}; it is damaged, or another version of the file"
    )
    assert cleaned(files, tmp_path / "unseen.h5", {}, **options)[0][1]["jets"] == 500
    with pytest.raises(UnreadableError) as error:
        cleaned(files, tmp_path / "wrong.h5", sums, **options)
    assert str(error.value) == f"{files[1]}: {message}"
    assert not (tmp_path / "wrong.h5").exists()
    inputs, warnings = cleaned(files, tmp_path / "skipped.h5", sums, unreadable="skip", **options)
    assert inputs[1] == {"path": files[1], "skipped": message, "jets": 0, "kept": 0}
    assert inputs[0]["jets"] == 500
    assert any(files[1] in warning for warning in warnings)


def test_the_checksum_is_before_all_that_a_wrong_file_says(tmp_path):
    """A dataset under another name would be a mistake of the configuration, which is not skipped."""
    path = write_dump(tmp_path / "a.h5")
    right = sha256(path.read_bytes())
    path.write_bytes(path.read_bytes().replace(b"jets", b"jetz"))
    inputs, _ = cleaned([str(path)], tmp_path / "b.h5", {str(path): {"sha256": right}}, unreadable="skip")
    assert inputs[0]["skipped"].startswith("its sha256 is")
