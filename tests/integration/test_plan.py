"""The sessions plan and why on the real registry, after real builds."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tarfile
from importlib.resources import files
from types import SimpleNamespace

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from aksci.config.loader import load_config
from aksci.core.git import Tracked
from aksci.core.work_folder import WorkFolder
from aksci.images.bases import RegistryBases
from aksci.images.build.build_record import read_build_record
from aksci.images.build.stable_tags import publish_tags
from aksci.images.build_plan import plan_build
from aksci.images.explain import explain_image
from aksci.images.graph import build_graph
from aksci.images.lineage import read_files, read_lineage
from aksci.oci.artifact import push_image
from aksci.oci.client import RegistryClient
from aksci.oci.referrers import list_referrers

TOML = """schema = 1
[project]
name = "{p}"
[discover]
dockerfiles = ["*/Dockerfile"]
[build]
validate = false
[images.python]
dockerfile = "python/Dockerfile"
args = {{ V = "1" }}
[environments.nowhere]
platform = "external"
registry = "127.0.0.1:1"
plain_http = true
namespace = "x"
"""


@pytest.fixture
def shop(platform, tmp_path):
    """A project of four images, all from scratch, and the command line on it."""
    name = f"t{secrets.token_hex(4)}"
    contents = {
        "aksci.toml": TOML.format(p=name),
        "base/Dockerfile": "FROM scratch\nCOPY one two /\n",
        "base/one": secrets.token_hex(8),
        "base/two": "2",
        "python/Dockerfile": f"FROM {name}/base\nARG V\nLABEL v=$V\n",
        "catalog/Dockerfile": f"FROM {name}/python\nCOPY main.py /\n",
        "catalog/main.py": "print()",
        "tool/Dockerfile": "FROM scratch\nCOPY x /\n",
        "tool/x": secrets.token_hex(8),
    }
    root = tmp_path / "project"
    for path, content in contents.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    registry = RegistryClient(platform.registry, plain_http=True)

    def aksci(*arguments, status=0, **variables):
        done = subprocess.run(
            [sys.executable, "-m", "aksci", "-C", root, *arguments],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        assert done.returncode == status, done.stderr
        return done

    def build(*arguments):
        aksci("build", "--until", "build", *arguments, AKSCI_RUN_ID="run-7")
        publish_tags(read_build_record(WorkFolder(root / ".aksci", tracked=Tracked)), registry)

    def data(*arguments):
        return json.loads(aksci(*arguments, "--format", "json").stdout)

    yield SimpleNamespace(
        name=name, root=root, registry=registry, aksci=aksci, build=build, json=data
    )
    registry.close()


def codes(document):
    return {one["image"]: [each["code"] for each in one["reasons"]] for one in document["work"]}


def check(name, document):
    folder = files("aksci.report") / "schemas"
    known = {one.name: json.loads(one.read_text()) for one in folder.iterdir()}
    registry = Registry().with_resources(
        (one, Resource.from_contents(schema)) for one, schema in known.items()
    )
    Draft202012Validator(known[f"{name}.schema.json"], registry=registry).validate(document)


def test_before_the_first_build_all_is_work_and_the_matrix_has_it(shop, tmp_path):
    output, summary = tmp_path / "output", tmp_path / "summary"
    variables = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_OUTPUT": str(output),
        "GITHUB_STEP_SUMMARY": str(summary),
    }
    done = shop.aksci("plan", "--matrix", "github", "--exit-code", status=20, **variables)
    document = json.loads(done.stdout)
    check("matrix", document)
    assert [[job["name"] for job in one["jobs"]] for one in document["matrices"]] == [
        ["base", "tool"],
        ["python"],
        ["catalog"],
    ]
    given = output.read_text()
    assert shop.registry.host not in given
    assert '{"name":"catalog","arguments":"--only catalog","wave":2}' in given
    assert [line for line in given.splitlines() if line in {"true", "false"}] == ["true"] * 3
    shared = "| 4 images: base, tool, python, catalog | no build of it was published yet |"
    assert shared in summary.read_text()
    document = shop.json("why", "catalog")
    check("why", document)
    assert [one["way"] for one in document["causes"]] == [
        ["catalog", "python"],
        ["catalog", "python", "base"],
    ]
    assert document["key"] is None


def test_after_a_build_nothing_is_work_and_why_says_what_is_reused(shop, tmp_path):
    shop.build()
    done = shop.aksci("plan", "--exit-code")
    assert done.stdout.endswith("0 to build, 4 to reuse.\n")
    output = tmp_path / "output"
    done = shop.aksci("plan", "--matrix", "azure", GITHUB_ACTIONS="true", GITHUB_OUTPUT=str(output))
    assert (json.loads(done.stdout)["any"], "matrix" in output.read_text()) == (False, False)
    document = shop.json("why", "catalog")
    check("why", document)
    image = read_build_record(WorkFolder(shop.root / ".aksci", tracked=Tracked)).images["catalog"]
    assert (document["action"], document["digest"]) == ("reuse", image.ref.digest)
    assert document["tag"] == f"in-{image.input_key}"
    assert document["built"]["run"] == "run-7"
    assert document["lastBuild"] == {"reasons": list(image.reasons), "causes": []}
    text = shop.aksci("why", "catalog").stdout
    assert f"{shop.name}/catalog@{image.ref.digest}, built 20" in text
    assert "by run run-7" in text
    assert "It was built then, because:\n  no build of it was published yet\n" in text
    assert (
        "catalog is not to be built" in shop.aksci("why", "catalog", "--format", "markdown").stdout
    )


def test_a_change_is_told_down_to_files_lines_and_arguments(shop):
    shop.build()
    shop.aksci("plan", "--save", ".aksci/plan.json")
    (shop.root / "base/one").write_text("changed")
    (shop.root / "base/two").chmod(0o755)
    (shop.root / "base/new").write_text("")
    (shop.root / "base/Dockerfile").write_text(
        "FROM scratch\n# A comment.\nCOPY one two \\\n  new /\n"
    )
    toml = shop.root / "aksci.toml"
    toml.write_text(toml.read_text().replace('V = "1"', 'V = "2"'))
    document = shop.json("plan")
    check("plan", document)
    assert codes(document) == {
        "base": ["SOURCE", "DOCKERFILE"],
        "tool": [],
        "python": ["ARG", "PARENT"],
        "catalog": ["PARENT"],
    }
    work = {one["image"]: one for one in document["work"]}
    source, dockerfile = work["base"]["reasons"]
    assert [one for one in source["files"] if one["path"] != "Dockerfile"] == [
        {"path": "new", "change": "added"},
        {"path": "one", "change": "changed"},
        {"path": "two", "change": "mode"},
    ]
    assert dockerfile["lines"] == [[3, 4]]
    assert work["catalog"]["cause"] == ["catalog", "python"]
    compared = shop.json("plan", "--compare", ".aksci/plan.json")
    check("plan-comparison", compared)
    assert [one["image"] for one in compared["new"]] == ["base", "python", "catalog"]
    text = shop.aksci("why", "catalog").stdout
    assert "catalog ← python: V changed from '1' to '2'" in text
    assert "catalog ← python ← base: files in its context changed: new (added), one" in text


def test_a_parent_that_is_finished_and_new_is_followed_to_what_changed_in_it(shop):
    shop.build()
    (shop.root / "base/one").write_text("changed")
    shop.aksci("build", "--until", "build", "--only", "python")
    document = shop.json("why", "catalog")
    check("why", document)
    (reason,) = document["reasons"]
    assert (reason["code"], reason["image"], reason["edge"]) == ("PARENT", "python", "runtime")
    first, second = document["earlier"]
    assert (first["way"], [one["code"] for one in first["reasons"]]) == (["python"], ["PARENT"])
    assert second["way"] == ["python", "base"]
    assert second["reasons"][0]["files"] == [{"path": "one", "change": "changed"}]
    text = shop.aksci("why", "catalog").stdout
    assert "catalog ← python ← base, built 20" in text


def test_a_lost_tag_is_missing_though_nothing_differs(shop):
    shop.build("--only", "tool")
    assert codes(shop.json("plan", "--only", "tool")) == {"tool": []}
    image = read_build_record(WorkFolder(shop.root / ".aksci", tracked=Tracked)).images["tool"]
    lineage = read_lineage(shop.registry, image.ref.repository, image.ref.digest)
    assert read_files(shop.registry, image.ref.repository, lineage)["x"].startswith("f 644 ")
    graph = build_graph(shop.root, load_config(shop.root / "aksci.toml"))

    class Forgetful(RegistryClient):
        """A registry that has lost the tags of finished builds."""

        def resolve(self, repository, reference):
            return None if reference.startswith("in-") else super().resolve(repository, reference)

        def put_manifest(self, *_args, **_kwargs):
            raise AssertionError

        put_blob = put_manifest

    registry = Forgetful(shop.registry.host, plain_http=True)
    bases = RegistryBases(mirror=registry, connect=RegistryClient)
    plan = plan_build(graph, registry=registry, bases=bases, selected=frozenset({"tool"}))
    assert plan.work[0].reasons == ({"code": "MISSING", "known": True},)
    assert explain_image(plan, "tool", registry)["tag"] == f"in-{image.input_key}"
    registry.close()


def test_what_a_base_from_outside_triggers_counts_in_plan_and_build_alike(shop, tmp_path):
    """Else the plan would find a key that no build has, or a change that nobody sees."""
    layer = tmp_path / "layer.tar"
    with tarfile.open(layer, "w"):
        pass
    config = {"architecture": "amd64", "os": "linux", "config": {"OnBuild": ["COPY x /"]}}
    base = push_image(
        shop.registry, f"{shop.name}-outside/base", "1", layers=[layer], config=config
    )
    (shop.root / "tool/Dockerfile").write_text(f"FROM {base.name}:1\n")
    shop.build("--only", "tool")
    assert codes(shop.json("plan", "--only", "tool")) == {"tool": []}
    (shop.root / "tool/x").write_text("changed")
    (work,) = shop.json("plan", "--only", "tool")["work"]
    assert work["reasons"][0]["files"] == [{"path": "x", "change": "changed"}]


def test_looking_writes_nothing_to_the_registry(shop):
    shop.build("--only", "tool")
    ref = read_build_record(WorkFolder(shop.root / ".aksci", tracked=Tracked)).images["tool"].ref
    before = list_referrers(shop.registry, ref)
    (shop.root / "tool/x").write_text("changed")
    for arguments in (["plan"], ["plan", "--matrix", "github"], ["why", "tool"]):
        shop.aksci(*arguments)
    assert list_referrers(shop.registry, ref) == before
    assert shop.registry.resolve(f"{shop.name}/base", "latest") is None


def test_a_failure_is_told_at_the_next_plan(shop):
    (shop.root / "tool/Dockerfile").write_text("FROM scratch\nCOPY nothing /\n")
    shop.aksci("build", "--until", "build", "--only", "tool", status=7)
    (work,) = shop.json("plan", "--only", "tool")["work"]
    assert [one["code"] for one in work["reasons"]] == ["MISSING", "PREVIOUSLY_FAILED"]


def test_an_unreachable_registry_is_an_error_and_no_plan(shop):
    done = shop.aksci("plan", "--env", "nowhere", "--exit-code", status=6)
    assert done.stdout == ""
    assert "127.0.0.1:1" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["why"], 2, "Which image?"),
        (["why", "catlog"], 3, "did you mean catalog?"),
        (["plan", "--only", "catlog"], 3, "did you mean catalog?"),
        (["plan", "--force", "tool", "--only", "catalog"], 3, "is not selected"),
        (["plan", "--format", "dot"], 2, "can't be shown as 'dot'"),
        (["why", "base", "--format", "html"], 2, "can't be shown as 'html'"),
        (["plan", "--with-dependents"], 2, "--with-dependents needs --only"),
        (["plan", "--group", "component"], 2, "--group needs --matrix"),
        (["plan", "--matrix", "azure", "--compare", "x"], 2, "give one of them"),
        (["plan", "--matrix", "azure", "--format", "markdown"], 2, "can't be shown"),
        (["plan", "--compare", "nowhere.json"], 2, "nowhere.json can't be compared"),
        (["plan", "--save", "no/such/plan.json"], 2, "does not exist"),
        (["plan", "--output", "no/such/plan.json"], 2, "does not exist"),
    ],
)
def test_a_mistake_is_told_with_what_helps(shop, arguments, status, told):
    done = shop.aksci(*arguments, status=status)
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_result_can_go_to_a_file(shop):
    done = shop.aksci("plan", "--format", "json", "--output", ".aksci/out.json", status=0)
    assert done.stdout == ""
    check("plan", json.loads((shop.root / ".aksci/out.json").read_text()))


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ("text", "└── python"),
        ("json", '"from": "base"'),
        ("dot", '"base" -> "python"'),
        ("mermaid", 'n0["base"]'),
    ],
)
def test_the_graph_is_drawn_without_a_registry(shop, form, told):
    done = shop.aksci("graph", "--format", form, "--env", "nowhere")
    assert told in done.stdout
    assert done.stderr == ""


def test_the_page_has_states_or_a_warning_that_there_are_none(shop):
    assert '"state":"build"' in shop.aksci("graph", "--format", "html").stdout
    done = shop.aksci("graph", "--format", "html", "--env", "nowhere", "--output", ".aksci/g.html")
    assert "warning: What is to be built is not known." in done.stderr
    assert '"state":"unknown"' in (shop.root / ".aksci/g.html").read_text()
