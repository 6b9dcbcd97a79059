"""Keys judged by BuildKit's cache: the same key, the same image; another key, another step.

Each example is a project and some changes of one thing each. BuildKit builds every state of it.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import secrets
import shutil
import subprocess
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from aksci.config.loader import load_config
from aksci.core.errors import ConfigError
from aksci.images.context.hasher import TreeHasher
from aksci.images.graph import build_graph
from aksci.images.keys import source_of

EXAMPLES = int(os.environ.get("AKSCI_KEY_EXAMPLES", "40"))
BASE = "debian:bookworm-slim"
NAMES = ["a", "b.txt", "c.md", ".git", "docs", "x y"]
FOLDERS = ["", "d/", "d/e/", "docs/"]
PATHS = [folder + name for folder in FOLDERS for name in NAMES[:4]] + ["x y", "d/x y"]
LINKS = ["a", "d", "d/e", "../d/a", "/d/b.txt", "missing", "link", "../out"]
PATTERNS = [
    "a", "d", "*", "!d/a", "**/a", "d/*", "!d/e", "*.txt", "*.md", "d/e/", "/d", "./a", "**", "!a",
    "!**/b.txt", "docs", "x y", "?", "!?", "d/e/..", "**/e", ".git", "**/.git", "e", "[a-c]*",
    "!*.md", "d/**", "**/*.md", "!d",
]  # fmt: skip
SOURCES = [
    "a", ".", "d", "d/", "d/e", "*.txt", "d/*", "?", "d/e/a", "docs", "./d/../a", "$A", "${A:-d}",
    "d/[ae]", "*", "d/?", "${B:-b.txt}", "docs/a", ".", "d",
]  # fmt: skip
PARENTS = ["d/e/a", "d/*/a", "./d/./e", "**/a", "d", "**/*.md", "*/./e", "d/e", ".", "d/./*", "*"]
OTHER = [
    "ENV E=$A", "ENV E=1", "ENV A=a", "LABEL l=$B", "LABEL l=1", "WORKDIR /w", "USER 1:$B",
    "EXPOSE 80", 'CMD ["x"]', 'ENTRYPOINT ["/a"]', "VOLUME /v", "STOPSIGNAL 9", 'SHELL ["/s"]',
    "ONBUILD COPY a /", "ARG A", "ARG B", "ARG C=1", "ARG B=$A", "ARG HTTP_PROXY", "ARG TARGETARCH",
    "ARG SOURCE_DATE_EPOCH", "HEALTHCHECK NONE", "MAINTAINER me", "ARG D=2 E=$C",
    "USER 7\nWORKDIR /u", "USER 8\nWORKDIR /u",
]  # fmt: skip
RUNS = [
    "RUN env > /env{n}", "RUN --mount=type=bind,source=d,target=/m ls -lnR /m > /m{n}",
    "RUN --mount=type=bind,target=/m cat /m/a > /m{n}",
    "RUN --mount=type=bind,source=a,target=/m cat /m > /m{n}", "RUN <<E\necho $B > /h{n}\nE",
    "RUN --mount=type=bind,from=one,target=/m ls -lnR /m > /m{n}",
    "RUN --mount=type=cache,target=/m true > /c{n}", "RUN echo $A > /r{n}",
]  # fmt: skip
HEAD = ["ARG A", "ARG A=d", "ARG B=b.txt", "ARG C", "ARG B=$A", "ARG U=unused", "ARG BASE=scratch"]
ARGS = {
    "A": ["a", "d", "d/e"], "B": ["b.txt", "a"], "C": ["1"], "U": ["1", "2"], "Z": ["1"],
    "HTTP_PROXY": ["http://127.0.0.1:9"], "BASE": ["scratch"], "BUILDKIT_X": ["1"],
}  # fmt: skip
COMMENTS = ["# a comment", "", "   ", "# check=skip=all", "\t"]
MODES = [0o644, 0o755, 0o600, 0o640, 0o4755]


@dataclass(frozen=True)
class State:
    """All that a build may read."""

    files: tuple[tuple[str, str, int], ...]
    """Path, content (``->x``: a link; ``/``: a folder), mode."""
    ignored: tuple[tuple[str, tuple[str, ...]], ...]
    head: tuple[str, ...]
    stages: tuple[tuple[str, tuple[str, ...]], ...]
    """Each FROM with its lines."""
    args: tuple[tuple[str, str], ...] = ()
    target: str | None = None

    def dockerfile(self, salt: str) -> str:
        """Return the Dockerfile; by the salt, no other example has its steps in the cache."""
        lines = [*self.head]
        for first, rest in self.stages:
            lines += [first, f"COPY <<SALT /salt\n{salt}\nSALT", *rest]
        return "\n".join(lines) + "\n"


@dataclass
class Verdict:
    """What BuildKit made of a state."""

    image: str
    """The digest of its configuration, which names all layers."""
    made: list[str] = field(default_factory=list)
    """Steps that were in no cache."""


# Projects

names = st.sampled_from(PATHS)
content = st.sampled_from(["0", "1", "2"])
excludes = st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2).map(
    lambda found: "".join(f'--exclude="{one}" ' for one in found)
)


@st.composite
def copies(draw, *, known=True):
    """One COPY or ADD from the context, or from a stage above.

    :param known: what variables are worth is: nothing comes from an image that may set them.
    """
    number = draw(st.integers(0, 99))
    flags = draw(excludes) if draw(st.booleans()) else ""
    flags += draw(st.sampled_from(["", "", "", "--link ", "--chmod=600 ", "--chown=1:1 "]))
    word = draw(st.sampled_from(["COPY", "COPY", "ADD"]))
    if draw(st.integers(0, 4)) == 0:
        return f"COPY --parents {flags}{draw(st.sampled_from(PARENTS))} /p{number}/"
    if draw(st.integers(0, 4)) == 0:
        source = draw(st.sampled_from(["a", "d", "/", "salt"]))
        return f"COPY --from=one {flags}{source} /f{number}/"
    if draw(st.integers(0, 5)) == 0:
        return f"{word} {flags}<<E {draw(st.sampled_from(['', 'a ']))}/h{number}/\nb $A\nE"
    plain = SOURCES if known else [one for one in SOURCES if "$" not in one]
    sources = draw(st.lists(st.sampled_from(plain), min_size=1, max_size=2))
    if draw(st.integers(0, 9)) == 0:
        return f'{word} {flags}["x y", "/j{number}/"]'
    return f"{word} {flags}{' '.join(sources)} /c{number}{draw(st.sampled_from(['', '/']))}"


@st.composite
def lines(draw, *, run):
    """Lines of a stage."""
    some = copies(known=not run)
    one = st.one_of(some, some, st.sampled_from(OTHER), st.sampled_from(COMMENTS))
    if run:
        one = st.one_of(
            one, st.sampled_from(RUNS).map(lambda found: found.format(n=sum(map(ord, found)) % 97))
        )
    return tuple(draw(st.lists(one, min_size=1, max_size=4)))


@st.composite
def states(draw):
    """A project of one image."""
    run = draw(st.integers(0, 3)) == 0
    # Most of them are there: a COPY of what is not is refused.
    paths = {*PATHS} - draw(st.sets(names, max_size=2))
    files = [(path, draw(content), 0o644) for path in sorted(paths)]
    if draw(st.integers(0, 7)) == 0:
        files.append(("link", f"->{draw(st.sampled_from(LINKS))}", 0o777))
    patterns = st.lists(st.sampled_from(PATTERNS), max_size=3)
    ignored = []
    if draw(st.booleans()):
        ignored.append((".dockerignore", tuple(draw(patterns))))
    if draw(st.integers(0, 4)) == 0:
        ignored.append(("Dockerfile.dockerignore", tuple(draw(patterns))))
    base = BASE if run else "scratch"
    stages = [(f"FROM {base} AS one", draw(lines(run=run)))]
    further = draw(st.lists(st.sampled_from([base, "one", "$BASE"]), max_size=2))
    for number, first in enumerate(further):
        if first == "$BASE":
            first = base  # noqa: PLW2901 - a base that an ARG names comes with the head
        stages.append((f"FROM {first} AS s{number}", draw(lines(run=run))))
    args = draw(st.dictionaries(st.sampled_from(sorted(ARGS)), st.just(0), max_size=3))
    return State(
        files=tuple(files),
        ignored=tuple(ignored),
        head=tuple(draw(st.lists(st.sampled_from(HEAD), max_size=3))),
        stages=tuple(stages),
        args=tuple((name, draw(st.sampled_from(ARGS[name]))) for name in sorted(args)),
        target=draw(st.sampled_from([None, None, "one", "s0"])),
    )


# Changes


@st.composite
def changes(draw):
    """A function from one state to the next, and what it is called."""
    kind = draw(st.sampled_from(sorted(CHANGES)))
    return kind, CHANGES[kind](draw)


def _write(draw):
    path, text = draw(names), f"new{draw(st.integers(0, 10**6))}"

    def apply(state):
        mode = next((mode for at, _, mode in state.files if at == path), 0o644)
        return replace(state, files=(*_without(state, path), (path, text, mode)))

    return apply


def _without(state, path):
    """Return the files that a path leaves room for."""
    parents = {"/".join(path.split("/")[:count]) for count in range(1, path.count("/") + 2)}
    return tuple(
        one for one in state.files if one[0] not in parents and not one[0].startswith(f"{path}/")
    )


def _remove(draw):
    path = draw(st.sampled_from([*PATHS, "link", "d/e", "docs"]))
    return lambda state: replace(
        state,
        files=tuple(
            one for one in state.files if one[0] != path and not one[0].startswith(f"{path}/")
        ),
    )


def _mode(draw):
    path, mode = draw(names), draw(st.sampled_from(MODES))
    return lambda state: replace(
        state,
        files=tuple((at, text, mode if at == path else old) for at, text, old in state.files),
    )


def _link(draw):
    path, to = (
        draw(st.sampled_from(["link", "link2", "d/link", "docs/link", "a"])),
        draw(st.sampled_from(LINKS)),
    )
    return lambda state: replace(state, files=(*_without(state, path), (path, f"->{to}", 0o777)))


def _ignore(draw):
    name = draw(st.sampled_from([".dockerignore", "Dockerfile.dockerignore"]))
    patterns = tuple(draw(st.lists(st.sampled_from(PATTERNS), max_size=3)))

    def apply(state):
        others = tuple(one for one in state.ignored if one[0] != name)
        return replace(state, ignored=others + (((name, patterns),) if patterns else ()))

    return apply


def _line(draw):
    some = copies(known=False)
    line = draw(st.one_of(some, st.sampled_from(OTHER), st.sampled_from(COMMENTS)))
    at, stage = draw(st.integers(0, 5)), draw(st.integers(0, 2))
    remove = draw(st.booleans())

    def apply(state):
        stages = list(state.stages)
        first, rest = stages[stage % len(stages)]
        place = at % (len(rest) + 1)
        rest = rest[:place] + rest[place + 1 :] if remove else (*rest[:place], line, *rest[place:])
        stages[stage % len(stages)] = first, rest
        return replace(state, stages=tuple(stages))

    return apply


def _head(draw):
    line, remove = draw(st.sampled_from(HEAD + COMMENTS[:3])), draw(st.booleans())
    at = draw(st.integers(0, 3))

    def apply(state):
        place = at % (len(state.head) + 1)
        rest = state.head[place + 1 :] if remove else (line, *state.head[place:])
        return replace(state, head=state.head[:place] + rest)

    return apply


def _arg(draw):
    name = draw(st.sampled_from(sorted(ARGS)))
    value = draw(st.sampled_from([None, *ARGS[name]]))

    def apply(state):
        others = tuple(one for one in state.args if one[0] != name)
        return replace(state, args=others + (((name, value),) if value is not None else ()))

    return apply


def _target(draw):
    target = draw(st.sampled_from([None, "one", "s0", "s1"]))
    return lambda state: replace(state, target=target)


def _rename(draw):
    """Give a stage another name, wherever it stands."""
    old, new = draw(st.sampled_from([("one", "uno"), ("s0", "nil"), ("uno", "one")]))

    def apply(state):
        stages = tuple(
            (_renamed(first, old, new), tuple(_renamed(line, old, new) for line in rest))
            for first, rest in state.stages
        )
        return replace(state, stages=stages, target=new if state.target == old else state.target)

    return apply


def _renamed(line, old, new):
    return re.sub(rf"(?<=[ =]){old}\b", new, line)


def _layout(draw):
    """Change the blanks between words, but not those of a RUN or a here-document."""
    stage, blank = draw(st.integers(0, 2)), draw(st.sampled_from(["  ", " \t", " \\\n  "]))

    def apply(state):
        stages = list(state.stages)
        first, rest = stages[stage % len(stages)]
        stages[stage % len(stages)] = (
            first,
            tuple(
                line.replace(" ", blank, 1)
                if line.startswith(("COPY -", "ARG", "COPY a"))
                else line
                for line in rest
            ),
        )
        return replace(state, stages=tuple(stages))

    return apply


CHANGES = {
    "write": _write, "write2": _write, "write3": _write, "remove": _remove, "mode": _mode,
    "link": _link, "ignore": _ignore, "line": _line, "line2": _line, "head": _head, "arg": _arg,
    "target": _target, "rename": _rename, "layout": _layout,
}  # fmt: skip


# The two verdicts


def lay_out(root, state, salt):
    """Write a state down."""
    shutil.rmtree(root, ignore_errors=True)
    (root / "ctx").mkdir(parents=True)
    (root / "out").write_text("outside")
    for path, text, mode in state.files:
        place = root / "ctx" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("->"):
            place.symlink_to(text[2:])
        else:
            place.write_text(text)
            place.chmod(mode)
    for name, patterns in state.ignored:
        (root / "ctx" / name).write_text("\n".join(patterns))
    (root / "ctx/Dockerfile").write_text(state.dockerfile(salt))
    rows = {"dockerfile": "ctx/Dockerfile", "context": "ctx"}
    rows |= {"target": state.target} if state.target else {}
    text = "\n".join(f"{key} = {json.dumps(value)}" for key, value in rows.items())
    args = ", ".join(f"{name} = {json.dumps(value)}" for name, value in state.args)
    (root / "aksci.toml").write_text(
        f'schema = 1\n[project]\nname = "p"\n[images.app]\n{text}\nargs = {{ {args} }}\n'
    )


def key_of(root):
    """Return the source key; None: it is refused, or opaque."""
    try:
        graph = build_graph(root, load_config(root / "aksci.toml"))
        image = graph.images["app"]
        found = source_of(image, TreeHasher(root)).key
    except ConfigError:
        return None
    return None if image.recipe.opaque else found


@pytest.fixture
def buildkit(platform, toolbox):
    """Build a state that is laid out; return BuildKit's verdict, None where it fails."""
    buildctl = toolbox.ensure("buildctl")
    return lambda root, state, *words: judge(buildctl, platform.buildkit, root, state, *words)


def judge(buildctl, address, root, state, *more):
    """Build a state with BuildKit."""
    metadata = root / "metadata.json"
    words = [f"--opt=build-arg:{name}={value}" for name, value in state.args]
    words += [f"--opt=target={state.target}"] if state.target else []
    done = subprocess.run(
        [
            buildctl, "--addr", address, "build", "--frontend=dockerfile.v0",
            f"--local=context={root}/ctx", f"--local=dockerfile={root}/ctx",
            "--opt=build-arg:SOURCE_DATE_EPOCH=0", "--progress=rawjson",
            "--output=type=oci,dest=/dev/null,rewrite-timestamp=true,compression=uncompressed",
            f"--metadata-file={metadata}", *words, *more,
        ],
        capture_output=True,
        check=False,
        text=True,
    )  # fmt: skip
    if done.returncode:
        return None
    steps = {}
    for line in done.stderr.splitlines():
        with contextlib.suppress(ValueError):
            for one in json.loads(line).get("vertexes", []):
                steps[one["digest"]] = one
    made = [
        one["name"]
        for one in steps.values()
        if one.get("completed")
        and not one.get("cached")
        and not one["name"].startswith(("[internal]", "exporting", "resolve image"))
    ]
    image = json.loads(metadata.read_text())["containerimage.config.digest"]
    return Verdict(image, made)


@dataclass
class Walk:
    """What became of the states of one example."""

    compared: int = 0
    same: int = 0
    skipped: list[str] = field(default_factory=list)
    """One key, two images."""
    needless: list[str] = field(default_factory=list)
    """Another key, and all of it in the cache."""


def walk(root, first, following, build):
    """Build each state of an example, and compare."""
    salt = secrets.token_hex(8)
    found = Walk()
    known = []
    kind, state = "", first
    for kind, change in itertools.chain([("", lambda same: same)], following):
        after = change(state)
        if kind and after == state:
            continue
        before, state = state, after
        lay_out(root, state, salt)
        key = key_of(root)
        verdict = build(root, state) if key else None
        if verdict is None:
            state = before
            continue
        what = f"{kind}: {difference(before, state)}\nof {state}"
        for old_key, old in known:
            found.compared += 1
            if old_key == key:
                found.same += 1
                if old.image != verdict.image:
                    found.skipped.append(what)
        if (
            key not in {old for old, _ in known}
            and not verdict.made
            and verdict.image in {old.image for _, old in known}
            and not _is_known_to_count(before, state)
            # BuildKit's cache passes over what a source with --exclude names itself.
            and build(root, state, "--no-cache").image == verdict.image
        ):
            found.needless.append(what)
        known.append((key, verdict))
    return found


def _is_known_to_count(before, after):
    """Tell whether more than BuildKit reads may count: docs/keys.md, "What counts too much"."""
    linked = any(text.startswith("->") for state in (before, after) for _, text, _ in state.files)
    obeyed = any(name.startswith("BUILDKIT_") for name, _ in {*before.args} ^ {*after.args})
    return linked or obeyed


def difference(before, after):
    """Say what a change changed."""
    return "; ".join(
        f"{name}: {sorted(set(old or ()) ^ set(new or ()), key=str) if name != 'target' else new}"
        for name in State.__dataclass_fields__
        if (old := getattr(before, name)) != (new := getattr(after, name))
    )


EXAMPLE = st.tuples(states(), st.lists(changes(), min_size=4, max_size=6))


def test_a_key_changes_exactly_when_buildkit_would_build(buildkit, tmp_path):
    total = SimpleNamespace(compared=0, same=0)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(EXAMPLE)
    def check(example):
        found = walk(tmp_path / "p", *example, buildkit)
        total.compared += found.compared
        total.same += found.same
        for one in (*found.skipped, *found.needless):
            note(one)
        assert not found.skipped, "one key, two images"
        assert not found.needless, "another key, and BuildKit has all of it in its cache"

    check()
    assert total.compared
    assert total.same
