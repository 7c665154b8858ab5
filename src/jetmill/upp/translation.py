"""From a configuration of UPP to one of jetmill, and what has no equal there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jetmill.errors import JetmillError, nearest
from jetmill.upp.binning import Axes
from jetmill.upp.components import Components
from jetmill.upp.cuts import Cut, Remainders, as_cuts, variables_of
from jetmill.upp.notes import Notes
from jetmill.upp.variables import constituents, jets
from jetmill.variables.ftag import EXTENDED, PREFIX, all_cuts, cut_expression, read_flavours

EVENT = "eventNumber"
WEIGHTS = ("mean", "min", "max", "uniform")
# What jetmill finds out by itself, or does in another way.
NOT_NEEDED = {
    *("batch_size", "components_dir", "out_fname", "vds_dir", "skip_checks", "skip_config_copy", "skip_auto_counts"),
    *(f"num_global_objects_estimate{end}" for end in ("", "_available", "_hist", "_norm", "_plotting")),
}
ORDER_OF_JETS = ("define", "select", "variables", "additional_labels")
USED = {
    *("base_dir", "ntuple_dir", "out_dir", "global_name", "class_config", "class_category", "merge_test_samples"),
    "num_global_objects_per_output_file",
}


@dataclass(frozen=True)
class Translated:
    """A configuration of jetmill, by sections, and what is to be told of it."""

    sections: dict[str, Any]
    notes: Notes = field(default_factory=Notes)


def translate(upp: Mapping[str, Any]) -> Translated:
    """Translate the sections of a configuration of UPP, as `jetmill.upp.reading.read` returns them.

    Raises
    ------
    JetmillError
        If it is wrong in itself, such as a cut of two words.
    """
    notes = Notes()
    settings = upp["global"]
    _unused(upp, notes)
    split, common = _split(upp["global_cuts"], notes)
    resampling = upp.get("resampling") or {}
    components = Components.read(upp, notes)
    axes = Axes.read(upp, components.regions, resamples=_method(resampling) != "none", notes=notes)
    used = [*common, *axes.common, *(cut for cuts in _listed(upp["global_cuts"]).values() for cut in cuts)]
    of_jets, of_constituents = jets(upp, notes), constituents(upp, components.directory, notes)
    labels = [label if isinstance(label, str) else label["name"] for label in of_jets.get("additional_labels", [])]
    has_event = EVENT in [*variables_of(used), *labels, *of_jets["variables"]]
    of_jets["select"] = list(map(_selection, [*common, *axes.common])) + split.pop("select", [])
    of_jets["additional_labels"] = [x for x in of_jets.get("additional_labels", []) if x != EVENT]
    if split["by"] == "event" and not has_event:
        split["by"] = "jet"
    sections = {
        "output_dir": _directory(settings, settings.get("out_dir", "output")),
        "seed": 1,
        "samples": components.samples,
        "input": {
            "format": "hdf5",
            "jets": settings.get("global_name", "jets"),
            "event_id": [EVENT] if has_event else [],
            "files_per_batch": 1,
            "checksum": False,
        },
        "jets": {key: of_jets[key] for key in ORDER_OF_JETS if of_jets.get(key)},
        **({"constituents": of_constituents} if of_constituents else {}),
        "classes": _classes(settings, components, notes),
        "split": split,
        "balance": _balance(upp, components, axes, notes),
        "write": _write(upp, components, notes),
    }
    return Translated(sections, notes)


def _unused(upp: Mapping[str, Any], notes: Notes) -> None:
    known = NOT_NEEDED | USED | {"base_dir"}
    for key in upp["global"]:
        if key not in known:
            notes.missing(f"global.{key}", f"is no key of UPP 0.3.3.{nearest(str(key), known)}")
    if (name := upp["global"].get("global_name", "jets")) != "jets":
        notes.differs("global.jets_name", f"the dataset of {name} is called jets in the output")
    if "umami" in upp:
        notes.missing("umami", "is not read; write.formats: [hdf5] makes its arrays, tfrecords its records")
    for key in upp:
        if not isinstance(upp[key], Mapping | list):
            notes.missing(key, "is no section of UPP 0.3.3")


def _method(resampling: Mapping[str, Any]) -> str:
    return str(resampling.get("method") or "none")


def _directory(settings: Mapping[str, Any], path: Any) -> str:
    return str(Path(str(settings.get("base_dir", ".")), str(path)))


def _listed(cuts: Mapping[str, Any]) -> dict[str, list[Cut]]:
    for name in ("train", "val", "test"):
        if name not in cuts:
            raise JetmillError(f"global_cuts: has no {name}.{nearest(name, map(str, cuts))}")
    return {name: as_cuts(f"global_cuts.{name}", cuts[name]) for name in ("train", "val", "test")}


def _selection(cut: Cut) -> Any:
    """Return a cut as an entry of jets.select."""
    variable, sign, value = cut
    if str(value).strip().lower() == "nan":
        if sign == "!=":
            return f"{variable} == {variable}"
        return {"cut": f"{variable} != {variable}", "missing": "keep"}
    return cut_expression(cut)


def _split(cuts: Mapping[str, Any], notes: Notes) -> tuple[dict[str, Any], list[Cut]]:
    """Return the section ``split``, perhaps with cuts (``select``) that drop jets of no split, and the common cuts."""
    splits = _listed(cuts)
    shared = [cut for cut in splits["train"] if all(cut in of_split for of_split in splits.values())]
    common = [*as_cuts("global_cuts.common", cuts.get("common") or []), *shared]
    splits = {name: [cut for cut in of_split if cut not in shared] for name, of_split in splits.items()}
    if not any(splits.values()):
        notes.differs(
            "global_cuts",
            "train, val and test are the same jets in UPP; here each jet is in one of them",
        )
        return {"by": "event", "test": 0.1, "val": 0.1}, common
    if Remainders.decide(splits):
        remainders = Remainders(splits)
        found = list(remainders.combinations())
        if any(len(names) > 1 for _, names in found):
            notes.differs("global_cuts", "some jets are in two splits in UPP; here test comes first, then val")
        left_out = any(not names for _, names in found)
        if list(remainders.moduli) == [EVENT]:
            of = {name: [r[EVENT] for r, names in found if name in names] for name in splits}
            modulo = remainders.moduli[EVENT]
            kept = sorted({*of["train"], *of["val"], *of["test"]})
            val = [r for r in of["val"] if r not in of["test"]]
            select = [f"{EVENT} % {modulo} in ({', '.join(map(str, kept))},)"] if left_out else []
            return {"by": "modulo", "modulo": modulo, "val": val, "test": of["test"], "select": select}, common
    else:
        left_out = True
    expressions = {name: all_cuts(of_split) if of_split else "1 == 1" for name, of_split in splits.items()}
    select = [" | ".join(f"({text})" for text in expressions.values())] if left_out else []
    return {"by": "expression", "val": expressions["val"], "test": expressions["test"], "select": select}, common


def _classes(settings: Mapping[str, Any], components: Components, notes: Notes) -> dict[str, Any]:
    """Return the section ``classes``, in the order in which flavours appear."""
    file = settings.get("class_config")
    given = read_flavours(_directory(settings, file)) if file else None
    group = PREFIX + (EXTENDED if settings.get("class_category", "standard") == "extended" else "")
    classes: dict[str, Any] = {}
    for name in components.flavours:
        if given is None:
            cut = group + name
        elif name in given:
            cut = all_cuts(given[name]["cuts"])
        else:
            raise JetmillError(f"components: class '{name}' is not in {file}.{nearest(name, given)}")
        restricted = components.samples_of_class(name, notes)
        classes[name] = {"samples": restricted, "cut": cut} if restricted else cut
    return classes


def _balance(upp: Mapping[str, Any], components: Components, axes: Axes, notes: Notes) -> dict[str, Any]:
    resampling = upp.get("resampling") or {}
    method = _method(resampling)
    section: dict[str, Any] = {"bins": axes.section, "outside": "drop"}
    if weights := _weights(upp, components, axes, notes):
        section["weights"] = weights
    of: dict[str, Any] = {"method": method}
    if method != "none":
        of["target"] = resampling.get("target")
        fraction = resampling.get("sampling_fraction", 1.0)
        if method == "pdf":
            # The numbers of jets decide; UPP's auto takes what they need.
            of["max_upsampling"] = max(1.0, float(fraction)) if isinstance(fraction, int | float) else 10
        if (resampling.get("upscale_pdf") or 1) > 1:
            notes.missing("resampling.upscale_pdf", "has no equal; take finer bins in balance.bins instead")
    of |= components.section(axes, notes)
    if components.automatic and (ratios := (upp.get("auto_counts") or {}).get("class_ratios")) not in (None, "auto"):
        of["shares"] = dict(ratios)
    if len(of) > 1 or method != "none":
        of["validation"] = True
        section["resampling"] = of
    return section


def _weights(upp: Mapping[str, Any], components: Components, axes: Axes, notes: Notes) -> list[Any]:
    """Return the weight tables of section ``reweighting`` that are equal to some of jetmill."""
    found: list[Any] = []
    name = upp["global"].get("global_name", "jets")
    for number, weight in enumerate((upp.get("reweighting") or {}).get("reweights") or []):
        key, target = f"reweighting.reweights.{number}", weight.get("class_target")
        if weight.get("group") != name:
            notes.missing(key, f"weights of constituents ({weight.get('group')}) have no equal")
            continue
        if not axes.weights(weight):
            notes.missing(key, "has other bins than the first; balance has one set of bins for all weights")
            continue
        label = weight.get("class_var")
        if label != "flavour_label":
            notes.differs(key, f"UPP makes one weight for each value of {label}, here it is one for each class")
        is_label = isinstance(target, int) and label == "flavour_label" and 0 <= target < len(components.flavours)
        if is_label or target in WEIGHTS:
            found.append({"reference": components.flavours[target]} if isinstance(target, int) else target)
        else:
            notes.missing(f"{key}.class_target", f"{target} has no equal; take mean or {{reference: class}}")
        if weight.get("target_hist_func") or weight.get("target_hist_func_name"):
            notes.missing(f"{key}.target_hist_func", "functions of the target have no equal")
    return [weight for n, weight in enumerate(found) if weight not in found[:n]]


def _write(upp: Mapping[str, Any], components: Components, notes: Notes) -> dict[str, Any]:
    settings = upp["global"]
    section: dict[str, Any] = {"formats": ["structured"], "compression": "lz4"}
    if components.has_validation:
        section["outputs"] = ["train", "test"]
    if size := settings.get("num_global_objects_per_output_file"):
        total = components.total("train")
        if total:
            section["parts"] = {"train": max(1, -(-total // int(size)))}
        else:
            notes.missing("global.num_jets_per_output_file", "give the number of files in write.parts")
    if not settings.get("merge_test_samples", False):
        notes.differs(
            "global.merge_test_samples",
            "test.h5 holds the jets of all samples; its field sample is the position of the sample under samples",
        )
    return section
