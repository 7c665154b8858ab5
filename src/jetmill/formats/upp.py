"""Records under the names of the files of UPP: ``pp_output_train.h5`` and a test file of each sample."""

import json
import logging
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jetmill.files import atomic_write
from jetmill.formats.files import layout
from jetmill.formats.format import Format
from jetmill.splitting import split_of

if TYPE_CHECKING:
    import h5py

FLAVOUR = "flavour_label"

logger = logging.getLogger(__name__)


def write(joined: str | Path, output: str | Path, *, compression: str) -> None:
    """Write ``pp_output_train.h5``, ``pp_output_val.h5`` or ``pp_output_test_<sample>.h5`` into a directory.

    They are complete files: records and attributes of the joined file of the output.
    """
    import h5py

    output = Path(output)
    with atomic_write(output, directory=True) as partial, layout.reopen_finished(joined) as file, ExitStack() as stack:
        layout.check_parts(joined, file["jets"])
        chosen = _jets_of_files(file, split_of(output.name))
        written = {name: stack.enter_context(h5py.File(partial / f"{name}.h5", "w")) for name in chosen}
        for dataset_name, dataset in layout.datasets(file).items():
            starts = dict.fromkeys(chosen, 0)
            for name, jets in chosen.items():
                shape = (int(jets.sum()), *dataset.shape[1:])
                layout.create(written[name], dataset_name, shape, dataset.dtype, compression)
                written[name][dataset_name].attrs.update(dataset.attrs)
            for rows in layout.blocks(dataset.shape, dataset.dtype):
                block = dataset[rows]
                for name, jets in chosen.items():
                    records = block[jets[rows]]
                    written[name][dataset_name][starts[name] : starts[name] + len(records)] = records
                    starts[name] += len(records)
        for name, of_file in written.items():
            of_file.attrs.update(_attributes(file, of_file, whole=len(chosen) == 1))
            logger.info("%12d jets in %s.h5", of_file["jets"].shape[0], name)


def _jets_of_files(file: "h5py.File", split: str) -> dict[str, np.ndarray]:
    """Return the name of each file, and which jets are in it, bool (n_jets,)."""
    if split != "test":
        return {f"pp_output_{split}": np.ones(file["jets"].shape[0], dtype=bool)}
    sample, names = file["jets"].fields("sample")[:], json.loads(file.attrs["config"])["samples"]
    return {f"pp_output_test_{name}": sample == number for number, name in enumerate(names)}


def _attributes(file: "h5py.File", of_file: "h5py.File", *, whole: bool) -> Mapping[str, object]:
    """Return the attributes of the joined file for one that holds some of its jets, none of them repeated, or all."""
    kept = {name: value for name, value in file.attrs.items() if name not in ("parts", "note")}
    if whole:
        return kept
    jets, classes = of_file["jets"], file["jets"].attrs[FLAVOUR]
    counts = np.bincount(jets.fields(FLAVOUR)[:], minlength=len(classes)).tolist()
    return kept | {"unique_jets": len(jets), "jet_counts": json.dumps(dict(zip(classes, counts, strict=True)))}


FORMAT = Format(
    name="upp",
    description="the records of structured under UPP's file names, one test file for each sample",
    write=write,
    title="Records under UPP's file names",
    loading="{results}/upp/{output}/pp_output_{output}.h5, with {results}/norm_dict.yaml and class_dict.yaml",
    made_from="structured",
    options=("compression",),
)
