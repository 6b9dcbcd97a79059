"""What matters changes the key; what doesn't never does."""

from __future__ import annotations

import os

import pytest

from aksci.core.errors import ConfigError
from aksci.images.context.hasher import TreeHasher, ignore_override
from aksci.images.inputs import inputs_of
from aksci.images.keys import source_of
from aksci.images.reasons import changed_files, files_of

DOCKERFILE = (
    "ARG V=1\nFROM debian:$V AS a\nFROM scratch AS unused\nRUN no\nFROM a\nARG W\nCOPY . /\n"
)
TOML = '[images.web]\ndockerfile = "Dockerfile"\ncontext = "ctx"\nargs = { W = "1", OTHER = "1" }\n'


@pytest.fixture
def base(project):
    (project.root / "ctx").mkdir()
    (project.root / "ctx/run.sh").write_text("echo")
    (project.root / "ctx/link").symlink_to("run.sh")
    (project.root / "outside").write_text("1")
    (project.root / "ctx/out").symlink_to("../outside")
    (project.root / "ctx/data").mkdir()
    (project.root / "ctx/data/x").write_text("x")
    return project


def key(project, dockerfile=DOCKERFILE, toml=TOML):
    graph = project({"Dockerfile": dockerfile}, toml)
    return source_of(graph.images["web"], TreeHasher(graph.root)).key


def write(name, text):
    return lambda ctx: (ctx / name).write_text(text)


def relink(ctx):
    (ctx / "link").unlink()
    (ctx / "link").symlink_to("data")


MATTERS = {
    "content": write("run.sh", "echo 2"),
    "a new file": write("new", ""),
    "executable bit": lambda ctx: (ctx / "run.sh").chmod(0o755),
    "who may read": lambda ctx: (ctx / "run.sh").chmod(0o640),
    "who may write": lambda ctx: (ctx / "run.sh").chmod(0o646),
    "set-user-id": lambda ctx: (ctx / "run.sh").chmod(0o4644),
    "a folder's permissions": lambda ctx: (ctx / "data").chmod(0o700),
    "link target": relink,
    "name": lambda ctx: (ctx / "run.sh").rename(ctx / "run2.sh"),
    "an empty folder": lambda ctx: (ctx / "empty").mkdir(),
    "a strange name": lambda ctx: open(os.fsencode(ctx) + b"/a\xff\n b", "w").close(),  # noqa: PTH123
    "an ignore file": write(".dockerignore", "data"),
}
IS_THE_SAME = {
    "times": lambda ctx: os.utime(ctx / "run.sh", (1, 1)),
    "group's write permission": lambda ctx: (ctx / "run.sh").chmod(0o664),
    "group's write permission in a folder": lambda ctx: (ctx / "data").chmod(0o775),
    "what a link leads to": lambda ctx: (ctx.parent / "outside").write_text("2"),
}


def settle(project):
    """Give the context the modes that a umask of 022 gives."""
    (project.root / "ctx/run.sh").chmod(0o644)
    (project.root / "ctx/data").chmod(0o755)


@pytest.mark.parametrize("change", MATTERS)
def test_a_change_in_the_context_that_matters_changes_the_key(base, change):
    settle(base)
    before = key(base)
    MATTERS[change](base.root / "ctx")
    assert key(base) != before


@pytest.mark.parametrize("change", IS_THE_SAME)
def test_a_change_in_the_context_that_does_not_matter_changes_nothing(base, change):
    settle(base)
    before = key(base)
    IS_THE_SAME[change](base.root / "ctx")
    assert key(base) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("COPY . /", "COPY . /app"),
        ("ARG V=1", "ARG V=2"),
        ("ARG W", "ARG X"),
        ("COPY . /", "COPY --link . /"),
        ("COPY . /\n", "COPY <<E /x\n1\nE\n"),
    ],
)
def test_a_change_of_an_instruction_that_counts_changes_the_key(base, old, new):
    assert key(base, DOCKERFILE.replace(old, new)) != key(base)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("RUN no", "RUN never"),
        ("COPY . /", "# why\nCOPY . /"),
        ("COPY . /", "\n\ncopy   . /"),
        ("ARG V=1", "# hello\nARG V=1"),
    ],
)
def test_comments_layout_and_unreachable_stages_change_nothing(base, old, new):
    assert key(base, DOCKERFILE.replace(old, new)) == key(base)


@pytest.mark.parametrize(
    ("name", "counts"),
    [("W", 1), ("OTHER", 0), ("V", 1), ("SOURCE_DATE_EPOCH", 1), ("BUILDKIT_MULTI_PLATFORM", 1)],
)
def test_an_argument_counts_that_is_used_or_that_buildkit_obeys_undeclared(base, name, counts):
    one, two = (TOML.replace("OTHER = ", f'{name} = "{value}", O =') for value in "12")
    if name == "W":
        one, two = TOML, TOML.replace('W = "1"', 'W = "2"')
    assert (key(base, toml=one) != key(base, toml=two)) is bool(counts)


def test_the_time_that_images_are_given_counts_unless_it_is_the_default(base):
    def of(epoch, toml=TOML):
        return key(base, toml=f"[build]\nsource_date_epoch = {epoch}\n{toml}")

    assert of(0) == key(base)
    assert len({of(0), of(1), of(2)}) == 3
    own = TOML.replace("OTHER = ", 'SOURCE_DATE_EPOCH = "5", O =')
    assert of(1, own) == of(2, own)


def test_a_folder_that_is_a_named_context_counts_with_its_own_ignore_file(base):
    (base.root / "lib").mkdir()
    (base.root / "lib/a").write_text("1")
    (base.root / ".dockerignore").write_text("a")  # that of another context
    toml = TOML + 'contexts = { lib = "lib" }\n'
    before = key(base, toml=toml)
    assert before != key(base)
    (base.root / "lib/a").write_text("2")
    changed = key(base, toml=toml)
    assert changed != before
    (base.root / "lib").rename(base.root / "moved")
    assert key(base, toml=TOML + 'contexts = { lib = "moved" }\n') == changed
    (base.root / "moved/.dockerignore").write_text("a\n.dockerignore")
    ignored = key(base, toml=TOML + 'contexts = { lib = "moved" }\n')
    (base.root / "moved/a").unlink()
    assert key(base, toml=TOML + 'contexts = { lib = "moved" }\n') == ignored


def test_files_are_known_by_name_and_those_of_a_named_context_by_its_name_too(base):
    """A plan names the files that changed."""
    (base.root / "lib").mkdir()
    (base.root / "lib/a").write_text("1")
    toml = TOML + 'contexts = { LIB = "lib", debian = "docker-image://debian:12" }\n'
    image = base({"Dockerfile": DOCKERFILE}, toml).images["web"]
    before = files_of(image, TreeHasher(base.root))
    (base.root / "lib/a").write_text("2")
    (base.root / "ctx/run.sh").chmod(0o755)
    after = files_of(image, TreeHasher(base.root))
    assert changed_files(before, after) == [
        {"path": "lib: a", "change": "changed"},
        {"path": "run.sh", "change": "mode"},
    ]


def test_a_proxy_counts_only_where_it_is_declared(base):
    here, there = (TOML.replace("OTHER =", f'HTTPS_PROXY = "{host}", O =') for host in ("a", "b"))
    assert key(base, toml=here) == key(base, toml=there)
    declared = DOCKERFILE.replace("ARG W", "ARG W HTTPS_PROXY")
    assert key(base, declared, here) != key(base, declared, there)


def test_target_and_platforms_count(base):
    assert key(base, toml=TOML + 'target = "a"\n') != key(base)
    assert key(base, toml=TOML + 'platforms = ["linux/arm64"]\n') != key(base)


def test_a_platform_that_is_not_configured_is_the_builders_and_counts(base):
    def of(builder, toml=TOML):
        graph = base({"Dockerfile": DOCKERFILE}, toml, builder_platform=builder)
        return source_of(graph.images["web"], TreeHasher(graph.root))

    assert of("linux/amd64").key != of("linux/arm64").key
    assert of("linux/arm64").platforms == ("linux/arm64",)
    both = TOML + 'platforms = ["linux/arm64"]\n'
    assert of("linux/amd64", both).key == of("linux/arm64", both).key == of("linux/arm64").key


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("FROM ", "FROM --platform=$BUILDPLATFORM "),
        ("ARG W", "ARG BUILDARCH W"),
        ("ARG V=1", "ARG V=x$BUILDARCH"),
    ],
)
def test_the_builders_platform_counts_where_it_is_asked_for(base, old, new):
    """A final stage of the builder's platform is another image on another machine."""

    def of(builder, text):
        toml = TOML + 'platforms = ["linux/arm64"]\n'
        graph = base({"Dockerfile": text}, toml, builder_platform=builder)
        return source_of(graph.images["web"], TreeHasher(graph.root))

    text = DOCKERFILE.replace(old, new)
    assert text != DOCKERFILE
    assert of("linux/amd64", text).key != of("linux/arm64", text).key
    unused = text.replace("$BUILD", "$NOBUILD").replace("ARG BUILD", "ARG NOBUILD")
    assert of("linux/amd64", unused).key == of("linux/arm64", unused).key


def test_ignored_files_do_not_count_and_the_dockerfiles_own_list_wins(base):
    (base.root / "ctx/.dockerignore").write_text("data\n.dockerignore")
    before = key(base)
    (base.root / "ctx/data/x").write_text("y")
    assert key(base) == before
    (base.root / "Dockerfile.dockerignore").write_text("run.sh")
    before = key(base)
    (base.root / "ctx/data/x").write_text("z")
    assert key(base) != before
    (base.root / "ctx/run.sh").write_text("changed")
    before_again = key(base)
    (base.root / "ctx/run.sh").write_text("again")
    assert key(base) == before_again


@pytest.mark.parametrize(("patterns", "walked"), [("data", False), ("data\n!data/x", True)])
def test_an_ignored_folder_is_walked_only_if_something_is_taken_back(
    base, monkeypatch, patterns, walked
):
    (base.root / "ctx/.dockerignore").write_text(patterns)
    folders = []
    opened = os.open
    monkeypatch.setattr(os, "open", lambda path, *how: folders.append(path) or opened(path, *how))
    key(base)
    assert any(str(path).endswith("/data/") for path in folders) is walked


def test_a_folder_that_exists_by_what_is_taken_back_into_it_counts_with_its_mode(base):
    (base.root / "ctx/.dockerignore").write_text("data\n!data/x")
    settle(base)
    before = key(base)
    (base.root / "ctx/data").chmod(0o700)
    assert key(base) != before
    (base.root / "ctx/.dockerignore").write_text("data\n!data/y")
    before = key(base)
    settle(base)
    assert key(base) == before


@pytest.mark.parametrize("state", [".aksci", "data/.aksci"])
@pytest.mark.parametrize("ignored", ["", "{}/*", "{}\n!{}/runs"])
def test_a_context_may_not_hold_our_own_state(base, state, ignored):
    """It changes with each run: the image would never be reused, and hold our records."""
    runs = base.root / "ctx" / state / "runs"
    runs.mkdir(parents=True)
    (runs / "1.json").write_text("{}")
    ignore = base.root / "ctx/.dockerignore"
    ignore.write_text(ignored.format(state, state))
    with pytest.raises(ConfigError, match=f"would hold {state},") as caught:
        key(base)
    assert caught.value.hint == f"printf '\\n{state}\\n' >> {ignore}"
    ignore.write_text("**/.aksci\n")
    before = key(base)
    (runs / "2.json").write_text("{}")
    assert key(base) == before


def test_our_state_in_the_projects_own_folder_counts_nowhere_and_is_sent_to_no_build(base):
    runs = base.root / ".aksci/runs"
    runs.mkdir(parents=True)
    (base.root / ".dockerignore").write_bytes(b"*.log\n\xff")
    dockerfile = "Dockerfile"
    before = TreeHasher(base.root).hash(".", dockerfile)
    (runs / "1.json").write_text("{}")
    assert TreeHasher(base.root).hash(".", dockerfile) == before
    assert ignore_override(base.root, ".", dockerfile) == b"*.log\n\xff\n.aksci\n"
    assert ignore_override(base.root, "ctx", dockerfile) is None
    (base.root / "Dockerfile.dockerignore").write_text("tmp")
    assert ignore_override(base.root, ".", dockerfile) == b"tmp\n.aksci\n"


def inputs(project, files, name="app", built=None, digests=None, toml=None):
    graph = project(files, *([toml] if toml else []))
    return inputs_of(
        graph,
        name,
        hasher=TreeHasher(graph.root),
        registry_host="r:1",
        built=built or {},
        bases=project.outside((digests or {}).__getitem__),
    )


FILES = {
    "base/Dockerfile": "FROM scratch",
    "app/Dockerfile": "FROM shop/base\nCOPY --from=debian:12 / /",
}
ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64
DEBIAN = "docker.io/library/debian:12"


def test_parents_are_in_the_key_and_pinned_by_digest(project):
    first = inputs(project, FILES, built={"base": ONE}, digests={DEBIAN: TWO})
    assert first.pins == {
        "shop/base": f"r:1/shop/base@{ONE}",
        "debian:12": f"docker.io/library/debian@{TWO}",
    }
    parent = inputs(project, FILES, built={"base": TWO}, digests={DEBIAN: TWO})
    drift = inputs(project, FILES, built={"base": ONE}, digests={DEBIAN: ONE})
    assert len({first.key, parent.key, drift.key}) == 3


def test_each_name_of_a_parent_is_pinned(project):
    """One that is not would be whatever the registry has under that name."""
    toml = (
        '[images.base]\ndockerfile = "base/Dockerfile"\ntags = ["latest", "v1"]\n'
        '[images.app]\ndockerfile = "app/Dockerfile"\n'
    )
    text = "FROM shop/base AS a\nFROM shop/base:v1 AS b\nFROM scratch\nCOPY --from=a / /\n"
    files = FILES | {"app/Dockerfile": f"{text}COPY --from=b / /"}
    found = inputs(project, files, built={"base": ONE}, toml=toml)
    assert found.pins == dict.fromkeys(("shop/base", "shop/base:v1"), f"r:1/shop/base@{ONE}")


def test_there_is_no_key_while_a_parent_is_unknown(project):
    assert inputs(project, FILES, built={"base": None}, digests={DEBIAN: TWO}).key is None


def test_a_base_that_a_stage_is_called_after_is_not_pinned(project):
    """A named context would replace the stage, which is the image itself here."""
    files = {"app/Dockerfile": "FROM debian AS debian\nRUN x"}
    found = inputs(project, files, digests={"docker.io/library/debian:latest": ONE})
    assert found.pins == {}
    assert found.parents == {"docker.io/library/debian:latest": ONE}


def test_the_previous_version_of_itself_is_pinned_but_not_in_the_key(project):
    files = {"app/Dockerfile": "FROM scratch\nCOPY --from=shop/app / /"}
    own = "docker.io/shop/app:latest"
    first = inputs(project, files, digests={own: ONE})
    second = inputs(project, files, digests={own: TWO})
    assert first.key == second.key
    assert first.pins != second.pins


GLOBALS = (
    "ARG NODE=1\nARG GO=1\nARG OS=a$GO\nFROM scratch AS site\nARG NODE\nFROM scratch\nARG OS\n"
)


@pytest.mark.parametrize(
    ("before", "after", "counts"),
    [
        ("NODE=1", "NODE=2", False),  # of another target alone
        ("ARG NODE=1\n", "", False),
        ("ARG OS=", "ARG NEW=1\nARG OS=", False),
        ("GO=1", "GO=2", True),  # by way of the default of OS
        ("OS=a$GO", "OS=b$GO", True),
        ("ARG OS=", "ARG BUILDKIT_X=1\nARG OS=", True),  # BuildKit obeys those
    ],
)
def test_an_arg_before_the_first_from_counts_where_it_reaches_the_target(
    base, before, after, counts
):
    assert (key(base, GLOBALS.replace(before, after)) != key(base, GLOBALS)) == counts
