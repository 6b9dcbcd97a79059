"""The steps ``plan_deploy``, ``deploy``, ``rollback`` and ``status``, over a real environment."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from aksci import steps
from aksci.core.errors import ConfigError, PlanChangedError, TrustError, UsageError
from aksci.local import platform
from aksci.local.platform import PartStatus, PlatformStatus
from aksci.report.rendering import render
from aksci.steps.deployment import prepare_deploy
from aksci.supply.release.release_file import write_release_file

LIVE = "/api/v1/namespaces/live"


def actions(plan):
    return {service.name: service.action for service in plan.services}


# -- deploy --


def test_a_plan_says_what_would_be_done_and_does_nothing(site):
    plan = steps.plan_deploy(site.staging, site.release())
    assert actions(plan) == {"web": "install"}
    assert (site.api.writes, site.calls) == ([], [])
    assert site.staging.notes["plan_deploy"] == plan.as_json()
    assert render(plan, "text") == "web  install  NEW"
    assert json.loads(render(plan, "json"))["services"][0]["action"] == "install"


def test_a_release_that_a_partial_build_did_not_make_is_not_replaced_by_the_last_one(site):
    write_release_file(site.staging.work_folder, site.release(), run="r")
    for step in (steps.deploy, steps.plan_deploy):
        with pytest.raises(UsageError, match="no release to deploy: None was given"):
            step(site.staging, None)
    assert (site.api.writes, site.calls) == ([], [])


def test_a_release_is_named_by_itself_its_reference_or_a_text(site):
    release = site.release()
    write_release_file(site.staging.work_folder, release, run="r")
    for named in (release, release.ref, str(release.ref), site.staging.last_release()):
        plan = steps.plan_deploy(site.staging, named)
        assert plan.release.reference == str(release.ref)
    with pytest.raises(ConfigError):
        steps.plan_deploy(site.staging, "latest")
    with pytest.raises(UsageError, match=r"is not in live\.example, the registry of 'live'"):
        steps.deploy(site.live, release)


def test_what_was_planned_is_done(site):
    release = site.release()
    plan = steps.plan_deploy(site.staging, release)
    site.lives(release, site.staging)
    result = steps.deploy(site.staging, plan)
    assert actions(result.plan) == actions(plan)
    assert site.calls == ["template", "upgrade", "get"]
    assert steps.status(site.staging).namespace.release == str(release.ref)
    assert site.staging.notes["deploy"]["changed"] is True
    assert "shop answers at https://staging.example" in site.told
    assert render(result, "text").startswith("web  install  revision 1  ")
    assert json.loads(render(result, "json"))["results"][0]["action"] == "install"


def test_a_plan_that_holds_no_more_is_refused_and_nothing_is_changed(site):
    """Somebody else has installed the service between the plan and the deployment."""
    release = site.release()
    plan = steps.plan_deploy(site.staging, release)
    site.installed(site.staging)
    with pytest.raises(PlanChangedError) as caught:
        steps.deploy(site.staging, plan)
    assert "web: planned was install (NEW), and now it is upgrade (FOREIGN_CHANGE)" in str(
        caught.value
    )
    assert (caught.value.code, caught.value.exit_status) == ("plan-changed", 19)
    assert (site.api.writes, site.calls) == ([], [])
    site.lives(release, site.staging)
    assert actions(steps.deploy(site.staging, release).plan) == {"web": "upgrade"}


def test_a_plan_is_looked_at_again_under_the_lock(site):
    """The change comes after the first look, while the lock is taken."""
    release = site.release()
    plan = steps.plan_deploy(site.staging, release)
    site.lives(release, site.staging)
    handle = site.api.handle

    def change_with_the_lease(method, path, body, query=None):
        if method == "POST" and path.endswith("/leases"):
            site.installed(site.staging)
        return handle(method, path, body, query)

    site.api.handle = change_with_the_lease
    with pytest.raises(PlanChangedError, match="FOREIGN_CHANGE"):
        steps.deploy(site.staging, plan)
    assert {path.rpartition("/")[0].rpartition("/")[2] for path in site.api.writes} == {"leases"}
    assert site.calls == []


def test_a_plan_that_is_refused_makes_no_namespace(site):
    steps.promote(site.staging, site.live, release := site.release())
    plan = steps.plan_deploy(site.live, replace(release.ref, registry="live.example"))
    assert LIVE not in site.api.objects
    site.installed(site.live)
    with pytest.raises(PlanChangedError):
        steps.deploy(site.live, plan)
    assert LIVE not in site.api.objects


def test_a_plan_of_another_environment_is_refused(site):
    release = site.release()
    plan = replace(steps.plan_deploy(site.staging, release), environment="live")
    with pytest.raises(PlanChangedError, match=r"planned for live \(namespace shop\)"):
        steps.deploy(site.staging, plan)
    assert site.api.writes == []


def test_a_plan_does_not_spare_its_release_from_being_verified(site):
    release = site.release()
    plan = steps.plan_deploy(site.staging, release)
    del site.keys.signed["shop/web", release.images["web"].ref.digest]
    with pytest.raises(TrustError, match="is not signed"):
        steps.deploy(site.staging, plan)
    assert site.calls == []


def test_the_programs_that_are_installed_are_those_of_who_signs(site):
    config, asked = site.staging.config, []
    for signers in (("notation",), ("cosign", "dct")):
        sign = config.sign.model_copy(update={"signers": signers})
        env = replace(site.staging, config=config.model_copy(update={"sign": sign}))
        vars(env)["toolbox"] = SimpleNamespace(ensure_all=asked.append)
        prepare_deploy(env)
    assert asked == [("notation", "helm"), ("cosign", "notary", "helm")]


# -- rollback --


def test_a_rollback_goes_to_the_release_before_by_a_plan_or_without(site):
    first, second = site.release("1"), site.release("2")
    site.deploy(first)
    site.deploy(second)
    plan = steps.plan_deploy(site.staging, rollback=True)
    assert (plan.release.reference, plan.rollback) == (str(first.ref), True)
    assert f"going back to {first.ref}" in site.told
    site.lives(first, site.staging)
    steps.deploy(site.staging, plan)
    assert steps.status(site.staging).namespace.history[-1].rollback


@pytest.mark.parametrize("name", [str, lambda ref: ref, lambda ref: ref.digest[7:15]])
def test_what_is_gone_back_to_must_be_in_the_history(site, name):
    first, second, never = site.release("1"), site.release("2"), site.release("3")
    site.deploy(first)
    site.deploy(second)
    with pytest.raises(UsageError, match="No release in this namespace's history"):
        steps.rollback(site.staging, to=name(never.ref))
    site.lives(first, site.staging)
    result = steps.rollback(site.staging, to=name(first.ref))
    assert result.plan.release.reference == str(first.ref)
    assert site.staging.notes["rollback"]["changed"] is True


# -- status --


def test_the_status_of_an_environment_elsewhere_has_no_platform(site):
    site.deploy(site.release())
    found = steps.status(site.staging)
    assert found.platform is None
    text, document = render(found, "text"), json.loads(render(found, "json"))
    assert text.startswith("\nnamespace  shop\nrelease    staging.example/shop/release@sha256:")
    assert document["schema"] == 1
    assert document["platform"] == []
    assert document["environment"]["services"][0]["name"] == "web"


def test_the_status_of_a_platform_that_is_down_says_how_it_is_started(site):
    found = steps.status(site.staging.at("local"))
    assert found.namespace is None
    assert render(found, "text") == "the local platform is not up: nox -s up"
    assert json.loads(render(found, "json")) == {"schema": 1, "platform": [], "environment": None}


def test_a_platform_that_has_only_built_images_is_well_and_has_no_kubernetes(site, monkeypatch):
    part = {"running": True, "healthy": True, "pid": 1, "log": None, "address": "localhost:5000"}
    parts = [PartStatus(name=name, **part) for name in ("registry", "buildkitd", "containerd")]
    looked = PlatformStatus(parts=tuple(parts), endpoints=None)
    monkeypatch.setattr(platform, "status", lambda **_: looked)
    found = steps.status(site.staging.at("local"))
    assert found.namespace is None
    text = render(found, "text").splitlines()
    assert text[2:] == [
        "ok    containerd           localhost:5000", "Kubernetes is not up: nox -s up",
    ]  # fmt: skip
