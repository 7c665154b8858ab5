import hashlib

import pytest

from jetmill.files import atomic_write, sha256


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with atomic_write(path) as partial:
        partial.write_text("content")
        assert not path.exists()
        assert partial.parent == path.parent
    assert path.read_text() == "content"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="broken"), atomic_write(path) as partial:  # noqa: PT012
        partial.write_text("half")
        raise RuntimeError("broken")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a.txt"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_directory_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "a"
    for content in ("first", "second"):
        with atomic_write(path, directory=True) as partial:
            (partial / content).write_text(content)
            assert not (path / content).exists()
            assert partial.parent == path.parent
        # Nothing of what was there before is left.
        assert [p.name for p in path.iterdir()] == [content]
    assert [p.name for p in path.parent.iterdir()] == ["a"]


def test_a_failure_leaves_the_old_directory_and_nothing_else(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").touch()
    with pytest.raises(RuntimeError, match="broken"), atomic_write(tmp_path / "a", directory=True) as partial:  # noqa: PT012
        (partial / "half").touch()
        raise RuntimeError("broken")
    assert [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")] == ["a", "a/old"]


def test_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"jets" * 10**6)
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256(tmp_path / "a") == hashlib.sha256(b"jets" * 10**6).hexdigest()
