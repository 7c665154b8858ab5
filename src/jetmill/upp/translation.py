"""From a configuration of UPP to one of jetmill, and what has no equivalent there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jetmill.errors import JetmillError, nearest
from jetmill.upp.binning import Axes
from jetmill.upp.components import Components
from jetmill.upp.cuts import Cut, variables_of
from jetmill.upp.notes import Notes
from jetmill.upp.reading import SECTIONS
from jetmill.upp.splits import EVENT, split_cuts, split_section
from jetmill.upp.variables import constituents, jets
from jetmill.variables.ftag import EXTENDED, PREFIX, as_class, cut_expression, read_flavours

WEIGHTS = ("mean", "min", "max", "uniform")
# What jetmill finds out by itself, or does in another way.
NOT_NEEDED = {
    *("batch_size", "components_dir", "out_fname", "vds_dir", "skip_checks", "skip_config_copy", "skip_auto_counts"),
    *(f"num_global_objects_estimate{end}" for end in ("", "_available", "_hist", "_norm", "_plotting")),
}
RESAMPLING = ("variables", "target", "sampling_fraction", "method", "upscale_pdf")
ORDER_OF_JETS = ("name", "define", "select", "variables", "additional_labels")
USED = {
    *("base_dir", "ntuple_dir", "out_dir", "global_name", "class_config", "class_category", "merge_test_samples"),
    "num_global_objects_per_output_file",
}


@dataclass(frozen=True)
class Translated:
    """A configuration of jetmill, by sections, and notes on it."""

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
    components = Components.read(upp, notes)
    axes = Axes.read(upp, components.regions, resamples=_method(upp) != "none", notes=notes)
    splits, common = split_cuts(upp["global_cuts"])
    of_jets, of_constituents = jets(upp, notes), constituents(upp, components.directory, notes)
    has_event = EVENT in [
        *variables_of([*common, *axes.common, *(cut for cuts in splits.values() for cut in cuts)]),
        *(of_jets["additional_labels"] + of_jets["variables"]),
    ]
    split, dropped = split_section(splits, by="event" if has_event else "jet", notes=notes)
    of_jets["select"] = [*map(_selection, [*common, *axes.common]), *dropped]
    if (name := settings.get("global_name", "jets")) != "jets":
        of_jets["name"] = name
    # It is written anyhow.
    of_jets["additional_labels"] = [label for label in of_jets["additional_labels"] if label != EVENT]
    balance = _balance(upp, components, axes, notes)
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
        "balance": balance,
        "write": _write(upp, components, notes, resampled="resampling" in balance),
    }
    return Translated(sections, notes)


def _unused(upp: Mapping[str, Any], notes: Notes) -> None:
    notes.unknown("global", upp["global"], NOT_NEEDED | USED)
    notes.unknown("resampling", upp.get("resampling") or {}, RESAMPLING)
    # What anchors refer to has a name; the rest is nothing that UPP reads.
    notes.unknown("", {key: value for key, value in upp.items() if not _is_anchored(value)}, SECTIONS)
    if "umami" in upp:
        notes.missing("umami", "is not read; write.formats: [hdf5] makes its arrays, tfrecords its records")


def _is_anchored(value: Any) -> bool:
    return isinstance(value, list) or (isinstance(value, Mapping) and "name" in value)


def _method(upp: Mapping[str, Any]) -> str:
    return str((upp.get("resampling") or {}).get("method") or "none")


def _directory(settings: Mapping[str, Any], path: Any) -> str:
    return str(Path(str(settings.get("base_dir", ".")), str(path)))


def _selection(cut: Cut) -> Any:
    """Return a cut as an entry of jets.select."""
    variable, sign, value = cut
    if str(value).strip().lower() == "nan":
        if sign == "!=":
            return f"{variable} == {variable}"
        return {"cut": f"{variable} != {variable}", "missing": "keep"}
    return cut_expression(cut)


def _classes(settings: Mapping[str, Any], components: Components, notes: Notes) -> dict[str, Any]:
    """Return the section ``classes``, in the order in which flavours appear."""
    file = settings.get("class_config")
    given = read_flavours(_directory(settings, file)) if file else None
    group = PREFIX + (EXTENDED if settings.get("class_category", "standard") == "extended" else "")
    classes: dict[str, Any] = {}
    for name in components.flavours:
        if given is None:
            found: dict[str, Any] = {"cut": group + name}
        elif name in given:
            found = as_class(given[name])
        else:
            raise JetmillError(f"components: class '{name}' is not in {file}.{nearest(name, given)}")
        if restricted := components.samples_of_class(name, notes):
            found = {"samples": restricted, **found}
        classes[name] = found if len(found) > 1 else found["cut"]
    return classes


def _balance(upp: Mapping[str, Any], components: Components, axes: Axes, notes: Notes) -> dict[str, Any]:
    resampling = upp.get("resampling") or {}
    method = _method(upp)
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
            notes.missing("resampling.upscale_pdf", "has no equivalent; take finer bins in balance.bins instead")
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
            notes.missing(key, f"weights of constituents ({weight.get('group')}) have no equivalent")
            continue
        if not axes.has_bins_of(weight):
            notes.missing(key, "has other bins than balance.bins, which all weights use")
            continue
        label = weight.get("class_var")
        if label != "flavour_label":
            notes.differs(key, f"UPP makes one weight for each value of {label}; here there is one for each class")
        is_label = isinstance(target, int) and label == "flavour_label" and 0 <= target < len(components.flavours)
        if is_label or target in WEIGHTS:
            found.append({"reference": components.flavours[target]} if isinstance(target, int) else target)
        else:
            notes.missing(f"{key}.class_target", f"{target} has no equivalent; take mean or {{reference: class}}")
        if weight.get("target_hist_func") or weight.get("target_hist_func_name"):
            notes.missing(f"{key}.target_hist_func", "functions of the target have no equivalent")
        if weight.get("add_overflow", True):
            notes.differs("reweighting", "training jets outside the bins are dropped; UPP weights them too")
    return [weight for n, weight in enumerate(found) if weight not in found[:n]]


def _write(upp: Mapping[str, Any], components: Components, notes: Notes, *, resampled: bool) -> dict[str, Any]:
    settings = upp["global"]
    section: dict[str, Any] = {"formats": ["structured"], "compression": "lz4"}
    if resampled:
        section["outputs"] = ["train", "test"]
    if size := settings.get("num_global_objects_per_output_file"):
        total = components.total("train")
        if total:
            section["parts"] = {"train": max(1, -(-total // int(size)))}
        else:
            notes.missing("global.num_jets_per_output_file", "give the number of files in write.parts")
    if not settings.get("merge_test_samples", False):
        section["test_per_sample"] = True
    if most := components.test_jets:
        section["max_jets_test"] = most
    return section
