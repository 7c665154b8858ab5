"""How far single precision takes a finished part from its columns."""

import pytest

from jetmill.balancing.selection import PartSpec
from jetmill.errors import JetmillError
from jetmill.settings.scaling import ScalingRules
from jetmill.stages import plot_closure as plot_closure_module
from jetmill.stages.plot_closure import plot_closure


@pytest.mark.parametrize(
    "settings",
    [{}, {"method": "robust"}, {"log": ["pt", "DeepCSV_vertexMass", "DeepCSV_trackSip3dSig_0"]}, {"clip": 1}],
    ids=["standard", "robust", "log", "clip"],
)
def test_the_closure_is_that_of_single_precision(stages, tmp_path, monkeypatch, settings):
    drawn = {}
    monkeypatch.setattr(plot_closure_module, "draw_closure", lambda *arguments: drawn.update(enumerate(arguments)))
    monkeypatch.setattr(plot_closure_module, "save", lambda *arguments: None)
    scalers = tmp_path / "s.json"
    stages.scale(scalers, width=100, settings=ScalingRules(**settings))
    part = stages.write(tmp_path / "p.h5", scalers=scalers, part=1, n_parts=2, balance_path=stages.repeated)
    plot_closure(PartSpec("train", (1, 2), stages.sources()), stages.repeated, part, tmp_path / "c.png")
    assert drawn[0] == tuple(stages.variables)
    assert len(drawn[1]) == len(stages.variables)
    assert 0 < drawn[1].max() < 1e-5
    # A part of other jets does not pass.
    other = stages.write(tmp_path / "o.h5", scalers=scalers, part=0, n_parts=2, balance_path=stages.repeated)
    with pytest.raises((JetmillError, ValueError)):
        plot_closure(PartSpec("train", (1, 2), stages.sources()), stages.repeated, other, tmp_path / "c.png")
