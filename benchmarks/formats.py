"""Time writing TFRecords and making batches on the fly.

    python benchmarks/formats.py --directory bench

Makes toy dumps, runs the workflow with `config/atlas-tdd.yaml` as far as needed, then times

- TFRecords: `jetmill.formats.files.tfrecord_files` against the obvious loop over jets with ``tf.train.Example``;
- batches of 1000 jets: `jetmill.Stream` against reading the finished file, as it is and in random order.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import yaml

import jetmill
from jetmill.formats.files.names import Names
from jetmill.formats.files.tfrecord_files import RecordWriter

ROOT = Path(__file__).resolve().parents[1]
NAMES = Names()
BATCH = 1000
REPEATS = 3
LOOP_JETS = 5000


def main() -> None:
    """Make the jets and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--jets", type=int, default=250_000, help="in each of two files")
    arguments = parser.parse_args()
    directory = arguments.directory.resolve()
    config = _run(directory, arguments.jets)
    train = directory / "results/train.h5"
    with h5py.File(train) as file:
        n_jets = file[NAMES.labels].shape[0]
        names = [
            NAMES.inputs,
            NAMES.one_hot,
            NAMES.weight,
            "tracks/inputs",
            "tracks/valid",
            "tracks/labels/ftagTruthOriginLabel",
        ]
        block = {name: file[name][:20_000] for name in names}
    print(f"{n_jets} training jets, {block['tracks/inputs'].shape[1:]} tracks\n")
    vectorised = _rate(lambda: _write(directory / "a.tfrecord", block), len(block[NAMES.one_hot]))
    loop = _rate(lambda: _write_loop(directory / "b.tfrecord", block), LOOP_JETS)
    print(f"TFRecords       {vectorised:10.0f} records/s; loop over jets {loop:8.0f}; ratio {vectorised / loop:.0f}")
    stream = jetmill.Stream(config, "train", batch_size=BATCH)
    on_the_fly = _rate(lambda: _count(stream.epoch()), n_jets)
    in_order = _rate(lambda: _count(_read(train, np.arange(0, n_jets, BATCH))), n_jets)
    mixed = _rate(
        lambda: _count(_read(train, np.random.default_rng(0).permutation(np.arange(0, n_jets, BATCH)))), n_jets
    )
    print(f"stream          {on_the_fly:10.0f} jets/s")
    print(f"finished file   {in_order:10.0f} jets/s in order, {mixed:.0f} in blocks of {BATCH} in random order")
    print(f"stream / file   {on_the_fly / in_order:10.2f}")


def _run(directory: Path, n_jets: int) -> dict:
    directory.mkdir(parents=True, exist_ok=True)
    config = yaml.safe_load((ROOT / "config/atlas-tdd.yaml").read_text())
    config["samples"] = {name: {"toy": {"process": name, "files": 1, "jets": n_jets}} for name in ("ttbar", "zprime")}
    config |= {"output_dir": str(directory / "results"), "report": {"plots": False}}
    config["write"] |= {"formats": ["hdf5"], "compression": "none"}
    path = directory / "config.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
    subprocess.run([*command, "--quiet", "all", "--configfile", str(path), "--directory", str(directory)], check=True)
    return config


def _rate(work: Callable[[], object], n_jets: int) -> float:
    """Return jets per second, the median of some runs."""
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return n_jets / float(np.median(seconds))


def _count(batches: Iterator[dict[str, np.ndarray]]) -> int:
    return sum(len(batch[NAMES.labels]) for batch in batches)


def _read(path: Path, starts: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    """Yield batches of the finished file with everything a stream yields."""
    with h5py.File(path) as file:
        datasets: dict[str, h5py.Dataset] = {}
        file.visititems(lambda name, item: datasets.update({name: item}) if isinstance(item, h5py.Dataset) else None)
        for start in starts:
            yield {name: dataset[start : start + BATCH] for name, dataset in datasets.items()}


def _write(path: Path, block: dict[str, np.ndarray]) -> None:
    with RecordWriter(path) as writer:
        writer.write(block)


def _write_loop(path: Path, block: dict[str, np.ndarray]) -> None:
    """Write jet by jet, as umami does."""
    import tensorflow as tf

    def feature(values: np.ndarray) -> tf.train.Feature:
        flat = values.ravel()
        if flat.dtype.kind == "f":
            return tf.train.Feature(float_list=tf.train.FloatList(value=flat))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=flat.astype(np.int64)))

    with tf.io.TFRecordWriter(str(path)) as writer:
        for jet in range(LOOP_JETS):
            features = {name: feature(np.atleast_1d(values[jet])) for name, values in block.items()}
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())


if __name__ == "__main__":
    main()
