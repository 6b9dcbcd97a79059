"""The steps from sources to a release, over doubles, in one job and in jobs of their own."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from aksci import steps
from aksci.core.errors import (
    AksciError,
    BuildError,
    ConfigError,
    GateError,
    TrustError,
    UsageError,
    ValidationError,
)
from aksci.parts import Parts
from aksci.steps import build_step
from aksci.steps.build_step import gate_tools
from aksci.supply.scan.stored_verdict import store_verdict
from aksci.supply.scan.verdict import Finding
from aksci.testing import CannedFinding, MemoryScanner, MemoryWorld, open_environment
from aksci.testing.sample_images import push_sample

TOML = """\
schema = 1
[project]
name = "shop"
[discover]
dockerfiles = ["*/Dockerfile"]
"""
SHARED = """
[environments.dev]
registry = "shared.example"
namespace = "dev"
[environments.staging]
registry = "shared.example"
namespace = "shop"
"""
FILES = {
    "base/Dockerfile": "FROM debian:bookworm-slim\nCOPY . /base/\n",
    "base/x": "1",
    "web/Dockerfile": "FROM shop/base\nCOPY . /web/\n",
    "web/x": "1",
    "tool/Dockerfile": "FROM scratch\nCOPY . /\n",
    "tool/x": "1",
}
BAD = CannedFinding(id="CVE-2026-0001", severity="CRITICAL")


@pytest.fixture
def root(tmp_path):
    for name, text in {"aksci.toml": TOML, **FILES}.items():
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "project"


@pytest.fixture
def job(root, tmp_path):
    """Open the environments of jobs that follow each other, over one world and one folder."""
    world, opened = MemoryWorld(), []

    def make(**options):
        env = open_environment(root, world=world, work=tmp_path / "work", **options)
        opened.append(env)
        return env

    make.world = world
    yield make
    for env in opened:
        env.close()


@pytest.fixture
def env(job):
    return job()


# -- graph --


def test_a_dockerfile_that_takes_docker_hubs_image_for_ours_is_warned_of(root, env):
    (root / "web/Dockerfile").write_text("FROM base\n")
    steps.graph(env)
    (told,) = env.reporter.warnings
    assert told.endswith("the project's own image base is shop/base")


# -- build --


def test_a_gate_is_asked_about_each_image_before_anything_is_built_on_it(env):
    told = []

    def gate(name, image):
        told.append((name, image.ref.digest, list(env.world.builder.built)))

    made = steps.build(env, gate=gate)
    assert {(name, digest) for name, digest, _ in told} == {
        (name, one.ref.digest) for name, one in made.images.items()
    }
    (built_then,) = [built for name, _, built in told if name == "base"]
    assert "web" not in built_then
    assert "base" in built_then


def test_a_gate_is_asked_about_what_is_published_already_too(env):
    steps.build(env)
    asked = []
    again = steps.build(env, gate=lambda name, _image: asked.append(name))
    assert {one.action for one in again.images.values()} == {"reused"}
    assert sorted(asked) == ["base", "tool", "web"]


def test_what_a_gate_refuses_fails_and_nothing_is_built_on_it(env):
    def gate(name, _image):
        if name == "base":
            raise ValidationError("base is too slow.")

    made = steps.build(env, gate=gate, keep_going=True)
    assert made.failed == {"base": "base is too slow."}
    assert made.blocked == {"web": frozenset({"base"})}
    assert list(made.images) == ["tool"]
    assert "web" not in env.world.builder.built
    with pytest.raises(ValidationError, match=r"base is too slow\."):
        made.require()


def test_what_a_gate_has_refused_is_not_built_once_more(env):
    def gate(name, _image):
        if name == "base":
            raise ValidationError("base is too slow.")

    with pytest.raises(ValidationError):
        steps.build(env, gate=gate)
    again = steps.build(env)
    assert again.images["base"].action == "reused"
    assert env.world.builder.built.count("base") == 1


def test_a_defect_in_a_gate_ends_the_build(env):
    def gate(_name, _image):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        steps.build(env, gate=gate)
    assert not (env.work / "build.json").exists()


def test_images_that_failed_are_told_with_those_that_need_them(env, job):
    env.world.builder.fail("base", "no space")
    made = steps.build(env, keep_going=True)
    assert list(made.failed) == ["base"]
    assert "no space" in made.failed["base"]
    assert made.missing == ("base", "web")
    assert not made.complete
    assert list(made.images) == ["tool"]
    with pytest.raises(BuildError, match="no space"):
        made.require()
    later = job().last_build()
    assert (later.failed, later.blocked) == (made.failed, made.blocked)
    assert later.images["tool"].ref == made.images["tool"].ref
    with pytest.raises(UsageError, match="2 images of the last build did not build"):
        later.require()
    assert env.notes["build"]["failed"] == ["base", "web"]


def test_a_failure_ends_the_build_where_nobody_keeps_going(env):
    env.world.builder.fail("base")
    with pytest.raises(BuildError):
        steps.build(env)
    assert not (env.work / "build.json").exists()
    assert list(json.loads((env.work / "failed.json").read_text())) == ["base"]
    assert list(env.notes["build"]["images"]) == ["tool"]


def test_the_last_build_and_release_are_gone_once_a_build_has_begun(env):
    made = steps.build(env)
    verdicts = steps.scan(env, made)
    steps.sign(env, made, verdicts)
    steps.publish(env, made, verdicts)
    assert env.last_release()
    env.world.builder.fail("tool")
    (env.root / "tool/x").write_text("2")
    with pytest.raises(BuildError):
        steps.build(env)
    for name in ("build.json", "release.json"):
        assert not (env.work / name).exists()


def test_a_service_that_could_not_be_released_is_refused_before_anything_is_built(root, job):
    chart = root / "charts/web/Chart.yaml"
    (root / "aksci.toml").write_text(
        TOML + '[services.web]\nchart = "charts/web"\nimages = {image = "wep"}\n'
    )
    with pytest.raises(ConfigError, match=r"services\.web\.chart: there is no chart"):
        steps.build(job())
    chart.parent.mkdir(parents=True)
    chart.write_text("apiVersion: v2\nname: web\nversion: 1.0.0\n")
    with pytest.raises(ConfigError, match="there is no image 'wep'; there are: base, tool, web"):
        steps.build(job())
    assert job.world.builder.requests == []


# -- what is trusted, and by which programs --


@pytest.mark.parametrize(
    ("signers", "programs"),
    [
        (["notation"], ("trivy", "notation")),
        (["cosign"], ("trivy", "cosign")),
        (["dct", "cosign"], ("trivy", "notary", "cosign")),
    ],
)
def test_only_the_programs_of_those_who_sign_are_made_beforehand(
    root, make_environment, signers, programs
):
    words = ", ".join(f'"{one}"' for one in signers)
    (root / "aksci.toml").write_text(f"{TOML}[sign]\nsigners = [{words}]\n")
    assert gate_tools(make_environment(root=root)) == programs


def test_parts_of_a_team_need_none_of_our_programs(root, make_environment):
    world = MemoryWorld()
    own = make_environment(root=root, parts=Parts(scanner=world.scanner))
    assert gate_tools(own) == ("notation",)
    assert gate_tools(replace(own, parts=Parts(signer=world.signer))) == ("trivy",)


class Tools:
    """A toolbox that notes what it is asked for."""

    def __init__(self):
        self.asked = []

    def ensure_all(self, names):
        self.asked += names


@pytest.mark.parametrize(("trusted", "asked"), [(True, ["trivy", "notation"]), (False, [])])
def test_programs_arrive_while_images_are_built_that_will_be_signed(
    env, monkeypatch, trusted, asked
):
    tools = Tools()
    monkeypatch.setattr(type(env), "toolbox", tools)
    monkeypatch.setattr(build_step, "gate_tools", lambda _env: ("trivy", "notation"))
    steps.build(env, trusted=trusted)
    assert tools.asked == asked


def test_a_finished_build_of_somebody_else_counts_only_where_nothing_is_signed(job, tmp_path):
    steps.build(job())
    theirs = open_environment(job().root, world=job.world, work=tmp_path / "elsewhere")
    with theirs:
        assert steps.build(theirs, trusted=False).images["web"].action == "reused"
        again = steps.build(theirs)
        assert again.images["web"].action == "built"
        assert [one["code"] for one in again.images["web"].reasons] == ["UNSIGNED"]


# -- scan, sign, publish --


def test_a_scan_fails_nothing_and_what_requires_it_carries_the_verdicts(env):
    env.world.scanner.find("web", BAD)
    made = steps.build(env)
    verdicts = steps.scan(env, made)
    assert (verdicts.passed, verdicts["tool"].passed, len(verdicts)) == (False, True, 3)
    with pytest.raises(GateError, match="CVE-2026-0001") as caught:
        verdicts.require()
    assert caught.value.verdicts is verdicts
    with pytest.raises(GateError):
        steps.sign(env, made, verdicts)
    assert env.world.signer.signed == []
    assert env.notes["scan"]["web"]["passed"] is False


def test_a_quiet_scan_tells_nothing_and_does_not_read_the_last_release(env):
    made = steps.build(env)
    env.registry.calls.clear()
    quiet = steps.scan(env, made, quiet=True)
    assert "latest" not in env.registry.asked("resolve")
    assert env.reporter.summaries == []
    assert quiet.before is None
    assert "latest" in env.registry.asked("resolve")
    steps.scan(env, made)
    (summary,) = env.reporter.summaries
    assert "| web |" in summary


def plant_a_failing_verdict(env, name, verdict):
    """Put a verdict with one more finding in the place of a stored one, as any user may."""
    finding = Finding(
        kind="vulnerability", id="CVE-2099-1", package="x", installed="1", severity="CRITICAL"
    )
    counts = {**verdict.counts, "CRITICAL": verdict.counts["CRITICAL"] + 1}
    forged = replace(
        verdict, passed=False, failing=(finding, *verdict.failing), counts=counts, stored=None
    )
    tags = [tag for tag in env.registry.tags(f"shop/{name}") if tag.startswith("verdict-")]
    (tag,) = tags
    return store_verdict(env.registry, forged, tag=tag)


def scans(env):
    return [line for line in env.reporter.lines if line.startswith("scanning ")]


@pytest.mark.parametrize("signed", [True, False])
def test_a_planted_failing_verdict_ends_no_run(job, signed):
    env = job()
    made = steps.build(env)
    verdicts = steps.scan(env, made)
    if signed:
        steps.sign(env, made, verdicts)
    plant_a_failing_verdict(env, "tool", verdicts["tool"])
    env = job()
    verdicts = steps.scan(env, env.last_build())
    assert verdicts.passed
    assert len(scans(env)) == 1
    env = job()
    assert steps.scan(env, env.last_build()).passed
    assert scans(env) == []


@pytest.mark.parametrize("ready", [True, False])
def test_an_image_that_failed_here_is_not_scanned_again(job, ready):
    env = job()
    env.world.scanner.find("tool", BAD)
    if ready:
        steps.build(env, gate=steps.gate(env), keep_going=True)
        made = steps.build(job())
    else:
        made = steps.build(env)
        steps.scan(env, made)
    env = job()
    verdicts = steps.scan(env, made)
    assert not verdicts.passed
    assert scans(env) == []


def test_a_failing_verdict_of_another_machine_is_not_believed(job, tmp_path):
    env = job()
    env.world.scanner.find("tool", BAD)
    made = steps.build(env)
    steps.scan(env, made)
    (tmp_path / "work" / "verdicts.json").unlink()
    env = job()
    assert not steps.scan(env, made).passed
    assert {line.partition(" ")[2] for line in scans(env)} == {
        str(image.ref) for image in made.images.values()
    }


def test_each_step_can_be_a_job_of_its_own(job):
    steps.build(job())
    steps.validate(job(), job().last_build())
    for step in (lambda *_: None, steps.sign, steps.publish):
        env = job()
        made = env.last_build()
        step(env, made, steps.scan(env, made, quiet=True))
    assert job.world.builder.built.count("web") == 1
    assert len(job.world.scanner.scanned) == 3
    assert job().last_release()


def test_a_build_of_some_images_moves_their_tags_and_is_no_release(env):
    made = steps.build(env, only=["base"])
    assert made.left_out == ("tool", "web")
    verdicts = steps.scan(env, made)
    steps.sign(env, made, verdicts)
    assert steps.publish(env, made, verdicts) is None
    base = made.images["base"].ref
    assert env.registry.resolve(base.repository, "latest") == base.digest
    assert not (env.work / "release.json").exists()
    assert env.notes["publish"] == {"release": None}


def test_nothing_is_published_of_a_build_that_failed_in_part(env):
    env.world.builder.fail("base")
    made = steps.build(env, keep_going=True)
    verdicts = steps.scan(env, made)
    assert steps.sign(env, made, verdicts) == ("tool",)
    with pytest.raises(BuildError):
        steps.publish(env, made, verdicts)
    assert env.registry.resolve("shop/tool", "latest") is None


@pytest.fixture
def both(root, job):
    """Return two environments with one registry and one signer; the first scans laxly."""
    (root / "aksci.toml").write_text(TOML + SHARED)
    job.world.scanner.find("web", BAD)
    lax = MemoryScanner(job.world.connect, now=job.world.clock)
    staging = job(name="staging", parts=Parts(at={"dev": Parts(scanner=lax)}))
    return staging.at("dev"), staging


def test_what_another_environment_has_scanned_is_not_signed_here(both):
    dev, staging = both
    passed = steps.scan(dev, steps.build(dev)).require()
    made = steps.build(staging)
    with pytest.raises(UsageError, match=r"The verdicts are of 'dev', not 'staging'"):
        steps.sign(staging, made, passed)
    assert staging.world.signer.signed == []
    # By one signer, dev's own signature covers the same digest, with that verdict.
    steps.sign(dev, replace(made, environment="dev"), passed)
    with pytest.raises(UsageError, match=r"The verdicts are of 'dev', not 'staging'"):
        steps.publish(staging, made, passed)


def test_another_environments_gate_lets_nothing_through(both):
    dev, staging = both
    with pytest.raises(UsageError, match=r"The gate is of 'dev', not 'staging'"):
        steps.build(staging, gate=steps.gate(dev))
    assert staging.world.builder.built == []
    with pytest.raises(UsageError, match=r"The verdicts are of 'dev'"):
        steps.sign(staging, steps.build(staging), steps.gate(dev).verdicts)


def test_sources_that_are_not_those_that_were_built_are_not_published(env):
    made = steps.build(env)
    verdicts = steps.scan(env, made)
    steps.sign(env, made, verdicts)
    with pytest.raises(UsageError, match="The sources are not those of the last build"):
        steps.publish(env, replace(made, commit="another"), verdicts)
    assert env.registry.resolve("shop/tool", "latest") is None


def test_what_is_not_signed_is_not_published(env):
    made = steps.build(env)
    verdicts = steps.scan(env, made)
    with pytest.raises(TrustError):
        steps.publish(env, made, verdicts)
    assert env.registry.resolve("shop/tool", "latest") is None


def test_nothing_is_signed_that_somebody_else_may_have_put_there(env):
    made = steps.build(env)
    planted = push_sample(env.registry, "shop/tool", files={"app": b"evil"})
    images = {**made.images, "tool": replace(made.images["tool"], ref=planted)}
    forged = replace(made, images=images)
    with pytest.raises(TrustError, match=r"(?s)Neither a trusted .*shop/tool@"):
        steps.sign(env, forged, steps.scan(env, forged))
    assert env.world.signer.signed == []


def test_an_image_without_a_verdict_is_neither_signed_nor_published(env):
    made = steps.build(env)
    part = steps.scan(env, steps.build(env, only=["base"]))
    for step in (steps.sign, steps.publish):
        with pytest.raises(TrustError, match=r"shop/tool@\S+ has no verdict"):
            step(env, made, part)


@pytest.mark.parametrize(
    "step",
    [
        steps.validate,
        steps.scan,
        lambda env, made: steps.sign(env, made, None),
        lambda env, made: steps.publish(env, made, {}),
    ],
)
def test_a_build_of_another_environment_is_refused(env, step):
    made = replace(steps.build(env), environment="staging")
    with pytest.raises(UsageError, match="The last build was for 'staging', not 'local'"):
        step(env, made)


# -- the ready gate --


def test_the_ready_gate_scans_and_signs_before_anything_is_built_on_an_image(env):
    checked = []

    def check(name, _image):
        checked.append((name, len(env.world.signer.signed), list(env.world.builder.built)))

    gate = steps.gate(env, check=check)
    made = steps.build(env, gate=gate)
    (base,) = [entry for entry in checked if entry[0] == "base"]
    assert "web" not in base[2]
    assert sorted(gate.verdicts) == ["base", "tool", "web"]
    assert gate.verdicts.passed
    release = steps.publish(env, made, gate.verdicts)
    assert sorted(release.images) == ["base", "tool", "web"]


def test_what_the_ready_gate_refuses_has_no_signature_and_no_dependents(env):
    env.world.scanner.find("base", BAD)
    gate = steps.gate(env)
    made = steps.build(env, gate=gate, keep_going=True)
    assert (list(made.failed), list(made.blocked)) == (["base"], ["web"])
    with pytest.raises(GateError, match="CVE-2026-0001") as caught:
        made.require()
    assert list(caught.value.verdicts) == ["base"]
    assert sorted(gate.verdicts) == ["base", "tool"]
    assert {ref.repository for ref in env.world.signer.signed} == {"shop/tool"}


def test_all_that_a_gate_has_refused_is_told(env):
    for name in ("base", "tool"):
        env.world.scanner.find(name, BAD)
    with pytest.raises(GateError) as caught:
        steps.build(env, gate=steps.gate(env))
    assert "shop/base" in caught.value.message
    assert "shop/tool" in caught.value.message


def test_a_finding_of_the_base_is_told_as_the_bases(env):
    """The gate knows the layers of an image's base, which this project has built."""
    env.world.scanner.find("web", replace(BAD, in_base=True))
    gate = steps.gate(env)
    with pytest.raises(AksciError):
        steps.build(env, gate=gate)
    (finding,) = gate.verdicts["web"].failing
    assert finding.origin == "base"
