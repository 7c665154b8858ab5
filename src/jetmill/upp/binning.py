"""Bins of UPP, and the regions that they are divided into."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from jetmill.errors import JetmillError
from jetmill.settings.types import LARGEST
from jetmill.upp.cuts import WHOLE, Cut, Range, ranges
from jetmill.upp.notes import Notes


def edges_of(place: str, segments: Any) -> list[float]:
    """Return the edges of bins ``[[low, high, number], ...]`` of UPP; a gap between two of them is a bin.

    Raises
    ------
    JetmillError
        If they are no such list.
    """
    try:
        pieces = [np.linspace(float(low), float(high), int(n) + 1) for low, high, n in segments]
        edges = np.concatenate([piece if i == 0 else piece[1:] for i, piece in enumerate(pieces)])
    except (TypeError, ValueError):
        raise JetmillError(f"{place}: must be a list of [low, high, number of bins] (found: {segments})") from None
    if (np.diff(edges) <= 0).any():
        raise JetmillError(f"{place}: the edges of the bins must increase")
    return [float(edge) for edge in edges]


def bins_of_weight(weight: Mapping[str, Any]) -> dict[str, Any]:
    """Return the bins of each variable of a weight of UPP, as they are written."""
    bins = weight.get("bins") or {}
    return {variable: bins.get(variable) for variable in weight.get("reweight_vars") or []}


def _segments(segments: Sequence[Any]) -> Any:
    """Return bins of UPP as jetmill's, or None if they do not join."""
    if any(left[1] != right[0] for left, right in pairwise(segments)):
        return None
    plain = [list(segment) for segment in segments]
    return plain[0] if len(plain) == 1 else plain


@dataclass(frozen=True)
class Axes:
    """The bins of jetmill that stand for those of UPP and for its regions.

    Attributes
    ----------
    section
        The section ``balance.bins``.
    edges
        Variable to the edges of its bins.
    limits
        Region to the range that it leaves of each variable.
    common
        Cuts that all regions have and that no bins stand for.
    of_weights
        The bins of UPP that weights can be made in: none if jets are resampled in others.
    """

    section: dict[str, Any]
    edges: dict[str, list[float]]
    limits: dict[str, dict[str, Range]]
    common: list[Cut]
    of_weights: Mapping[str, Any]

    @classmethod
    def read(
        cls, upp: Mapping[str, Any], regions: Mapping[str, Sequence[Cut]], *, resamples: bool, notes: Notes
    ) -> "Axes":
        """Return the bins of a configuration of UPP.

        Bins are divided where a region ends inside of them. Without resampling, regions may have bins of their own.
        """
        name = upp["global"].get("global_name", "jets")
        weights = (upp.get("reweighting") or {}).get("reweights") or []
        of_weights = next((bins_of_weight(w) for w in weights if w.get("group") == name), {})
        variables = (upp.get("resampling") or {}).get("variables") or {}
        given = {v: bins["bins"] for v, bins in variables.items()} if resamples else of_weights
        edges = {v: edges_of(f"bins of {v}", segments) for v, segments in given.items()}
        split = {region: ranges(cuts) for region, cuts in regions.items()}
        if not resamples:
            for variable in dict.fromkeys(v for found, _ in split.values() for v in found):
                if variable not in edges and (not of_weights or _differ(split, variable)):
                    edges[variable] = [-LARGEST, LARGEST]
        if not edges:
            edges[upp["variables"][name]["inputs"][0]] = [-LARGEST, LARGEST]
        section: dict[str, Any] = {}
        limits = {region: {v: x for v, x in found.items() if v in edges} for region, (found, _) in split.items()}
        rest = {
            region: [cut for cut in cuts if cut in split[region][1] or cut[0] not in edges]
            for region, cuts in regions.items()
        }
        for variable, before in edges.items():
            edges[variable] = _divided(before, [of.get(variable, WHOLE) for of in limits.values()])
            outer = edges[variable][0] == -LARGEST or edges[variable][-1] == LARGEST or variable not in given
            plain = None if outer or len(edges[variable]) > len(before) else _segments(given[variable])
            if variable in of_weights and len(edges[variable]) > len(before):
                notes.differs("reweighting", f"a region ends inside a bin of {variable}, which is split there")
            section[variable] = plain or {"edges": edges[variable]}
        first = next(iter(rest.values()))
        common = [cut for cut in first if all(cut in others for others in rest.values())]
        if common:
            notes.differs(
                "region.cuts",
                f"{', '.join(dict.fromkeys(str(cut[0]) for cut in common))}: cut in jets.select, for test jets too",
            )
        for region, others in rest.items():
            for cut in others:
                if cut not in common:
                    text = " ".join(map(str, cut))
                    notes.missing(f"region {region}: {text}", "only variables of bins can be cut by region")
        return cls(
            section, edges, limits, common, of_weights if of_weights == given and edges.keys() == given.keys() else {}
        )

    def has_bins_of(self, weight: Mapping[str, Any]) -> bool:
        """Say whether a weight is made in these bins."""
        return bool(self.of_weights) and bins_of_weight(weight) == self.of_weights

    def bins(self, region: str) -> dict[str, list[float]]:
        """Return ``bins`` of the component that stands for a region; variables that it leaves whole are not there."""
        found = {}
        for variable, limit in self.limits[region].items():
            edges = np.array(self.edges[variable])
            low, high = (float(edges[np.abs(edges - np.clip(end, edges[0], edges[-1])).argmin()]) for end in limit)
            if (low, high) != (edges[0], edges[-1]):
                found[variable] = [low, high]
        return found


def _differ(split: Mapping[str, tuple[dict[str, Range], Any]], variable: str) -> bool:
    return len({found.get(variable, WHOLE) for found, _ in split.values()}) > 1


def _divided(edges: list[float], limits: Sequence[Range]) -> list[float]:
    """Return edges, and those of the ends of ranges that are none yet; only these if the edges hold all numbers."""
    if edges == [-LARGEST, LARGEST]:
        return sorted({min(max(end, -LARGEST), LARGEST) for limit in limits for end in limit})
    ends = [end for limit in limits for end in limit if edges[0] < end < edges[-1]]
    return sorted({*edges, *(end for end in ends if not np.isclose(edges, end, rtol=1e-9, atol=0).any())})
