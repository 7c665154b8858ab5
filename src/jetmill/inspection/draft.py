"""A first configuration for files that nobody has described: it runs as it is, and says where to go on."""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import yaml

from jetmill.errors import JetmillError
from jetmill.inspection.guesses import Constituents, Guess
from jetmill.inspection.tables import Table, Variable, find
from jetmill.inspection.values import Summary

# Truth, numbers of other objects, and what is no property of a single jet.
_NO_INPUT = re.compile(
    r"gen|truth|true|hadron|parton|flav|label|idx|index|link|mask|number|valid|id$|weight|rank|corr|factor|^n?hf"
    r"|event|momentum|area4vec|isdefaults|detectoreta|_phi$",
    re.IGNORECASE,
)
_TAGGERS = re.compile(
    r"btag(?!jes)|particlenet|pnet|robustpart|upart|globalpart|^dl1|^gn\d|discriminator", re.IGNORECASE
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
INPUTS, TAGGERS, OF_CONSTITUENTS = 12, 6, 12
# Flavour to class and value; all others are light.
_CLASSES = {name: {"b": 5, "c": 4, "tau": 15} for name in ("HadronConeExclTruthLabelID", "HadronGhostTruthLabelID")}
# Above this median, pT is in MeV.
MEV = 5000


def samples_of(files: Sequence[str]) -> dict[str, list[str]]:
    """Return a sample for each group of files that differ in a number at the end of their name."""
    groups: dict[tuple[str, str], list[str]] = {}
    for path in files:
        place = PurePosixPath(path)
        stem = re.sub(r"([._-]+\d+)+$", "", place.name.partition(".")[0]) or "sample"
        groups.setdefault((place.parent.name, re.sub(r"\W", "_", stem)), []).append(path)
    stems = [stem for _, stem in groups]
    found = {}
    for (parent, stem), paths in groups.items():
        name = stem if stems.count(stem) == 1 else re.sub(r"\W", "_", f"{parent}_{stem}")
        found[name if _NAME.fullmatch(name) else f"sample_{name}"] = paths
    return found


def draft(files: Sequence[str], tables: Sequence[Table], guess: Guess) -> str:
    """Return the text of a configuration.

    Parameters
    ----------
    files
        Input files, of which the first one is open.
    tables, guess
        What that one holds, and seems to hold.

    Raises
    ------
    JetmillError
        If pT cannot be read.
    """
    return "\n".join([*_Draft(files, tables, guess).lines(), ""])


class _Draft:
    def __init__(self, files: Sequence[str], tables: Sequence[Table], guess: Guess):
        self.files, self.tables, self.guess = files, tables, guess
        table = find(tables, guess.table)
        assert table is not None
        self.table = table
        self.of_jets = self._of("" if table.kind == "dataset" else guess.jets)
        shallow = min(v.depth for v in self.of_jets.values() if v.short == guess.roles["pt"])
        self.of_jets = {name: v for name, v in self.of_jets.items() if v.depth == shallow and "[" not in v.type[:-2]}
        self.aliases = {
            role: self.of_jets[name].name for role, name in guess.roles.items() if not _NAME.fullmatch(name)
        }
        self.roles = {role: role if role in self.aliases else name for role, name in guess.roles.items()}
        self.summaries: dict[str, Summary | None] = {}
        pt = self._summary(guess.roles["pt"])
        if pt is None or pt.median is None or pt.low is None or pt.high is None:
            raise JetmillError(f"{files[0]}: pT of the jets, '{guess.roles['pt']}', holds no numbers")
        mev = pt.median > MEV
        # For salt and umami, dumps stay in MeV.
        self.factor = 0.001 if mev and table.kind != "dataset" else 1.0
        gev = 1000.0 if mev and table.kind == "dataset" else 1.0
        self.low = max(20 * gev, _nice(pt.low * self.factor, up=False))
        self.high = max(_nice(pt.high * self.factor, up=True), 2 * self.low)

    def _of(self, collection: str) -> dict[str, Variable]:
        return {v.short: v for v in self.table.collections.get(collection, [])}

    def _summary(self, name: str) -> Summary | None:
        if name not in self.summaries and name in self.of_jets:
            self.summaries[name] = _summary(self.table, self.of_jets[name])
        return self.summaries.get(name)

    def lines(self) -> Iterator[str]:
        guess, file = self.guess, PurePosixPath(self.files[0]).name
        yield f"# Made by `jetmill init` from {file}, which looks like {guess.layout}. Change it as you need."
        yield "# docs/config.md explains every key; `jetmill check config/config.yaml` tries them on the first jets."
        yield "output_dir: results"
        yield "seed: 1"
        yield "strict: false # a class without jets and a constant variable are warnings; true for the full samples"
        yield ""
        yield "samples: # one for each process; globs, lists, or a text file with a path per line"
        for name, paths in samples_of(self.files).items():
            yield f"  {name}: {{files: {_flow(paths)}}}"
        yield from ["", *self._input(), "", *self._jets()]
        blocks = [line for found in guess.constituents[:1] for line in self._constituents(found)]
        yield from ["", "constituents:", *blocks] if blocks else []
        yield from ["", *self._classes(), ""]
        yield (
            "split: {by: event, test: 0.2, val: 0.1} # val: share of what is left after test"
            if guess.event_id
            else ("split: {by: jet, test: 0.2, val: 0.1} # events are not identified")
        )
        yield from ["", "balance:"]
        edges = sorted({_nice(x, digits=2) for x in np.geomspace(self.low, self.high, 13)})
        yield f"  bins: {{{self.roles['pt']}: {{edges: {_flow(edges)}}}, abs_eta: [0, 2.5, 5]}}"
        yield "  weights: [average] # the spectrum of all classes becomes their average; or flat"
        yield "  # resampling: {method: pdf, target: flat} # or take jets more or less often"
        yield ""
        yield "write:"
        yield "  parts: {train: 1, val: 1, test: 1} # more for more than a million jets"
        yield "  formats: [hdf5] # structured (salt), parquet, tfrecords, torch"

    def _input(self) -> Iterator[str]:
        guess = self.guess
        yield "input:"
        if self.table.kind == "dataset":
            yield "  format: hdf5"
            yield f"  jets: {_flow(guess.jets)} # the dataset of jets"
        else:
            if self.table.kind == "arrays":
                yield "  format: hdf5_arrays"
            else:
                yield f"  tree: {_flow(guess.table)}"
                yield f"  level: {guess.level} # what an entry is"
            yield f"  jets: {_flow(guess.jets)} # what the names of variables of jets begin with"
            if guess.event:
                yield f"  event: {_flow(guess.event)} # and of events"
            if self.aliases:
                yield f"  aliases: {_flow(self.aliases)}"
        yield f"  event_id: {_flow(guess.event_id)}"
        yield "  files_per_batch: 10 # files that one job reads"
        yield "  checksum: false # true: record the SHA-256 of each file"

    def _jets(self) -> Iterator[str]:
        roles = self.roles
        first = [roles[role] for role in ("pt", "eta", "mass") if role in roles]
        usable = {name: s for name in self.of_jets if _NAME.fullmatch(name) and (s := self._usable(name))}
        taggers = [name for name in usable if _TAGGERS.search(name)][:TAGGERS]
        others = [n for n in usable if n not in (*first, *self.guess.roles.values()) and not _TAGGERS.search(n)]
        chosen = [*first, *others[:INPUTS]]
        yield "jets:"
        if self.factor != 1:
            energies = [roles[role] for role in ("pt", "mass", "energy") if roles.get(role) in chosen]
            yield f"  units: {_flow(dict.fromkeys(energies, self.factor))} # MeV to GeV"
        sentinels = {n: list(usable[n].sentinels) for n in chosen if n in usable and usable[n].sentinels}
        if sentinels:
            yield "  missing: # NaN and infinities always are; these numbers seem to mean that there is no value"
            yield "    values_of:"
            yield from (f"      {name}: {_flow([_number(x) for x in values])}" for name, values in sentinels.items())
        yield "  define:"
        yield f"    abs_eta: abs({roles['eta']})"
        yield "  select:"
        yield f"    - {roles['pt']} >= {self.low:g}"
        yield f"    - {roles['pt']} < {self.high:g}"
        yield "    - abs_eta < 2.5"
        yield "  variables: # the inputs of the tagger"
        yield from (f"    - {name}" for name in chosen)
        yield from _also("    ", others[INPUTS:])
        if taggers:
            yield "  spectators: # existing taggers, passed through to compare with"
            yield from (f"    - {name}" for name in taggers)

    def _usable(self, name: str) -> Summary | None:
        """Return the summary of a variable that can be an input."""
        if _NO_INPUT.search(name):
            return None
        found = self._summary(name)
        return found if found and found.distinct > 1 and 2 * found.missing < found.n else None

    def _constituents(self, found: Constituents) -> Iterator[str]:
        if self.table.kind == "dataset":
            other = find(self.tables, found.variables)
            assert other is not None
            table, variables, most = other, {v.short: v for v in other.variables.values()}, other.shape[1]
        else:
            table, variables, most = self.table, self._of(found.variables), 64
        numbers = {n: v for n, v in variables.items() if _NAME.fullmatch(n) and v.type.rstrip("[]") in _NUMBERS}
        angles = {"eta", "phi"} <= set(numbers) and {"eta", "phi"} <= set(self.roles.values())
        chosen = [
            n for n in numbers if not _NO_INPUT.search(n) and n not in ("eta", "phi") and "bool" not in numbers[n].type
        ]
        is_track = "theta" in numbers and "qOverP" in numbers and "pt" not in numbers and self.table.kind != "dataset"
        if is_track:
            chosen = [
                "pt",
                "charge",
                *(n for n in ("d0", "z0", "numberOfPixelHits", "numberOfSCTHits") if n in numbers),
            ]
        if not chosen:
            return
        name = found.variables if self.table.kind == "arrays" else found.name
        yield f"  {name}: # {found.link}"
        if found.tree and self.table.kind in ("TTree", "RNTuple"):
            yield f"    tree: {_flow(found.tree)}"
        used = [name for name in chosen[: OF_CONSTITUENTS - 3] if name in numbers]
        sentinels = {n: list(s.sentinels) for n in used if (s := _summary(table, numbers[n])) and s.sentinels}
        if sentinels:
            yield "    missing: # these numbers seem to mean that there is no value"
            yield "      values_of:"
            yield from (f"        {name}: {_flow([_number(x) for x in v])}" for name, v in sentinels.items())
        if is_track:
            yield "    define:"
            yield f"      pt: sin(theta) / abs(qOverP) * {self.factor:g}"
            yield "      eta: -log(tan(theta / 2))"
            yield "      charge: where(qOverP > 0, 1, -1)"
            angles = "phi" in numbers
        if angles:
            yield "    transforms:"
            yield "      - relative_angles # to the axis of the jet: relative_eta, relative_phi"
            yield "      - {name: delta_r, roles: {eta: relative_eta, phi: relative_phi}}"
            chosen = [*chosen[:1], "relative_eta", "relative_phi", "delta_r", *chosen[1:]]
        if "pt" in (*numbers, *chosen):
            yield "    sort_by: pt # the largest first"
        yield f"    max: {most} # the others are left out"
        yield "    variables:"
        yield from (f"      - {name}" for name in chosen[:OF_CONSTITUENTS])
        yield from _also("      ", chosen[OF_CONSTITUENTS:])

    def _classes(self) -> Iterator[str]:
        yield "classes: # the order is the label"
        flavour, samples = self.roles.get("flavour"), list(samples_of(self.files))
        flags = [n for n in self.table.variables if re.fullmatch(r"label_\w+", n)]
        if flavour is not None:
            signed = f"abs({flavour})" if "parton" in flavour.lower() else flavour
            for name, value in _CLASSES.get(flavour, {"b": 5, "c": 4}).items():
                yield f"  {name}: {signed} == {value}"
            yield "  light: rest"
        elif len(flags) > 1:
            yield from (f"  {name.removeprefix('label_')}: {name} == 1" for name in flags)
        elif "labels" in self.table.variables:
            yield from ("  signal: labels == 1", "  background: rest")
        elif len(samples) > 1:
            yield from (f"  {name}: {{samples: [{name}]}}" for name in samples)
        else:
            yield "  all: rest # no flavour found: write expressions, or one class for each sample, {samples: [tt]}"


_NUMBERS = {
    "float",
    "double",
    "float32",
    "float64",
    "float16",
    "int",
    "int8_t",
    "int16_t",
    "int32_t",
    "uint8_t",
    "uint16_t",
}
_NUMBERS |= {"uint32_t", "int32", "int16", "int8", "uint8", "uint16", "uint32", "<f2", "<f4", "<f8"}


def _summary(table: Table, variable: Variable) -> Summary | None:
    """Return the summary of a variable, None if it holds no numbers."""
    try:
        return Summary.of(table.read(variable.name)[0])
    except JetmillError:
        return None


def _also(indent: str, names: Sequence[str]) -> Iterator[str]:
    """Yield comments that name further variables."""
    if names:
        start = f"{indent}# "
        yield from textwrap.wrap(f"also there: {', '.join(names)}", 116, initial_indent=start, subsequent_indent=start)


def _nice(x: float, *, up: bool | None = None, digits: int = 1) -> float:
    """Return a number of a few digits: the next larger, smaller, or nearest."""
    if x <= 0:
        return 0.0
    unit = 10.0 ** (np.floor(np.log10(x)) - digits + 1)
    # What is such a number stays it, in spite of rounding.
    units = np.ceil(x / unit - 1e-9) if up else np.floor(x / unit + (0.5 if up is None else 1e-9))
    return float(f"{units * unit:.{digits}g}")


def _number(x: float) -> float | int:
    return int(x) if float(x).is_integer() else x


def _flow(value: Any) -> str:
    """Return a value in YAML, in one line."""
    if isinstance(value, Mapping):
        value = dict(value)
    if isinstance(value, list | tuple):
        value = [_number(x) if isinstance(x, float) else x for x in value]
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10**9, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...").strip()
