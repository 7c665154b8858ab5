"""Section ``input``: how files are read."""

from dataclasses import field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, MinLen

from jetmill.settings.types import Name, NumberOfJets, OneOf, Optional, Text, section

FORMAT = OneOf("jetmill.sources.registry", "INPUT_FORMATS")


@section
class Matched:
    """Objects that jets are matched to, such as generated jets. The key above is the prefix of their variables."""

    branches: Text
    """Prefix of their branches, such as GenJet for GenJet_pt."""
    index: Name
    """Variable of jets that holds the index of the object, such as genJetIdx for Jet_genJetIdx."""
    out_of_range: Literal["error", "missing"] = "error"
    """What to do with an index that is too large for the list of objects: stop with an error, or treat the object as
    missing. NanoAOD before version 12 has such indices, of generated jets below 10 GeV that were not stored."""


@section
class Input:
    """How input files are read."""

    format: Annotated[str, FORMAT] = "root"
    """Format of the input files."""
    tree: Annotated[Text, MinLen(1)] = "Events"
    """Name of the TTree or RNTuple (format root)."""
    level: Literal["event", "jet"] = "event"
    """What an entry of the tree is (format root): an event, whose branches of jets are jagged, or a jet."""
    jets: Text = "Jet"
    """Format root: prefix of the branches of jets, which may be empty; with Jet, the branch Jet_pt is the variable pt.
    Format hdf5: name of the dataset of jets, jets by default."""
    event: Text = ""
    """Prefix of the branches of events, if they have one, such as EventInfoAuxDyn (format root)."""
    aliases: dict[Name, Text] = field(default_factory=dict)
    """Names for variables of jets or events that have other names in the file: {tau1: "Jet/Jet.Tau[0]", weight:
    "mcEventWeights[0]", energy: "jetp4.fE"}. Format root: a branch, a member of an object, an element of a list; format
    hdf5: a field. An alias takes precedence over a branch of its name."""
    matched: dict[Name, Matched] = field(default_factory=dict)
    """Objects that jets are matched to, in trees of events: {gen: {branches: GenJet, index: genJetIdx}} turns GenJet_pt
    into the variable gen_pt of jets, missing where the index is negative. Integers become floats (float64 for those of
    32 bits and more, exact up to 2**53)."""
    event_id: tuple[Name, ...] = ("run", "luminosityBlock", "event")
    """Integer variables that identify an event, the event number last. May be empty; eventNumber by default for format
    hdf5."""
    optional: Optional = field(default_factory=dict)
    """Variables of jets or events that some files lack, and their value there: {HLT_x: false}, or missing. Log and
    manifest say which files lack them."""
    max_files: Annotated[int, Ge(1)] | None = field(default=None, repr=False)
    """For a quick trial: how many files of each sample are used, the first ones."""
    max_jets_per_file: NumberOfJets | None = None
    """For a quick trial: how many jets of each file are read, the first ones, before any cut, and the rest of the last
    event. Depends on the file alone, not on batches or cores."""
    files_per_batch: Annotated[int, Ge(1)] = 50
    """Number of input files that one clean job reads."""
    checksum: bool = True
    """Whether to record the SHA-256 of each local input file, which means reading all of it. Size and UUID are always
    recorded."""
    # None of these changes the content of readable files, so no finished job runs again for them. A job spends most of
    # its system time on touching memory for the first time; 32 MB at a time take a third longer.
    chunk_bytes: Annotated[int, Ge(1)] = field(default=16_000_000, repr=False)
    """About how many bytes of input, decompressed, a job reads at a time; 8,000,000 by default for format hdf5. Only
    the order of `DumpStream` depends on it."""
    unreadable: Literal["error", "skip"] = field(default="error", repr=False)
    """What to do with a file that is damaged, truncated or out of reach: stop with an error, or skip the whole file,
    with a warning and an entry in the manifest. A missing tree, branch or dataset is always an error."""
    timeout: Annotated[int, Ge(1), Le(86_400)] = field(default=120, repr=False)
    """Seconds to wait for the answer to a request for a remote file, at most a day."""


def names_of_format(raw: Any) -> Any:
    """Fill in the names that are usual in files of the format."""
    chosen = raw.get("format") if isinstance(raw, dict) else None
    return {**FORMAT.entries[chosen].defaults, **raw} if chosen in FORMAT.choices else raw
