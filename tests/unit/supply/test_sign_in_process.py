"""Signatures made without a program, where the key is a file; whatever is unusual is notation's."""

from __future__ import annotations

import datetime as dt
import json

import cbor2
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from aksci.oci.artifact import find_artifacts
from aksci.oci.locks import hold
from aksci.oci.manifest import Manifest
from aksci.oci.references import ImageRef
from aksci.supply.sign.notation.cbor import DoubtError, read, write
from aksci.supply.sign.notation.sign_in_process import (
    make_envelope,
    read_file_key,
    store_signature,
)
from aksci.supply.sign.notation.stored_signatures import SIGNATURE
from aksci.supply.sign.notation.verify_in_process import TrustedRoots, prove
from aksci.testing.memory_registry import MemoryRegistry

OCI = "application/vnd.oci.image.manifest.v1+json"
CLAIMS = {"dev.aksci.kind": "release", "dev.aksci.repository": "shop/ä"}
TARGET = Manifest(media_type=OCI, digest="sha256:" + "a" * 64, content=b'{"schemaVersion":2}')
BYTES = st.recursive(
    st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=300) | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=30).map(tuple)
        | st.dictionaries(st.integers(-9, 9) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=6,
)


def write_key(folder, key, chain, *, password=None, **entry):
    """Write a key and its certificates as ``notation key add`` knows them."""
    lock = BestAvailableEncryption(password) if password else NoEncryption()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)
    (folder / "key.pem").write_bytes(pem)
    (folder / "chain.pem").write_bytes(b"".join(chain))
    paths = {"keyPath": str(folder / "key.pem"), "certPath": str(folder / "chain.pem")}
    (folder / "notation").mkdir(exist_ok=True)
    document = {"default": "prod", "keys": [{"name": "prod", **paths, **entry}]}
    (folder / "notation" / "signingkeys.json").write_text(json.dumps(document))
    return read_file_key(folder, "prod")


@given(BYTES)
def test_what_is_written_is_read_by_us_and_by_another_library(value):
    written = write(value)
    assert read(written) == value
    assert cbor2.dumps(cbor2.loads(written), canonical=True) == cbor2.dumps(value, canonical=True)


@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "rsa2048", "rsa3072", "rsa4096"])
def test_each_kind_of_key_signs_what_is_proved_with_its_claims(tmp_path, notary, now, kind):
    root = notary.make("root", ca=True, now=now)
    leaf = notary.make("leaf", issuer=root, kind=kind, now=now)
    key = write_key(tmp_path, leaf.key, [leaf.pem, root.pem])
    envelope = make_envelope(key, TARGET, CLAIMS, now=now)
    proof = prove(envelope, TARGET, trust=TrustedRoots.read([root.pem], ["*"]), now=now)
    assert proof.claims == CLAIMS
    assert proof.identity == "CN=leaf,O=aksci corpus,ST=local,C=ZZ"
    assert proof.signed_at == now
    assert "private" not in repr(key).lower()


def test_what_is_unusual_about_a_key_is_notations_to_judge(tmp_path, notary, now):
    leaf, other = (notary.make(name, now=now) for name in ("leaf", "other"))
    small = notary.make("small", kind="p224", now=now)
    assert write_key(tmp_path, leaf.key, [leaf.pem])
    assert read_file_key(tmp_path, "another") is None
    assert read_file_key(tmp_path / "nowhere", "prod") is None
    assert write_key(tmp_path, leaf.key, [leaf.pem], password=b"x") is None
    assert write_key(tmp_path, leaf.key, [other.pem]) is None
    assert write_key(tmp_path, small.key, [small.pem]) is None
    assert write_key(tmp_path, leaf.key, [b"rubbish"]) is None
    assert write_key(tmp_path, leaf.key, [leaf.pem], keyPath="/dev/zero") is None
    assert write_key(tmp_path, leaf.key, [leaf.pem], keyPath=None) is None
    (tmp_path / "notation" / "signingkeys.json").write_text('{"keys": 3}')
    assert read_file_key(tmp_path, "prod") is None


def test_a_certificate_that_notation_could_refuse_signs_nothing_here(tmp_path, notary, now):
    root = notary.make("root", ca=True, now=now)
    usual = notary.make("usual", issuer=root, now=now)
    assert make_envelope(write_key(tmp_path, usual.key, [usual.pem, root.pem]), TARGET, {}, now=now)
    late = now + dt.timedelta(days=301)
    expired = write_key(tmp_path, usual.key, [usual.pem, root.pem])
    authority = write_key(tmp_path, root.key, [root.pem])
    rootless = write_key(tmp_path, usual.key, [usual.pem])
    for key, moment in ((expired, late), (authority, now), (rootless, now)):
        with pytest.raises(DoubtError):
            make_envelope(key, TARGET, {}, now=moment)


def test_a_stored_signature_is_found_under_the_lock_that_its_signer_holds(tmp_path, notary, now):
    registry = MemoryRegistry("r.example")
    digest = registry.put_manifest("shop/web", TARGET.content, OCI)
    ref = ImageRef("r.example", "shop/web", digest)
    leaf = notary.make("leaf", now=now)
    key = write_key(tmp_path, leaf.key, [leaf.pem])
    target = registry.manifest(ref.repository, digest)
    with hold(digest), hold(digest):
        envelope = make_envelope(key, target, CLAIMS, now=now)
        store_signature(registry, ref, envelope, key, about=target, now=now)
    (found,) = find_artifacts(registry, ref, SIGNATURE)
    assert found.annotations["org.opencontainers.image.created"] == "2026-11-23T12:00:00Z"
