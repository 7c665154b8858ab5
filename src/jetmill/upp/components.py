"""Components of UPP, one for each region, sample and class, as components of jetmill, one for each region."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jetmill.errors import JetmillError
from jetmill.upp.binning import Axes
from jetmill.upp.cuts import Cut, as_cuts
from jetmill.upp.notes import Notes

AUTO = "auto"
KEYS = ("region", "sample", "classes", *(f"num_global_objects{end}" for end in ("", "_val", "_test")))
SPLITS = {"train": "num_jets", "val": "num_jets_validation"}


@dataclass(frozen=True)
class Part:
    """A component of UPP: a class of a sample in a region; ``numbers`` of jets by split are -1 for all, or auto.

    Without one for test, UPP takes a tenth of those for training.
    """

    region: str
    sample: str
    flavour: str
    numbers: Mapping[str, Any]


@dataclass(frozen=True)
class Components:
    """The components of a configuration of UPP.

    Attributes
    ----------
    parts
        One for each class, in their order.
    regions
        Region to its cuts.
    samples
        The section ``samples``.
    pieces
        Sample of UPP to the samples that stand for it: one for each of its patterns if these give equally many jets.
    directory
        Where relative patterns start.
    """

    parts: Sequence[Part]
    regions: Mapping[str, list[Cut]]
    samples: dict[str, Any]
    pieces: Mapping[str, list[str]]
    directory: Path

    @classmethod
    def read(cls, upp: Mapping[str, Any], notes: Notes) -> "Components":
        """Return those of a configuration of UPP."""
        settings = upp["global"]
        directory = Path(str(settings.get("base_dir", ".")), str(settings.get("ntuple_dir", "ntuples")))
        parts: list[Part] = []
        regions: dict[str, list[Cut]] = {}
        samples: dict[str, Mapping[str, Any]] = {}
        for number, component in enumerate(upp["components"]):
            region, sample = component["region"], component["sample"]
            notes.unknown(f"components.{number}", component, KEYS)
            notes.unknown(f"components.{number}.sample", sample, ("name", "pattern", "equal_global_objects"))
            regions[region["name"]] = as_cuts(f"components.{number}.region.cuts", region["cuts"])
            samples[sample["name"]] = sample
            train = component["num_global_objects"]
            val = component.get("num_global_objects_val", train if train == AUTO else train // 10)
            numbers = {"train": train, "val": val}
            if component.get("num_global_objects_test"):
                numbers["test"] = component["num_global_objects_test"]
            else:
                sentence = (
                    "where it is not given, or 0, all test jets are written; UPP takes a tenth of num_jets, or none"
                )
                notes.differs("components.num_jets_test", sentence)
            parts += [Part(region["name"], sample["name"], name, numbers) for name in component["classes"]]
        if len({part.numbers["train"] == AUTO for part in parts}) > 1:
            raise JetmillError("components: some numbers of jets are auto; UPP requires all or none of them to be")
        section: dict[str, Any] = {}
        pieces: dict[str, list[str]] = {}
        for name, sample in samples.items():
            files = _files(directory, sample, notes)
            pieces[name] = list(files)
            section |= {piece: {"files": paths} for piece, paths in files.items()}
        return cls(parts, regions, section, pieces, directory)

    @property
    def flavours(self) -> list[str]:
        """The classes, in the order of their labels."""
        return list(dict.fromkeys(part.flavour for part in self.parts))

    @property
    def automatic(self) -> bool:
        """Whether UPP finds the numbers of jets by itself."""
        return bool(self.parts[0].numbers["train"] == AUTO)

    def total(self, split: str) -> int:
        """Return the number of jets of a split, 0 if it is not given."""
        numbers = [part.numbers[split] for part in self.parts]
        return 0 if any(n == AUTO or n < 0 for n in numbers) else sum(numbers)

    @property
    def test_jets(self) -> dict[str, dict[str, int]]:
        """Sample to the largest number of test jets of each class that has one."""
        found: dict[str, dict[str, int]] = {}
        for part in self.parts:
            pieces = self.pieces[part.sample]
            if isinstance(n := part.numbers.get("test"), int) and n > 0:
                for piece in pieces:
                    of_class = found.setdefault(piece, {})
                    of_class[part.flavour] = of_class.get(part.flavour, 0) + -(-n // len(pieces))
        return found

    def samples_of_class(self, flavour: str, notes: Notes) -> list[str]:
        """Return the samples that a class must be restricted to, or none if components do so."""
        allowed = self._of(flavour=flavour)
        needed = False
        for region in self.regions:
            there, of_class = self._of(region=region), self._of(region=region, flavour=flavour)
            needed |= bool(set(there) - set(of_class))
            extra = [s for s in there if s in allowed and s not in of_class]
            if extra and (of_class or not self.total("train")):
                notes.missing(
                    f"components: {flavour} in region {region}",
                    f"jets of {', '.join(extra)} are taken too, since they provide this class in other regions",
                )
        return [piece for sample in allowed for piece in self.pieces[sample]] if needed else []

    def section(self, axes: Axes, notes: Notes) -> dict[str, Any]:
        """Return ``components`` and numbers of jets for the section ``balance.resampling``."""
        found = [self._component(region, axes) for region in self.regions]
        seen: dict[str, list[tuple[str, dict[str, list[float]]]]] = {}
        for region, component in zip(self.regions, found, strict=True):
            for sample in component["samples"]:
                for other, bins in seen.get(sample, []):
                    if _overlap(component.get("bins", {}), bins):
                        notes.missing(
                            f"regions {other} and {region}",
                            f"overlap in {sample}; a jet is in one component only",
                        )
                seen.setdefault(sample, []).append((region, component.get("bins", {})))
        if self.automatic:
            notes.differs("components.num_jets: auto", "as many jets as possible, in equal or given shares")
        elif self._unlimited("train") and any(part.numbers["train"] >= 0 for part in self.parts):
            notes.missing("components.num_jets: -1", "all jets of some classes but not of others; here all are written")
        numbers = {key for component in found for key in component if key in SPLITS.values()}
        if numbers and numbers != set(SPLITS.values()):
            notes.differs("components.num_jets", "as many jets as possible, as some numbers are 0")
            found = [{k: v for k, v in c.items() if k not in SPLITS.values()} for c in found]
        whole = len(found) == 1 and set(found[0]["samples"]) == set(self.samples)
        if whole and not found[0].keys() - {"samples", "num_jets", "num_jets_validation"}:
            return {key: value for key, value in found[0].items() if key != "samples"}
        return {"components": found}

    def _component(self, region: str, axes: Axes) -> dict[str, Any]:
        samples = self._of(region=region)
        pieces = [self.pieces[sample] for sample in samples]
        component: dict[str, Any] = {"samples": [name for group in pieces for name in group]}
        if bins := axes.bins(region):
            component["bins"] = bins
        for split, key in SPLITS.items():
            if not self.automatic and not self._unlimited(split):
                numbers: dict[str, int] = {}
                for part in self.parts:
                    if part.region == region:
                        numbers[part.flavour] = numbers.get(part.flavour, 0) + part.numbers[split]
                if numbers := {flavour: n for flavour, n in numbers.items() if n}:
                    component[key] = numbers
        if groups := [group for group in pieces if len(group) > 1]:
            component["equal_samples"] = groups
        return component

    def _unlimited(self, split: str) -> bool:
        return any(part.numbers[split] == AUTO or part.numbers[split] < 0 for part in self.parts)

    def _of(self, **wanted: str) -> list[str]:
        """Return the samples of the parts of a region, of a class, or of both."""
        return list(
            dict.fromkeys(p.sample for p in self.parts if all(getattr(p, key) == name for key, name in wanted.items()))
        )


def _files(directory: Path, sample: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    """Return the samples that stand for one of UPP, with their files.

    Where each pattern is to give equally many jets, each is a sample by itself, called after its dataset.
    """
    patterns = sample["pattern"] if isinstance(sample["pattern"], list) else [sample["pattern"]]
    paths = [str(directory / str(pattern)) for pattern in patterns]
    name = re.sub(r"\W", "_", str(sample["name"]))
    name = name if re.match(r"[A-Za-z_]", name) else f"sample_{name}"
    if len(paths) == 1 or not sample.get("equal_global_objects", True):
        return {name: paths if len(paths) > 1 else paths[0]}
    datasets = [re.search(r"(?<!\d)\d{6}(?!\d)", pattern) for pattern in map(str, patterns)]
    ids = [found[0] if found else "" for found in datasets]
    if len(set(ids)) < len(ids) or not all(ids):
        ids = [str(number) for number in range(1, len(ids) + 1)]
    notes.differs(
        f"sample {sample['name']}: equal_jets",
        "each pattern is a sample by itself and gives equally many jets after cuts; UPP reads equally many before",
    )
    return {f"{name}_{i}": path for i, path in zip(ids, paths, strict=True)}


def _overlap(one: Mapping[str, Sequence[float]], other: Mapping[str, Sequence[float]]) -> bool:
    return all(one[v][0] < other[v][1] and other[v][0] < one[v][1] for v in one.keys() & other.keys())
