"""Settings of the jobs after cleaning: what the files of each stage depend on, and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jetmill.files import sha256
from jetmill.settings.balance import Resampling, Segment, table_file, weight_name
from jetmill.settings.scaling import ScalingRules

if TYPE_CHECKING:
    # Jobs import this module, and the sections of all other stages take longer to import than some jobs run.
    from jetmill.settings.config import Config


Largest = int | Mapping[str, int | Mapping[str, int]]


@dataclass(frozen=True, kw_only=True)
class BinSettings:
    """Settings of bin_jets; `batches` are the first of the listed batches to count, and the one after the last."""

    bins: Mapping[str, tuple[Segment, ...]]
    n_classes: int
    outside: str
    event_weights: tuple[str, ...] = ()
    batches: tuple[int, int | None] = (0, None)

    @classmethod
    def from_config(cls, config: "Config", batches: slice = slice(None)) -> "BinSettings":
        """Return those of some batches."""
        balance = config.balance
        return cls(
            bins=balance.bins,
            n_classes=len(config.classes),
            outside=balance.outside,
            event_weights=balance.event_weights,
            batches=(batches.start or 0, batches.stop),
        )


@dataclass(frozen=True, kw_only=True)
class BalanceSettings:
    """Settings of balance.

    `weights` is name of each table to its method, with the reference class if it has one; `applied` the hash of the
    finished run whose tables are taken instead; `jets_name` what the jets are called.
    """

    bins: Mapping[str, tuple[Segment, ...]]
    classes: tuple[str, ...]
    samples: tuple[str, ...]
    weights: Mapping[str, Mapping[str, str]]
    max_weight: float | None = None
    event_weights: tuple[str, ...] = ()
    resampling: Resampling
    strict: bool
    # Output to the largest number of its jets, or of those of a sample, or of a sample and class.
    limits: Mapping[str, Largest] = field(default_factory=dict)
    applied: str | None = None
    jets_name: str = "jets"

    @classmethod
    def from_config(cls, config: "Config", limits: Mapping[str, Largest]) -> "BalanceSettings":
        """Return those of a configuration; `limits` are the largest numbers of jets of outputs that have one."""
        balance = config.balance
        return cls(
            bins=balance.bins,
            classes=tuple(config.classes),
            samples=tuple(config.samples),
            weights={weight_name(w): _weight_settings(w) for w in balance.weights},
            max_weight=balance.max_weight,
            event_weights=balance.event_weights,
            resampling=balance.resampling,
            strict=config.strict,
            limits=limits,
            applied=config.applied_run,
            jets_name=config.jets.name,
        )


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """Settings of fit_scalers: variables of jets or of a collection of constituents, and their scaling."""

    of: str
    variables: tuple[str, ...]
    rules: ScalingRules
    jets_name: str = "jets"

    @classmethod
    def from_rules(
        cls, of: str, variables: tuple[str, ...], rules: ScalingRules, jets_name: str = "jets"
    ) -> "FitSettings":
        """Return those of some variables, without rules that matter only when scalers are merged."""
        return cls(
            of=of,
            variables=variables,
            rules=ScalingRules(method=rules.method, log=rules.log, unscaled=rules.unscaled),
            jets_name=jets_name,
        )


@dataclass(frozen=True, kw_only=True)
class MergeSettings:
    """Settings of merge_scalers.

    Scaling of jets and of each collection; whether a constant variable is an error; the hash of the finished
    run whose statistics are merged.
    """

    rules: Mapping[str, ScalingRules]
    strict: bool
    applied: str | None = None
    jets_name: str = "jets"


@dataclass(frozen=True, kw_only=True)
class JoinSettings:
    """Settings of join: whether parts are copied, compression, and attributes of the joined files."""

    merge: bool
    compression: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class ManifestSettings:
    """Settings of write_manifest: configuration with all defaults; path to SHA-256 of plug-ins, networks and maps."""

    config: Mapping[str, Any]
    user_files: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class CardSettings:
    """Settings of write_card: names of the outputs; configuration with all defaults."""

    outputs: tuple[str, ...]
    config: Mapping[str, Any]


def _weight_settings(weight: str | Mapping[Any, str]) -> dict[str, str]:
    """Return the method of a weight table and its class or file, which Snakemake knows by its SHA-256."""
    if isinstance(weight, str):
        return {"method": weight}
    ((method, value),) = weight.items()
    return {"method": method, method: value} | ({"sha256": sha256(table_file(value)[0])} if method == "table" else {})
