"""Titles of axes: those of the configuration, and of variables that CMS and ATLAS name alike in all files."""

import re

from jetmill.settings.figures import FigureSettings

# Of units that depend on the experiment and its files.
ENERGY, LENGTH = "energy", "length"
GEV, CM, MEV, MM = "GeV", "cm", "MeV", "mm"

# Name to label and unit. The first one that is the whole name counts; \1 is a part of it. A number at its end is that
# of a slot.
_JET = r"(?:[jJ]et_|fjet_|FatJet_|j_)?"
_OF = r"(?:_btagJes)?"
KNOWN: list[tuple[str, str, str]] = [
    (rf"{_JET}pt_btagJes", "$p_T$", MEV),
    (rf"{_JET}(?:pt|pT)", "$p_T$", ENERGY),
    (rf"{_JET}eta{_OF}", "η", ""),
    (rf"{_JET}(?:abs_?[eE]ta){_OF}", "|η|", ""),
    (rf"{_JET}phi", "φ", "rad"),
    (rf"{_JET}(?:mass|m|msoftdrop|softdrop_mass|soft_drop_mass)", "mass", ENERGY),
    (rf"{_JET}(?:energy|e|E)", "energy", ENERGY),
    (r"d0|dxy", "$d_0$", LENGTH),
    (r"z0|dz", "$z_0$", LENGTH),
    (r"z0SinTheta", "$z_0$ sin θ", LENGTH),
    (r"(?:IP3D_signed_|lifetimeSigned)[dD]0(?:_s|S)ignificance", "signed $d_0$ significance", ""),
    (r"(?:IP3D_signed_z0_s|lifetimeSignedZ0SinThetaS)ignificance", "signed $z_0$ sin θ significance", ""),
    (r"d0RelativeToBeamspotSignificance", "$d_0$ significance", ""),
    (r"deta|relative_eta", "Δη(jet)", ""),
    (r"dphi|relative_phi", "Δφ(jet)", "rad"),
    (r"dr|delta_r|deltaR", "ΔR(jet)", ""),
    (r"ptfrac|pt_fraction", "share of the jet's $p_T$", ""),
    (r"log_ptfrac|log_pt_fraction", "log share of the jet's $p_T$", ""),
    (r"phiUncertainty", "uncertainty of φ", "rad"),
    (r"thetaUncertainty", "uncertainty of θ", "rad"),
    (r"DeepCSV_flightDistance([23])dVal", r"\1D flight distance", CM),
    (r"DeepCSV_flightDistance([23])dSig", r"\1D flight distance significance", ""),
    (r"DeepCSV_trackSip([23])dVal", r"signed \1D IP", CM),
    (r"DeepCSV_trackSip([23])dSig", r"signed \1D IP significance", ""),
    (r"DeepCSV_trackSip([23])dValAboveCharm", r"signed \1D IP above charm", CM),
    (r"DeepCSV_trackSip([23])dSigAboveCharm", r"signed \1D IP significance above charm", ""),
    (r"DeepCSV_trackDecayLenVal", "track decay length", CM),
    (r"DeepCSV_trackJetDistVal", "distance to jet axis", CM),
    (r"DeepCSV_trackJetPt", "$p_T$ of the track jet", GEV),
    (r"DeepCSV_trackPtRel", "$p_T$ relative to the jet", GEV),
    (r"DeepCSV_trackPtRatio", "$p_T$ ratio to the jet", ""),
    (r"DeepCSV_trackDeltaR", "ΔR(track, jet)", ""),
    (r"DeepCSV_trackEtaRel", "η relative to the jet", ""),
    (r"DeepCSV_trackSumJetDeltaR", "ΔR(sum of tracks, jet)", ""),
    (r"DeepCSV_trackSumJetEtRatio", "$E_T$ ratio of tracks and jet", ""),
    (r"DeepCSV_vertexMass", "vertex mass", GEV),
    (r"DeepCSV_vertexEnergyRatio", "energy ratio of vertex and jet", ""),
    (r"DeepCSV_vertexJetDeltaR", "ΔR(vertex, jet)", ""),
    (r"DeepCSV_vertexCategory", "vertex category", ""),
    (r"DeepCSV_vertexNTracks", "vertex tracks", ""),
    (r"DeepCSV_jetNSecondaryVertices", "secondary vertices", ""),
    (r"DeepCSV_jetNSelectedTracks", "selected tracks", ""),
    (r"DeepCSV_jetNTracksEtaRel", "tracks with relative η", ""),
]


def label_of(name: str, settings: FigureSettings) -> str:
    """Return what a variable is called in figures, without its unit."""
    return _found(name, settings)[0]


def unit_of(name: str, settings: FigureSettings) -> str:
    """Return the unit of a variable, "" if it has none or none is known."""
    return _found(name, settings)[1]


def title_of(name: str, settings: FigureSettings) -> str:
    """Return the title of the axis of a variable: label, and unit in brackets."""
    label, unit = _found(name, settings)
    return f"{label} [{unit}]" if unit else label


def _found(name: str, settings: FigureSettings) -> tuple[str, str]:
    given = settings.variables.get(name)
    label, unit = _known(name, settings)
    if given is None:
        return label, unit
    # A label of one's own stands for another quantity, so that no unit is guessed beside it.
    return given.label or label, given.unit if given.unit is not None else "" if given.label else unit


def _known(name: str, settings: FigureSettings) -> tuple[str, str]:
    core, number = re.fullmatch(r"(.*?)(?:_(\d+))?", name).groups()  # type: ignore[union-attr]
    of_slot = "" if number is None else f", {number}"
    if found := re.fullmatch(r"numberOf(\w+)", core):
        return _words(found[1]) + of_slot, ""
    for pattern, label, unit in KNOWN:
        if found := re.fullmatch(pattern, core):
            return found.expand(label) + of_slot, _unit(name, unit, settings)
    return name, ""


def _words(name: str) -> str:
    """Return the words of a name: InnermostPixelLayerHits is innermost pixel layer hits."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name)
    return " ".join(word if word.isupper() else word.lower() for word in words)


def _unit(name: str, unit: str, settings: FigureSettings) -> str:
    """Return a unit, of which an unknown factor leaves nothing."""
    unit = {ENERGY: settings.energy, LENGTH: settings.length}.get(unit, unit)
    factor = settings.factors.get(name, 1)
    if factor == 1 or unit in ("", "rad"):
        return unit
    return {(MEV, 0.001): GEV, (GEV, 1000): MEV, (MM, 0.1): CM, (CM, 10): MM}.get((unit, factor), "")
