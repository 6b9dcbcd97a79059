"""Our reading of Dockerfiles against BuildKit's own, in the real one."""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import subprocess
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from types import SimpleNamespace
from urllib.parse import unquote

import pytest

from aksci.config.loader import load_config
from aksci.core.errors import ConfigError
from aksci.images.bases import RegistryBases
from aksci.images.context.hasher import TreeHasher
from aksci.images.dockerfile.expand import expand
from aksci.images.dockerfile.parser import parse_dockerfile
from aksci.images.dockerfile.stages import resolve_stages
from aksci.images.graph import build_graph
from aksci.images.inputs import inputs_of
from aksci.oci.client import RegistryClient
from aksci.oci.references import parse_reference

DEBIAN = "docker.io/library/debian:bookworm-slim"
TRICKY = [
    b"FROM scratch\n",
    b"\xef\xbb\xbffrom scratch as One\r\nFROM one\r\n",
    b"# syntax is no directive here\nFROM scratch\n",
    b"# escape=`\nFROM scratch\nCOPY a C:\\\nFROM scratch AS b\nRUN x `\nFROM y\n",
    b"#escape=\\\n# check=skip=all\nFROM scratch\n",
    b"#!/bin/sh\n# escape=`\nFROM scratch AS a\nRUN x `\nFROM scratch AS b\n",
    b"FROM scratch\nRUN x \\\n# comment\n\n  \\\nFROM y\nFROM scratch AS z\n",
    b"FROM scratch\nRUN x \\\\\nFROM scratch AS z\n",
    b"FROM scratch\nRUN x \\  \nFROM y\nFROM scratch AS z\n",
    b"FROM scratch\nRUN <<EOF\nFROM x\nEOF\nFROM scratch AS z\n",
    b"FROM scratch\nRUN <<-EOF cat\n\tFROM x\n\tEOF\nFROM scratch AS z\n",
    b"FROM scratch\nRUN << EOF cat\nFROM x\nEOF\nFROM scratch AS z\n",
    b"FROM scratch\nRUN <<'E F' cat\nFROM x\nE F\nFROM scratch AS z\n",
    b'FROM scratch\nRUN <<"EOF"; echo 1\nFROM x\nEOF; echo 1\nFROM scratch AS z\n',
    b'FROM scratch\nRUN <<"EOF"; echo 1\nFROM x\nEOF;\nFROM scratch AS z\n',
    b"FROM scratch\nRUN 3<<EOF cat <<B\nFROM x\nEOF\nFROM y\nB\nFROM scratch AS z\n",
    b"FROM scratch\nRUN cat <<<EOF\nFROM scratch AS x\nEOF\n",
    b"FROM scratch\nRUN cat <<<EOF\nFROM scratch AS x\n",
    b'FROM scratch\nRUN ["cat", "<<EOF"]\nFROM scratch AS x\n',
    b"FROM scratch\nRUN [cat, <<EOF]\nFROM scratch AS x\nEOF]\n",
    b"FROM scratch\nRUN echo it's <<EOF\nFROM scratch AS x\n",
    b"FROM scratch\nRUN echo ${x^^} <<EOF\nFROM scratch AS x\n",
    b"FROM scratch\nRUN echo ${x:-a <<EOF}\nFROM y\nEOF}\nFROM scratch AS x\n",
    b"FROM scratch\nRUN echo \\<<EOF\nFROM scratch AS x\n",
    b'FROM scratch\nRUN echo "<<EOF"\nFROM scratch AS x\n',
    b"FROM scratch\nRUN echo $((1<<2))\nFROM scratch AS x\n",
    b"FROM scratch\nRUN echo 1 <<2\nFROM x\n2\nFROM scratch AS z\n",
    b"FROM scratch\nRUN a<<EOF\nFROM scratch AS x\n",
    b"FROM scratch\nRUN <<EOF|cat\nFROM x\nEOF|cat\nFROM scratch AS z\n",
    b"FROM scratch\nRUN <<$X\nFROM x\n$X\nFROM scratch AS z\n",
    b"FROM scratch\nONBUILD RUN <<EOF\nFROM x\nEOF\nFROM scratch AS z\n",
    b'FROM scratch\nONBUILD RUN ["<<EOF"]\nFROM scratch AS z\n',
    b"FROM scratch\nENV x=<<EOF\nFROM scratch AS z\n",
    b"FROM scratch\nLABEL x=1 \\\n y=<<EOF\nFROM scratch AS z\n",
    b"FROM scratch\nCOPY <<EOF <<'B' /\nFROM x\nEOF\nFROM y\nB\nFROM scratch AS z\n",
    b"FROM scratch\nCOPY --chmod=755 <<EOF /x\r\nFROM x\r\nEOF\r\nFROM scratch AS z\n",
    b"FROM scratch\nCOPY <<EOF /x\nEOF \nFROM x\nEOF\nFROM scratch AS z\n",
    b"FROM --platform=linux/amd64 scratch AS a\nFROM --platform='linux/amd64' scratch\n",
    b"FROM  scratch\t AS\tx\nfrom scratch aS Y\n",
    b'ARG A=1 \\\n B=2\nFROM a$A$B\nFROM "b" AS c\n',
    b"FROM scratch\nRUN \xff\xfe\nFROM scratch AS z\n",
    "FROM scratch\n\u00a0RUN x\n\u2003FROM scratch AS z\n".encode(),
    b"FROM scratch\n\x1cRUN x\nFROM scratch AS z\n",
    b"FROM scratch\n\x0b FROM scratch AS z\n",
    b"FROM scratch AS a b\n",
    b"FROM scratch AS 1\n",
    b"FROM\n",
    b"RUN x\nFROM scratch\n",
    b"# escape=x\nFROM scratch\n",
    b"# check=skip=all\n# check=skip=all\nFROM scratch\n",
    b"FROM scratch\nRUN <<EOF\nFROM x\n",
    b"# only a comment\n",
    b"",
]

PIECES = [
    "FROM scratch AS s{n}", "FROM s{n} AS t{n}", "RUN one \\\n  two", "RUN <<A\nFROM no\nA",
    "RUN <<-'A B' <<C cat\n\tFROM no\n\tA B\nFROM no\nC", "# FROM no", "", "   ", "\\",
    "RUN x \\\n\n# FROM no\n y", "COPY <<X /x\n# {n}\nX", "RUN echo 'a' \"b <<Q\"", "ENV A=\\\n1",
    "ONBUILD COPY <<X /\nFROM no\nX", "RUN echo \\\\", "run printf '%s' \"$A\" ${{B:-<<C}}",
    'CMD ["a", \\\n"<<b"]', "RUN x \\ \nFROM no", 'LABEL a="x \\\n# y\n FROM no"',
]  # fmt: skip


@pytest.fixture(scope="module")
def buildkit(platform, toolbox, tmp_path_factory):
    """Ask BuildKit through buildx."""
    folder = tmp_path_factory.mktemp("buildx")
    buildx = toolbox.ensure("buildx")
    environment = {**os.environ, "BUILDX_CONFIG": str(folder), "BUILDX_METADATA_PROVENANCE": "max"}

    def run(*arguments, content=b"", cwd=folder):
        return subprocess.run(
            [buildx, *arguments],
            input=content,
            env=environment,
            cwd=cwd,
            capture_output=True,
            check=False,
        )

    created = run("create", "--name", "differential", "--driver", "remote", platform.buildkit)
    assert created.returncode == 0, created.stderr

    def targets(content):
        """Return the stages that BuildKit sees, or None where it refuses the file."""
        context = folder / secrets.token_hex(8)
        context.mkdir()
        call = ("--call=targets,format=json", "--file", "-", str(context))
        done = run("build", "--builder", "differential", *call, content=content)
        if done.returncode:
            return None
        document = json.loads(done.stdout[done.stdout.index(b"{") :])
        return [
            (
                one.get("name", ""),
                one["base"],
                one["location"]["ranges"][0]["start"]["line"],
            )
            for one in document["targets"]
        ]

    def build(context, *arguments):
        metadata = context.parent / f"{context.name}.json"
        done = run(
            "build", "--builder", "differential", "--metadata-file", metadata,
            *(arguments or ("--output", "type=cacheonly")), str(context),
        )  # fmt: skip
        found = json.loads(metadata.read_text()) if metadata.exists() else None
        return SimpleNamespace(status=done.returncode, text=done.stderr.decode(), metadata=found)

    return SimpleNamespace(targets=targets, build=build)


def ours(content):
    """Return the stages that we see, or None where we refuse the file."""
    try:
        dockerfile = parse_dockerfile(content, name="Dockerfile")
        resolve_stages(dockerfile, target=None, args={}, platform={})
    except ConfigError:
        return None
    found = []
    for one in dockerfile.instructions:
        if one.keyword == "FROM":
            base, *name = one.text.split()
            found.append((name[1].lower() if name else "", base, one.line))
    return found


def generated(seed, count):
    """Return Dockerfiles made of random pieces, always the same for one seed."""
    chooser = random.Random(seed)  # noqa: S311 - not for secrets
    for _ in range(count):
        pieces = chooser.choices(PIECES, k=chooser.randint(2, 9))
        lines = ["FROM scratch", *(piece.format(n=i) for i, piece in enumerate(pieces))]
        newline = chooser.choice(["\n", "\r\n"])
        yield "\n".join(lines).replace("\n", newline).encode()


def compare(buildkit, contents):
    with ThreadPoolExecutor(4) as pool:
        theirs = list(pool.map(buildkit.targets, contents))
    wrong = [
        (content, their, our)
        for content, their in zip(contents, theirs, strict=True)
        # Where BuildKit refuses a file, its build says so: we need not.
        if their is not None and their != (our := ours(content))
    ]
    assert not wrong
    return theirs


def test_the_stages_of_tricky_dockerfiles_are_those_that_buildkit_sees(buildkit):
    theirs = compare(buildkit, TRICKY)
    assert sum(one is not None for one in theirs) > len(TRICKY) / 2


def test_the_stages_of_generated_dockerfiles_are_those_that_buildkit_sees(buildkit):
    theirs = compare(buildkit, list(generated(4, 60)))
    assert sum(one is not None for one in theirs) > 20


@pytest.mark.parametrize("content", [one for one in TRICKY if ours(one) is None])
def test_buildkit_refuses_what_we_refuse(buildkit, content, tmp_path):
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_bytes(content)
    assert buildkit.build(context).status != 0


@pytest.fixture
def images(platform, buildkit, tmp_path):
    """Push tiny images under a name of their own; return what makes another one."""
    project = f"t{secrets.token_hex(4)}"
    host = platform.registry

    def push(name, dockerfile="FROM scratch\nCOPY file /file\n"):
        context = tmp_path / f"push-{name}"
        context.mkdir()
        (context / "Dockerfile").write_text(dockerfile)
        (context / "file").write_text(secrets.token_hex(8))
        reference = f"{host}/{project}/{name}:1"
        built = buildkit.build(context, "--output", f"type=image,push=true,name={reference}")
        assert built.status == 0, built.text
        return reference

    return push


def graph_of(root, dockerfile, files=(), more=""):
    """Make a project of one image beside the Dockerfile, and read it."""
    context = root / "app"
    context.mkdir()
    (context / "Dockerfile").write_text(dockerfile)
    for name in files:
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        (context / name).write_text(name)
    head = 'schema = 1\n[project]\nname = "p"\n[images.app]\ndockerfile = "app/Dockerfile"\n'
    (root / "aksci.toml").write_text(head + more)
    return build_graph(root, load_config(root / "aksci.toml"))


def materials(built):
    """Return the images that went into a build, in full."""
    found = set()
    for one in built.metadata["buildx.build.provenance"]["materials"]:
        match = re.fullmatch(r"pkg:docker/(.+?)@([^?]+).*", unquote(one["uri"]))
        if match:
            found.add(str(parse_reference(f"{match.group(1)}:{match.group(2)}")))
    return found


def inputs_for(graph, platform):
    registry = RegistryClient(platform.registry, plain_http=True)
    resolver = RegistryBases(
        mirror=registry, connect=lambda host: RegistryClient(host, plain_http=True)
    )
    try:
        return inputs_of(
            graph,
            "app",
            hasher=TreeHasher(graph.root),
            registry_host=platform.registry,
            built={},
            bases=resolver,
        )
    finally:
        registry.close()


def test_the_images_that_a_build_used_are_those_that_we_need(buildkit, images, platform, tmp_path):
    """Reachable stages, copies by name and index, mounts; not what no stage of the target needs."""
    one, two, three, unused = (images(name) for name in ("one", "two", "three", "unused"))
    graph = graph_of(
        tmp_path,
        f"ARG BASE={one}\nFROM $BASE AS first\nFROM {unused} AS other\nFROM first AS second\n"
        f"FROM debian:bookworm-slim\nCOPY --from=2 /file /a\nCOPY --from={two} /file /b\n"
        f"RUN --mount=from={three},target=/m cat /m/file\n",
    )
    built = buildkit.build(tmp_path / "app")
    assert built.status == 0, built.text
    needed = {need.reference for need in graph.external}
    assert materials(built) == needed == {one, two, three, DEBIAN}
    pins = inputs_for(graph, platform).pins
    assert set(pins) == {one, two, three, "debian:bookworm-slim"}


def test_the_onbuild_of_a_base_from_outside_counts(buildkit, images, platform, tmp_path):
    """It copies files, declares an ARG, and needs an image: BuildKit does it all in the child."""
    tool = images("tool")
    base = images(
        "base",
        f"FROM scratch\nCOPY file /\nONBUILD COPY used /used\nONBUILD ARG V\n"
        f"ONBUILD COPY --from={tool} /file /tool\nONBUILD COPY --from=late /x /x\n",
    )
    late = images("late")
    text = f"FROM {late} AS late\nCOPY used /x\nFROM {base}\nCOPY other /\n"
    graph = graph_of(tmp_path, text, ("used", "other", "unused"))
    assert {need.reference for need in graph.external} == {base}
    found = inputs_for(graph, platform)
    built = buildkit.build(tmp_path / "app")
    assert built.status == 0, built.text
    assert materials(built) == set(found.parents) == {base, tool, late}
    assert found.image.recipe.sources == {"used", "other"}
    assert found.image.recipe.used_args == {"V"}


def test_an_image_builds_from_nothing_but_the_sources_that_we_found(buildkit, tmp_path):
    """What is not among them could be taken away, and BuildKit builds the same."""
    files = ("a/1", "b c/2", "globbed-1.txt", "globbed-2.txt", "deep/x/3", "mount/4", "json 5")
    files = (*files, "env/6", "by arg/7", "parent/y/8", "not/used", "globbed-no")
    text = (
        "FROM debian:bookworm-slim\nARG D='by arg'\nENV E=env\n"
        'COPY ./a/../a/ /\nCOPY ["b c", "json 5", "/x/"]\nCOPY globbed-?.tx[t] /x/\n'
        "ADD deep/x /x/\nCOPY $E/6 ${D}/7 <<HERE /x/\nbody\nHERE\n"
        "RUN --mount=type=bind,source=mount,target=/m cat /m/4\n"
        "RUN --mount=type=cache,target=/m true\n"
    )
    graph = graph_of(tmp_path, text, files)
    sources = graph.images["app"].recipe.sources
    assert sources == {
        "a", "b c", "json 5", "globbed-?.tx[t]", "deep/x", "env/6", "by arg/7", "mount",
    }  # fmt: skip
    output = f"type=oci,dest={tmp_path}/image.tar,rewrite-timestamp=true"
    arguments = ("--no-cache", "--build-arg", "SOURCE_DATE_EPOCH=0", "--output", output)
    whole = buildkit.build(tmp_path / "app", *arguments)
    assert whole.status == 0, whole.text
    for name in files:
        covered = any(
            name == source or name.startswith(f"{source}/") or fnmatch(name, source)
            for source in sources
        )
        if not covered:
            (tmp_path / "app" / name).unlink()
    part = buildkit.build(tmp_path / "app", *arguments)
    assert part.status == 0, part.text
    digest = "containerimage.digest"
    assert part.metadata[digest] == whole.metadata[digest]


def test_a_named_context_stands_in_for_stages_in_any_case_and_for_images_by_any_name(
    buildkit, images, platform, tmp_path
):
    """A stage of its name, whose lines then mean nothing; later stages, too; a full reference."""
    one, two, three = (images(name) for name in ("one", "two", "three"))
    text = (
        "FROM scratch AS Base\nCOPY not-there /\nFROM scratch\nCOPY --from=BASE /file /1\n"
        "COPY --from=docker.io/library/tool:latest /file /2\nCOPY --from=late /file /3\n"
        "FROM scratch AS late\nCOPY not-there /\n"
    )
    text = text.replace("FROM scratch\nCOPY", "FROM scratch AS main\nCOPY", 1)
    contexts = {"base": one, "tool": two, "late": three}
    values = ", ".join(f'{name} = "docker-image://{to}"' for name, to in contexts.items())
    graph = graph_of(tmp_path, text, more=f'target = "main"\ncontexts = {{ {values} }}\n')
    arguments = [f"--build-context={name}=docker-image://{to}" for name, to in contexts.items()]
    arguments += ["--target=main", "--output", "type=cacheonly"]
    built = buildkit.build(tmp_path / "app", *arguments)
    assert built.status == 0, built.text
    assert materials(built) == {need.reference for need in graph.external} == {one, two, three}
    recipe = graph.images["app"].recipe
    assert recipe.sources == frozenset()
    pins = inputs_for(graph, platform).pins
    assert {name: pin.partition("@")[0] for name, pin in pins.items()} == {
        name: to.rpartition(":")[0] for name, to in contexts.items()
    }


PATTERNS = [
    "#a", "#*a", "##*a", "%a", "%a*", "%%a*", "/a/x", "//a/x", "//*/x", "/*/x", "//a*/x", "//?/x",
    "//x*/y", "///x", "/a?/x", "//a*a*b/x", "##*a*b", "%%b*a", "#?", "%?", "//**/x", "#*", "%%*",
]  # fmt: skip


def test_patterns_in_variables_replace_what_they_replace_in_buildkit(buildkit, tmp_path):
    words = {
        f"{number}-{value}": ("${A%s}" % pattern, value)  # noqa: UP031 - braces of its own
        for number, pattern in enumerate(PATTERNS)
        for value in ("abcab", "aab", "b")
    }
    lines = [f"ARG A={value}\nCOPY x /{at}/q{word}q\n" for at, (word, value) in words.items()]
    context, out = tmp_path / "context", tmp_path / "out"
    context.mkdir()
    (context / "x").touch()
    (context / "Dockerfile").write_text("FROM scratch\n" + "".join(lines))
    built = buildkit.build(context, "--output", f"type=local,dest={out}")
    assert built.status == 0, built.text
    for at, (word, value) in words.items():
        assert [one.name for one in (out / at).iterdir()] == [f"q{expand(word, {'A': value})}q"], at
