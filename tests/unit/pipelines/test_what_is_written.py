"""Every repository that a run writes is an image's, or one that is kept for aksci."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

import aksci
from aksci import steps
from aksci.core.errors import ConfigError
from aksci.oci.own_names import is_own_repository, is_own_tag
from aksci.testing import open_environment

SOURCES = Path(aksci.__file__).parent
CANARY = "canary-c0ffee-1234"
TOML = (
    'schema = 1\n[project]\nname = "shop"\n[discover]\ncompose = ["compose.yaml"]\n'
    '[services.api]\nchart = "charts/api"\nimages = {image = "api"}\n'
)
FILES = {
    "aksci.toml": TOML,
    "compose.yaml": "services:\n"
    "  api: {image: other/api:prod, build: {context: ., args: [COSIGN_PASSWORD, "
    "'A=x${COSIGN_PASSWORD}y']}}\n",
    "Dockerfile": "FROM scratch\nARG A\nARG COSIGN_PASSWORD\nCOPY Dockerfile /\n",
    "charts/api/Chart.yaml": "apiVersion: v2\nname: api\nversion: 1.0.0\n",
}


@pytest.fixture
def folder(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def publish(env):
    build = steps.build(env)
    verdicts = steps.scan(env, build)
    steps.sign(env, build, verdicts)
    return steps.publish(env, build, verdicts)


def test_a_run_writes_only_where_its_images_are_and_where_aksci_keeps_its_own(folder):
    with open_environment(folder) as env:
        publish(env)
        written = env.registry.repositories()
        images = {"shop/other/api"}
        assert images < set(written)
        assert all(is_own_repository("shop", each) for each in set(written) - images)
        tags = set(env.registry.tags("shop/other/api"))
        assert {tag for tag in tags if not is_own_tag(tag)} == {"prod"}


def test_no_tag_of_another_project_moves(folder):
    with open_environment(folder) as env:
        theirs = env.registry.put_manifest(
            "other/api", json.dumps({"schemaVersion": 2, "manifests": [],
            "mediaType": "application/vnd.oci.image.index.v1+json"}).encode(),
            "application/vnd.oci.image.index.v1+json", tag="prod",
        )  # fmt: skip
        release = publish(env)
        assert env.registry.resolve("other/api", "prod") == theirs
        assert env.registry.tags("other/api") == ["prod"]
        assert release.images["api"].ref.repository == "shop/other/api"


def test_no_secret_of_the_environment_is_in_anything_that_a_run_leaves(folder):
    with open_environment(folder, variables={"PATH": "", "COSIGN_PASSWORD": CANARY}) as env:
        publish(env)
        store = env.registry.store
        blobs = [content for kept in (store.blobs, store.manifests) for content in _contents(kept)]
        assert blobs
        assert not any(CANARY.encode() in content for content in blobs)
        files = [path for root in (folder, env.work) for path in root.rglob("*") if path.is_file()]
        assert not any(CANARY.encode() in path.read_bytes() for path in files)
        assert CANARY not in repr(vars(env.reporter))


def _contents(kept):
    for each in kept.values():
        for value in each.values() if isinstance(each, dict) else [each]:
            yield value if isinstance(value, bytes) else value.content


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("shop/other/api@", "other/api@"),
        ("shop/other/api@", "shop/release@"),
        ('"prod"', '"in-x"'),
    ],
)
def test_a_record_of_a_build_leads_nowhere_else(folder, old, new):
    with open_environment(folder) as env:
        steps.build(env)
        text = (env.work / "build.json").read_text()
        assert old in text
        document = json.loads(text.replace(old, new))
        del document["seal"]
        env.work_folder.write_own("build.json", document)  # as if a run of ours had
        with pytest.raises(ConfigError, match="The last build's record"):
            env.last_build()


@pytest.mark.parametrize("where", ["values.yaml", "charts", "templates/a.yaml"])
def test_a_chart_that_is_refused_moves_no_tag(folder, where):
    link = folder / "charts/api" / where
    link.parent.mkdir(exist_ok=True)
    link.symlink_to("/proc/self/environ")
    with open_environment(folder) as env:
        with pytest.raises(ConfigError, match="is a symbolic link"):
            publish(env)
        assert env.registry.resolve("shop/other/api", "prod") is None


def test_the_folder_of_a_chart_leads_nowhere_else_once_it_is_built(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    outside.joinpath("Chart.yaml").write_text(f"apiVersion: v2\nname: {CANARY}/\nversion: '1'\n")
    with open_environment(folder) as env:
        build = steps.build(env)
        verdicts = steps.scan(env, build)
        steps.sign(env, build, verdicts)
        (folder / "charts/api/Chart.yaml").unlink()
        (folder / "charts/api").rmdir()
        (folder / "charts/api").symlink_to(outside)
        with pytest.raises(ConfigError, match="leads out of the project") as caught:
            steps.publish(env, build, verdicts)
        assert CANARY not in f"{caught.value} {caught.value.hint}"


def test_two_charts_of_one_name_and_version_are_refused(folder):
    (folder / "charts/web").mkdir()
    (folder / "charts/web/Chart.yaml").write_text(
        "apiVersion: v2\nname: api\nversion: 1.0.0\ndescription: another\n"
    )
    (folder / "aksci.toml").write_text(
        TOML + '[services.web]\nchart = "charts/web"\nimages = {image = "api"}\n'
    )
    with open_environment(folder) as env:
        with pytest.raises(ConfigError, match=r"services\.web: charts/web is api 1\.0\.0, as cha"):
            publish(env)
        assert not any("charts" in each for each in env.registry.repositories())


def test_repositories_of_akscis_own_are_named_in_one_place():
    """So that a new one is kept from images: an f-string with the project's name is written anew
    only for an image's repository."""
    found = set()
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr) and _names_a_repository(node):
                found.add(f"{path.relative_to(SOURCES)}: {ast.unparse(node)}")
    assert {entry for entry in found if not entry.startswith("testing/")} == {
        "cascade/receiver/push_filter.py: f'{config.project.name}/{name}'",  # of an image
        "images/discovery/specs.py: f'{project}/{said or one.name}'",  # of an image
        "oci/own_names.py: f'{project}/{word}/'",
    }


def _names_a_repository(node):
    """Tell whether it is ``f"{…project…}/word"`` or ``f"{…project…}/{word}"``."""
    parts = node.values
    return (
        len(parts) >= 2
        and isinstance(parts[0], ast.FormattedValue)
        and ast.unparse(parts[0].value).split(".")[-1] in {"project", "name"}
        and "project" in ast.unparse(parts[0].value)
        and isinstance(parts[1], ast.Constant)
        and parts[1].value.startswith("/")
        and (len(parts[1].value) > 1 or len(parts) > 2)
    )
