"""The steps ``plan_promote`` and ``promote``, over two environments."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from aksci import steps
from aksci.core.errors import GateError, TrustError, UsageError
from aksci.report.rendering import render
from aksci.supply.sign.signer import AllSigners
from aksci.testing.memory_registry import MemoryRegistry

LIVE = "/api/v1/namespaces/live"


def gated(site, **gates):
    """Return ``live`` with other gates."""
    live = site.live
    settings = live.settings.model_copy(
        update={"gates": live.settings.gates.model_copy(update=gates)}
    )
    found = replace(live, settings=settings)
    vars(found)["_family"] = live._family
    for name in ("registry", "signer", "toolbox"):
        vars(found)[name] = getattr(live, name)
    return found


def test_what_runs_in_one_environment_is_planned_promoted_and_then_deployed(site):
    release = site.release()
    site.deploy(release)
    plan = steps.plan_promote(site.live.promoted_from, site.live)
    assert (plan.source, plan.target, plan.release.ref) == ("staging", "live", release.ref)
    assert plan.refusals == ()
    assert site.live.registry.tags("shop/release") == []
    assert render(plan, "text").splitlines()[:2] == [
        f"{release.tag}, staging → live",
        "  gates    all are open",
    ]
    assert json.loads(render(plan, "json"))["from"] == "staging"

    promoted = steps.promote(site.staging, site.live, plan)
    assert promoted.ref == replace(release.ref, registry="live.example")
    assert site.live.registry.tags("shop/release") == sorted(["latest", release.tag])
    assert LIVE not in site.api.objects  # it is not deployed
    assert site.live.notes["promote"]["release"] == str(promoted.ref)

    site.deploy(promoted, site.live)
    assert steps.status(site.live).namespace.release == str(promoted.ref)
    assert steps.promote(site.staging, site.live) == promoted
    assert "live.example has all" in site.told[-1]


def test_a_closed_gate_is_in_the_plan_and_refuses_the_promotion(site):
    release, live = site.release(), gated(site, min_age=1)
    plan = steps.plan_promote(site.staging, live, release)
    (refusal,) = plan.refusals
    assert refusal.startswith("min_age: the release was signed 0 min ago; it must be 1 h.")
    with pytest.raises(GateError, match="may not come to 'live'"):
        plan.require()
    for each in (plan, release):
        with pytest.raises(GateError):
            steps.promote(site.staging, live, each)
    # A plan that was refused stays refused, even once the gates are open.
    with pytest.raises(GateError):
        steps.promote(site.staging, site.live, plan)
    assert live.registry.tags("shop/release") == []


def test_no_environment_is_left_out_on_the_way_that_aksci_toml_says(site):
    release = site.release()
    plan = steps.plan_promote(site.staging, site.live, release)
    local = site.live.at("local")
    for given in (None, release, replace(plan, source="local")):
        with pytest.raises(UsageError, match="come to 'live' from 'staging', and not from 'local'"):
            steps.promote(local, site.live, given)
    with pytest.raises(UsageError, match="not from 'local'"):
        steps.plan_promote(local, site.live, release)
    assert site.live.registry.tags("shop/release") == []


def test_a_gate_that_has_closed_since_the_plan_refuses_it(site):
    plan = steps.plan_promote(site.staging, site.live, site.release())
    with pytest.raises(GateError, match="min_age"):
        steps.promote(site.staging, gated(site, min_age=1), plan)
    assert site.live.registry.tags("shop/release") == []


def test_a_plan_of_other_environments_is_refused(site):
    plan = steps.plan_promote(site.staging, site.live, site.release())
    with pytest.raises(UsageError, match="The plan is for 'staging' → 'live', and this is"):
        steps.promote(site.live, site.staging, plan)


def test_what_is_not_trusted_any_more_is_not_copied(site):
    release = site.release()
    plan = steps.plan_promote(site.staging, site.live, release)
    del site.keys.signed["shop/web", release.images["web"].ref.digest]
    for each in (plan, release):
        with pytest.raises(TrustError):
            steps.promote(site.staging, site.live, each)
    assert site.live.registry.tags("shop/release") == []


def test_what_is_not_trusted_where_it_has_come_to_is_refused(site):
    """Nobody but Docker Content Trust signs again: a copied signature must be trusted as it is."""
    vars(site.live)["signer"] = site.strangers()
    with pytest.raises(TrustError, match=r"live\.example/shop/release@.* is not signed"):
        steps.promote(site.staging, site.live, site.release())


def test_nobody_but_docker_content_trust_signs_again_at_the_target(site):
    release, trust = site.release(), site.strangers()
    sign = site.live.config.sign.model_copy(update={"signers": ("notation", "dct")})
    live = replace(site.live, config=site.live.config.model_copy(update={"sign": sign}))
    parts = {"registry": site.live.registry, "signer": AllSigners([site.keys, trust])}
    vars(live).update(parts, signers=SimpleNamespace(dct=lambda: trust))
    before = dict(site.keys.signed)
    steps.promote(site.staging, live, release)
    signed = {release.ref, release.images["web"].ref, release.services["web"].chart}
    assert set(trust.signed) == {(ref.repository, ref.digest) for ref in signed}
    assert site.keys.signed == before
    assert f"signed {replace(release.ref, registry='live.example')}" in site.told


def test_nothing_that_runs_can_not_be_promoted(site):
    with pytest.raises(UsageError, match="Nothing runs in 'staging' that could be promoted"):
        steps.plan_promote(site.staging, site.live)


def test_a_release_that_can_not_be_verified_starts_nothing_where_it_would_come_to(site):
    started = []

    def embedded(name):
        here = site.staging.at("local")
        return SimpleNamespace(
            name=name,
            settings=here.settings,
            registry=MemoryRegistry(f"{name}.example"),
            prepare=lambda **_: started.append(name),
        )

    release = f"elsewhere.example/shop/release@sha256:{'1' * 64}"
    with pytest.raises(UsageError, match=r"is not in first\.example"):
        steps.plan_promote(embedded("first"), embedded("second"), release)
    assert started == ["first"]
