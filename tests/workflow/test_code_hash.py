import ast
import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

import jetmill
from jetmill.stages.write_manifest import commit
from jetmill.workflow import code_hash
from jetmill.workflow.code_hash import code_digest, code_of

PACKAGE = Path(jetmill.__file__).parent
ROOT = PACKAGE.parents[1]
STAGES = sorted(p.stem for p in (PACKAGE / "stages").glob("*.py") if p.stem not in ("__init__",))


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Let provenance look at a small package of its own."""
    package = tmp_path / "jetmill"
    content = {
        "__init__.py": "",
        "errors.py": "x = 1\n",
        "low.py": "from jetmill.errors import x\n",
        "stage.py": "from jetmill import low\nimport numpy as np\n",
        "lazy.py": "def f():\n    from jetmill.deep.leaf import x\n",
        "deep/__init__.py": "from jetmill.deep.leaf import x\n",
        "deep/leaf.py": "x = 2\n",
        "through.py": "from jetmill.deep import x\n",
    }
    for name, text in content.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    monkeypatch.setattr(code_hash, "ROOT", package)
    caches = [f for f in vars(code_hash).values() if hasattr(f, "cache_clear")]

    def digest(module):
        for cached in caches:
            cached.cache_clear()
        return code_digest(module)

    yield package, digest
    for cached in caches:
        cached.cache_clear()


@pytest.mark.parametrize(
    ("changed", "concerned"),
    [
        ("errors.py", {"errors", "low", "stage"}),
        ("low.py", {"low", "stage"}),
        ("stage.py", {"stage"}),
        ("deep/leaf.py", {"lazy", "through", "deep.leaf"}),
        ("deep/__init__.py", {"through"}),
    ],
)
def test_a_change_concerns_what_imports_it(library, changed, concerned):
    package, digest = library
    modules = ["errors", "low", "stage", "lazy", "through", "deep.leaf"]
    before = {m: digest(m) for m in modules}
    assert {m: digest(m) for m in modules} == before
    (package / changed).write_text((package / changed).read_text() + "y = 3\n")
    assert {m for m in modules if digest(m) != before[m]} == concerned


def test_words_do_not_count(library):
    package, digest = library
    (package / "stage.py").write_text('""\n' + (package / "stage.py").read_text())
    before = digest("stage")
    text = '''"""A module."""

from jetmill import low
import numpy as np  # arrays


# All of it.
'''
    (package / "stage.py").write_text(text)
    assert digest("stage") == before
    (package / "stage.py").write_text(text + "x = '#'\n")
    assert digest("stage") != before


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_the_code_of_every_module_is_its_syntax_tree_without_words(path):
    def is_text(node):
        return isinstance(node, ast.Constant | ast.JoinedStr)

    def tree(text):
        nodes = ast.parse(text)
        for node in ast.walk(nodes):
            if (
                isinstance(node, ast.Expr)
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, str)
            ):
                node.value.value = ""
            if isinstance(node, ast.keyword) and node.arg == "description" and is_text(node.value):
                node.value = ast.Constant("")
        return ast.dump(nodes)

    text = path.read_text()
    code = code_of(text)
    assert ast.dump(ast.parse(code)) == tree(text)
    assert "\n\n" not in code or path.name == "reference.py"  # writes Markdown
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    assert not [token for token in tokens if token.type == tokenize.COMMENT]


@pytest.mark.parametrize("stage", STAGES)
def test_every_module_that_a_stage_imports_counts(stage):
    # The oracle is Python itself: what is loaded after the import, packages' own files aside.
    code = (
        f"import sys, jetmill.stages.{stage}\n"
        "print(*(m.__file__ for n, m in sys.modules.items() if n.startswith('jetmill.')), sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {Path(line) for line in done.stdout.split() if Path(line).name != "__init__.py"}
    assert len(loaded) > 1
    assert loaded <= code_hash.modules_of(f"jetmill.stages.{stage}")


def test_a_stage_does_not_concern_the_others():
    for stage in STAGES:
        others = {p.stem for p in code_hash.modules_of(f"jetmill.stages.{stage}") if p.parent.name == "stages"}
        assert "clean" not in others - {stage}


def test_rules_name_modules_that_exist():
    named = re.findall(r'code_digest\("([\w.]+)"\)', "".join(p.read_text() for p in ROOT.glob("workflow/rules/*.smk")))
    assert len(named) > 8
    for module in named:
        assert (PACKAGE / f"{module.replace('.', '/')}.py").exists(), module


def test_a_module_that_does_not_exist_has_no_digest():
    with pytest.raises(Exception, match="claen"):
        code_digest("stages.claen")


def test_commit_is_that_of_git():
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git repository")
    assert commit() in (done.stdout.strip(), f"{done.stdout.strip()}-dirty")


def test_commit_outside_of_git(tmp_path):
    assert commit(tmp_path) is None


def test_commit_without_git(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit() is None
