"""Where a promotion comes from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest

from aksci.config.deploy_models import EnvironmentConfig
from aksci.core.errors import ConfigError, UsageError
from aksci.oci.references import ImageRef
from aksci.supply.release.release import Release
from aksci.supply.sign.signer import AllSigners, NotSignedError, Proof, UntrustedError
from aksci.testing.registry import MemoryRegistry
from aksci.testing.reporter import RecordingReporter
from pipelines.promote import _sign_again, previous


@dataclass(frozen=True)
class Project:
    name: str = "shop"


@dataclass(frozen=True)
class Config:
    environments: dict
    project: Project = Project()


@dataclass(frozen=True)
class Context:
    """As much of a Context as is looked at."""

    environment_name: str
    environment: EnvironmentConfig
    config: Config


def environment(**more):
    return EnvironmentConfig(registry="r.example", namespace="shop", **more)


def context(promote_from, **others):
    here = environment(promote_from=promote_from)
    return Context("production", here, Config({"production": here, **others}))


def test_the_environment_before_takes_the_place_of_this_one_and_nothing_else_changes():
    staging = environment()
    here = context("staging", staging=staging)
    expected = replace(here, environment_name="staging", environment=staging)
    assert previous(here) == expected


def test_the_local_environment_need_not_be_in_the_file():
    found = previous(context("local"))
    assert (found.environment_name, found.environment.platform) == ("local", "embedded")
    assert found.environment.namespace == "shop"


def test_an_environment_that_names_none_is_an_error_that_says_what_to_write():
    with pytest.raises(UsageError) as caught:
        previous(context(None))
    assert 'promote_from = "…" under [environments.production]' in caught.value.hint


@pytest.mark.parametrize("name", ["production", "nowhere"])
def test_an_environment_can_be_promoted_from_another_that_there_is(name):
    with pytest.raises(ConfigError, match=r"environments\.production\.promote_from"):
        previous(context(name))


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


def test_nobody_but_docker_content_trust_signs_again_at_the_target(monkeypatch):
    """A copied signature that is not trusted there must stay a refusal."""
    notation, dct = Seal("notation", UntrustedError), Seal("dct", NotSignedError)
    monkeypatch.setattr("pipelines.promote.make_dct", lambda *_: dct)
    one = ImageRef("a.example", "shop/release", "sha256:" + "1" * 64)
    config = SimpleNamespace(sign=SimpleNamespace(signers=("notation", "dct")))
    target = SimpleNamespace(
        context=SimpleNamespace(config=config, reporter=RecordingReporter()),
        registry=MemoryRegistry("b.example"),
        signer=AllSigners([notation, dct]),
        toolbox=None,
        found=None,
    )
    source = SimpleNamespace(signer=AllSigners([Seal("notation"), Seal("dct")]))
    release = Release(ref=one, project="shop", commit="", images={}, services={})
    _sign_again(source, target, release)
    assert dct.signed == [replace(one, registry="b.example")]
    assert notation.signed == []
