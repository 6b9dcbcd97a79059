"""In a real git repository: what matters changes the key, and what doesn't never does.

A mutation counts by the bytes that BuildKit would be sent; what git thinks of them never does.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aksci.config.loader import load_config
from aksci.core.errors import ConfigError
from aksci.images.context.hasher import TreeHasher
from aksci.images.graph import build_graph
from aksci.images.keys import source_of

DOCKERFILE = """\
ARG BASE=debian
FROM $BASE AS tools
ARG VERSION
COPY app/go.* /tools/
FROM scratch AS unreachable
COPY unread /
FROM tools
COPY app/src /src
COPY --from=tools --chmod=755 /tools /tools
COPY ["with space", "/"]
RUN --mount=type=bind,source=app/bound,target=/x --mount=type=secret,id=token true
"""
TOML = """\
schema = 1
[project]
name = "shop"
[images.web]
dockerfile = "app/Dockerfile"
context = "."
args = { VERSION = "1", UNUSED = "1" }
[images.other]
dockerfile = "other/Dockerfile"
"""
FILES = {
    ".dockerignore": "**/*.log\n**/.git*\n.aksci\n",
    ".gitignore": "*.o\n",
    "aksci.toml": TOML,
    "app/Dockerfile": DOCKERFILE,
    "app/bound/b": "b\n",
    "app/go.mod": "module\n",
    "app/src/deep/x.py": "x\n",
    "app/src/link.py": "->deep/x.py",
    "app/src/main.py": "main\n",
    "app/src/noise.log": "noise\n",
    "other/Dockerfile": "FROM scratch\n",
    "unread/u": "u\n",
    "with space": "s\n",
}
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def git(folder, *words):
    argv = ["git", "-c", "protocol.file.allow=always", "-c", "commit.gpgsign=false", *words]
    done = subprocess.run(argv, cwd=folder, env=ENVIRONMENT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def fill(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("->"):
            path.symlink_to(text[2:])
        else:
            path.write_text(text)


@pytest.fixture
def repository(tmp_path):
    """Commit a project to a git repository."""
    root = tmp_path / "repository"
    root.mkdir()
    fill(root, FILES)
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "one")
    return root


def key(root):
    config = load_config(root / "aksci.toml")
    graph = build_graph(root, config, builder_platform="linux/amd64")
    return source_of(graph.images["web"], TreeHasher(root)).key


def write(name, text="changed\n"):
    return lambda root: fill(root, {name: text})


def edit(name, old, new):
    return lambda root: (root / name).write_text((root / name).read_text().replace(old, new))


def hidden_by(*flag):
    """Change a file that git was told not to look at."""

    def mutate(root):
        git(root, "update-index", *flag, "app/src/main.py")
        (root / "app/src/main.py").write_text("MAIN\n")
        assert not git(root, "status", "--porcelain")

    return mutate


def same_size_and_time(root):
    file = root / "app/src/main.py"
    before = file.stat()
    file.write_text("MAIN\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def line_ends_at_checkout(root):
    git(root, "config", "core.autocrlf", "true")
    (root / "app/src/main.py").unlink()
    git(root, "checkout", "app/src/main.py")
    assert (root / "app/src/main.py").read_bytes() == b"main\r\n"
    assert not git(root, "status", "--porcelain")


def content_behind_a_filter(root):
    """As git LFS: the work tree holds what the blob only points to."""
    git(root, "config", "filter.big.clean", "echo pointer")
    git(root, "config", "filter.big.smudge", "echo the content itself")
    (root / ".git/info/attributes").write_text("main.py filter=big\n")
    (root / "app/src/main.py").write_text("large\n")
    git(root, "add", "app/src/main.py")
    git(root, "commit", "-qm", "pointer")
    assert not git(root, "status", "--porcelain")


def a_submodule(root):
    inner = root.parent / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    fill(inner, {"sub.py": "sub\n"})
    git(inner, "add", "-A")
    git(inner, "commit", "-qm", "inner")
    git(root, "submodule", "--quiet", "add", str(inner), "app/src/inner")
    git(root, "commit", "-qm", "outer")


def in_a_submodule(root):
    a_submodule(root)
    before = key(root)
    (root / "app/src/inner/sub.py").write_text("dirty\n")
    assert key(root) != before


def a_conflict(root):
    git(root, "checkout", "-qb", "side")
    fill(root, {"app/src/main.py": "side\n"})
    git(root, "commit", "-qam", "side")
    git(root, "checkout", "-q", "-")
    fill(root, {"app/src/main.py": "here\n"})
    git(root, "commit", "-qam", "here")
    subprocess.run(["git", "merge", "side"], cwd=root, env=ENVIRONMENT, check=False)
    assert "UU app/src/main.py" in git(root, "status", "--porcelain")


def letter_case(root):
    """As on a file system that ignores it, where git sees no change."""
    git(root, "config", "core.ignorecase", "true")
    (root / "app/src/main.py").rename(root / "app/src/Main.py")


def sparse(*folders):
    return lambda root: git(root, "sparse-checkout", "set", "--no-cone", *folders)


def odd_name(raw):
    def mutate(root):
        with open(os.fsencode(root) + b"/app/src/" + raw, "w"):  # noqa: PTH123
            pass

    return mutate


def a_socket(root):
    """BuildKit makes an empty file of it."""
    with socket.socket(socket.AF_UNIX) as one, contextlib.chdir(root / "app/src"):
        one.bind("socket")


def link_in_a_source(root):
    """What COPY reads is then anywhere: all of the context counts."""
    (root / "with space").unlink()
    (root / "with space").symlink_to("unread/u")
    before = key(root)
    fill(root, {"unread/u": "changed\n"})
    assert key(root) != before


MATTERS = {
    "a file": write("app/src/main.py"),
    "a file, to the same size and time": same_size_and_time,
    "a file, below": write("app/src/deep/x.py"),
    "a file that a pattern names": write("app/go.mod"),
    "a file that a pattern now names": write("app/go.sum"),
    "a file that no pattern names any more": lambda root: (root / "app/go.mod").unlink(),
    "a file with a space in its name": write("with space"),
    "a file that RUN mounts": write("app/bound/b"),
    "an untracked file": write("app/src/new.py"),
    "a file that git ignores": write("app/src/new.o"),
    "a file that git assumes unchanged": hidden_by("--assume-unchanged"),
    "a file that git skips": hidden_by("--skip-worktree"),
    "line ends, by git": line_ends_at_checkout,
    "content behind a filter": content_behind_a_filter,
    "a new submodule": a_submodule,
    "a file in a submodule": in_a_submodule,
    "a conflict": a_conflict,
    "a sparse checkout without what is read": sparse("app/Dockerfile", "/aksci.toml", "/other"),
    "a name with a newline": odd_name(b"a\nb"),
    "a name that is not UTF-8": odd_name(b"\xff\xfe"),
    "a name's case, where git ignores it": letter_case,
    "executable": lambda root: (root / "app/src/main.py").chmod(0o755),
    "a folder's mode": lambda root: (root / "app/src/deep").chmod(0o700),
    "a pipe": lambda root: os.mkfifo(root / "app/src/pipe"),
    "a socket": a_socket,
    "an empty folder": lambda root: (root / "app/src/empty").mkdir(),
    "a link's target": lambda root: [
        (root / "app/src/link.py").unlink(),
        (root / "app/src/link.py").symlink_to("main.py"),
    ],
    "a link in place of a file": link_in_a_source,
    "the ignore file": write(".dockerignore", "app/src/main.py\n.git\n"),
    "the Dockerfile's own ignore file": write("app/Dockerfile.dockerignore", "**/deep\n.git\n"),
    "an argument": edit("aksci.toml", 'VERSION = "1"', 'VERSION = "2"'),
    "an argument's default": edit("app/Dockerfile", "=debian", "=ubuntu"),
    "the target": edit("aksci.toml", 'context = "."', 'context = "."\ntarget = "tools"'),
    "the platforms": edit(
        "aksci.toml", 'context = "."', 'context = "."\nplatforms = ["linux/arm64"]'
    ),
    "an instruction": edit("app/Dockerfile", "755", "700"),
    "a secret's id": edit("app/Dockerfile", "id=token", "id=other"),
    "a new instruction": edit("app/Dockerfile", "FROM tools\n", "FROM tools\nUSER 1\n"),
}


def without_git(root):
    shutil.rmtree(root / ".git")


def committed(root):
    """Nothing but git's state changes."""
    before = key(root)
    fill(root, {"app/src/main.py": "changed\n"})
    dirty = key(root)
    git(root, "add", "-A")
    assert key(root) == dirty
    git(root, "commit", "-qm", "two")
    assert key(root) == dirty != before
    git(root, "revert", "--no-edit", "HEAD")


def unread_outside(root):
    fill(root, {"unread/u": "2", "app/unread": "2", "app/src2": "2", "README.md": "2"})
    (root / "app").chmod(0o755)


def in_another_order(root):
    head, web, other = TOML.split("[images.")
    (root / "aksci.toml").write_text(f"{head}[images.{other}[images.{web}")


IS_THE_SAME = {
    "git's state": committed,
    "no git at all": without_git,
    "git's index in another format": lambda root: git(root, "update-index", "--index-version=4"),
    "a split index": lambda root: git(root, "update-index", "--split-index"),
    "a staged change that the files do not have": lambda root: [
        write("app/src/main.py")(root),
        git(root, "add", "-A"),
        write("app/src/main.py", "main\n")(root),
    ],
    "a file that is no longer tracked": lambda root: git(root, "rm", "-q", "--cached", "-r", "app"),
    "packed objects": lambda root: git(root, "gc", "-q"),
    "a sparse checkout with all that is read": sparse(
        "/app", "/aksci.toml", "/.dockerignore", "/with?space", "/other"
    ),
    "what no instruction reads": unread_outside,
    "what only an unreachable stage reads": write("unread/u"),
    "what is ignored": write("app/src/noise.log"),
    "times": lambda root: [os.utime(path, (1, 1)) for path in (root / "app/src").rglob("*.py")],
    "group's write permission": lambda root: (root / "app/src/main.py").chmod(0o664),
    "what a link leads to, outside": lambda root: (root / "unread/u").unlink(),
    "a comment": edit("app/Dockerfile", "FROM tools\n", "FROM tools\n# why\n"),
    "layout": edit("app/Dockerfile", "COPY app/src /src", "copy  \\\n  app/src /src"),
    "an unreachable stage": edit("app/Dockerfile", "COPY unread", "RUN x\nCOPY unread"),
    "an unused argument": edit("aksci.toml", 'UNUSED = "1"', 'UNUSED = "2"'),
    "a secret's value": edit(
        "aksci.toml", "[images.web]", '[build.secrets]\ntoken = { file = "t" }\n[images.web]'
    ),
    "the order of tables": in_another_order,
    "another image": write("other/Dockerfile", "FROM scratch\nLABEL a=b\n"),
}


@pytest.mark.parametrize("mutation", MATTERS)
def test_a_mutation_that_matters_changes_the_key(repository, mutation):
    before = key(repository)
    MATTERS[mutation](repository)
    assert key(repository) != before


@pytest.mark.parametrize("mutation", IS_THE_SAME)
def test_a_mutation_that_does_not_matter_changes_nothing(repository, mutation):
    before = key(repository)
    IS_THE_SAME[mutation](repository)
    assert key(repository) == before


@pytest.mark.parametrize(
    "words",
    [
        ["clone", "-q"],
        ["clone", "-q", "--depth=1"],
        ["clone", "-q", "--filter=blob:none"],
        ["clone", "-q", "--separate-git-dir=apart"],
        ["worktree", "add", "-q"],
    ],
)
def test_another_checkout_has_the_same_key(repository, words):
    copy = repository.parent / "copy"
    if words[0] == "clone":
        git(repository.parent, *words, f"file://{repository}", str(copy))
    else:
        git(repository, *words, str(copy))
    assert key(copy) == key(repository)


def test_a_repository_with_sha256_has_the_same_key(repository):
    before = key(repository)
    without_git(repository)
    git(repository, "init", "-q", "--object-format=sha256")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "one")
    assert key(repository) == before


def test_the_whole_context_may_move(repository):
    before = key(repository)
    for name in ("app", ".dockerignore", "with space", "unread"):
        (repository / "moved").mkdir(exist_ok=True)
        (repository / name).rename(repository / "moved" / name)
    edit("aksci.toml", "app/Dockerfile", "moved/app/Dockerfile")(repository)
    edit("aksci.toml", 'context = "."', 'context = "moved"')(repository)
    assert key(repository) == before


def test_entries_name_what_a_hash_is_made_of(repository):
    hasher = TreeHasher(repository)
    found = hasher.entries(".", "app/Dockerfile", frozenset({"app/src", "with space"}))
    assert {path: text.split(" ")[:2] for path, text in found.items()} == {
        "app": ["d", "755"],
        "app/src": ["d", "755"],
        "app/src/deep": ["d", "755"],
        "app/src/deep/x.py": ["f", "644"],
        "app/src/link.py": ["l", "deep/x.py"],
        "app/src/main.py": ["f", "644"],
        "with space": ["f", "644"],
    }


def test_what_cannot_be_read_is_named_in_full(repository, monkeypatch):
    monkeypatch.setattr(os, "readlink", lambda name, **_: os.stat(f"{name}?", **_))  # noqa: PTH116
    with pytest.raises(ConfigError) as caught:
        key(repository)
    assert str(repository / "app/src/link.py?") in caught.value.message
    assert ".dockerignore" in caught.value.hint


NAMES = st.sampled_from(["a", "b", "d/a", "d/e/b", "sp ace", "new\nline", "é", "x.log"])
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["write", "remove", "mode", "move", "link", "back", "add", "commit"]),
        NAMES,
        st.sampled_from(["1", "2", "333"]),
    ),
    min_size=1,
    max_size=8,
)


def take(root, step):
    """Do one step of a random history in a git repository."""
    kind, name, text = step
    path = root / "ctx" / name
    if kind in {"add", "commit"}:
        git(root, "add", "-A")
    if kind == "commit":
        git(root, "commit", "-q", "--allow-empty", "-m", text)
    if kind in {"write", "link"}:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        fill(root, {f"ctx/{name}": f"->{text}" if kind == "link" else text})
    if not path.is_file() or path.is_symlink():
        return
    before = path.stat()
    if kind == "remove":
        path.unlink()
    if kind == "mode":
        path.chmod(0o755)
    if kind == "move":
        path.replace(root / "ctx" / text)
    if kind == "back":
        path.write_text(text)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def tick(root):
    """Wait until the file system's clock has moved on."""
    mark = root / ".aksci/tick"
    mark.write_text("")
    first = mark.stat().st_mtime_ns
    while mark.stat().st_mtime_ns == first:
        mark.write_text("")


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS, ignore=st.sampled_from(["", "*.log", "*\n!d/e", "d\n!d/a"]))
def test_a_hash_by_what_was_remembered_is_the_hash_of_the_bytes(
    tmp_path_factory, monkeypatch, steps, ignore
):
    monkeypatch.setattr("aksci.images.context.known_files._SETTLED", 0)
    root = tmp_path_factory.mktemp("history")
    fill(root, {".aksci/x": "", ".gitignore": ".aksci", "ctx/.dockerignore": ignore})
    git(root, "init", "-q")
    for step in steps:
        take(root, step)
        tick(root)
        remembering = TreeHasher(root, Path(f"{root}-known"))
        found = remembering.hash("ctx", None)
        remembering.save()
        plain = Path(f"{root}-plain")
        shutil.copytree(root / "ctx", plain / "ctx", symlinks=True)
        assert found == TreeHasher(plain).hash("ctx", None)
        shutil.rmtree(plain)
