"""Variables of jets and constituents, and the transforms that UPP applies when it reads them."""

from collections.abc import Mapping
from glob import glob
from pathlib import Path
from typing import Any

from jetmill.errors import JetmillError
from jetmill.upp.cuts import as_cuts
from jetmill.upp.notes import Notes
from jetmill.variables.expressions import Expression
from jetmill.variables.ftag import cut_expression

# Values from 0, as salt knows them.
CLASSES_OF_LABELS = {
    "ftagTruthOriginLabel": ["pileup", "fake", "primary", "fromB", "fromBC", "fromC", "fromTau", "otherSecondary"],
}
SHARED_HITS = "numberOfPixelSharedHits + numberOfSCTSharedHits / 2"


def jets(upp: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    """Return ``define``, ``variables`` and ``additional_labels`` of the section ``jets``.

    Raises
    ------
    JetmillError
        If UPP has no variables of jets.
    """
    name = upp["global"].get("global_name", "jets")
    if name not in upp["variables"]:
        raise JetmillError(f"variables: has no {name}, the dataset of jets (global.global_name)")
    found = _variables(upp, name, notes)
    # The label is the class, and the resampling variables are written anyhow.
    labels = [label for label in found.pop("labels") if label != "flavour_label"]
    return found | {"additional_labels": labels}


def constituents(upp: Mapping[str, Any], directory: Path, notes: Notes) -> dict[str, Any]:
    """Return the section ``constituents``."""
    jets_name = upp["global"].get("global_name", "jets")
    section = {}
    for name, groups in upp["variables"].items():
        if name == jets_name:
            continue
        found = _variables(upp, name, notes)
        found["variables"] = [variable for variable in found["variables"] if variable != "valid"]
        cuts = as_cuts(f"variables.{name}.selection", groups.get("selection") or [])
        found["select"] = [cut_expression(cut).replace("NSHARED", f"{SHARED_HITS}") for cut in cuts]
        classes = {label: names for label, names in CLASSES_OF_LABELS.items() if label in _names(found["labels"])}
        collection: dict[str, Any] = {"max": _slots(upp, name, directory, notes)}
        order = ("define", "select", "variables", "labels")
        section[name] = collection | {key: found[key] for key in order if found.get(key)}
        if classes:
            section[name]["label_classes"] = classes
    return section


def _names(labels: list[Any]) -> list[str]:
    return [label if isinstance(label, str) else label["name"] for label in labels]


def _variables(upp: Mapping[str, Any], name: str, notes: Notes) -> dict[str, Any]:
    """Return ``define``, ``variables`` and ``labels`` of a dataset."""
    groups, transform = upp["variables"][name], upp.get("transform") or {}
    inputs = list(dict.fromkeys(groups.get("inputs") or []))
    labels = [label for label in dict.fromkeys(groups.get("labels") or []) if label not in inputs]
    define: dict[str, str] = {}
    renamed = {new: old for old, new in (transform.get("variable_map") or {}).get(name, {}).items()}
    define |= {new: old for new, old in renamed.items() if new in inputs}
    given: list[Any] = [{"name": label, "variable": renamed[label]} if label in renamed else label for label in labels]
    for variable in (transform.get("ints_map") or {}).get(name, {}):
        notes.missing(
            f"transform.ints_map.{name}.{variable}",
            "give the label all of its new values: labels: [{name: ..., values: {0: 1, ...}}]; others become -1",
        )
    for group in transform.get("ints_map") or {}:
        if group not in upp["variables"]:
            notes.missing(f"transform.ints_map.{group}", "is not a dataset of variables, and does nothing in UPP")
    for variable, function in (transform.get("floats_map") or {}).get(name, {}).items():
        new, text = f"{function}_{variable}", f"{function}({variable})"
        try:
            Expression(text)
        except JetmillError:
            notes.missing(f"transform.floats_map.{name}.{variable}", f"expressions have no {function}")
            continue
        if variable in inputs:
            inputs[inputs.index(variable)] = new
            define[new] = text
            notes.differs(f"transform.floats_map.{name}.{variable}", f"the input is called {new}")
    return {"define": define, "variables": inputs, "labels": given}


def _slots(upp: Mapping[str, Any], name: str, directory: Path, notes: Notes) -> int:
    """Return the number of constituents that a file of a sample has room for, or 40 if there is no file yet."""
    import h5py

    patterns = upp["components"][0]["sample"]["pattern"]
    for pattern in patterns if isinstance(patterns, list) else [patterns]:
        for path in sorted(glob(str(directory / str(pattern))))[:1]:
            try:
                with h5py.File(path) as file:
                    return int(file[name].shape[1])
            except (OSError, KeyError, IndexError):
                continue
    notes.differs(f"variables.{name}", "max is 40, since no file was found to look at; UPP keeps all slots")
    return 40
