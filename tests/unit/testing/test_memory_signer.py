"""A signer in memory refuses what every signer has to refuse, each by its own error."""

from __future__ import annotations

import pytest

from aksci.oci.copy import copy_image
from aksci.supply.sign.signer import BindingError, NotSignedError, UntrustedError, ensure_signed
from aksci.testing.clock import Clock
from aksci.testing.memory_registry import MemoryRegistry
from aksci.testing.memory_signer import MemorySigner
from aksci.testing.reporter import RecordingReporter
from aksci.testing.sample_images import push_sample

CLAIMS = {"dev.aksci.repository": "shop/web", "dev.aksci.verdict": "v"}


@pytest.fixture
def registries():
    return {host: MemoryRegistry(host, complete=True) for host in ("a.test", "b.test")}


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def signer(registries, clock):
    return MemorySigner(registries.__getitem__, now=clock)


@pytest.fixture
def web(registries):
    return push_sample(registries["a.test"], "shop/web", files={"web": b"1"})


def test_what_was_signed_is_verified_with_all_that_was_claimed(signer, web, clock):
    signer.sign(web, {**CLAIMS, "more": "told"})
    (proof,) = signer.verify(web, CLAIMS)
    assert proof.claims == {**CLAIMS, "more": "told"}
    assert (proof.identity, proof.signed_at) == ("team", clock())
    assert signer.signed == [web]


def test_what_nobody_has_signed_is_not_signed(signer, web):
    with pytest.raises(NotSignedError):
        signer.verify(web, {})


def test_another_key_is_not_trusted_until_it_is(signer, web):
    signer.with_key("mallory").sign(web, CLAIMS)
    with pytest.raises(UntrustedError, match="signed by 'mallory', who is not trusted"):
        signer.verify(web, CLAIMS)
    signer.trusted |= {"mallory"}
    assert signer.verify(web, CLAIMS)[0].identity == "mallory"


@pytest.mark.parametrize("wrong", [{"dev.aksci.verdict": "w"}, {"dev.aksci.kind": "release"}])
def test_a_claim_that_was_not_made_is_not_bound(signer, web, wrong):
    signer.sign(web, CLAIMS)
    with pytest.raises(BindingError, match="is signed, but not with"):
        signer.verify(web, {**CLAIMS, **wrong})


def test_another_digest_is_not_signed(signer, registries, web):
    signer.sign(web, CLAIMS)
    other = push_sample(registries["a.test"], "shop/web", files={"web": b"2"})
    with pytest.raises(NotSignedError):
        signer.verify(other, CLAIMS)


def signature_of(registry, ref):
    """Return the manifest of an image's one signature."""
    (entry,) = registry.store.referrers(ref.repository, ref.digest)
    return registry.manifest(ref.repository, entry["digest"])


def test_a_signature_that_was_put_beside_another_digest_is_not_trusted(signer, registries, web):
    registry = registries["a.test"]
    signer.sign(web, CLAIMS)
    other = push_sample(registry, "shop/web", files={"web": b"2"})
    manifest = signature_of(registry, web)
    moved = manifest.content.replace(web.digest.encode(), other.digest.encode())
    registry.put_manifest("shop/web", moved, manifest.media_type)
    with pytest.raises(UntrustedError, match="has a signature of"):
        signer.verify(other, CLAIMS)


def test_a_signature_that_was_changed_is_not_trusted(signer, registries, web):
    registry = registries["a.test"]
    signer.sign(web, CLAIMS)
    manifest = signature_of(registry, web)
    layer = manifest.layers[0]
    before = registry.blob("shop/web", layer.digest)
    digest = registry.put_blob("shop/web", before.replace(b'"v"', b'"w"'))
    changed = manifest.content.replace(layer.digest.encode(), digest.encode())
    registry.delete("shop/web", manifest.digest)
    registry.put_manifest("shop/web", changed, manifest.media_type)
    with pytest.raises(UntrustedError, match="has a signature that was changed"):
        signer.verify(web, CLAIMS)


def test_a_signature_is_copied_with_its_image(signer, registries, web):
    signer.sign(web, CLAIMS)
    copy_image(registries["a.test"], registries["b.test"], web, reporter=RecordingReporter())
    promoted = type(web)("b.test", web.repository, web.digest)
    assert signer.verify(promoted, CLAIMS)


def test_of_several_the_one_that_fits_counts(signer, web, clock):
    signer.sign(web, CLAIMS)
    clock.pass_by(60)
    added = ensure_signed(web, {**CLAIMS, "x": "y"}, required={"x": "y"}, signer=signer)
    assert added
    assert not ensure_signed(web, CLAIMS, required=CLAIMS, signer=signer)
    assert signer.verify(web, CLAIMS)[0].signed_at == clock()
