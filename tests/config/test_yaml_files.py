"""Files of configurations: nothing in them is lost, and nothing in them runs."""

import json

import pytest
import yaml

from jetmill.config.yaml_files import read_yaml
from jetmill.errors import JetmillError
from jetmill.loading.run import read_config


@pytest.fixture
def read(tmp_path):
    """Return a function that writes a file and reads it."""

    def of(text):
        (tmp_path / "my.yaml").write_text(text, encoding="utf-8")
        return read_yaml(tmp_path / "my.yaml")

    return of


@pytest.fixture
def refused(read, tmp_path):
    """Return a function that writes a file and returns why it is refused, line by line."""

    def of(text):
        with pytest.raises(JetmillError) as error:
            read(text)
        lines = str(error.value).splitlines()
        assert all(line.startswith(f"{tmp_path}/my.yaml: ") for line in lines)
        return [line.removeprefix(f"{tmp_path}/my.yaml: ") for line in lines]

    return of


READABLE = {
    "nested": "a: {b: [1, 2.5, true, null, text]}\nc:\n  - d: x\n  - d: y\n",
    "merged and overridden": "base: &base {x: 1, y: 2}\none: {<<: *base, x: 3}\n",
    "the same name on other levels": "jets: {select: [a]}\nconstituents: {tracks: {select: [b]}}\nselect: 1\n",
    "empty": "",
    "a number as a key": "classes: {5: b, 4: c}\n",
}


@pytest.mark.parametrize("text", READABLE.values(), ids=READABLE)
def test_what_is_right_is_read_as_yaml_says(read, text):
    assert read(text) == yaml.safe_load(text)


def test_json_is_read_as_json(read):
    content = {"a": [1e5, "tab\tslash/ \U0001f600 é"], "b": {"c": None}}
    for text in (json.dumps(content, indent="\t"), json.dumps(content, ensure_ascii=False)):
        assert read(text) == content


TWICE = {
    "in YAML": (
        "seed: 1\njets:\n  select: [a]\n  rank_by: pt\n  select: [b]\n",
        ["jets.select: ", "lines 3 and 5"],
    ),
    "in JSON": ('{"jets": {"select": 1,\n\t"select": 2}}', ["jets.select: ", "lines 1 and 2"]),
    "in a list": ("define:\n- {a: 1}\n- {b: 1,\n   b: 2}\n", ["define.1.b: ", "lines 3 and 4"]),
    "of equal value": ("a:\n  yes: 1\n  true: 2\n", ["a.True: ", "lines 2 and 3"]),
    "quoted and plain": ("x: 1\n'x': 2\n", ["x: ", "lines 1 and 2"]),
    "with equal values": ("x: 1\nx: 1\n", ["x: ", "lines 1 and 2"]),
    "beside a merged one": ("b: &b {x: 1}\nc:\n  <<: *b\n  x: 2\n  x: 3\n", ["c.x: ", "lines 4 and 5"]),
}


@pytest.mark.parametrize(("text", "expected"), TWICE.values(), ids=TWICE)
def test_a_key_given_twice_is_refused_with_both_lines(refused, text, expected):
    (line,) = refused(text)
    key, lines = expected
    assert line.startswith(f"{key}given twice, in {lines}; ")
    assert "only the second one would count" in line


def test_all_problems_are_reported_at_once(refused):
    lines = refused("a: 1\nb: {c: 1, c: 2, c: 3}\na: 2\n__use_yte__: true\n")
    assert [line.split(": ")[0] for line in lines] == ["b.c", "b.c", "a", "__use_yte__"]


TEMPLATES = {
    "YTE": ("seed: 1\n__use_yte__: true\n", "__use_yte__: line 2: "),
    "YTE that is off": ("__use_yte__: false\n", "__use_yte__: line 1: "),
    "definitions": ("jets:\n  __definitions__: [import os]\n", "jets.__definitions__: line 2: "),
    "variables": ("a: [{__variables__: {x: 1}}]\n", "a.0.__variables__: line 1: "),
    "escaped": ('"\\x5f_use_yte__": true\n', "__use_yte__: line 1: "),
    "in JSON": ('{"__use_yte__":\ttrue}', "__use_yte__: line 1: "),
}


@pytest.mark.parametrize(("text", "expected"), TEMPLATES.values(), ids=TEMPLATES)
def test_what_would_run_code_is_refused(refused, text, expected):
    (line,) = refused(text)
    assert line.startswith(expected)
    assert "run Python code" in line


NOT_YAML = {
    "a bracket that is not closed": "a: [1, 2\n",
    "two documents": "a: 1\n---\nb: 1\n",
    "an object of Python": "a: !!python/name:os.system\n",
    "a list as a key": "? [a, b]\n: 1\n",
}


@pytest.mark.parametrize("text", NOT_YAML.values(), ids=NOT_YAML)
def test_what_is_no_plain_yaml_is_refused_in_one_line(refused, text):
    (line,) = refused(text)
    assert line.startswith("is not YAML (")
    assert "line " in line


def test_brackets_without_end_are_refused(refused):
    assert refused("a: " + 9000 * "[" + 9000 * "]") == ["is nested too deeply for a configuration"]


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(JetmillError, match=r"gone\.yaml: No such file or directory"):
        read_yaml(tmp_path / "gone.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(JetmillError, match=r"binary\.yaml: is not YAML"):
        read_yaml(tmp_path / "binary.yaml")


def test_streams_read_their_configuration_as_strictly(tmp_path, raw_config):
    path = tmp_path / "my.yaml"
    text = yaml.safe_dump(raw_config)
    path.write_text(text)
    assert read_config(path).seed == 1
    path.write_text(f"seed: 2\n{text}seed: 3\n")
    with pytest.raises(JetmillError, match="seed: given twice, in lines 1 and "):
        read_config(path)
