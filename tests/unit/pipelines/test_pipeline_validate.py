"""Where images are validated: what is asked of whom, and what is said when nobody answers."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from aksci.cascade import chosen_bases
from aksci.cascade.published import Published
from aksci.config.loader import load_config
from aksci.config.models import ImageConfig, ValidateConfig
from aksci.core.errors import (
    ConfigError,
    DockerError,
    DownloadError,
    ToolError,
    TrustError,
    UnreachableError,
)
from aksci.core.process import Runner
from aksci.images.bases import RegistryBases
from aksci.images.lineage import Lineage
from aksci.images.validate.checks import spec_hash
from aksci.images.validate.make_validator import validation_engine
from aksci.images.validate.result import Validation
from aksci.oci.references import ImageRef
from aksci.steps.policy_bases import policy_bases
from aksci.supply.release.release_evidence import verdicts_before
from aksci.supply.sign.signer import BindingError, NotSignedError, Proof
from aksci.testing.memory_registry import Call, MemoryRegistry

TOML = """\
schema = 1
[project]
name = "shop"
[environments.ci]
registry = "r.example"
namespace = "shop"
"""


@pytest.fixture
def environment(tmp_path, make_environment):
    def make(toml=TOML, **changes):
        (tmp_path / "aksci.toml").write_text(toml)
        config = load_config(tmp_path / "aksci.toml")
        settings = config.environments["ci"].model_copy(update=changes)
        return make_environment(
            "ci",
            config=config,
            settings=settings,
            variables={"DOCKER_HOST": f"unix://{tmp_path}/no.sock"},
            runner=Runner(environment=dict(os.environ), log=lambda _: None),
        )

    return make


def test_nobody_validates_where_the_project_says_so(environment):
    off = environment(TOML + "[build]\nvalidate = false\n")
    assert off.validator is None
    assert off.image_check is None


def test_making_a_validator_asks_nobody(environment):
    made = environment().validator
    made.stop()
    made.close()


def test_an_external_environment_uses_docker_and_says_what_else_there_is(environment):
    with pytest.raises(DockerError, match=r"Images can't be validated: .*no\.sock") as caught:
        environment().validation_engine()
    assert 'validate_in = "cluster" in [environments.ci]' in caught.value.hint
    assert "validate = false in [build]" in caught.value.hint


def test_the_cluster_is_used_where_the_environment_says_so(environment):
    elsewhere = environment(validate_in="cluster", kubeconfig="nowhere")
    with pytest.raises(ConfigError, match=r"The kubeconfig .*nowhere does not exist"):
        elsewhere.validation_engine()


def test_only_the_embedded_platform_has_a_containerd_of_ours(environment):
    with pytest.raises(ConfigError, match="only the embedded platform has a 'containerd'"):
        environment(TOML + 'validate_in = "containerd"\n')


@pytest.mark.parametrize(
    ("chosen", "reached"),
    [(None, "containerd"), ("containerd", "containerd"), ("cluster", "pods")],
)
def test_on_the_embedded_platform_images_run_without_a_cluster(environment, chosen, reached):
    settings = environment().settings.model_copy(
        update={"platform": "embedded", "validate_in": chosen}
    )
    found = validation_engine(
        settings,
        name="local",
        variables={},
        now=None,
        reach_pods=lambda: "pods",
        reach_containerd=lambda: "containerd",
    )
    assert found == reached


SPEC = "5" * 64
OLD, NEW = (f"sha256:{digit * 64}" for digit in "12")
WEB = ImageRef("r.example", "shop/web", OLD)


class Signed:
    """A signer whose key has signed these claims; or that can't be asked."""

    def __init__(self, claims=None, error=None):
        self.claims, self.error = claims, error

    def verify(self, ref, claims):
        if self.error:
            raise self.error
        if not self.claims:
            raise NotSignedError(f"{ref} is not signed")
        if not claims.items() <= self.claims.items():
            raise BindingError("it covers something else")
        return (Proof(signer="s", identity="i", claims=self.claims),)


@pytest.fixture
def signed_by(environment):
    def make(signer, toml=TOML):
        made = environment(toml)
        vars(made)["signer"] = signer
        return made

    return make


def test_a_pass_counts_where_a_signature_of_this_very_image_and_check_says_so(signed_by):
    good = {"dev.aksci.repository": "shop/web", "dev.aksci.validated": SPEC}
    assert signed_by(Signed(good)).trust.trusts_validation(WEB, SPEC)
    for other in (
        {},
        {**good, "dev.aksci.repository": "shop/other"},
        {**good, "dev.aksci.validated": "6" * 64},
        {"dev.aksci.repository": "shop/web"},
    ):
        assert not signed_by(Signed(other)).trust.trusts_validation(WEB, SPEC)


@pytest.mark.parametrize("error", [ConfigError, ToolError, DownloadError, TrustError])
def test_where_nobody_can_tell_who_signed_the_image_is_run_and_no_error_told(signed_by, error):
    assert not signed_by(Signed(error=error("no key"))).trust.trusts_validation(WEB, SPEC)


def test_a_registry_that_cannot_be_asked_is_an_error_and_not_unsigned(signed_by):
    with pytest.raises(UnreachableError):
        signed_by(Signed(error=UnreachableError("away"))).trust.trusts_validation(WEB, SPEC)


def test_the_job_that_signs_knows_what_the_job_that_validated_saw_pass(signed_by):
    """The folder .aksci goes from one to the other."""
    validating, signing = signed_by(None), signed_by(None)
    config = ValidateConfig()
    passed = Validation(
        image="web", ref=WEB, passed=True, finding="it runs", spec=spec_hash(config)
    )
    validating.trust.validations.add(passed)
    assert signing.trust.validated("web", WEB) == spec_hash(config)
    assert signing.trust.validated("web", replace(WEB, digest=NEW)) == ""
    asks_more = signed_by(None)
    asks_more.config.images["web"] = ImageConfig(validate=ValidateConfig(command=("x",)))
    assert asks_more.trust.validated("web", WEB) == ""


@pytest.mark.parametrize(("signed", "digest"), [(True, OLD), (False, NEW)])
def test_a_build_that_signs_nothing_stays_on_an_old_base_only_where_that_is_trusted(
    signed_by, project, monkeypatch, signed, digest
):
    """A later job signs what this one has built: nobody looks at its base again."""
    debian = "docker.io/library/debian:12"
    graph = project({"web/Dockerfile": "FROM debian:12\n"})
    lineage = Lineage(
        image="web", key_schema=1, input_key="k", source={}, parents={debian: OLD}, revision=""
    )
    published = Published(image="web", ref=WEB, lineage=lineage)
    monkeypatch.setattr(chosen_bases, "read_published", lambda *_: published)
    claims = {"dev.aksci.repository": "shop/web", "dev.aksci.input-key": "k"}
    toml = TOML + '[cascade.edges]\nruntime = "ignore"\n'
    made = signed_by(Signed(claims if signed else {}), toml)
    mirror = MemoryRegistry("r:1")
    mirror.move_tag("library/debian", "12", NEW)
    resolver = RegistryBases(mirror=mirror, connect=lambda _host: mirror)
    vars(made).update(registry=mirror, resolver=resolver, bases=resolver)
    assert policy_bases(made, graph).for_image("web").digest(debian) == digest


def test_a_release_that_nobody_signed_does_not_tell_what_is_new_since(signed_by):
    """Whoever may push can move ``latest`` to one that has all findings already."""
    made = signed_by(Signed({}))
    release = MemoryRegistry("r.example")
    release.move_tag("shop/release", "latest", NEW)
    vars(made)["registry"] = release
    found = verdicts_before({}, project="shop", registry=release, trusted=made.trust.trusts_release)
    assert found is None
    assert release.calls == [Call("resolve", "shop/release", "latest")]


def test_what_git_brings_in_our_folder_tells_no_onbuild_of_a_base(environment):
    """What is remembered of a base is never asked again: its digest does not change."""
    made = environment()
    assert not made.resolver._cache.is_relative_to(made.work)
