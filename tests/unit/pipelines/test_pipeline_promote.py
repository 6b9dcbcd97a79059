"""Where a promotion comes from."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from aksci.cli.options import Options
from aksci.config.deploy_models import EnvironmentConfig
from aksci.config.models import Config
from aksci.core.errors import ConfigError, UsageError
from aksci.oci.references import ImageRef
from aksci.pipelines.promote import _sign_again, previous, promote
from aksci.supply.release.release import Release
from aksci.supply.sign.signer import AllSigners, NotSignedError, Proof, UntrustedError
from aksci.testing.memory_registry import MemoryRegistry
from aksci.testing.reporter import RecordingReporter


def environment(**more):
    return EnvironmentConfig(registry="r.example", namespace="shop", **more)


@pytest.fixture
def production(make_environment):
    """The environment ``production``, and others beside it."""
    smallest = Config.model_validate({"schema": 1, "project": {"name": "shop"}})

    def make(promote_from, **others):
        here = environment(promote_from=promote_from)
        config = smallest.model_copy(update={"environments": {"production": here, **others}})
        return make_environment("production", config=config)

    return make


def test_the_environment_before_takes_the_place_of_this_one_and_nothing_else_changes(production):
    staging = environment()
    here = production("staging", staging=staging)
    found = previous(here)
    assert (found.name, found.settings) == ("staging", staging)
    assert vars(found) | {"name": "production", "settings": here.settings} == vars(here)


def test_the_local_environment_need_not_be_in_the_file(production):
    found = previous(production("local"))
    assert (found.name, found.settings.platform) == ("local", "embedded")
    assert found.settings.namespace == "shop"


def test_an_environment_that_names_none_is_an_error_that_says_what_to_write(production):
    with pytest.raises(UsageError) as caught:
        previous(production(None))
    assert 'promote_from = "…" under [environments.production]' in caught.value.hint


@pytest.mark.parametrize("name", ["production", "nowhere"])
def test_an_environment_can_be_promoted_from_another_that_there_is(production, name):
    with pytest.raises(ConfigError, match=r"environments\.production\.promote_from"):
        previous(production(name))


def test_a_release_that_can_not_be_verified_starts_nothing_where_it_would_come_to():
    started = []

    def embedded(name, **more):
        return SimpleNamespace(
            name=name,
            settings=EnvironmentConfig(platform="embedded", namespace="shop", **more),
            config=SimpleNamespace(environments={"first": None}),
            registry=MemoryRegistry(f"{name}.example"),
            prepare=lambda **_: started.append(name),
        )

    source, target = embedded("first"), embedded("second", promote_from="first")
    target.at = {"first": source}.get
    release = f"elsewhere.example/shop/release@sha256:{'1' * 64}"
    with pytest.raises(UsageError, match=r"is not in first\.example"):
        promote(target, Options(release=release))
    assert started == ["first"]


class Seal:
    """A signer that says no until it has signed itself."""

    def __init__(self, name, error=None):
        self.name, self.error, self.signed = name, error, []

    def verify(self, ref, claims):
        if self.error and ref not in self.signed:
            raise self.error(str(ref))
        return (Proof(signer=self.name, identity="x", claims=claims),)

    def sign(self, ref, _claims):
        self.signed.append(ref)


def test_nobody_but_docker_content_trust_signs_again_at_the_target():
    """A copied signature that is not trusted there must stay a refusal."""
    notation, dct = Seal("notation", UntrustedError), Seal("dct", NotSignedError)
    one = ImageRef("a.example", "shop/release", "sha256:" + "1" * 64)
    config = SimpleNamespace(sign=SimpleNamespace(signers=("notation", "dct")))
    target = SimpleNamespace(
        config=config,
        reporter=RecordingReporter(),
        registry=MemoryRegistry("b.example"),
        signer=AllSigners([notation, dct]),
        signers=SimpleNamespace(dct=lambda: dct),
    )
    source = SimpleNamespace(signer=AllSigners([Seal("notation"), Seal("dct")]))
    release = Release(ref=one, project="shop", commit="", images={}, services={})
    _sign_again(source, target, release)
    assert dct.signed == [replace(one, registry="b.example")]
    assert notation.signed == []
