"""Files of toy jets, for the embedded default and for tests."""

import logging
from pathlib import Path

import numpy as np

from jetmill.errors import JetmillError
from jetmill.files import atomic_write
from jetmill.randomness import generator

logger = logging.getLogger(__name__)


def write_toy_file(path: str | Path, *, process: str, n_jets: int, seed: int, sample: str, number: int) -> None:
    """Write one file of toy jets: a CMS ntuple if it is named ``.root``, an ATLAS dump if ``.h5``.

    Parameters
    ----------
    process
        ``ttbar``, ``qcd`` (CMS) or ``zprime`` (ATLAS).
    n_jets
        Jets, in the ntuple about: events are filled up.
    seed, sample, number
        What the content depends on; `number` is the position of the file in the sample.

    Raises
    ------
    JetmillError
        If there is no such process in that format.
    """
    rng = generator(seed, "toy", sample, number)
    is_dump = Path(path).suffix == ".h5"
    if process == ("qcd" if is_dump else "zprime"):
        raise JetmillError(f"samples.{sample}.toy: there is no {process} in {'hdf5' if is_dump else 'root'}")
    with atomic_write(path) as partial:
        if is_dump:
            _write_dump(partial, process, n_jets, rng)
        else:
            _write_ntuple(partial, process, n_jets, rng, number)


def _write_dump(path: Path, process: str, n_jets: int, rng: np.random.Generator) -> None:
    """Write structured datasets ``jets`` and ``tracks``."""
    import h5py

    from jetmill.toys.dumps import toy_dump

    with h5py.File(path, "w") as file:
        for name, records in toy_dump(n_jets, process, rng).items():
            file.create_dataset(name, data=records, chunks=(min(1000, n_jets), *records.shape[1:]), compression="lzf")
    logger.info("%12d jets", n_jets)


def _write_ntuple(path: Path, process: str, n_jets: int, rng: np.random.Generator, number: int) -> None:
    """Write a tree ``Events`` of events with jagged ``Jet_*``."""
    import awkward as ak
    import uproot

    from jetmill.toys.ntuples import toy_jets

    per_event = np.clip(rng.poisson(5.0 if process == "ttbar" else 3.0, size=n_jets), 1, None)
    per_event = per_event[: int(np.searchsorted(np.cumsum(per_event), n_jets)) + 1]
    jets = toy_jets(int(per_event.sum()), process, rng)
    n_events = len(per_event)
    # Event numbers beyond 2**24 and runs of several lumi blocks, as in large samples.
    event = np.uint64(300_000_000 + 10_000_000 * number) + np.arange(n_events, dtype=np.uint64)
    tree = {
        "run": np.ones(n_events, dtype=np.uint32),
        "luminosityBlock": (1 + 1000 * number + np.arange(n_events) // 200).astype(np.uint32),
        "event": event,
        "Jet": ak.zip({name: ak.unflatten(values, per_event) for name, values in jets.items()}),
    }
    with uproot.recreate(path, compression=uproot.ZSTD(1)) as file:
        # Assignment would write an RNTuple; the experiments' files of today are TTrees.
        file.mktree("Events", {name: values.type if name == "Jet" else values.dtype for name, values in tree.items()})
        file["Events"].extend(tree)
    logger.info("%12d jets in %d events", per_event.sum(), n_events)
