"""Weight tables from files: arrays, and histograms of ROOT."""

from collections.abc import Sequence

import numpy as np

from jetmill.balancing.binning import Axis, shape
from jetmill.errors import JetmillError, first_line, nearest
from jetmill.settings.balance import CLASS, table_file


def read_table(table: str, classes: Sequence[str], axes: Sequence[Axis]) -> np.ndarray:
    """Return given weights, float64 (n_classes, *bins).

    Parameters
    ----------
    table
        An ``.npy`` file of this shape; or ``file.root:histogram``, a TH1, TH2 or TH3 whose axes are those of the bins,
        for all classes, or one for each if ``{class}`` is in its name. Contents of overflow bins are not used.

    Raises
    ------
    JetmillError
        If the file is not there, or holds anything but finite weights >= 0 in these bins.
    """
    path, name = table_file(table)
    if name is None:
        weights = _array(path, (len(classes), *shape(axes)))
    else:
        names = [name.replace(CLASS, of_class) for of_class in classes]
        found = {histogram: _histogram(path, histogram, axes) for histogram in dict.fromkeys(names)}
        weights = np.stack([found[histogram] for histogram in names])
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise JetmillError(f"{table}: has weights that are negative or not finite")
    return weights.astype(np.float64)


def _array(path: str, expected: tuple[int, ...]) -> np.ndarray:
    try:
        table = np.load(path)
    except (OSError, ValueError, EOFError) as error:
        raise JetmillError(f"{path}: is not a readable .npy file ({first_line(error)})") from None
    if not isinstance(table, np.ndarray) or table.dtype.kind not in "iuf" or table.shape != expected:
        found = f"{table.dtype} {table.shape}" if isinstance(table, np.ndarray) else "several arrays"
        raise JetmillError(f"{path}: holds {found}, not numbers for (classes, *bins), {expected}")
    return table


def _histogram(path: str, name: str, axes: Sequence[Axis]) -> np.ndarray:
    """Return the contents (*bins) of a histogram without its overflow bins."""
    import uproot

    at, variables = f"{path}:{name}", ", ".join(axis.variable for axis in axes)
    try:
        with uproot.open(path) as file:
            there = file.classnames(cycle=False)
            if name not in there:
                raise JetmillError(f"{path}: has no '{name}'.{nearest(name, there)}")
            if there[name][:3] not in ("TH1", "TH2", "TH3"):
                raise JetmillError(f"{at}: is a {there[name]}, not a TH1, TH2 or TH3")
            histogram = file[name]
            edges, contents = [axis.edges() for axis in histogram.axes], np.asarray(histogram.values())
    except JetmillError:
        raise
    except Exception as error:  # whatever uproot does with what is no ROOT file
        raise JetmillError(f"{path}: is not a readable ROOT file ({first_line(error)})") from None
    if len(edges) != len(axes):
        raise JetmillError(f"{at}: has {len(edges)} axes; balance.bins has {len(axes)}: {variables}")
    for axis, found in zip(axes, edges, strict=True):
        # Edges may have been written in single precision.
        tolerance = 1e-6 * np.abs(axis.edges).max()
        if len(found) != len(axis.edges) or not np.allclose(found, axis.edges, rtol=0, atol=tolerance):
            raise JetmillError(
                f"{at}: its axes are {variables}, as in balance.bins; the edges of {axis.variable} are {_text(found)},"
                f" not {_text(axis.edges)}"
            )
    return contents


def _text(edges: np.ndarray) -> str:
    """Return edges, or some of many."""
    texts = [f"{edge:g}" for edge in edges.tolist()]
    return ", ".join(texts if len(texts) <= 8 else [*texts[:4], "...", texts[-1]]) + f" ({len(edges) - 1} bins)"
