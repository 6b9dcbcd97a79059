"""The ready-made pipelines of the build side: what they refuse, tell and return."""

from __future__ import annotations

import json

import pytest

from aksci.core.errors import BuildError, GateError, RegistryError, UndecidedError, UsageError
from aksci.pipelines.build import build, push, scan, sign, validate
from aksci.pipelines.plan import graph, plan, why
from aksci.testing import CannedFinding, open_environment

TOML = """\
schema = 1
[project]
name = "shop"
[discover]
dockerfiles = ["*/Dockerfile"]
"""
FILES = {
    "base/Dockerfile": "FROM debian:bookworm-slim\nCOPY . /base/\n",
    "web/Dockerfile": "FROM shop/base\nCOPY . /web/\n",
    "tool/Dockerfile": "FROM scratch\nCOPY . /\n",
}


@pytest.fixture
def env(tmp_path):
    for name, text in {"aksci.toml": TOML, **FILES}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with open_environment(tmp_path) as env:
        yield env


@pytest.mark.parametrize(
    ("until", "told", "signed", "released"),
    [
        ("build", ["build"], 0, False),
        ("validate", ["build", "validate"], 0, False),
        ("scan", ["build", "validate", "scan"], 0, False),
        ("sign", ["build", "validate", "scan", "sign"], 3, False),
        ("push", ["build", "validate", "scan", "sign", "publish"], 3, True),
    ],
)
def test_a_build_goes_as_far_as_it_is_told(env, until, told, signed, released):
    assert build(env, until=until) is None
    assert list(env.notes) == told
    assert len([ref for ref in env.world.signer.signed if "release" not in str(ref)]) == signed
    assert (env.work / "release.json").exists() == released


def test_the_sessions_one_after_another_do_what_build_does(env):
    build(env, until="build")
    for session in (validate, scan, sign, push):
        session(env)
    assert (env.work / "release.json").exists()
    assert len(env.reporter.summaries) == 1  # only the scan tells its verdicts


def test_other_sources_are_not_pushed_and_nothing_is_scanned_before_that_is_told(env):
    build(env, until="build")
    env.work_folder.write_own(
        "build.json", env.work_folder.read_own("build.json") | {"commit": "5eed"}
    )
    with pytest.raises(UsageError, match=r"The sources are not those of the last build.*'5eed'"):
        push(env)
    assert env.world.scanner.scanned == []


def test_with_keep_going_the_builds_own_failure_is_told_last(env):
    env.world.builder.fail("base", "no space")
    env.world.scanner.find("tool", CannedFinding(id="CVE-1", severity="CRITICAL"))
    with pytest.raises(BuildError, match="no space"):
        build(env, keep_going=True)
    (told,) = env.reporter.errors
    assert "CVE-1" in told
    assert env.world.signer.signed == []


def test_with_keep_going_what_did_not_fail_is_signed_and_nothing_released(env):
    env.world.builder.fail("base", "no space")
    with pytest.raises(BuildError, match="no space"):
        build(env, keep_going=True)
    assert [ref.repository for ref in env.world.signer.signed] == ["shop/tool"]
    assert env.reporter.errors == []  # it is told once: by whoever catches it
    with pytest.raises(UsageError, match="did not build"):
        push(env)
    assert env.registry.resolve("shop/tool", "latest") is None


def test_a_build_that_made_nothing_needs_no_scanner(env):
    for name in ("base", "tool"):
        env.world.builder.fail(name)
    with pytest.raises(BuildError):
        build(env, keep_going=True)
    assert "scan" not in env.notes


def test_the_gate_ends_a_build_before_the_signature(env):
    env.world.scanner.find("tool", CannedFinding(id="CVE-1", severity="CRITICAL"))
    for until in ("scan", "push"):
        with pytest.raises(GateError, match="CVE-1"):
            build(env, until=until)
    assert env.world.signer.signed == []


def test_a_scan_shows_its_verdicts_before_it_fails(env, capsys):
    env.world.scanner.find("tool", CannedFinding(id="CVE-1", severity="CRITICAL"))
    build(env, until="build")
    with pytest.raises(GateError):
        scan(env)
    assert capsys.readouterr().out == ""
    with pytest.raises(GateError):
        scan(env, format="json")
    assert json.loads(capsys.readouterr().out)["passed"] is False


def test_a_plan_builds_nothing(env, capsys):
    assert build(env, plan=True, only=("base",)) is None
    assert "build  base" in capsys.readouterr().out
    assert env.world.builder.requests == []
    assert plan(env, exit_code=True) == 20
    build(env, until="build")
    assert plan(env, exit_code=True) is None


def test_a_plan_that_is_kept_can_be_compared_with_itself(env, capsys):
    file = str(env.work / "plan.json")
    plan(env, save=file)
    capsys.readouterr()
    build(env, until="build")
    plan(env, compare=file, save=file, format="json")
    assert [one["image"] for one in json.loads(capsys.readouterr().out)["gone"]] == [
        *("base", "tool", "web")
    ]
    plan(env, compare=file)
    assert "nothing differs" in capsys.readouterr().out
    with pytest.raises(UsageError, match="its only is"):
        plan(env, compare=file, only=("base",))


def test_a_matrix_is_handed_over_and_shown(env, capsys):
    plan(env, matrix="github")
    document = json.loads(capsys.readouterr().out)
    assert (document["any"], document["system"]) == (True, "github")
    assert env.reporter.outputs["any"] == "true"
    names = [one["name"] for one in json.loads(env.reporter.outputs["matrix"])["include"]]
    assert names == ["base", "tool"]
    assert [one["name"] for one in json.loads(env.reporter.outputs["matrix_1"])["include"]] == [
        "web"
    ]
    assert env.reporter.outputs["any_1"] == "true"
    assert "The jobs need 2 matrices" in env.reporter.warnings[0]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"with_dependents": True}, "--with-dependents needs --only"),
        ({"group": "component"}, "--group needs --matrix"),
        ({"matrix": "azure", "compare": "x"}, "give one of them"),
        ({"matrix": "azure", "format": "markdown"}, r"^Matrices can't be shown as 'mark.*json\."),
        ({"format": "dot"}, r"'dot'; it takes --format text, json, markdown\."),
        ({"compare": "nowhere.json"}, "can't be compared"),
        ({"save": "no/such/plan.json"}, "--save no/such/plan.json: the folder"),
        ({"output": "no/such/plan.json"}, "--output no/such/plan.json: the folder"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_asked(env, asked, told):
    with pytest.raises(UsageError, match=told):
        plan(env, **asked)
    assert env.registry.calls == []
    assert env.world.bases.connect("docker.io").calls == []


@pytest.mark.parametrize(
    ("session", "asked"),
    [
        (why, {"words": ("web",), "format": "dot"}),
        (why, {"words": ("base", "web")}),
        (graph, {"format": "sarif"}),
        (scan, {"format": "dot"}),
    ],
)
def test_a_mistake_is_told_before_the_work(env, session, asked):
    with pytest.raises(UsageError):
        session(env, **asked)
    assert env.registry.calls == []


def test_where_a_base_cannot_be_told_people_see_what_is_known_and_programs_nothing(env, capsys):
    env.world.bases.remove("debian:bookworm-slim")
    with pytest.raises(UndecidedError, match="1 base image can't be resolved"):
        plan(env)
    shown = capsys.readouterr().out
    assert "build  tool" in shown
    assert "?      web" in shown
    with pytest.raises(UndecidedError):
        plan(env, format="json")
    assert capsys.readouterr().out == ""


def test_an_image_is_explained(env, capsys):
    why(env, words=("web",), format="json")
    assert json.loads(capsys.readouterr().out)["action"] == "build"
    build(env, until="build")
    why(env, words=("web",))
    assert "web is not to be built" in capsys.readouterr().out


def test_the_graph_is_drawn_without_the_registry_but_for_the_page(env, capsys):
    for form in ("text", "dot", "mermaid", "json"):
        graph(env, format=form)
        assert "web" in capsys.readouterr().out
    assert env.registry.calls == []
    graph(env, format="html", output=str(env.work / "graph.html"))
    page = (env.work / "graph.html").read_text()
    assert "<title>shop" in page
    assert '"state":"build"' in page.replace(" ", "")


def test_a_page_is_drawn_where_the_registry_does_not_answer(env):
    env.registry.fail("*", RegistryError("It is away."))
    graph(env, format="html", output=str(env.work / "graph.html"))
    assert env.reporter.warnings == ["What is to be built is not known. It is away."]
    assert '"state":"unknown"' in (env.work / "graph.html").read_text().replace(" ", "")
