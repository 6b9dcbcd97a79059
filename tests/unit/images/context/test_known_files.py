"""A file is read again when it changed, and only then."""

from __future__ import annotations

import builtins
import os
from pathlib import Path

import pytest

from aksci.core.errors import ConfigError
from aksci.images.context.hasher import TreeHasher
from aksci.images.context.known_files import Facts, key_of

KEY, VALUE = key_of("x"), b"v" * 32


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A context whose files have long settled, and a list of what is read of it."""
    (tmp_path / ".aksci").mkdir()
    for name in ("ctx/a", "ctx/d/b", "ctx/d/c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "ctx/large").write_bytes(b"x" * (1 << 20))
    monkeypatch.setattr("aksci.images.context.known_files._SETTLED", 0)
    read = []

    def spying(opener):
        def spy(path, *rest, **options):
            if not os.path.isdir(path):  # noqa: PTH112
                read.append(os.path.relpath(path, tmp_path))
            return opener(path, *rest, **options)

        return spy

    def run():
        read.clear()
        hasher = TreeHasher(tmp_path, tmp_path / "user/files")
        with monkeypatch.context() as patch:
            patch.setattr(builtins, "open", spying(open))
            patch.setattr(os, "open", spying(os.open))
            found = hasher.hash("ctx", None)
        hasher.save()
        return found, sorted({name for name in read if name.startswith("ctx")})

    run.root = tmp_path
    tick(tmp_path)
    return run


def tick(folder):
    """Wait until the file system's clock has moved on."""
    mark = folder / ".aksci/tick"
    mark.write_text("")
    first = mark.stat().st_mtime_ns
    while mark.stat().st_mtime_ns == first:
        mark.write_text("")


def test_nothing_is_read_twice(tree):
    first, read = tree()
    assert read == ["ctx/a", "ctx/d/b", "ctx/d/c", "ctx/large"]
    assert tree() == (first, [])


@pytest.mark.parametrize("state", ["kept", "lost", "damaged", "cut"])
def test_the_hash_never_depends_on_what_was_kept(tree, state):
    first, _ = tree()
    kept = tree.root / "user/files"
    if state == "lost":
        kept.unlink()
    if state == "damaged":
        kept.write_bytes(kept.read_bytes()[:-1] + b"!")
    if state == "cut":
        kept.write_bytes(kept.read_bytes()[:-10])
    again, read = tree()
    assert again == first
    assert bool(read) is (state != "kept")


def test_only_the_folder_that_changed_is_read_again(tree):
    first, _ = tree()
    (tree.root / "ctx/d/b").write_text("other")
    tick(tree.root)
    second, read = tree()
    assert second != first
    assert read == ["ctx/d/b", "ctx/d/c"]
    (tree.root / "ctx/a").write_text("other")
    assert tree()[1] == ["ctx/a"]  # not the large one beside it


def test_a_change_that_keeps_size_and_modification_time_is_seen(tree):
    file = tree.root / "ctx/d/b"
    before = file.stat()
    first, _ = tree()
    file.write_text("ctx/d/B")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert tree()[0] != first


def test_files_that_just_changed_are_not_believed(tree, monkeypatch):
    """Their times may not tell the next change apart."""
    monkeypatch.setattr("aksci.images.context.known_files._SETTLED", 3600 * 10**9)
    assert tree()[1]
    assert tree()[1]


def test_files_that_just_changed_are_not_believed_in_another_process_either(tmp_path):
    """Nor when it meets them again after it has told of them."""
    (tmp_path / ".aksci").mkdir()
    changed = tmp_path / "changed"
    changed.write_text("")
    ours, another = (
        Facts(tmp_path / ".aksci", tmp_path / "files"),
        Facts(tmp_path / ".aksci", tmp_path / "files"),
    )
    another.put(KEY, VALUE, [changed.stat()])
    ours.learn(another.take_news())
    assert another.get(KEY) == VALUE
    ours.learn(another.take_news())
    assert ours.get(KEY) == VALUE
    ours.save()
    assert Facts(tmp_path / ".aksci", tmp_path / "files").get(KEY) is None


def test_our_state_is_left_out_only_where_the_build_is_told_so(tmp_path):
    """BuildKit reads a named context's own .dockerignore, and nobody can hand it another."""
    (tmp_path / ".aksci").mkdir()
    assert TreeHasher(tmp_path).hash(".", "Dockerfile")
    with pytest.raises(ConfigError, match=r"would hold \.aksci"):
        TreeHasher(tmp_path).hash(".", None)
    (tmp_path / ".dockerignore").write_text(".aksci")
    assert TreeHasher(tmp_path).hash(".", None)


def test_without_a_state_folder_nothing_is_kept_and_none_is_made(tree):
    first, _ = tree()
    os.rename(tree.root / ".aksci", tree.root / "old")  # noqa: PTH104
    assert tree()[0] == first
    assert tree()[1]
    assert not (tree.root / ".aksci").exists()


def test_a_state_folder_that_cannot_be_written_is_none(tmp_path):
    (tmp_path / "cache").write_text("a file")
    facts = Facts(tmp_path, tmp_path / "files")
    facts.put(KEY, VALUE, [])
    facts.save()
    assert facts.get(KEY) == VALUE
    assert (tmp_path / "cache").read_text() == "a file"


def test_files_of_another_file_system_are_not_believed(tmp_path):
    """Its clock is not the one that was looked at."""
    other = Path("/proc/self/status").stat()
    assert other.st_dev != tmp_path.stat().st_dev
    facts = Facts(tmp_path, tmp_path / "files")
    facts.put(KEY, VALUE, [other])
    facts.save()
    assert Facts(tmp_path, tmp_path / "files").get(KEY) is None


def test_what_no_longer_exists_is_forgotten_in_the_end(tmp_path, monkeypatch):
    facts = Facts(tmp_path, tmp_path / "files")
    for number in range(5):
        facts.put(key_of(number), VALUE, [])
    facts.save()
    monkeypatch.setattr("aksci.images.context.known_files._MOST", 3)
    later = Facts(tmp_path, tmp_path / "files")
    assert later.get(key_of(0))
    later.put(KEY, VALUE, [])
    later.save()
    assert [Facts(tmp_path, tmp_path / "files").get(key_of(number)) for number in range(5)] == [
        VALUE
    ] * 5
    last = Facts(tmp_path, tmp_path / "files")
    last.get(KEY)
    last.put(key_of("y"), VALUE, [])
    last.save()
    assert Facts(tmp_path, tmp_path / "files").get(key_of(1)) is None
    assert Facts(tmp_path, tmp_path / "files").get(KEY) == VALUE
