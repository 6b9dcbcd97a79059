"""A team's whole pipeline, over doubles: what is aksci's own is real."""

from __future__ import annotations

import pytest

from aksci import steps
from aksci.core.errors import (
    AksciError,
    BuildError,
    GateError,
    RolloutError,
    StepError,
    ToolError,
    TrustError,
    ValidationError,
)
from aksci.oci.references import ImageRef
from aksci.parts import Parts
from aksci.supply.scan.own_scanner import HandedScanner
from aksci.supply.sign.signer import NotSignedError
from aksci.testing import (
    CannedFinding,
    MemoryRegistry,
    MemoryTarget,
    MemoryWorld,
    open_environment,
)
from aksci.testing.memory_scanner import MemoryScanner

FILES = {
    "aksci.toml": """\
schema = 1
[project]
name = "shop"
[discover]
dockerfiles = ["*/Dockerfile"]
[services.api]
chart = "charts/api"
images = {image = "api"}
pre = [{name = "migrate", kind = "job", image = "api", command = ["migrate"]}]
[services.web]
chart = "charts/web"
images = {image = "web"}
needs = ["api"]
post = [{name = "smoke", kind = "http", service = "web", path = "/health", timeout = 1}]
[environments.production]
registry = "production.example"
namespace = "shop"
promote_from = "local"
""",
    "base/Dockerfile": "FROM debian:bookworm-slim\nCOPY . /base/\n",
    "base/x": "1",
    "api/Dockerfile": "FROM shop/base\nCOPY . /api/\n",
    "api/x": "1",
    "web/Dockerfile": "FROM shop/base\nCOPY . /web/\n",
    "web/x": "1",
    "charts/api/Chart.yaml": "apiVersion: v2\nname: api\nversion: 1.0.0\n",
    "charts/web/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n",
}


@pytest.fixture
def project(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.fixture
def env(project):
    with open_environment(project) as env:
        yield env


def release(env, own_step=lambda _build: None):
    """The pipeline of a team, with a step of its own before the signature."""
    build = steps.build(env)
    steps.validate(env, build)
    verdicts = steps.scan(env, build)
    own_step(build)
    steps.sign(env, build, verdicts)
    made = steps.publish(env, build, verdicts)
    steps.deploy(env, made)
    return made


def deployed(env):
    """Return the digest that each service of an environment runs."""
    images = env.world.cluster(env.name).images("shop")
    return {name: image.rpartition("@")[2] for name, image in images.items()}


def digests(made):
    return {name: made.images[name].ref.digest for name in made.images}


# -- the way of a release --


def test_what_was_built_is_what_is_scanned_signed_and_deployed(env):
    made = release(env)
    assert env.world.builder.built[0] == "base"
    assert {*env.world.builder.built} == {"api", "base", "web"}
    assert {ref.digest for ref in env.world.scanner.scanned} == {*digests(made).values()}
    assert {*digests(made).values()} < {ref.digest for ref in env.world.signer.signed}
    digest = digests(made)
    assert deployed(env) == {"api/image": digest["api"], "web/image": digest["web"]}
    assert [each.service for each in env.world.target().applied] == ["api", "web"]
    assert f"deployed {made.ref} to 'local'" in env.reporter.text


def test_a_second_run_has_nothing_to_do(env):
    first = release(env)
    writes = len(env.world.cluster().writes)
    env.reporter.told.clear()
    assert release(env).ref == first.ref
    assert len(env.world.builder.built) == 3
    assert len(env.world.cluster().writes) == writes
    assert "'local' is up to date: nothing to do" in env.reporter.text


def test_the_same_sources_make_the_same_release_in_another_world(project, tmp_path):
    refs = []
    for _ in range(2):
        with open_environment(project) as env:
            refs.append(release(env).ref)
    assert refs[0] == refs[1]


def test_only_what_changed_is_built_and_deployed(env, project):
    release(env)
    (project / "web/x").write_text("2")
    release(env)
    assert env.world.builder.built[3:] == ["web"]
    assert [each.service for each in env.world.target().applied] == ["api", "web", "web"]


def test_a_later_job_goes_on_with_what_an_earlier_one_left(project, tmp_path):
    world, work = MemoryWorld(), tmp_path / "handed-over"
    with open_environment(project, world=world, work=work) as env:
        steps.build(env)
    with open_environment(project, world=world, work=work) as env:
        build = env.last_build()
        verdicts = steps.scan(env, build)
        steps.sign(env, build, verdicts)
        steps.publish(env, build, verdicts)
    with open_environment(project, world=world, work=work) as env:
        steps.deploy(env, env.last_release())
        assert {*deployed(env)} == {"api/image", "web/image"}


def test_the_project_s_folder_is_left_as_it_is(project):
    before = {path: path.stat().st_mtime_ns for path in project.rglob("*")}
    with open_environment(project) as env:
        release(env)
        work = env.work
    assert {path: path.stat().st_mtime_ns for path in project.rglob("*")} == before
    assert not work.exists()


# -- what stops it --


def test_a_failing_scan_stops_before_the_signature(env):
    env.world.scanner.find("web", CannedFinding(id="CVE-2026-0001"))
    with pytest.raises(GateError, match=r"shop/web: 1 finding \(CVE-2026-0001\)"):
        release(env)
    assert env.world.signer.signed == []
    assert env.world.target().applied == []


def test_a_step_of_one_s_own_that_fails_stops_before_the_signature(env):
    def load_test(_build):
        raise AksciError("web answers in 900 ms under load.")

    with pytest.raises(AksciError, match="900 ms"):
        release(env, load_test)
    assert env.world.signer.signed == []
    assert env.world.target().applied == []


def test_a_failing_image_stops_what_is_built_on_it(env):
    env.world.builder.fail("base", "apt-get: no route")
    with pytest.raises(BuildError, match=r"1 of the images did not build: base(?s:.*)no route"):
        release(env)
    assert env.world.builder.built == []


def test_what_else_there_is_goes_on_with_keep_going(env):
    env.world.builder.fail("api")
    build = steps.build(env, keep_going=True)
    verdicts = steps.scan(env, build)
    steps.sign(env, build, verdicts)
    assert sorted(build.images) == ["base", "web"]
    assert sorted(ref.repository for ref in env.world.signer.signed) == ["shop/base", "shop/web"]
    with pytest.raises(AksciError, match="api"):
        steps.publish(env, build, verdicts)
    env.world.builder.recover()
    release(env)
    assert env.world.builder.built[-1] == "api"


def test_an_image_that_does_not_run_stops_the_build(env):
    env.world.image_runner.fail("web", exit_code=127, log="web: not found")
    with pytest.raises(ValidationError, match=r"web(?s:.*)not found"):
        release(env)


def test_what_a_failed_validation_blocks_is_neither_signed_nor_published(env):
    """With ``keep_going``, too: nothing that was built on it goes on."""
    env.world.image_runner.fail("base", exit_code=127, log="base: not found")
    made = steps.build(env, keep_going=True)
    assert (dict(made.images), set(made.failed)) == ({}, {"base"})
    assert dict(made.blocked) == dict.fromkeys(("api", "web"), frozenset({"base"}))
    assert "Blocked: api, web (base failed its validation)." in made.error.message
    assert env.last_build().blocked == made.blocked
    steps.sign(env, made, steps.scan(env, made))
    with pytest.raises(AksciError, match="api, base, web"):
        steps.publish(env, env.last_build(), steps.scan(env, made))
    assert env.world.signer.signed == []
    assert not [tag for tag in env.registry.store.tagged() if ":in-" in tag or "latest" in tag]
    env.world.image_runner.recover()
    assert set(release(env).images) == {"api", "base", "web"}


def test_what_another_key_has_signed_is_not_deployed(env):
    made = release(env)
    env.world.signer.trusted = frozenset({"production"})
    with pytest.raises(TrustError, match="is signed by 'team', who is not trusted"):
        steps.deploy(env.next_run(), made)


# -- what a cluster may do --


def test_a_rollout_that_fails_is_diagnosed_and_put_back(env, project):
    first = release(env)
    (project / "web/x").write_text("2")
    env.world.cluster().break_down("web", log="no such table: users")
    env.reporter.told.clear()
    with pytest.raises(RolloutError, match=r"CRASH_LOOP(?s:.*)no such table(?s:.*)is healthy\."):
        release(env)
    assert deployed(env)["web/image"] == digests(first)["web"]
    assert env.world.target().applied[-1].action == "restore"


def test_a_pre_step_that_fails_leaves_its_service_untouched(env):
    env.world.cluster().break_down("api-migrate", log="duplicate column")
    with pytest.raises(StepError, match=r"'migrate' failed(?s:.*)duplicate column"):
        release(env)
    assert env.world.target().applied == []


def test_a_post_step_that_fails_puts_its_service_back(env):
    env.world.cluster().answer("web", 503)
    with pytest.raises(StepError, match=r"'smoke' of web failed(?s:.*)was removed again"):
        release(env)
    assert {*deployed(env)} == {"api/image"}


def test_going_back_deploys_the_release_before(env, project):
    first = release(env)
    (project / "web/x").write_text("2")
    second = release(env)
    assert deployed(env)["web/image"] == digests(second)["web"] != digests(first)["web"]
    steps.rollback(env)
    assert deployed(env)["web/image"] == digests(first)["web"]


# -- several environments --


def test_a_release_is_promoted_from_registry_to_registry_and_from_cluster_to_cluster(env):
    made = release(env)
    production = env.at("production")
    assert deployed(production) == {}
    promoted = steps.promote(env, production, made)
    steps.deploy(production, promoted)
    assert promoted.ref == ImageRef("production.example", made.ref.repository, made.ref.digest)
    assert deployed(production) == deployed(env)
    images = env.world.cluster("production").images("shop").values()
    assert all(image.startswith("production.example/") for image in images)


def test_a_gate_of_promotion_opens_with_the_clock(project):
    path = project / "aksci.toml"
    path.write_text(path.read_text() + "[environments.production.gates]\nmin_age = 24\n")
    with open_environment(project) as env:
        made = release(env)
        with pytest.raises(GateError, match="min_age"):
            steps.promote(env, env.at("production"), made)
        env.world.clock.pass_by(24 * 3600)
        steps.promote(env, env.at("production"), made)


# -- bases that move --


def test_a_base_that_moved_sets_off_a_cascade(env):
    first = release(env)
    env.world.bases.move("debian:bookworm-slim")
    env = env.next_run()
    done = steps.cascade(env)
    done.require()
    assert env.world.builder.built[3] == "base"
    assert len(env.world.builder.built) == 6
    second = env.last_release()
    steps.deploy(env, second)
    assert deployed(env).keys() == {"api/image", "web/image"}
    assert not {*deployed(env).values()} & {*digests(first).values()}


def test_no_base_moved_and_nothing_is_to_be_done(env):
    release(env)
    assert not steps.plan_cascade(env.next_run()).to_do


# -- what is refused --


def test_no_program_is_started(env):
    with pytest.raises(ToolError, match="starts no programs, and this needs 'kubectl'"):
        env.runner.run(["kubectl", "get", "pods"])
    with pytest.raises(ToolError, match="has no tools, and this needs 'helm'"):
        env.toolbox.ensure("helm")
    with pytest.raises(ToolError, match="has no tools, and this needs 'helm'"):
        _ = env.toolbox.ensure_all(("helm",))["helm"]


def test_parts_of_one_s_own_come_before_the_doubles(project):
    world = MemoryWorld()
    scanner = MemoryScanner(world.connect, now=world.clock)
    scanner.find("web", CannedFinding(id="CVE-2026-0001"))
    elsewhere = MemoryRegistry("elsewhere.example")
    parts = Parts(scanner=scanner, at={"production": Parts(registry=elsewhere)})
    with open_environment(project, world=world, parts=parts) as env:
        assert env.scanner == HandedScanner(scanner)
        assert env.builder is world.builder
        assert env.at("production").registry is elsewhere
        assert env.registry is world.connect("localhost:5000")


def test_a_severity_that_a_handed_in_scanner_spells_otherwise_is_not_passed_over(project):
    world = MemoryWorld()

    class Careless(MemoryScanner):
        def scan(self, ref, *, scanners):
            report = super().scan(ref, scanners=scanners)
            for entry in report["Results"][0]["Vulnerabilities"]:
                entry["Severity"] = "critical"
            return report

    scanner = Careless(world.connect, now=world.clock)
    scanner.find("web", CannedFinding(id="CVE-2026-0001", severity="CRITICAL"))
    with open_environment(project, world=world, parts=Parts(scanner=scanner)) as env:
        made = steps.build(env)
        with pytest.raises(GateError, match=r"handed in reports on .*shop/web.* not understood"):
            steps.scan(env, made)


def test_a_target_of_one_s_own_applies_in_place_of_ours(project):
    world = MemoryWorld()
    mine = MemoryTarget(memory=world.cluster())
    with open_environment(project, world=world, parts=Parts(target=mine)) as env:
        release(env)
    assert [each.service for each in mine.applied] == ["api", "web"]
    assert world.target().applied == []


def test_what_nobody_has_signed_is_told_so(env):
    build = steps.build(env)
    verdicts = steps.scan(env, build)
    with pytest.raises(NotSignedError):
        steps.publish(env, build, verdicts)


# -- what only looks --


def test_what_runs_is_shown_and_audited(env):
    made = release(env)
    found = steps.status(env).namespace
    assert found.release == str(made.ref)
    assert [(each.name, each.healthy) for each in found.services] == [("api", True), ("web", True)]
    assert steps.verify(env).passed


def test_somebody_else_s_image_in_the_cluster_is_found(env):
    release(env)
    path = "/apis/apps/v1/namespaces/shop/deployments/web"
    deployment = env.world.cluster().objects[path]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    container["image"] = "evil.example/web@sha256:" + "6" * 64
    env.world.cluster().apply(path, deployment)
    assert not steps.verify(env).passed
    plan = steps.plan_deploy(env, env.last_release())
    assert [each["code"] for each in plan.services[1].reasons] == ["DRIFT"]


def test_what_would_be_done_is_planned_and_explained(env, project):
    assert steps.plan(env).to_build == ("base", "api", "web")
    release(env)
    (project / "web/x").write_text("2")
    later = env.next_run()
    assert steps.plan(later).to_build == ("web",)
    assert [each["code"] for each in steps.explain(later, "web").reasons] == ["SOURCE"]
