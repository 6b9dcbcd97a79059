"""Signatures verified without a program: what is surely right is seen, and nothing else is."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace

import cbor2
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from aksci.oci.manifest import Manifest
from aksci.oci.references import ImageRef, digest_of
from aksci.supply.sign.notation.cbor import DoubtError, read
from aksci.supply.sign.notation.verify_in_process import SIGNATURE, TrustedRoots, find_proof, prove
from aksci.testing.memory_registry import MemoryRegistry

REPOSITORY = "shop/catalog"
OCI = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture(scope="module")
def target():
    content = b'{"schemaVersion":2}'
    return Manifest(media_type=OCI, digest="sha256:" + "a" * 64, content=content)


@pytest.fixture(scope="module")
def moment():
    import datetime as dt

    return dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def corpus(notary, target, moment):
    return notary.corpus(target, moment)


def is_proved(case, target, now):
    try:
        prove(case.data, target, trust=TrustedRoots.read(case.roots, case.identities), now=now)
    except Exception:  # noqa: BLE001 - find_proof takes any for a no, and says so
        return False
    return True


def test_exactly_the_good_signatures_of_the_corpus_are_proved(corpus, target, moment):
    wrong = {
        label: case.good
        for label, case in corpus.items()
        if is_proved(case, target, moment) != case.good
    }
    assert wrong == {}
    assert sum(case.good for case in corpus.values()) > 15
    assert sum(not case.good for case in corpus.values()) > 80


def test_a_proof_names_the_signer_the_claims_and_the_time(corpus, target, moment):
    case = corpus["identity of three"]
    proof = prove(
        case.data, target, trust=TrustedRoots.read(case.roots, case.identities), now=moment
    )
    assert proof.signer == "notation"
    assert proof.identity == "CN=leaf,O=aksci corpus,ST=local,C=ZZ"
    assert proof.claims == {"dev.aksci.kind": "corpus"}
    assert proof.signed_at == moment


def test_a_signature_is_worth_nothing_before_or_after_its_certificate(
    corpus, target, moment, notary
):
    case = corpus["three certificates"]
    assert is_proved(case, target, moment)
    assert not is_proved(case, target, moment - 11 * notary.DAY)
    assert not is_proved(case, target, moment + 301 * notary.DAY)


def test_a_signature_expires(corpus, target, moment, notary):
    case = corpus["an expiry ahead"]
    assert is_proved(case, target, moment + notary.DAY / 2)
    assert not is_proved(case, target, moment + notary.DAY)


@given(st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(1, 255)), min_size=1, max_size=3))
def test_no_byte_of_an_envelope_can_be_changed(corpus, target, moment, changes):
    case = corpus["three certificates"]
    changed = bytearray(case.data)
    for place, bits in changes:
        changed[place % len(changed)] ^= bits
    assume(bytes(changed) != case.data)
    assert is_proved(case, target, moment)
    assert not is_proved(replace(case, data=bytes(changed)), target, moment)


@given(st.binary(max_size=200))
@example(b"\x9f\xff")
@example(b"\xdb" * 9)
@example(b"\x81" * 200)
@example(b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff")
def test_bytes_are_read_or_doubted_and_never_anything_else(content):
    with contextlib.suppress(DoubtError):
        read(content)


nested = st.recursive(
    st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.integers(-9, 9) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=6,
)


@given(nested)
def test_what_another_library_writes_is_read_as_it_was_meant(value):
    assert read(cbor2.dumps(value)) == value


@pytest.fixture
def registry(target):
    """One image, and what refers to it."""
    found = MemoryRegistry("r.example")
    found.plant(REPOSITORY, target.content, digest=target.digest, media_type=target.media_type)
    return found


def add(registry, digit, data, subject, **changes):
    data = data + b"\0" * digit if data == b"rubbish" else data  # no two of them are the same
    blob = digest_of(data)
    layer = {"mediaType": "application/cose", "digest": blob, "size": len(data)}
    content = {
        "artifactType": SIGNATURE,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(b"{}")},
        "layers": [layer],
        "subject": {"digest": subject},
    }
    text = json.dumps(content | changes.pop("manifest", {})).encode()
    digest = registry.plant(REPOSITORY, text, media_type=OCI)
    registry.plant(REPOSITORY, data)
    entry = {"mediaType": OCI, "artifactType": SIGNATURE, "digest": digest, "size": len(text)}
    registry.list_referrer(REPOSITORY, subject, entry | changes)


@pytest.fixture
def find(registry, corpus, target, moment):
    case = corpus["three certificates"]
    trust = TrustedRoots.read(case.roots, case.identities)
    ref = ImageRef("r.example", REPOSITORY, target.digest)
    return lambda claims: find_proof(registry, ref, claims, trust=trust, now=moment)


def test_a_good_signature_is_found_among_bad_ones(registry, corpus, target, find):
    assert find({}) is None
    add(registry, 1, b"rubbish", target.digest)
    add(registry, 2, corpus["another root"].data, target.digest)
    add(registry, 3, corpus["three certificates"].data, target.digest)
    assert find({"dev.aksci.kind": "corpus"}).claims == {"dev.aksci.kind": "corpus"}
    assert find({"dev.aksci.kind": "other"}) is None
    assert find({"dev.aksci.kind": "corpus", "more": "x"}) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"size": 1 << 30},
        {"size": 1},
        {"size": "1"},
        {"mediaType": "application/vnd.oci.image.index.v1+json"},
        {"digest": "sha256:" + "9" * 64},
        {"manifest": {"subject": {"digest": "sha256:" + "0" * 64}}},
        {"manifest": {"subject": None}},
        {"manifest": {"layers": []}},
        {"manifest": {"layers": "x"}},
        {"manifest": {"artifactType": "x"}},
    ],
)
def test_a_signature_that_is_stored_in_an_unusual_way_is_not_believed(
    registry, corpus, target, find, changes
):
    add(registry, 1, corpus["three certificates"].data, target.digest, **changes)
    assert find({}) is None


@pytest.mark.parametrize(
    "layer", [{"size": 1 << 30}, {"size": 3}, {"mediaType": "application/jose+json"}]
)
def test_a_large_or_strange_envelope_is_not_even_fetched(registry, corpus, target, find, layer):
    data = corpus["three certificates"].data
    plain = {"mediaType": "application/cose", "digest": digest_of(data), "size": len(data)}
    add(registry, 1, data, target.digest, manifest={"layers": [plain | layer]})
    assert find({}) is None
    assert (plain["digest"] in registry.asked()) == (layer.get("size") == 3)


def test_a_flood_of_signatures_is_left_to_notation(registry, corpus, target, find):
    add(registry, 1, corpus["three certificates"].data, target.digest)
    for number in range(50):
        add(registry, number + 20, b"rubbish", target.digest)
    assert find({}) is None


@pytest.mark.parametrize("order", [1, -1])
def test_of_many_signatures_the_newest_are_looked_at(registry, corpus, target, find, order):
    def signed(day):
        created = f"2026-{1 + day // 28:02}-{1 + day % 28:02}T00:00:00Z"
        return {"annotations": {"org.opencontainers.image.created": created}}

    cases = [(number + 20, b"from before", number) for number in range(60)]
    cases.append((1, corpus["three certificates"].data, 99))
    for digit, data, day in cases[::order]:
        add(registry, digit, data, target.digest, **signed(day))
    assert find({}).claims == {"dev.aksci.kind": "corpus"}
    assert len(registry.asked("manifest", "blob")) == 3


@pytest.mark.parametrize("order", [1, -1])
def test_of_signatures_of_one_second_the_one_that_tells_the_most_is_the_proof(
    registry, notary, target, moment, order
):
    """A release may be signed once more, as one that continues another: the list has no order."""
    root = notary.make("root", ca=True, now=moment)
    told = [{"a": "1"}, {"a": "1", "b": "2"}, {"c": "3", "d": "4", "e": "5"}]
    for digit, claims in list(enumerate(told))[::order]:
        payload = notary.payload(target, claims)
        chain = [notary.make("leaf", issuer=root, now=moment), root]
        data = notary.envelope(chain, payload, moment)
        seconds = {"annotations": {"org.opencontainers.image.created": "2026-11-23T12:00:00Z"}}
        add(registry, digit, data, target.digest, **seconds)
    found = find_proof(
        registry,
        ImageRef("r.example", REPOSITORY, target.digest),
        {"a": "1"},
        trust=TrustedRoots.read([root.pem], ("*",)),
        now=moment,
    )
    assert found.claims == {"a": "1", "b": "2"}


@pytest.mark.parametrize("annotations", ["x", ["x"], {"org.opencontainers.image.created": {}}])
def test_odd_annotations_break_nothing(registry, corpus, target, find, annotations):
    add(registry, 1, corpus["three certificates"].data, target.digest)
    add(registry, 2, b"rubbish", target.digest, annotations=annotations)
    assert find({}).claims == {"dev.aksci.kind": "corpus"}


@pytest.mark.parametrize(
    "identities",
    [(), ("x509.subject: C=ZZ, ST=a, O=b\\,c",), ("x509.subject: C=ZZ+ST=a, O=b",), ("C=ZZ",)],
)
def test_unusual_identities_are_left_to_notation(corpus, identities):
    with pytest.raises(DoubtError):
        TrustedRoots.read(corpus["three certificates"].roots, identities)


def test_a_trust_store_with_something_else_in_it_is_left_to_notation(notary, moment):
    root = notary.make("root", ca=True, now=moment)
    leaf = notary.make("leaf", issuer=root, now=moment)
    with pytest.raises(DoubtError):
        TrustedRoots.read([root.pem, leaf.pem], ("*",))
    with pytest.raises(ValueError, match="PEM"):
        TrustedRoots.read([root.pem, b"no certificate"], ("*",))


def test_a_root_with_a_key_that_nobody_else_reads_is_left_to_notation(notary, moment):
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import load_der_x509_certificate

    root = notary.make("root", ca=True, now=moment)
    curve = bytes.fromhex("06082a8648ce3d0301")
    der = root.certificate.public_bytes(Encoding.DER)
    assert (curve + b"\x07") in der
    unknown = load_der_x509_certificate(der.replace(curve + b"\x07", curve + b"\x77"))
    koblitz = notary.make("root", ca=True, now=moment, key=ec.generate_private_key(ec.SECP256K1()))
    for pem in (unknown.public_bytes(Encoding.PEM), koblitz.pem):
        with pytest.raises(DoubtError):
            TrustedRoots.read([pem], ("*",))
