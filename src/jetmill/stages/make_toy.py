"""Toy ntuples for the embedded default."""

import logging
from pathlib import Path

import awkward as ak
import numpy as np
import uproot

from jetmill.files import complete
from jetmill.randomness import generator
from jetmill.toy import toy_jets

logger = logging.getLogger(__name__)


def write_toy_file(path: str | Path, *, process: str, n_jets: int, seed: int, sample: str, number: int) -> None:
    """Write one toy ntuple.

    Parameters
    ----------
    path
        ROOT file with a tree ``Events``.
    process
        ``ttbar`` or ``qcd``.
    n_jets
        Jets, about: events are filled up.
    seed, sample, number
        What the content depends on; `number` is the position of the file in the sample.
    """
    rng = generator(seed, "toy", sample, number)
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
    with complete(path) as partial, uproot.recreate(partial, compression=uproot.ZSTD(1)) as file:
        # Assignment would write an RNTuple; the experiments' files of today are TTrees.
        file.mktree("Events", {name: values.type if name == "Jet" else values.dtype for name, values in tree.items()})
        file["Events"].extend(tree)
    logger.info("%12d jets in %d events", per_event.sum(), n_events)
