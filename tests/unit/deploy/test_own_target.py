"""A target of a team's own: it has some services, and Helm the others; aksci records and undoes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from aksci import steps
from aksci.config.loader import environment_settings, load_config
from aksci.core.errors import ConfigError, DeployError, RolloutError, TrustError
from aksci.deploy.targets.deploy_target import Revision, ServiceState
from aksci.parts import Parts

IN_SERVICE = '[services.web]\ntarget = { kind = "acme", folder = "out" }'
IN_ENVIRONMENT = '[environments.staging]\ntarget = { kind = "acme", folder = "out" }'


@pytest.fixture
def choose(site, installed, monkeypatch):
    """Let aksci.toml say what applies the service."""
    monkeypatch.syspath_prepend(installed)

    def make(text):
        path = site.folder / "aksci.toml"
        path.write_text(path.read_text().replace(text.partition("\n")[0], text))
        config = load_config(path)
        for env in (site.staging, site.staging.looking):
            settings = environment_settings(config, env.name, site.folder)
            vars(env).update(config=config, settings=settings)
        return site

    return make


def images(site, number):
    return json.loads((site.folder / f"out/web/{number}.json").read_text())["images"]


@pytest.mark.parametrize("text", [IN_SERVICE, IN_ENVIRONMENT], ids=["service", "environment"])
def test_a_release_is_deployed_where_the_target_says_and_only_once(choose, text):
    site = choose(text)
    release = site.release()
    result = steps.deploy(site.staging, release)
    assert [(each.action, each.revision) for each in result.services] == [("install", 1)]
    assert images(site, 1) == {"image": str(release.images["web"].ref)}
    assert site.calls == []
    assert "helm" not in site.toolbox.asked
    status = steps.status(site.staging).namespace
    assert (status.release, status.services[0].healthy) == (str(release.ref), True)
    assert not steps.deploy(site.staging, release).changed


def test_the_way_back_is_the_targets_too(choose):
    site = choose(IN_SERVICE)
    first, second = site.release("1"), site.release("2")
    for release in (first, second):
        steps.deploy(site.staging, release)
    assert steps.rollback(site.staging).services[0].revision == 3
    assert images(site, 3) == images(site, 1) != images(site, 2)


def test_what_the_target_says_is_wrong_fails_the_deployment_and_is_put_back(choose):
    site = choose(IN_SERVICE)
    steps.deploy(site.staging, site.release("1"))
    (site.folder / "out/web/broken").write_text("it smells\nof smoke")
    with pytest.raises(RolloutError) as caught:
        steps.deploy(site.staging, site.release("2"))
    assert "web: its target failed: TARGET: it smells of smoke" in str(caught.value)
    assert "rolled back to revision 1 (as revision 3)" in str(caught.value)
    assert images(site, 3) == images(site, 1)


def test_what_was_never_well_is_removed_again(choose):
    site = choose(IN_SERVICE)
    (site.folder / "out/web").mkdir(parents=True)
    (site.folder / "out/web/broken").write_text("it smells")
    with pytest.raises(RolloutError, match="had no earlier revision and was removed again"):
        steps.deploy(site.staging, site.release())
    assert not (site.folder / "out/web").exists()


class Forgetful:
    """A target that keeps nothing of what it applies."""

    def __init__(self):
        self.applied = []
        self.states = {}

    def observe(self, _):
        return self.states

    def render(self, _):
        return ()

    def apply(self, _, change):
        self.applied.append(change)

    def objects(self, *_):
        return ()

    def remove(self, _, service, **__):
        self.applied.append(f"{service} removed")


def test_a_target_that_does_not_have_what_it_applied_is_told_at_once(site):
    target = Forgetful()
    for env in (site.staging, site.staging.looking):
        vars(env)["own_parts"] = Parts(target=target)
    with pytest.raises(DeployError, match="its target applied revision 1, and does not have it"):
        steps.deploy(site.staging, site.release())
    assert [each.number for each in target.applied] == [1]


def test_what_a_target_renders_must_be_the_releases(site, choose, monkeypatch):
    choose(IN_SERVICE)
    pod = {"kind": "Pod", "spec": {"containers": [{"name": "a", "image": "nginx"}]}}
    target = site.staging.target.own["web"]
    monkeypatch.setattr(type(target), "render", lambda *_: [pod])
    with pytest.raises(TrustError, match="nginx"):
        steps.deploy(site.staging, site.release())
    assert not (site.folder / "out").exists()


def test_services_of_other_targets_are_helms(site):
    target = Forgetful()
    target.states = {"api": ServiceState(name="api", revisions=(Revision(number=1, status="x"),))}
    env = replace(site.staging, parts=Parts(target=target))
    site.installed(site.staging)
    with site.staging.cluster() as cluster:
        assert env.target.observe(cluster) == {}  # it has web, and says nothing of it
        assert set(site.staging.target.observe(cluster)) == {"web"}


def test_a_target_that_nobody_offers_is_told_with_its_key(choose):
    site = choose(IN_SERVICE.replace("acme", "acne"))
    with pytest.raises(
        ConfigError, match=r"services\.web\.target: there is no target 'acne'\. Did"
    ):
        steps.plan_deploy(site.staging, site.release())
