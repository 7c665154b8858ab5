"""The manifest of a stages."""

import hashlib
import json
import sys

import h5py
import numpy as np
import pytest
from stage_batches import (
    CLASSES,
    RAW,
    truth,
)

from jetmill.columns.batch_list import write_batch_lists
from jetmill.config.load import as_json
from jetmill.config.load import load as load_config
from jetmill.errors import JetmillError
from jetmill.files import write_json
from jetmill.formats.files.joining import join
from jetmill.formats.registry import FORMATS
from jetmill.loading.jets import load
from jetmill.splitting import SPLITS
from jetmill.stages.write_manifest import class_counts, write_manifest


def test_manifest(stages, tmp_path):
    n = {"train": 2, "val": 1, "test": 1}
    parts = [
        stages.write(tmp_path / f"hdf5/{s}/part_{i}.h5", split=s, part=i, n_parts=n[s], balance_path=stages.resampled)
        for s in SPLITS
        for i in range(n[s])
    ]
    config = as_json(load_config(RAW))
    (tmp_path / "tfrecords/train").mkdir(parents=True)
    others = [tmp_path / "tfrecords/train" / name for name in "ab"]
    for other in others:
        other.write_text(other.name)
    written = [*parts, others[0]]
    join(parts[:2], tmp_path / "train.h5", merge=False)
    join(parts[:2], tmp_path / "val.h5", merge=True)
    write_json(tmp_path / "scalers.json", {"jets": {"pt": {"warnings": ["pt is -999 for 7 jets"]}}})
    batches = write_batch_lists(list(stages.batches.values()), {tmp_path / "batches.json": {}})
    batches[1].warnings.append("a file was skipped")
    more = {
        "scalers": tmp_path / "scalers.json",
        "joined": [tmp_path / "train.h5", tmp_path / "val.h5"],
        "tables": [tmp_path / "scalers.json"],
        "user_files": {"plugin.py": "12ab", "maps.root": "34cd"},
    }
    write_manifest(batches, stages.resampled, written, tmp_path / "manifest.json", config=config, **more)
    content = (tmp_path / "manifest.json").read_bytes()
    write_manifest(batches, stages.resampled, written, tmp_path / "manifest.json", config=config, **more, threads=3)
    assert (tmp_path / "manifest.json").read_bytes() == content
    manifest = json.loads(content)
    assert manifest["config"] == config
    assert manifest["user_files"] == [{"path": "maps.root", "sha256": "34cd"}, {"path": "plugin.py", "sha256": "12ab"}]
    with h5py.File(stages.resampled) as file:
        of_balance = json.loads(file.attrs["warnings"])
    assert manifest["warnings"] == ["a file was skipped", *of_balance, "pt is -999 for 7 jets"]
    assert manifest["packages"]["numpy"] == np.__version__
    assert manifest["python"] == sys.version.split()[0]
    for split, name in enumerate(SPLITS):
        counts = stages.counts(split).sum(axis=(1, 2)).tolist()
        assert manifest["jets"]["cleaned"][name] == dict(zip(CLASSES, counts, strict=True))
    kept = stages.counts().min(axis=0).sum()
    assert manifest["jets"]["training after resampling"] == dict.fromkeys(CLASSES, kept)
    assert manifest["jets"]["unique training jets"] == 4 * kept
    cutflow = manifest["jets"]["cutflow"]
    assert [step for step, _ in cutflow] == ["read", *RAW["jets"]["select"], "in a class"]
    assert cutflow[-1][1] == len(truth(stages))
    assert manifest["jets"]["read"] == cutflow[0][1] == sum(entry["jets"] for entry in manifest["inputs"])
    roots = [(name[:-5], str(path)) for name, paths in stages.roots.items() for path in paths]
    assert [(e["sample"], e["path"]) for e in manifest["inputs"]] == roots
    *of_parts, first, second = manifest["outputs"]
    assert [first, second] == [
        {"path": f"tfrecords/train/{p.name}", "size": 1, "sha256": hashlib.sha256(p.read_bytes()).hexdigest()}
        for p in others
    ]
    for path, entry in zip(parts, of_parts, strict=True):
        assert entry["path"] == str(path.relative_to(tmp_path))
        assert entry["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert entry["size"] == path.stat().st_size
        labels = load(path).labels
        assert entry["classes"] == dict(zip(CLASSES, np.bincount(labels, minlength=4).tolist(), strict=True))
        assert entry["jets"] == len(labels)
    for path, entry in zip(more["joined"] + more["tables"], manifest["joined"] + manifest["tables"], strict=True):
        assert entry["path"] == path.name
        assert entry["size"] == path.stat().st_size
        assert entry["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    virtual, merged = manifest["joined"]
    labels = np.concatenate([load(path).labels for path in parts[:2]])
    assert virtual["jets"] == merged["jets"] == len(labels)
    assert virtual["parts"] == ["hdf5/train/part_0.h5", "hdf5/train/part_1.h5"]
    assert "parts" not in merged
    assert merged["classes"] == dict(zip(CLASSES, np.bincount(labels, minlength=4).tolist(), strict=True))


def test_classes_are_counted_in_blocks(tmp_path):
    labels = np.random.default_rng(0).integers(0, 4, 10_000_000, dtype=np.uint8)
    with h5py.File(tmp_path / "p.h5", "w") as file:
        file["jets/labels"] = labels
        expected = dict(zip(CLASSES, np.bincount(labels).tolist(), strict=True))
        assert class_counts(file, FORMATS["hdf5"].check, CLASSES) == expected


def test_a_label_without_class_is_not_counted(stages, tmp_path):
    part = stages.write(tmp_path / "p.h5")
    with h5py.File(part, "r+") as file:
        file["jets/labels"][3] = len(CLASSES)
    with h5py.File(part) as file, pytest.raises(JetmillError, match=r"p\.h5: labels are 0 to 4, of 4 classes"):
        class_counts(file, FORMATS["hdf5"].check, CLASSES)
