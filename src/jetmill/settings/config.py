"""The whole configuration."""

from dataclasses import field, fields, replace
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Lt, MaxLen, MinLen

from jetmill.files import sha256
from jetmill.settings.balance import Balance
from jetmill.settings.classes import Classes
from jetmill.settings.clean import CleanSettings
from jetmill.settings.constituents import Constituents
from jetmill.settings.content import Content
from jetmill.settings.input import Input, names_of_format
from jetmill.settings.jets import Jets
from jetmill.settings.report import Report
from jetmill.settings.samples import Samples
from jetmill.settings.scaling import TARGETS, Scaling, ScalingRules
from jetmill.settings.split import Split
from jetmill.settings.systematics import Systematics
from jetmill.settings.types import Before, Name, OutputPath, PathText, section
from jetmill.settings.write import Write
from jetmill.systematics import VARIATIONS


@section
class Config:
    """All settings of a run."""

    output_dir: OutputPath = "results"
    """Directory for everything that is written; without { } < >."""
    replace: bool = False
    """Whether results of other samples in output_dir may be replaced. Meant for the command line, once:
    --config replace=true."""
    apply: PathText | None = None
    """Results of a finished run, whose scalers and weight tables are applied to the jets of these samples; nothing is
    fitted. Without them, input, jets, constituents, classes, scaling and balance are those of that run. All jets go to
    test, unless samples have splits."""
    seed: Annotated[int, Ge(0), Lt(2**32)] = 1
    """Seed of every random number."""
    strict: bool = True
    """Whether a class without jets, or a variable that is constant or always missing, is an error instead of a
    warning."""
    samples: Annotated[Samples, MinLen(1)]
    """The physics processes: {name: {files: ...}}."""
    input: Annotated[Input, Before(names_of_format)] = Input()
    """How input files are read."""
    jets: Jets
    """Which jets are kept, and which of their variables are used."""
    constituents: dict[Name, Constituents] = field(default_factory=dict)
    """Collections of constituents: {name: {variables: ...}}. For format hdf5 the name is that of the dataset."""
    classes: Annotated[Classes, MinLen(1), MaxLen(255)]
    """Flavours of jets in the order of their labels: {class: expression} or {class: {samples: [...], cut: expression}}.
    The first expression that is true counts; rest stands for all other jets. Jets of no class are dropped. ftag.bjets
    stands for the expression of a flavour of atlas-ftag-tools."""
    split: Split = Split()
    """How jets are divided into training, validation and test."""
    scaling: Scaling = Scaling()
    """Scalers of jets."""
    balance: Balance = Balance()
    """Weights and resampling. Without it, every jet is written once, with weight 1."""
    write: Write = Write()
    """What is written, and how."""
    systematics: Systematics | None = None
    """Variations of jets and constituents."""
    report: Report = Report()
    """Plots of the run."""

    @property
    def cleaning(self) -> CleanSettings:
        """The settings of the nominal clean jobs; the inputs are stored, and what only the bins need."""
        return CleanSettings(
            seed=self.seed,
            input=self.input,
            # Without keys that do not matter for cleaning.
            jets=replace(self.jets, variables=(), name=Jets.name),
            constituents={
                name: replace(c, scaling=ScalingRules(), label_classes={}, objects=None)
                for name, c in self.constituents.items()
            },
            classes=tuple(self.classes.values()),
            class_names=tuple(self.classes),
            split=self.split,
            stored_variables=tuple(dict.fromkeys([*self.jets.variables, *self.balance.bins])),
            event_weights=self.balance.event_weights,
            files={path: sha256(path) for path in self.user_files if Path(path).is_file()},
            keep_all=self.write.keep_all,
        )

    def varied(self, name: str) -> CleanSettings:
        """Return the settings of the clean jobs of a variation: what it depends on, and nothing else."""
        cleaning, systematics = self.cleaning, self.systematics
        if systematics is None:
            return cleaning
        (variation,) = (v for v in systematics.variations if v.name == name)
        maps = systematics.maps if variation.is_built_in and VARIATIONS[name].maps else None
        files = [*([maps] if maps is not None else []), *(str(step.plugin) for step in variation.transforms)]
        hashes = {path: sha256(path) for path in files if Path(path).is_file()}
        alone = replace(systematics, variations=(variation,), outputs=("test",), maps=maps)
        return replace(cleaning, variation=alone, files=cleaning.files | hashes)

    @property
    def applied_run(self) -> str | None:
        """The SHA-256 of the manifest of the finished run that is applied."""
        return None if self.apply is None else sha256(Path(self.apply, "manifest.json"))

    @property
    def user_files(self) -> list[str]:
        """Plug-ins and networks."""
        steps = [*self.jets.transforms, *(step for c in self.constituents.values() for step in c.transforms)]
        return [*(s.plugin for s in steps if s.plugin is not None), *(n.file for n in self.jets.networks)]

    @property
    def scaling_rules(self) -> dict[str, ScalingRules]:
        """Scaling of jets, of each collection of constituents, and of targets."""
        jets = ScalingRules(**{key.name: getattr(self.scaling, key.name) for key in fields(ScalingRules)})
        targets = {TARGETS: ScalingRules(method=jets.method, unscaled=())} if self.jets.targets else {}
        return {self.jets.name: jets, **{name: c.scaling for name, c in self.constituents.items()}, **targets}

    @property
    def content(self) -> Content:
        """What the parts hold."""
        concat = self.write.concat_jet_tracks
        return Content(
            jets_name=self.jets.name,
            samples=list(self.samples),
            event_weights=self.balance.event_weights,
            slots={name: c.max for name, c in self.constituents.items()},
            labels={
                name: {label: c.label_classes.get(label, ()) for label in c.label_sources}
                for name, c in self.constituents.items()
            },
            concat_jets=(self.jets.variables if concat else ()) if isinstance(concat, bool) else concat,
            conditional=self.write.conditional,
            targets=self.jets.targets,
            objects=[name for name, c in self.constituents.items() if c.objects is not None],
            precision=self.write.precision,
        )
