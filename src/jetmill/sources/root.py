"""ROOT: trees of events or of jets."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from jetmill.settings.config import Config
from jetmill.settings.constituents import Constituents
from jetmill.settings.input import Input
from jetmill.sources.chunk import Source
from jetmill.sources.input_format import InputFormat
from jetmill.toys import ntuples

logger = logging.getLogger(__name__)


def open_root(path: str, settings: Input, constituents: Mapping[str, Constituents]) -> AbstractContextManager[Source]:
    """Open a tree of a file, or of a URL, which is read piece by piece."""
    from jetmill.sources.trees.reader import open_tree

    return open_tree(path, settings, constituents)


def has_events(settings: Input) -> bool:
    """Return whether the entries of the tree are events."""
    return settings.level == "event"


def check(config: Config) -> Iterator[tuple[str, str]]:
    """Yield keys that are for trees of events, in a configuration for trees of jets."""
    if has_events(config.input):
        return
    if config.input.matched:
        yield "input.matched", "objects that jets are matched to are in trees of events only"
    for name, collection in config.constituents.items():
        if collection.tree.links or collection.tree.element_links:
            yield f"constituents.{name}.tree", "links are followed in trees of events only"


def write_toys(path: Path, process: str, n_jets: int, rng: np.random.Generator, number: int) -> None:
    """Write a tree ``Events`` of events with jagged ``Jet_*``; the last event is filled up."""
    import awkward as ak
    import uproot

    per_event = ntuples.jets_per_event(n_jets, process, rng)
    jets = ntuples.toy_jets(int(per_event.sum()), process, rng)
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


FORMAT = InputFormat(
    name="root",
    description="trees of events or jets",
    suffix="root",
    open=open_root,
    experiment=ntuples.EXPERIMENT,
    write_toys=write_toys,
    keys=("tree", "level", "event", "matched"),
    constituent_keys=("tree",),
    remote=True,
    has_events=has_events,
    check=check,
)
