"""No link of a pull request brings what lies outside of the project into a key, a build or a log.

Each road is taken by ``graph``, as ``plan``, ``lint`` and ``build`` take it first; then all that a
build would read is read.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aksci.cli.edge import run_session
from aksci.config.loader import load_config
from aksci.core.errors import ConfigError
from aksci.images.build.build_secrets import load_secrets, load_ssh
from aksci.images.context.hasher import TreeHasher, ignore_override
from aksci.images.discovery.globs import find_files
from aksci.images.discovery.importers.imported import Importer
from aksci.images.graph import build_graph
from aksci.oci.references import is_repository

ROOT = Path(__file__).parents[3]
CANARY = "canary-of-the-outside"
HEAD = 'schema = 1\n[project]\nname = "shop"\n'
GLOBS = '[discover]\ndockerfiles = ["services/*/Dockerfile"]\n'
WEB = '[images.web]\ndockerfile = "web/Dockerfile"\n'
COMPOSE = '[discover]\ncompose = ["compose.yaml"]\n'
SKAFFOLD = '[discover]\nskaffold = ["skaffold.yaml"]\n'
BAKE = '[discover]\nbake = ["docker-bake.json"]\n'
WITH = "services: {web: {build: {context: web, %s}}}\n"
INNER = "services: {web: {build: {dockerfile_inline: FROM scratch}}}"
TARGET = '{"target": {"web": {%s}}}'
ARTIFACT = "apiVersion: skaffold/v4\nbuild: {artifacts: [{image: web, context: %s}]}\n"

OUTSIDE = {
    "Dockerfile": f"FROM scratch\nLABEL a={CANARY}\nCOPY {CANARY} /\n",
    "Dockerfile.dockerignore": f"{CANARY}\n",
    ".dockerignore": f"{CANARY}\n",
    CANARY: CANARY,
    "env": f'{CANARY} "is no variable\n',
    "bad.yaml": f"{CANARY}: [{CANARY}\n",
    "list.yaml": f"- {CANARY}\n",
    "compose.yaml": f"services: {{web: {{build: {{dockerfile_inline: 'FROM {CANARY}'}}}}}}\n",
    "skaffold.yaml": ARTIFACT % "." + f"# {CANARY}\n",
    "aksci.toml": f"schema = 1\n[project]\nname = '{CANARY}-{CANARY}-{CANARY}-{CANARY}'\n",
    "bad.toml": f"{CANARY} {CANARY}\n",
    "deep/Dockerfile": "FROM scratch\n",
}
# Road -> aksci.toml, files, links (path -> where it leads, below the outside).
ROADS = {
    "a context": (f'{WEB}context = "ctx"\n', {}, {"ctx": ""}),
    "a context behind a folder": (f'{WEB}context = "a/deep"\n', {}, {"a": ""}),
    "a context behind two links": (f'{WEB}context = "b/c"\n', {}, {"b/c": "", "b/d": ""}),
    "a named context": (f'{WEB}contexts = {{ lib = "lib" }}\n', {}, {"lib": ""}),
    "a Dockerfile": ('[images.x]\ndockerfile = "x/Dockerfile"\n', {},
                     {"x/Dockerfile": "Dockerfile"}),
    "a Dockerfile's folder": ('[images.x]\ndockerfile = "x/Dockerfile"\n', {}, {"x": ""}),
    "a glob's folder": (GLOBS, {}, {"services/x": ""}),
    "a glob's file": (GLOBS, {}, {"services/x/Dockerfile": "Dockerfile"}),
    "a glob's literal folder": ('[discover]\ndockerfiles = ["x/Dockerfile"]\n', {}, {"x": ""}),
    "a glob's pattern behind a link": ('[discover]\ndockerfiles = ["*/*/Dockerfile"]\n', {},
                                       {"x": ""}),
    "a glob of any depth": ('[discover]\ndockerfiles = ["**/Docker*"]\n', {},
                            {"y/Dockerfile": "Dockerfile"}),
    "a glob of any depth behind a link": ('[discover]\ndockerfiles = ["*/**/Docker*"]\n', {},
                                          {"x": ""}),
    "an ignore file": (f'{WEB}context = "web"\n', {}, {"web/.dockerignore": ".dockerignore"}),
    "the project's ignore file": (f'{WEB}context = "."\n', {}, {".dockerignore": ".dockerignore"}),
    "a Dockerfile's ignore file": (
        WEB, {}, {"web/Dockerfile.dockerignore": "Dockerfile.dockerignore"}),
    "compose.yaml": (COMPOSE, {}, {"compose.yaml": "compose.yaml"}),
    "compose.yaml that is none": (COMPOSE, {}, {"compose.yaml": "bad.yaml"}),
    "compose.yaml that is a list": (COMPOSE, {}, {"compose.yaml": "list.yaml"}),
    "Compose's .env": (COMPOSE, {"compose.yaml": WITH % ""}, {".env": "env"}),
    "Compose's context": (COMPOSE, {"compose.yaml": "services: {web: {build: ctx}}"}, {"ctx": ""}),
    "Compose's Dockerfile": (COMPOSE, {"compose.yaml": WITH % "dockerfile: D"},
                             {"web/D": "Dockerfile"}),
    "Compose's named context": (COMPOSE, {"compose.yaml": WITH % "additional_contexts: {x: ctx}"},
                                {"ctx": ""}),
    "Compose's named context as an address": (
        COMPOSE, {"compose.yaml": WITH % "additional_contexts: {x: 'file://ctx'}"}, {"ctx": ""}),
    "Compose's extends": (COMPOSE, {"compose.yaml": "services: {web: {extends: {file: b.yaml, "
                                                    "service: web}}}"}, {"b.yaml": "bad.yaml"}),
    "Compose's include": (COMPOSE, {"compose.yaml": "include: [b.yaml]"}, {"b.yaml": "bad.yaml"}),
    "an included .env": (COMPOSE, {"compose.yaml": "include: [b/b.yaml]", "b/b.yaml": INNER},
                         {"b/.env": "env"}),
    "an included env_file": (
        COMPOSE, {"compose.yaml": "include: [{path: b.yaml, env_file: e}]", "b.yaml": INNER},
        {"e": "env"}),
    "an included project_directory": (
        COMPOSE, {"compose.yaml": "include: [{path: b.yaml, project_directory: d}]",
                  "b.yaml": "services: {web: {build: .}}"}, {"d": ""}),
    "skaffold.yaml": (SKAFFOLD, {}, {"skaffold.yaml": "bad.yaml"}),
    "skaffold.env": (SKAFFOLD, {"skaffold.yaml": ARTIFACT % "web"}, {"skaffold.env": "env"}),
    "Skaffold's context": (SKAFFOLD, {"skaffold.yaml": ARTIFACT % "ctx"}, {"ctx": ""}),
    "Skaffold's Dockerfile": (SKAFFOLD, {"skaffold.yaml": ARTIFACT % "x", "x/y": ""},
                              {"x/Dockerfile": "Dockerfile"}),
    "Skaffold's requires": (
        SKAFFOLD, {"skaffold.yaml": "apiVersion: skaffold/v4\nrequires: [{path: other}]\n"},
        {"other": ""}),
    "Skaffold's required file": (
        SKAFFOLD, {"skaffold.yaml": "apiVersion: skaffold/v4\nrequires: [{path: other.yaml}]\n"},
        {"other.yaml": "bad.yaml"}),
    "a bake file": (BAKE, {}, {"docker-bake.json": "bad.yaml"}),
    "Bake's context": (BAKE, {"docker-bake.json": TARGET % '"context": "ctx"'}, {"ctx": ""}),
    "Bake's named context": (
        BAKE, {"docker-bake.json": TARGET % '"context": "web", "contexts": {"x": "ctx"}'},
        {"ctx": ""}),
    "Bake's Dockerfile": (BAKE, {"docker-bake.json": TARGET % '"dockerfile": "D"'},
                          {"D": "Dockerfile"}),
    "Bake's .env": ('[discover]\nbake = ["compose.yaml"]\n',
                    {"compose.yaml": "services: {web: {build: web}}"}, {".env": "env"}),
    "Bake's env_file": ('[discover]\nbake = ["compose.yml"]\n',
                        {"compose.yml": "services: {web: {build: web, env_file: e}}"},
                        {"e": "env"}),
}  # fmt: skip


@pytest.fixture
def lay(tmp_path):
    """Lay out a project and what lies beside it; links lead from one to the other."""

    def make(toml, files=(), links=()):
        root, outside = tmp_path / "project", tmp_path / "outside"
        files = {"web/Dockerfile": "FROM scratch\nCOPY . /\n", "web/ours": "x", **dict(files)}
        for folder, its in ((outside, OUTSIDE), (root, files)):
            for name, content in its.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(content)
        (root / "aksci.toml").write_text(HEAD + toml)
        for name, target in dict(links).items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).unlink(missing_ok=True)
            (root / name).symlink_to(outside / target if target else outside)
        return root

    make.outside = tmp_path / "outside"
    return make


def written(folder):
    """Return what a folder holds, and when it was changed."""
    return {path: path.lstat().st_mtime_ns for path in sorted(folder.rglob("*"))}


def graph_of(root, notes=None):
    """Return a project's images, as ``graph`` does; what Bake would print is the file itself."""
    importer = Importer(
        bake_print=lambda files, _targets: json.loads(files[0].read_text()),
        warn=(notes if notes is not None else []).append,
    )
    return build_graph(root, load_config(root / "aksci.toml"), importer=importer)


def read_all(root):
    """Read all that a build reads, as ``plan`` and ``build`` do."""
    hasher, found = TreeHasher(root), []
    for image in graph_of(root).images.values():
        spec = image.spec
        found.append(image.dockerfile.text)
        found.append(hasher.entries(spec.context, spec.dockerfile))
        found.append(ignore_override(root, spec.context, spec.dockerfile))
        found += [hasher.entries(one, None) for one in spec.contexts.values() if "://" not in one]
    return str(found)


@pytest.mark.parametrize(("toml", "files", "links"), ROADS.values(), ids=ROADS)
def test_no_link_leads_a_build_outside_of_the_project(lay, toml, files, links):
    root = lay(toml, files, links)
    before = written(lay.outside)
    with pytest.raises(ConfigError, match=r"leads out of the project|is no file of Bake") as caught:
        read_all(root)
    assert CANARY not in str(caught.value)
    assert written(lay.outside) == before


@pytest.mark.parametrize("road", [one for one in ROADS if "Bake" not in one and "bake" not in one])
def test_the_command_line_shows_nothing_from_outside_of_the_project(lay, capsys, road):
    root = lay(*ROADS[road])
    status = run_session("graph", ["--format", "json"], folder=root)
    out, err = capsys.readouterr()
    assert CANARY not in out + err
    assert status == (0 if "ignore file" in road else 3)  # those are read where the context is


FINE = {
    "Dockerfile": "FROM scratch\nCOPY . /\n",
    "Dockerfile.dockerignore": "x\n",
    ".dockerignore": "x\n",
    "env": "A=1\n",
    "list.yaml": "services: {web: {build: web}}\n",
    "compose.yaml": "services: {web: {build: web}}\n",
    "skaffold.yaml": ARTIFACT % ".",
    "deep/Dockerfile": "FROM scratch\n",
}


@pytest.mark.parametrize("road", [one for one in ROADS if "Bake's .env" not in one])
def test_the_same_links_inside_the_project_are_followed(lay, road):
    toml, files, links = ROADS[road]
    toml = toml.replace("compose.yml", "docker-bake.json")
    documents = (
        "apiVersion: skaffold/v4\nservices: {web: {build: web}}\n"
        "build: {artifacts: [{image: web, context: web}]}\n"
    )
    fine = {**FINE, "bad.yaml": TARGET % '"context": "web"' if "bake" in toml else documents}
    files = {"docker-bake.json": TARGET % '"context": "web"', **files}
    root = lay(toml, {**files, **{f"own/{name}": text for name, text in fine.items()}})
    for name, target in links.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).unlink(missing_ok=True)
        (root / name).symlink_to(os.path.relpath(root / "own" / target, (root / name).parent))
    assert read_all(root)


PIPES = {
    "a Dockerfile": (WEB, {}, "web/Dockerfile"),
    "an ignore file": (WEB, {}, "web/.dockerignore"),
    "compose.yaml": (COMPOSE, {}, "compose.yaml"),
    "Compose's .env": (COMPOSE, {"compose.yaml": "services: {web: {build: web}}"}, ".env"),
    "an env_file": (COMPOSE, {"compose.yaml": "include: [{path: b.yaml, env_file: e}]",
                              "b.yaml": INNER}, "e"),
    "skaffold.yaml": (SKAFFOLD, {}, "skaffold.yaml"),
    "skaffold.env": (SKAFFOLD, {"skaffold.yaml": ARTIFACT % "web"}, "skaffold.env"),
    "a bake file": (BAKE, {}, "docker-bake.json"),
    "aksci.toml": (WEB, {}, "aksci.toml"),
}  # fmt: skip
_READ = (
    "import sys; from pathlib import Path; sys.path[:0] = ['tests/unit/images', 'tests/unit'];"
    "from test_leading_outside import ConfigError, read_all\n"
    "try: read_all(Path(sys.argv[1]))\n"
    "except ConfigError as error: print(error)\n"
)


@pytest.mark.parametrize(("toml", "files", "pipe"), PIPES.values(), ids=PIPES)
def test_a_pipe_in_place_of_a_file_keeps_nobody_waiting(lay, toml, files, pipe):
    root = lay(toml, files)
    (root / pipe).unlink(missing_ok=True)
    os.mkfifo(root / pipe)
    # In a process of its own: what waits for a pipe waits for ever.
    subprocess.run([sys.executable, "-c", _READ, root], check=True, timeout=60, cwd=ROOT)


FILES = {"web/Dockerfile": "FROM scratch\n"}
NAMES = st.text(alphabet="aZ0./\\_- \n\0\u202eé~$", min_size=1, max_size=12) | st.sampled_from(
    ["a/../../../../x", "../x", "/etc/x", "a//b", "a/./b", "..", ".", "a\nb", "\u212a", "a" * 300]
)
SOURCES = {
    "Compose": (COMPOSE, "compose.yaml", lambda name: {"services": {name: INLINE}}),
    "Compose's image": (
        COMPOSE, "compose.yaml", lambda name: {"services": {"web": {"image": name, **INLINE}}}),
    "Compose's named context": (
        COMPOSE, "compose.yaml", lambda name: {"services": {"web": {"build": {
            "dockerfile_inline": "FROM scratch", "additional_contexts": {"x": name}}}}}),
    "Compose's project": (
        COMPOSE, "compose.yaml", lambda name: {"name": name, "services": {"web": INLINE}}),
    "Bake": (BAKE, "docker-bake.json", lambda name: {"target": {
        name: {"dockerfile-inline": "FROM scratch"}}}),
    "Bake's tag": (BAKE, "docker-bake.json", lambda name: {"target": {
        "web": {"dockerfile-inline": "FROM scratch", "tags": [name]}}}),
    "Skaffold": (SKAFFOLD, "skaffold.yaml", lambda name: {
        "apiVersion": "skaffold/v4", "build": {"artifacts": [{"image": name, "context": "web"}]}}),
    "Skaffold's path": (SKAFFOLD, "skaffold.yaml", lambda name: {
        "apiVersion": "skaffold/v4", "requires": [{"path": name}],
        "build": {"artifacts": [{"image": "x", "context": name}]}}),
    "aksci.toml": ("[images.%s]\ndockerfile = 'web/Dockerfile'\n", None, None),
    "aksci.toml's repository": (
        "[images.web]\ndockerfile = 'web/Dockerfile'\nrepository = %s\n", None, None),
    "aksci.toml's context": (
        "[images.web]\ndockerfile = 'web/Dockerfile'\ncontext = %s\n", None, None),
    "aksci.toml's named context": (
        "[images.web]\ndockerfile = 'web/Dockerfile'\ncontexts = {x = %s}\n", None, None),
}  # fmt: skip
INLINE = {"build": {"dockerfile_inline": "FROM scratch\n"}}


@pytest.mark.parametrize(("toml", "file", "make"), SOURCES.values(), ids=SOURCES)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(name=NAMES)
def test_a_name_obeys_the_grammar_before_anything_is_written(lay, toml, file, make, name):
    quoted = json.dumps(name)
    root = lay(
        toml % quoted if make is None else toml, {file: json.dumps(make(name))} if file else {}
    )
    around = set(root.parent.rglob("*")) - set(root.rglob("*"))
    try:
        images = graph_of(root).images
    except ConfigError:
        images = {}
    finally:
        assert set(root.parent.rglob("*")) - set(root.rglob("*")) == around
    for image in images.values():
        spec = image.spec
        assert is_repository(spec.name)
        assert is_repository(spec.repository)
        for path in (spec.dockerfile, spec.context, *spec.contexts.values()):
            inside = (root / path).resolve()
            assert "://" in path or path.startswith("image:") or inside.is_relative_to(root)
    for path in (root / ".aksci").rglob("*.Dockerfile"):
        assert is_repository(path.relative_to(root / ".aksci/dockerfiles").as_posix()[:-11])
        path.unlink()


@pytest.mark.parametrize("name", ["a/../../../../x", "a/../../../outside/x", "..", "A/../../b"])
@pytest.mark.parametrize("source", ["Compose", "Bake"])
def test_a_service_called_like_a_path_writes_nothing(lay, source, name):
    toml, file, make = SOURCES[source]
    root = lay(toml, {file: json.dumps(make(name))})
    with pytest.raises(ConfigError, match="can't be the name of an image"):
        graph_of(root)
    assert not (root / ".aksci").exists()
    assert not [path for path in root.parent.rglob("*.Dockerfile") if "outside" in str(path)]


SECRETS = {
    "a build secret": '[build.secrets.npm]\nfile = "keys/env"\n',
    "a build secret that need not be": '[build.secrets.npm]\nfile = "keys/env"\noptional = true\n',
    "an ssh key": '[build.ssh]\ndefault = ["keys/env"]\n',
}


@pytest.mark.parametrize("toml", SECRETS.values(), ids=SECRETS)
def test_a_build_secret_is_not_a_link_of_a_pull_request(lay, toml):
    root = lay(toml, {}, {"keys": ""})
    config = load_config(root / "aksci.toml")
    for load in (load_secrets, load_ssh):
        try:
            assert not load(config, root=root, variables={})
        except ConfigError as error:
            assert "leads out of the project" in str(error)  # noqa: PT017 - or nothing is loaded
            break
    else:
        pytest.fail("it was loaded")
    elsewhere = toml.replace("keys/env", str(lay.outside / "env"))
    (root / "aksci.toml").write_text(HEAD + elsewhere)
    config = load_config(root / "aksci.toml")
    found = [*load_secrets(config, root=root, variables={}),
             *load_ssh(config, root=root, variables={})]  # fmt: skip
    assert found


@pytest.mark.parametrize(
    "glob", ["x/Dockerfile", "*/Dockerfile", "*/D*", "*/**/none", "y/*", "y/Dockerfile", "**/D*"]
)
def test_no_glob_finds_or_searches_anything_outside(lay, glob):
    root = lay(WEB, {"web/Dockerfile": ""}, {"x": "", "y/Dockerfile": "Dockerfile"})
    with pytest.raises(ConfigError, match="leads out of the project"):
        find_files(root, [glob])


def test_a_link_out_of_the_project_with_no_dockerfile_behind_it_is_left(lay):
    root = lay(WEB, {}, {"x": ""})
    (lay.outside / "Dockerfile").unlink()
    assert str(*find_files(root, ["*/Dockerfile"])["*/Dockerfile"]) == "web/Dockerfile"


def test_no_context_outside_is_hashed_whoever_asks(lay):
    root = lay(WEB, {}, {"x": ""})
    for read in (TreeHasher(root).hash, TreeHasher(root).entries, TreeHasher(root).state):
        with pytest.raises(ConfigError, match="leads out of the project"):
            read("x", None)
