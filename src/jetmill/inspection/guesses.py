"""What the tables of a file seem to be: jets, their flavour, the identity of the event, constituents."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from jetmill.inspection.tables import Table, Variable

# Role to what its variable is called, in the order of preference; matched without regard to case.
ROLES = {
    "pt": r"pt|pt_btagjes|fcoordinates\.fpt",
    "eta": r"eta|eta_btagjes|fcoordinates\.feta",
    "phi": r"phi|fcoordinates\.fphi",
    "mass": r"mass|m|fcoordinates\.fm",
    "energy": r"e|energy|fcoordinates\.fe",
}
FLAVOURS = [
    "hadronFlavour",
    "HadronConeExclTruthLabelID",
    "HadronGhostTruthLabelID",
    "hadronFlavor",
    "Flavor",
    "partonFlavour",
    "true_flavour",
    "truth_flavour",
    "flavour",
    "label",
]
EVENTS = [
    ("run", "luminosityBlock", "event"),
    ("EventInfoAuxDyn.eventNumber",),
    ("EventInfoAuxDyn:eventNumber",),
    ("EventInfoAux.eventNumber",),
    ("EventInfoAux:.eventNumber",),
    ("eventNumber",),
    ("EventInfo_mcEventNumber",),
    ("RunNum", "LumiBlockNum", "EvtNum"),
    ("Event.Number",),
    ("event_number",),
    ("event",),
]
OTHER_JETS = ("fat", "large", "ak8", "antikt10", "subjet", "tau", "corr", "trk", "softactivity")
# Trees that hold no events or jets.
OTHERS = re.compile(r"^(##|Meta|POOL|Runs$|LuminosityBlocks$|ParameterSets$|DataHeader|EventTag)")


@dataclass(frozen=True)
class Constituents:
    """A collection of constituents of jets.

    Attributes
    ----------
    name
        What it may be called.
    variables
        Prefix of its variables, or its dataset.
    link
        How jets are linked to it, for people.
    tree
        ``constituents.<name>.tree`` of the configuration.
    """

    name: str
    variables: str
    link: str
    tree: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Guess:
    """What a file seems to hold.

    Attributes
    ----------
    layout
        Its kind.
    table
        The tree, or the dataset of jets.
    level
        ``event`` or ``jet``: what an entry is.
    jets
        Prefix of the variables of jets, as ``input.jets``.
    event
        Prefix of those of the event, as ``input.event``.
    roles
        pt, eta, phi, mass, energy, flavour to the variable of jets.
    event_id
        Variables that identify the event, as ``input.event_id``.
    """

    layout: str
    table: str
    level: str
    jets: str
    event: str = ""
    roles: dict[str, str] = field(default_factory=dict)
    event_id: list[str] = field(default_factory=list)
    constituents: list[Constituents] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return asdict(self)


def guess(tables: Sequence[Table]) -> Guess | None:
    """Return what a file seems to hold, None if no jets are seen."""
    of_jets = [t for t in tables if t.kind == "dataset" and len(t.shape) == 1 and _roles(list(t.variables.values()))]
    if of_jets:
        return _dump(max(of_jets, key=lambda t: ("jet" in t.name.lower(), len(t.variables))), tables)
    for table in sorted(tables, key=lambda t: -len(t.variables)):
        if table.kind != "dataset" and not OTHERS.match(table.name) and (found := _tree(table)):
            return found
    return None


def _dump(jets: Table, tables: Sequence[Table]) -> Guess:
    constituents = [
        Constituents(t.name, t.name, f"rows of '{t.name}', {t.shape[1]} slots, belong to those of '{jets.name}'")
        for t in tables
        if t.kind == "dataset" and len(t.shape) == 2 and t.shape[0] == jets.shape[0] and len(t.variables) > 1
    ]
    known = set(jets.variables)
    event = next((list(names) for names in EVENTS if known.issuperset(names)), [])
    layout = "ATLAS training-dataset-dumper" if constituents or event else "structured datasets"
    roles = _roles(list(jets.variables.values()))
    return Guess(layout, jets.name, "jet", jets.name, "", roles, event, constituents)


def _tree(table: Table) -> Guess | None:
    collections = {name: list(of) for name, of in table.collections.items() if name}
    candidates = {name: roles for name, of in collections.items() if (roles := _roles(of))}
    if not candidates:
        return None
    jets = max(candidates, key=lambda name: _likely(name, candidates[name], collections[name]))
    depth = _of(collections[jets], candidates[jets]["pt"]).depth
    level = "event" if depth else "jet"
    event = next((list(names) for names in EVENTS if set(table.variables).issuperset(names)), [])
    prefix = next((n.rpartition(s)[0] for n in event[:1] for s in (".", ":") if s in n), "")
    if prefix:
        event = [name.removeprefix(prefix).lstrip(".:") for name in event]
    constituents = _links(collections, jets, depth)
    return Guess(_layout(table, level), table.name, level, jets, prefix, candidates[jets], event, constituents)


def _likely(name: str, roles: dict[str, str], variables: Sequence[Variable]) -> tuple[bool, ...]:
    low = name.lower()
    truth = any(word in low for word in ("gen", "truth"))
    large = any(word in low for word in OTHER_JETS)
    return ("jet" in low, not truth, "flavour" in roles, not large, len(variables) > 10, -len(name))  # type: ignore[return-value]


def _roles(variables: Sequence[Variable]) -> dict[str, str]:
    """Return the variable of each role; nothing without pT and eta."""
    shallow = min((v.depth for v in variables), default=0)
    names = {v.short: v for v in variables if v.depth == shallow or v.depth == 1}
    found = {}
    for role, pattern in ROLES.items():
        fits = [name for name in names if re.fullmatch(pattern, name, flags=re.IGNORECASE)]
        if fits:
            found[role] = min(fits, key=len)
    if not {"pt", "eta"} <= set(found):
        return {}
    lowered = {name.lower(): name for name in names}
    flavour = next((lowered[f.lower()] for f in FLAVOURS if f.lower() in lowered), None)
    return found | ({"flavour": flavour} if flavour else {})


def _of(variables: Sequence[Variable], short: str) -> Variable:
    return next(v for v in variables if v.short == short)


def _links(collections: dict[str, list[Variable]], jets: str, depth: int) -> list[Constituents]:
    """Find constituents: tables of links, ElementLinks, lists in each jet."""
    found = []
    for name, variables in collections.items():
        shorts = {v.short: v for v in variables}
        index = [s for s in shorts if re.fullmatch(r"jetidx", s, flags=re.IGNORECASE)]
        others = [s for s in shorts if re.fullmatch(r"pfcands?idx", s, flags=re.IGNORECASE)]
        if index and others and depth == 1 and re.fullmatch(f"{jets}PFCands?", name):
            row = others[0].lower().removesuffix("idx").rstrip("s")
            if target := next((c for c in collections if c.lower().rstrip("s") == row), ""):
                link = f"'{name}_{index[0]}' names the jet, '{name}_{others[0]}' the row of '{target}'"
                tree = {"branches": target, "links": name, "index": others[0], "jet_index": index[0]}
                found.append(Constituents("pf", target, link, tree))
        nested = [v for v in variables if v.depth == depth + 1 and "Link" not in v.type and v.type != "bool"]
        of_jet = name == "part" or (name.startswith(f"{jets}_") and name != jets)
        if of_jet and len(nested) > 2 and any(v.short.lower() in ("pt", "px", "e", "energy") for v in nested):
            found.append(Constituents(name.removeprefix(f"{jets}_"), name, "a list in each jet", {"branches": name}))
    targets = [c for c in collections if "TrackParticles" in c]
    for variable in collections[jets]:
        is_link = "ElementLink" in variable.type or variable.name.endswith(".m_persKey")
        if is_link and variable.depth == depth + 1 and "Track" in variable.name:
            short = variable.short.partition(".")[0]
            if targets and not found:
                tree = {"branches": targets[0], "element_links": short}
                found.append(Constituents("tracks", targets[0], f"ElementLinks '{short}' to '{targets[0]}'", tree))
    return found


LAYOUTS = {
    "CMS PFNano": ("Jet_pt", "PFCands_pt"),
    "CMS NanoAOD": ("Jet_pt", "run", "luminosityBlock"),
    "ATLAS PHYSLITE": ("AnalysisJetsAuxDyn.pt",),
    "ATLAS PHYSLITE as RNTuple": ("AnalysisJetsAuxDyn:pt",),
    "Delphes": ("Jet.PT", "Jet.Eta"),
    "ATLAS top-tagging open data": ("fjet_pt", "fjet_clus_pt", "labels"),
    "JetClass": ("part_px", "jet_pt", "label_QCD"),
    "CMS TreeMaker": ("RunNum", "EvtNum", "Jets.fCoordinates.fPt"),
}


def _layout(table: Table, level: str) -> str:
    fits = (name for name, needed in LAYOUTS.items() if set(table.variables).issuperset(needed))
    other = "an array per variable" if table.kind == "arrays" else f"a tree of {'jets' if level == 'jet' else 'events'}"
    return next(fits, other)
