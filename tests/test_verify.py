"""A finished run is checked against its manifest: every damage to every kind of file is read, by name.

The run is made by calling the stages (`stream_runs.make`): arrays and records of ATLAS jets with
tracks; ``val.h5`` is merged, the other joined files point to their parts.
"""

import hashlib
import json
import re
import shutil
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
import workflow_runs as runs
from format_runs import ONE
from stream_runs import make

from jetmill.cli.main import main
from jetmill.cli.verify import Progress
from jetmill.columns.batch_list import read_batch_list
from jetmill.config.load import as_json
from jetmill.errors import JetmillError
from jetmill.formats.files.joining import join
from jetmill.formats.tfrecords import write as write_tfrecords
from jetmill.plan import Plan
from jetmill.stages.write_manifest import write_manifest
from jetmill.verify import verify
from jetmill.workflow.paths import part_files

CONFIG = runs.changed(
    ONE,
    {
        "samples": {name: {"toy": sample["toy"] | {"jets": 400}} for name, sample in ONE["samples"].items()},
        "strict": False,
        "balance": {"resampling": {"method": "none"}},
        "write": {"formats": ["hdf5", "structured", "tfrecords", "parquet"], "compression": "gzip"},
    },
)
OUTPUTS = ("train", "val", "test")
# One file of each kind, and what has to be removed to get it again where that is not the file itself.
FILES = [
    "hdf5/train/part_0001.h5",
    "train.h5",
    "val.h5",
    "structured/train/part_0000.h5",
    "structured/train.h5",
    "tfrecords/train/train_0001.tfrecord",
    "tfrecords/train/metadata.json",
    "parquet/train/part_0000.parquet",
    "variations/energy_scale_up/hdf5/test/part_0000.h5",
    "scalers.json",
    "norm_dict.yaml",
    "balance.h5",
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run with all its files and a whole manifest. Parquet and `export` are not needed for hashes."""
    base = tmp_path_factory.mktemp("finished")
    results = make(base / "results", runs.changed(CONFIG, {"write": {"formats": ["hdf5", "structured"]}})).results
    plan = Plan.from_raw(CONFIG | {"output_dir": str(results)})
    config = plan.config
    listed, tables, scalers = results / "clean/batches.json", results / "balance.h5", results / "scalers.json"

    def at(path):
        return Path(path.replace("<results>", str(results)))

    arrays = [at(path) for name in ("hdf5", "structured") for path in part_files(plan, name)]
    join([results / "hdf5/val/part_0000.h5"], results / "val.h5", merge=True, compression="gzip")
    (results / "tfrecords").mkdir(exist_ok=True)
    write_tfrecords(results / "train.h5", results / "tfrecords/train", records_per_file=150)
    others = [results / "parquet/train/part_0000.parquet", results / "norm_dict.yaml", results / "plugin.py"]
    for number, path in enumerate(others):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(np.random.default_rng(number).bytes(3000))
    varied = results / "variations/energy_scale_up/hdf5/test/part_0000.h5"
    varied.parent.mkdir(parents=True)
    shutil.copy(results / "hdf5/test/part_0000.h5", varied)
    write_manifest(
        read_batch_list(listed),
        tables,
        [*arrays, results / "tfrecords/train/metadata.json", others[0], varied],
        results / "manifest.json",
        config=as_json(config),
        joined=[results / f"{under}{output}.h5" for under in ("", "structured/") for output in OUTPUTS],
        tables=[scalers, others[1], tables],
        user_files={str(others[2]): runs.sha256(others[2])},
    )
    return results


@pytest.fixture
def results(finished, tmp_path):
    """A copy of the run that may be damaged; a run that was moved."""
    return Path(shutil.copytree(finished, tmp_path / "moved"))


def manifest_of(results):
    return json.loads((results / "manifest.json").read_text())


def entries(manifest):
    return {entry["path"]: entry for kind in ("outputs", "joined", "tables") for entry in manifest[kind]}


def adapt(results, name, **changes):
    """Let the manifest take the file for what it is now, so that only its content can tell."""
    manifest = manifest_of(results)
    entry = entries(manifest)[name]
    content = (results / name).read_bytes()
    entry.update({"size": len(content), "sha256": hashlib.sha256(content).hexdigest()} | changes)
    (results / "manifest.json").write_text(json.dumps(manifest))


def only_problem(findings):
    assert len(findings.problems) == 1, findings.problems
    assert not findings.good
    return findings.problems[0]


# --- an undamaged run ---


@pytest.mark.parametrize("options", [[], ["--quick"], ["--inputs"], ["--threads", "1"]], ids=" ".join)
def test_an_undamaged_run(results, capsys, options):
    n = len(entries(manifest_of(results)))
    assert set(FILES) < set(entries(manifest_of(results)))
    assert main(["verify", str(results), *options]) == 0
    assert capsys.readouterr().out == f"{n} files are as the manifest says\n"


def test_progress_is_reported(results):
    read = []
    verify(results, progress=lambda *numbers: read.append(numbers))
    total = sum(entry["size"] for entry in entries(manifest_of(results)).values())
    assert {whole for _, whole in read} == {total}
    # And the plug-in.
    assert sum(n for n, _ in read) == total + 3000
    read.clear()
    verify(results, input_hashes=True, progress=lambda *numbers: read.append(numbers))
    of_input = sum(path.stat().st_size for path in (results / "toy").iterdir())
    assert sum(n for n, _ in read) == total + 3000 + of_input
    read.clear()
    verify(results, quick=True, progress=lambda *numbers: read.append(numbers))
    assert read == []


def test_progress_is_a_line_per_some_bytes(results, capsys):
    verify(results, threads=1, progress=Progress(100_000))
    lines = capsys.readouterr().err.splitlines()
    total = sum(entry["size"] for entry in entries(manifest_of(results)).values())
    assert 0 < len(lines) <= total // 100_000
    assert all(line.endswith(f" of {total / 1e9:.1f} GB read") for line in lines)


# --- damaged bytes ---


def flip(path):
    """Change one bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def put_another(path):
    """Put another finished file in its place, of its own kind if there is one."""
    results = next(parent for parent in path.parents if (parent / "manifest.json").exists())
    others = [results / name for name in entries(manifest_of(results))]
    others.sort(key=lambda other: (other.suffix == path.suffix, other.parent == path.parent), reverse=True)
    shutil.copy(next(other for other in others if other.read_bytes() != path.read_bytes()), path)


DAMAGES = {"flip": flip, "cut": cut, "empty": lambda path: path.write_bytes(b""), "remove": Path.unlink}


@pytest.mark.parametrize("damage", [*DAMAGES, "another"])
@pytest.mark.parametrize("name", FILES)
def test_damage_is_named(results, capsys, name, damage):
    path, manifest = results / name, manifest_of(results)
    before = runs.sha256(path)
    DAMAGES.get(damage, put_another)(path)
    found = only_problem(verify(results, threads=2))
    size, n = entries(manifest)[name]["size"], len(entries(manifest))
    assert found.path == str(path)
    if damage == "remove":
        assert (found.found, found.expected) == ("is not there", f"a file of {size} bytes")
    elif path.stat().st_size != size:
        assert (found.found, found.expected) == (f"size is {path.stat().st_size}", f"{size} bytes")
    else:
        assert (found.found, found.expected) == (f"SHA-256 is {runs.sha256(path)}", before)
    what = "" if damage == "remove" else "it and "
    what = f"{path.parent}/ and " if "tfrecords" in name else what
    assert found.advice == f"remove {what}{results / 'manifest.json'}, and start snakemake again"
    # Sizes tell of all but bytes that changed.
    read = not found.found.startswith("SHA")
    assert main(["verify", str(results), "--quick"]) == read
    last = f"{found}\n1 of {n} files are damaged\n" if read else f"{n} files are as the manifest says\n"
    assert capsys.readouterr().out == last


def test_all_that_is_damaged_is_named(results, capsys):
    for name in FILES:
        flip(results / name)
    assert {p.path for p in verify(results, threads=3).problems} == {str(results / name) for name in FILES}
    main(["verify", str(results)])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(FILES) + 1
    assert lines[-1] == f"{len(FILES)} of {len(entries(manifest_of(results)))} files are damaged"


def test_a_directory_in_place_of_a_file(results):
    name = "hdf5/train/part_0000.h5"
    (results / name).unlink()
    (results / name).mkdir()
    size = (results / name).stat().st_size
    manifest = manifest_of(results)
    entries(manifest)[name]["size"] = size
    (results / "manifest.json").write_text(json.dumps(manifest))
    assert only_problem(verify(results)).found == "cannot be read (Is a directory)"


# --- content that the hash does not tell ---


def spoil_array(path, dataset, value):
    with h5py.File(path, "r+") as file:
        values = file[dataset]
        last = tuple(n - 1 for n in values.shape)
        values[last] = value


def spoil_field(path, dataset, field, value):
    with h5py.File(path, "r+") as file:
        records = file[dataset][()]
        records[field].reshape(-1)[-1] = value
        file[dataset][...] = records


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dataset", ["jets/inputs", "tracks/inputs", "jets/conditional", "jets/weight_reference_c"])
@pytest.mark.parametrize("name", ["hdf5/train/part_0001.h5", "val.h5"])
def test_an_array_that_is_not_finite(results, name, dataset, value):
    spoil_array(results / name, dataset, value)
    adapt(results, name)
    with h5py.File(results / name) as file:
        n_values = file[dataset].size
    found = only_problem(verify(results))
    assert (found.path, found.found) == (str(results / name), f"1 of {n_values} values of {dataset} are not finite")
    # Reading no file tells nothing of it.
    assert verify(results, quick=True).good


@pytest.mark.parametrize(
    ("dataset", "field"), [("jets", "SV1_masssvx"), ("jets", "weight"), ("tracks", "d0"), ("tracks", "significance")]
)
def test_a_field_that_is_not_finite(results, dataset, field):
    name = "structured/train/part_0000.h5"
    spoil_field(results / name, dataset, field, np.nan)
    adapt(results, name)
    found = only_problem(verify(results))
    assert found.path == str(results / name)
    assert re.fullmatch(rf"1 of \d+ values of {dataset} are not finite", found.found)


def test_outputs_of_taggers_may_be_nan(results):
    spoil_array(results / "hdf5/train/part_0000.h5", "jets/spectators/GN2_pb", np.nan)
    spoil_field(results / "structured/train/part_0000.h5", "jets", "GN2_pb", np.nan)
    for name in ("hdf5/train/part_0000.h5", "structured/train/part_0000.h5"):
        adapt(results, name)
    assert verify(results).good


@pytest.mark.parametrize("name", ["hdf5/test/part_0000.h5", "val.h5", "structured/test/part_0000.h5"])
def test_other_classes(results, name):
    with h5py.File(results / name, "r+") as file:
        labels = file["jets"]["flavour_label"] if "structured" in name else file["jets/labels"][()]
    after = np.bincount(np.r_[labels[:-1], (labels[-1] + 1) % 4], minlength=4).tolist()
    if "structured" in name:
        spoil_field(results / name, "jets", "flavour_label", (labels[-1] + 1) % 4)
    else:
        spoil_array(results / name, "jets/labels", (labels[-1] + 1) % 4)
    adapt(results, name)
    found = only_problem(verify(results))
    assert found.path == str(results / name)
    counts = entries(manifest_of(results))[name]["classes"]
    assert list(counts) == CONFIG_CLASSES
    assert found.expected == str(counts)
    assert found.found == f"classes are {dict(zip(counts, after, strict=True))}"


CONFIG_CLASSES = list(CONFIG["classes"])


def test_a_label_that_is_no_class(results):
    spoil_array(results / "hdf5/test/part_0000.h5", "jets/labels", 4)
    adapt(results, "hdf5/test/part_0000.h5")
    assert only_problem(verify(results)).found == "labels are 0 to 4, of 4 classes"


@pytest.mark.parametrize("name", ["hdf5/train/part_0001.h5", "structured/train/part_0001.h5"])
def test_another_part_that_the_hash_allows(results, name):
    shutil.copy((results / name).with_name("part_0000.h5"), results / name)
    jets = {key: entry.get("jets") for key, entry in entries(manifest_of(results)).items()}
    adapt(results, name)
    found = only_problem(verify(results))
    assert found.path == str(results / name)
    assert found.found.endswith(f" has {jets[name.replace('0001', '0000')]} jets")
    assert found.expected == str(jets[name])


def test_no_hdf5_in_a_file_of_that_name(results):
    (results / "hdf5/test/part_0000.h5").write_text("not HDF5")
    adapt(results, "hdf5/test/part_0000.h5")
    assert only_problem(verify(results)).found.startswith("is not a readable file of jets (")


@pytest.mark.parametrize("name", ["jets/labels", "jets/inputs", "jets"])
def test_a_dataset_that_is_gone(results, name):
    with h5py.File(results / "hdf5/test/part_0000.h5", "r+") as file:
        del file[name]
    adapt(results, "hdf5/test/part_0000.h5")
    assert only_problem(verify(results)).found.startswith("is not a readable file of jets (")


# --- joined files ---


def test_a_joined_file_that_points_to_other_parts(results):
    join([results / f"hdf5/test/part_{n:04d}.h5" for n in (0, 0)], results / "train.h5", merge=False)
    with h5py.File(results / "train.h5") as file:
        n_jets = file["jets/inputs"].shape[0]
    adapt(results, "train.h5", jets=n_jets)
    found = only_problem(verify(results))
    assert (found.path, found.found) == (str(results / "train.h5"), "points to hdf5/test/part_0000.h5")
    assert found.expected == "hdf5/train/part_0000.h5, hdf5/train/part_0001.h5"


def test_a_joined_file_that_points_to_nothing_known(results):
    shutil.copy(results / "hdf5/train/part_0000.h5", results / "copy.h5")
    join([results / "copy.h5"], results / "train.h5", merge=False)
    with h5py.File(results / "train.h5") as file:
        n_jets = file["jets/inputs"].shape[0]
    adapt(results, "train.h5", jets=n_jets, parts=["copy.h5"])
    assert only_problem(verify(results)).found == "points to copy.h5"


@pytest.mark.parametrize("name", ["train.h5", "structured/train.h5"])
def test_a_joined_file_of_fewer_jets_than_its_parts(results, name):
    under = "structured" if "structured" in name else "hdf5"
    parts = [results / under / f"train/part_{n:04d}.h5" for n in range(2)]
    with h5py.File(parts[1], "r+") as file:
        names = []
        file.visititems(lambda key, item: names.append(key) if isinstance(item, h5py.Dataset) else None)
        for key in names:
            values = file[key][1:]
            del file[key]
            file[key] = values
        labels = file["jets"]["flavour_label"] if "structured" in name else file["jets/labels"][()]
    counts = dict(zip(CONFIG_CLASSES, np.bincount(labels, minlength=4).tolist(), strict=True))
    adapt(results, str(parts[1].relative_to(results)), jets=len(labels), classes=counts)
    found = only_problem(verify(results))
    n_jets = entries(manifest_of(results))[name]["jets"]
    assert (found.path, found.found, found.expected) == (
        str(results / name),
        f"its parts hold {n_jets - 1} jets",
        str(n_jets),
    )


def test_a_joined_file_that_was_merged_since(results):
    join([results / f"hdf5/train/part_{n:04d}.h5" for n in range(2)], results / "train.h5", merge=True)
    adapt(results, "train.h5")
    assert only_problem(verify(results)).found == "points to no parts"


# --- input ---


def test_input_of_another_size(results, capsys):
    path = results / "toy/ttbar_0000.h5"
    with path.open("ab") as file:
        file.write(b"more")
    size = path.stat().st_size
    findings = verify(results, quick=True)
    assert not findings.problems
    (changed,) = findings.changed_inputs
    assert changed.path == str(path)
    assert (changed.found, changed.expected) == (f"size is {size}", f"{size - 4} bytes")
    assert main(["verify", str(results)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "the input has changed" in lines[0]
    assert lines[1:] == [
        f"{len(entries(manifest_of(results)))} files are as the manifest says; inputs changed since: 1"
    ]


def test_input_of_the_same_size(results):
    path = results / "toy/zprime_0001.h5"
    flip(path)
    assert verify(results).good
    (changed,) = verify(results, input_hashes=True).changed_inputs
    assert (changed.path, changed.found) == (str(path), f"SHA-256 is {runs.sha256(path)}")
    assert verify(results, input_hashes=True, quick=True).good


def test_a_plugin_that_changed(results):
    flip(results / "plugin.py")
    (changed,) = verify(results).changed_inputs
    assert changed.path == str(results / "plugin.py")


def test_input_that_is_gone_is_no_damage(results, capsys):
    shutil.rmtree(results / "toy")
    findings = verify(results)
    assert findings.good
    n_files = len(manifest_of(results)["inputs"])
    assert findings.warnings == [
        f"{results / 'toy/ttbar_0000.h5'} and {n_files - 1} more: this input no longer exists; it was not checked"
    ]
    assert main(["verify", str(results)]) == 0
    assert capsys.readouterr().out.startswith(f"warning: {results}/toy/ttbar_0000.h5 and ")


def test_input_on_servers_and_skipped_input_are_not_looked_at(results):
    manifest = manifest_of(results)
    first, second, *_ = manifest["inputs"]
    first["path"] = "root://server//file.root"
    second.pop("size"), second.pop("sha256")
    second["skipped"] = "it is damaged"
    (results / "manifest.json").write_text(json.dumps(manifest))
    findings = verify(results, input_hashes=True)
    assert findings.good
    assert findings.warnings == []


@pytest.mark.parametrize("elsewhere", [False, True])
def test_relative_input_starts_where_the_run_did(results, tmp_path, monkeypatch, elsewhere):
    """As with ``output_dir: out/run`` and a file ``data/a.h5``, looked at from there and from elsewhere."""
    shutil.copytree(results, tmp_path / "work/out/run")
    moved, manifest = tmp_path / "work/out/run", manifest_of(results)
    (tmp_path / "work/data").mkdir()
    shutil.move(moved / "toy/ttbar_0000.h5", tmp_path / "work/data/a.h5")
    manifest["inputs"][0]["path"] = "data/a.h5"
    manifest["config"]["output_dir"] = "out/run"
    for entry in manifest["inputs"][1:]:
        entry["path"] = f"out/run/toy/{Path(entry['path']).name}"
    (moved / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.chdir(tmp_path if elsewhere else tmp_path / "work")
    given = "work/out/run" if elsewhere else "out/run"
    assert verify(given, input_hashes=True).good
    assert verify(given).warnings == []
    flip(tmp_path / "work/data/a.h5")
    (changed,) = verify(given, input_hashes=True).changed_inputs
    assert Path(changed.path).samefile(tmp_path / "work/data/a.h5")


# --- files of other runs ---


STRANGE = [
    "hdf5/train/part_0007.h5",
    "torch/train/part_0000.pt",
    "val_resampled.h5",
    "structured/val_resampled.h5",
    "structured/test/part_0003.h5",
    "parquet/train/part_0001.parquet",
    "tfrecords/train/train_0099.tfrecord",
    "variations/energy_scale_down/test.h5",
    "variations/energy_scale_up/hdf5/test/part_0001.h5",
]


@pytest.mark.parametrize("name", STRANGE)
def test_files_of_an_earlier_configuration(results, capsys, name):
    (results / name).parent.mkdir(parents=True, exist_ok=True)
    (results / name).write_bytes(b"old")
    assert verify(results, quick=True).warnings == [
        f"{results / name}: not of this run; an earlier configuration made it"
    ]
    assert main(["verify", str(results), "--quick"]) == 0
    assert capsys.readouterr().out.startswith(f"warning: {results / name}: not of this run")


@pytest.mark.parametrize(
    ("formats", "strange"),
    [(["tfrecords"], []), (["torch", "structured"], []), (["parquet"], ["hdf5/val/part_0000.h5", "val.h5"])],
)
def test_arrays_that_tensors_and_records_are_made_of_are_no_strangers(results, formats, strange):
    manifest = manifest_of(results)
    for kind in ("outputs", "joined"):
        manifest[kind] = [entry for entry in manifest[kind] if entry["path"] not in ("hdf5/val/part_0000.h5", "val.h5")]
    manifest["config"]["write"]["formats"] = formats
    (results / "manifest.json").write_text(json.dumps(manifest))
    warned = [warning.partition(":")[0] for warning in verify(results, quick=True).warnings]
    assert warned == [str(results / name) for name in strange]


# --- no finished run ---


def spoil_manifest(change):
    def spoil(path):
        manifest = json.loads(path.read_text())
        change(manifest)
        path.write_text(json.dumps(manifest))

    return spoil


SPOILT = {
    "gone": (Path.unlink, "has no manifest.json; it is not the directory of a finished run"),
    "cut": (lambda path: path.write_text(path.read_text()[:-20]), "is not a manifest that can be read (JSONDecodeE"),
    "binary": (lambda path: path.write_bytes(b"\x80\xff" * 99), "is not a manifest that can be read (UnicodeDecode"),
    "list": (lambda path: path.write_text("[]"), "is not a manifest that can be read (TypeError"),
    "number": (lambda path: path.write_text("3"), "is not a manifest that can be read (TypeError"),
    "no outputs": (spoil_manifest(lambda m: m.pop("outputs")), "is not a manifest that can be read (KeyError: 'outp"),
    "no hash": (spoil_manifest(lambda m: m["joined"][0].pop("sha256")), "is not a manifest of jetmill, or lacks some"),
    "no configuration": (spoil_manifest(lambda m: m.update(config={})), "is not a manifest of jetmill, or lacks some"),
    "absolute": (
        spoil_manifest(lambda m: m["tables"][0].update(path="/etc/hosts")),
        "is not a manifest of jetmill, or lacks some",
    ),
}


@pytest.mark.parametrize("how", SPOILT)
def test_no_manifest_that_can_be_read(results, capsys, how):
    spoil, message = SPOILT[how]
    spoil(results / "manifest.json")
    with pytest.raises(JetmillError) as error:
        verify(results)
    assert message in str(error.value)
    assert str(results) in str(error.value)
    assert main(["verify", str(results)]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", f"{error.value}\n")


def test_no_directory(tmp_path, capsys):
    assert main(["verify", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err == f"{tmp_path / 'none'}: no such directory\n"


def test_threads_that_make_no_sense(tmp_path, capsys):
    with pytest.raises(SystemExit) as error:
        main(["verify", str(tmp_path), "--threads", "0"])
    assert error.value.code == 2
    assert "--threads: must be 1 or more" in capsys.readouterr().err


# --- memory ---


def test_memory_does_not_grow_with_the_file(results):
    """A merged file of 96 MB, in the manifest and in the check."""
    n_jets = 1_000_000
    with h5py.File(results / "val.h5", "w") as file:
        file.create_dataset("jets/inputs", data=np.ones((n_jets, 24), dtype=np.float32), chunks=(10_000, 24))
        file["jets/labels"] = np.zeros(n_jets, dtype=np.uint8)
    config, listed = manifest_of(results)["config"], results / "clean/batches.json"
    tracemalloc.start()
    write_manifest(
        read_batch_list(listed),
        results / "balance.h5",
        [],
        results / "manifest.json",
        config=config,
        joined=[results / "val.h5"],
    )
    assert verify(results).n_files == 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6
    assert verify(results).good
    spoil_array(results / "val.h5", "jets/inputs", np.nan)
    adapt(results, "val.h5")
    assert only_problem(verify(results)).found == "1 of 24000000 values of jets/inputs are not finite"
