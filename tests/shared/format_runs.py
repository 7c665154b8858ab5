"""Runs of ATLAS toys in all formats, and numpy that starts from the toy dumps themselves."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import workflow_runs as runs
from stage_runs import run_once

TRUTH = [5, 4, 0, 15]


CLASSES = ["b", "c", "u", "tau"]


ORIGINS = ["pileup", "fake", "primary", "fromB", "fromBC", "fromC", "fromTau", "otherSecondary"]


ALL = runs.FORMATS


OUTPUTS = ["train", "val", "test"]


MAX = 12


PT_EDGES = np.r_[np.linspace(20e3, 250e3, 7), np.linspace(250e3, 6e6, 5)[1:]]


ETA_EDGES = np.linspace(0, 2.5, 4)


ONE = {
    "seed": 3,
    "samples": {name: {"toy": {"process": name, "files": 2, "jets": 1500}} for name in ("ttbar", "zprime")},
    "input": {"format": "hdf5", "files_per_batch": 1, "event_id": ["jetPtRank", "eventNumber"]},
    "jets": {
        "define": {"mass_ratio": "mass / pt_btagJes"},
        "missing": {"values_of": {"SV1_NGTinSvx": [-1]}},
        "select": ["pt_btagJes >= 20e3", "pt_btagJes < 6000e3", "absEta_btagJes < 2.5"],
        "variables": ["pt_btagJes", "eta_btagJes", "SV1_masssvx", "SV1_NGTinSvx", "SV1_isDefaults", "mass_ratio"],
        "additional_labels": ["HadronConeExclTruthLabelPt", "HadronConeExclTruthLabelID"],
        "spectators": ["GN2_pb", "GN2_pu"],
    },
    "constituents": {
        "tracks": {
            "define": {"significance": "abs(IP3D_signed_d0_significance)"},
            "missing": {"values_of": {"numberOfInnermostPixelLayerHits": [0]}},
            "select": ["numberOfPixelHits >= 4", "significance < 20"],
            "sort_by": "ptfrac",
            "max": MAX,
            "variables": ["d0", "ptfrac", "dr", "numberOfInnermostPixelLayerHits", "significance"],
            "labels": ["ftagTruthOriginLabel", "ftagTruthVertexIndex"],
            "label_classes": {"ftagTruthOriginLabel": ORIGINS},
            "scaling": {"log": ["ptfrac", "dr"], "default": "mean"},
        }
    },
    "classes": {c: f"HadronConeExclTruthLabelID == {t}" for c, t in zip(CLASSES, TRUTH, strict=True)},
    "split": {"by": "modulo", "modulo": 10, "val": [8], "test": [9]},
    "scaling": {"log": ["pt_btagJes"], "defaults": {"SV1_masssvx": -100.0}, "variables_per_range": 4},
    "balance": {
        "bins": {"pt_btagJes": [[20e3, 250e3, 6], [250e3, 6e6, 4]], "absEta_btagJes": [0, 2.5, 3]},
        "weights": ["average", {"reference": "c"}],
        "resampling": {"method": "pdf", "target": "c", "max_upsampling": 3, "validation": True},
    },
    "write": {
        "parts": {"train": 2},
        "concat_jet_tracks": True,
        "conditional": ["eta_btagJes", "pt_btagJes"],
        "formats": ALL,
        "compression": "lz4",
        "records_per_file": 700,
    },
    "report": {"plots": False},
}


TWO = runs.changed(
    ONE,
    {
        "constituents": {
            "tracks": ONE["constituents"]["tracks"]
            | {"scaling": {"method": "robust", "log": ["dr"], "clip": 4.0, "unscaled": ["ptfrac"]}}
        },
        "scaling": {"method": "robust", "clip": None},
        "balance": {"resampling": {"method": "none"}},
        "write": {
            "precision": "float16",
            "compression": "gzip",
            "merge": True,
            "concat_jet_tracks": ["eta_btagJes", "pt_btagJes"],
            "conditional": None,
        },
    },
)


@dataclass(frozen=True)
class Truth:
    """What the toy dumps hold, read with h5py alone; jets in the order of the files."""

    config: dict
    results: Path

    @cached_property
    def source(self):
        """Jets and tracks of all files, and the number of the sample of each jet."""
        jets, tracks, sample = [], [], []
        for number, name in enumerate(self.config["samples"]):
            for path in sorted(self.results.glob(f"toy/{name}_*.h5")):
                with h5py.File(path) as file:
                    jets.append(file["jets"][()])
                    tracks.append(file["tracks"][()])
                sample.append(np.full(len(jets[-1]), number))
        return np.concatenate(jets), np.concatenate(tracks), np.concatenate(sample)

    @cached_property
    def row_of(self):
        jets = self.source[0]
        keys = zip(jets["eventNumber"].tolist(), jets["jetPtRank"].tolist(), strict=True)
        found = {key: row for row, key in enumerate(keys)}
        assert len(found) == len(jets)
        return found

    def rows(self, event, rank):
        return np.array([self.row_of[key] for key in zip(event.tolist(), rank.tolist(), strict=True)], dtype=int)

    @cached_property
    def split(self):
        """0 train, 1 val, 2 test, -1 cut away."""
        jets = self.source[0]
        pt, eta, remainder = jets["pt_btagJes"], jets["absEta_btagJes"], jets["eventNumber"] % 10
        split = np.where(remainder == 9, 2, np.where(remainder == 8, 1, 0))
        return np.where((pt >= 20e3) & (pt < 6e6) & (eta < 2.5), split, -1)

    @cached_property
    def labels(self):
        return np.array([TRUTH.index(t) for t in self.source[0]["HadronConeExclTruthLabelID"]])

    @cached_property
    def bins(self):
        jets = self.source[0]
        pt, eta = (jets[v].astype(np.float64) for v in ("pt_btagJes", "absEta_btagJes"))
        return np.stack([np.digitize(pt, PT_EDGES) - 1, np.digitize(eta, ETA_EDGES) - 1], axis=1)

    @cached_property
    def jet_values(self):
        """Variables of all jets, float64 (n, n_variables), NaN where missing."""
        jets = self.source[0]
        columns = {name: jets[name].astype(np.float64) for name in jets.dtype.names}
        columns["SV1_NGTinSvx"] = np.where(columns["SV1_NGTinSvx"] == -1, np.nan, columns["SV1_NGTinSvx"])
        columns["mass_ratio"] = columns["mass"] / columns["pt_btagJes"]
        return np.stack([columns[v] for v in self.config["jets"]["variables"]], axis=1)

    @cached_property
    def track_rows(self):
        """Slots of the tracks of each jet that stay, in their order, jet by jet."""
        chosen = []
        for tracks in self.source[1]:
            good = tracks["valid"] & (tracks["numberOfPixelHits"] >= 4)
            good &= np.abs(tracks["IP3D_signed_d0_significance"]) < 20
            slots = np.flatnonzero(good)
            chosen.append(slots[np.argsort(-tracks["ptfrac"][slots], kind="stable")][:MAX])
        return chosen

    @cached_property
    def valid(self):
        return np.arange(MAX) < np.array([len(x) for x in self.track_rows])[:, None]

    def track_field(self, name, padding):
        """Return one field of the tracks that stay, padded, (n_jets, MAX)."""
        values = self.source[1][name]
        rows = np.full((len(values), MAX), padding, dtype=np.float64)
        for jet, slots in enumerate(self.track_rows):
            rows[jet, : len(slots)] = values[jet, slots]
        return rows

    @cached_property
    def track_values(self):
        """Variables of the tracks, float64 (n_jets, MAX, n_variables), NaN where missing or empty."""
        hits = self.track_field("numberOfInnermostPixelLayerHits", np.nan)
        columns = [self.track_field(n, np.nan) for n in ("d0", "ptfrac", "dr")]
        columns += [np.where(hits == 0, np.nan, hits), np.abs(self.track_field("IP3D_signed_d0_significance", np.nan))]
        return np.stack(columns, axis=-1)

    def scaled(self, of, values, training):
        """Scale as the configuration says, from training values (n, n_variables); return the shift and all."""
        c = self.config["scaling"] if of == "jets" else self.config["constituents"]["tracks"]["scaling"]
        names = self.config["jets" if of == "jets" else "constituents"]
        names = names["variables"] if of == "jets" else names["tracks"]["variables"]
        values, fill, table = values.copy(), np.empty(len(names)), {}
        for i, name in enumerate(names):
            log, x = name in c.get("log", []), training[:, i]
            x = np.log(x[~np.isnan(x)]) if log else x[~np.isnan(x)]
            values[..., i] = np.log(values[..., i]) if log else values[..., i]
            default = x.mean() if c.get("default") == "mean" else x.min() - 0.001
            default = c.get("defaults", {}).get(name, default)
            shift, scale = x.mean(), x.std()
            if c.get("method") == "robust":
                first, shift, third = np.percentile(x, [25, 50, 75])
                scale = third - first or 1.0
            if "isDefaults" in name or name in c.get("unscaled", []):
                shift, scale = 0.0, 1.0
            known = ~np.isnan(values[..., i])
            values[..., i] = (np.where(known, values[..., i], default) - shift) / scale
            if c.get("clip"):
                values[..., i] = np.clip(values[..., i], -c["clip"], c["clip"])
            fill[i] = np.exp(default) if log else default
            table[name] = (shift, scale, default)
        return values, fill, table

    @cached_property
    def training(self):
        """Rows of the training jets as they are written, each as often."""
        with h5py.File(self.results / "train.h5") as file:
            return self.rows(*(file[f"jets/event/{name}"][()] for name in ("eventNumber", "jetPtRank")))

    @cached_property
    def training_tracks(self):
        return self.track_values[self.training][self.valid[self.training]]

    @cached_property
    def jets_scaled(self):
        return self.scaled("jets", self.jet_values, self.jet_values[self.training])

    @cached_property
    def tracks_scaled(self):
        return self.scaled("tracks", self.track_values, self.training_tracks)


@dataclass(frozen=True)
class Finished:
    """A finished run."""

    config: dict
    results: Path
    truth: Truth

    @property
    def outputs(self):
        return [*OUTPUTS, *["val_resampled"] * ("val_resampled.h5" in {p.name for p in self.results.iterdir()})]

    def arrays(self, output):
        return runs.datasets(self.results / f"{output}.h5")

    def records(self, output):
        with h5py.File(self.results / f"structured/{output}.h5") as file:
            return file["jets"][()], file["tracks"][()]

    def rows(self, output):
        """Return the row in the toy dumps of each jet of an output."""
        found = self.arrays(output)
        return self.truth.rows(found["jets/event/eventNumber"], found["jets/event/jetPtRank"])


def finished(name, tmp_path_factory):
    """Make a run once a session."""
    config, results = run_once(tmp_path_factory, name, {"one": ONE, "two": TWO}[name])
    return Finished(config, results, Truth(config, results))
