"""One file for all parts of an output."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from jetmill.files import atomic_write, open_intermediate_file
from jetmill.formats.files.layout import blocks, create, datasets, reopen_finished

NOTE = (
    "This file points to its parts, by paths relative to it. Where they are not there, floats read as NaN, integers as"
    " the largest (with a sign: the smallest) one. Copy the parts too, or write one file with write.merge: true."
)

logger = logging.getLogger(__name__)


def join(
    parts: Sequence[str | Path],
    output: str | Path,
    *,
    merge: bool,
    compression: str = "none",
    attributes: Mapping[str, str] | None = None,
) -> None:
    """Join parts into one file that only points to them (a virtual dataset), or that holds copies.

    The pointers are relative, so the directory can be moved as a whole. Where a part is missing, HDF5 reads values that
    no jet has (`no_data`), which the attributes ``parts`` and ``note`` of the file explain. `attributes` are added to
    those of the first part.
    """
    output = Path(output)
    shapes = [_shapes(path) for path in parts]
    relative = [] if merge else [str(Path(path).relative_to(output.parent)) for path in parts]
    with atomic_write(output) as partial, h5py.File(partial, "w") as file:
        for name in shapes[0]:
            # Samples may store a number in different types, and a part without jets may not know its type.
            dtype = np.result_type(*(shape[name][1] for shape in shapes))
            lengths = [shape[name][0][0] for shape in shapes]
            tail = shapes[0][name][0][1:]
            whole = (sum(lengths), *tail)
            starts = np.cumsum([0, *lengths])
            if merge:
                dataset = create(file, name, whole, dtype, compression)
                for path, start in zip(parts, starts, strict=False):
                    with reopen_finished(path) as part:
                        for rows in blocks(part[name].shape, dtype):
                            dataset[start + rows.start : start + rows.stop] = part[name][rows]
                dataset.flush()
            else:
                layout = h5py.VirtualLayout(whole, dtype)
                # As for all other datasets of h5py: the file must not depend on the time.
                layout.dcpl.set_obj_track_times(False)
                for path, start, n in zip(relative, starts, lengths, strict=False):
                    layout[start : start + n] = h5py.VirtualSource(path, name, (n, *tail), dtype)
                file.create_virtual_dataset(name, layout, fillvalue=no_data(dtype))
        _copy_attributes(parts[0], file)
        if not merge:
            file.attrs.update({"parts": relative, "note": NOTE})
        file.attrs.update(attributes or {})
    logger.info("%12d jets in %d parts", sum(next(iter(shape.values()))[0][0] for shape in shapes), len(parts))


def no_data(dtype: np.dtype) -> Any:
    """Return what cannot be mistaken for a value: NaN, the largest unsigned or the smallest signed integer, True.

    True marks slots as used and inputs as missing, and these inputs are NaN. Records have all this by field.
    """
    if dtype.names:
        record = np.zeros((), dtype)
        for name in dtype.names:
            record[name] = no_data(dtype[name])
        return record[()]
    if dtype.kind == "f":
        return dtype.type(np.nan)
    if dtype.kind == "b":
        return np.True_
    limits = np.iinfo(dtype)
    return dtype.type(limits.max if dtype.kind == "u" else limits.min)


def _shapes(path: str | Path) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    with open_intermediate_file(path) as file:
        return {name: (dataset.shape, dataset.dtype) for name, dataset in datasets(file).items()}


def _copy_attributes(path: str | Path, target: h5py.File) -> None:
    """Copy the attributes of the file and of everything in it."""
    with open_intermediate_file(path) as source:
        target.attrs.update(source.attrs)
        source.visititems(lambda name, item: target[name].attrs.update(item.attrs))
