"""Plug-ins and networks are known by name before any of them runs."""

import pytest

from jetmill.config.user_code import main, user_code

STEP = {"function": "make", "makes": ["x"]}


def test_plug_ins_and_networks_are_named_once_each_in_the_order_of_the_configuration():
    raw = {
        "jets": {
            "transforms": [{"plugin": "a.py", **STEP}, {"name": "log"}, {"plugin": "a.py", **STEP}],
            "networks": [{"file": "net.onnx", "name": "out"}, {"file": "net.onnx", "name": "more"}],
        },
        "constituents": {"tracks": {"transforms": [{"plugin": "/b.py", **STEP}]}},
    }
    assert user_code(raw) == ["plug-in a.py", "plug-in /b.py", "network net.onnx"]


@pytest.mark.parametrize(
    "raw",
    [{}, {"jets": None}, {"jets": {"networks": "net.onnx"}}, {"jets": {"networks": [3]}}, {"constituents": [1]}],
)
def test_what_is_wrong_in_a_configuration_names_nothing(raw):
    assert user_code(raw) == []


def test_the_command_names_code_and_runs_none(tmp_path, capsys):
    plugin, plain, template = (tmp_path / name for name in ("mine.py", "plain.yaml", "template.yaml"))
    plugin.write_text("raise SystemExit('it ran')\n")
    plain.write_text(f"jets: {{transforms: [{{plugin: {plugin}}}]}}\n")
    template.write_text("__use_yte__: true\n")
    assert main([str(plain)]) == 0
    assert capsys.readouterr().out == f"{plain}: plug-in {plugin}\n"
    assert main([str(template), str(plain)]) == 1
    assert capsys.readouterr().out.startswith(f"{template}: __use_yte__: line 1: ")
    plain.write_text("seed: 1\n")
    assert main([str(plain)]) == 0
    assert capsys.readouterr().out == f"{plain}: no plug-in, no network\n"
    assert main([]) == 2
