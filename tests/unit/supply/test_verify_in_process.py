"""Signatures verified without a program: what is surely right is seen, and nothing else is."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import replace

import cbor2
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from aksci.oci.manifest import Manifest
from aksci.oci.references import ImageRef, digest_of
from aksci.supply.sign.notation.cbor import DoubtError, read
from aksci.supply.sign.notation.certificate_chain import read_anchors
from aksci.supply.sign.notation.stored_signatures import SIGNATURE, SignatureSearch
from aksci.supply.sign.notation.verify_in_process import TrustedRoots, prove, read_envelope
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
    except Exception:  # noqa: BLE001 - a search takes any for a no, and says so
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


def search_of(registry, roots, identities, moment, say=lambda _: None):
    return SignatureSearch(
        registry=registry,
        trust=TrustedRoots.read(roots, identities),
        anchors=read_anchors(roots),
        now=moment,
        say=say,
    )


@pytest.fixture
def search(registry, corpus, target, moment):
    """Look for signatures by the corpus's key, and return all that is found."""
    case = corpus["three certificates"]
    looking = search_of(registry, case.roots, case.identities, moment)
    ref = ImageRef("r.example", REPOSITORY, target.digest)
    return lambda claims: looking.find(ref, claims)


@pytest.fixture
def find(search):
    return lambda claims: search(claims).proof


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


@pytest.mark.parametrize("layer", [{"size": 1 << 30}, {"size": 3}])
def test_a_large_or_strange_envelope_is_not_even_fetched(registry, corpus, target, find, layer):
    data = corpus["three certificates"].data
    plain = {"mediaType": "application/cose", "digest": digest_of(data), "size": len(data)}
    add(registry, 1, data, target.digest, manifest={"layers": [plain | layer]})
    assert find({}) is None
    assert (plain["digest"] in registry.asked()) == (layer.get("size") == 3)


FUTURE = {"annotations": {"org.opencontainers.image.created": "2099-01-01T00:00:00Z"}}


@pytest.mark.parametrize("annotations", [{}, FUTURE], ids=["undated", "newest"])
def test_a_flood_of_signatures_hides_no_good_one(registry, corpus, target, search, annotations):
    """Whoever may push could otherwise have every image refused."""
    add(registry, 1, corpus["three certificates"].data, target.digest)
    for number in range(1060):
        add(registry, number + 20, b"rubbish", target.digest, **annotations)
    found = search({"dev.aksci.kind": "corpus"})
    assert found.proof.claims == {"dev.aksci.kind": "corpus"}
    assert [*found.possible, *found.unsure] == [], "notation has nothing to look at"
    assert len(found.foreign) <= 20


def test_those_that_name_a_pinned_certificate_are_read_first(registry, corpus, target, search):
    """notation writes thumbprints beside a signature: an order, and nobody's word."""
    for number in range(60):
        add(registry, number + 20, b"rubbish", target.digest, **FUTURE)
    (root,) = read_anchors(corpus["three certificates"].roots)
    prints = {"io.cncf.notary.x509chain.thumbprint#S256": f'["{hashlib.sha256(root).hexdigest()}"]'}
    add(registry, 1, corpus["three certificates"].data, target.digest, annotations=prints)
    assert search({}).proof
    assert len(registry.asked("manifest", "blob")) == 3


def forgeries(notary, case, target, moment):
    """Return what somebody can make who has all that is public of ours, and none of our keys."""
    chain = read_envelope(case.data).chain
    root = notary.make("root", ca=True, now=moment)
    leaf = notary.make("leaf", issuer=root, now=moment)
    mine, other = (
        notary.payload(target),
        notary.payload(replace(target, digest=f"sha256:{'b' * 64}")),
    )
    own = notary.envelope([leaf, root], mine, moment)
    copied = read(case.data).value
    return {
        "their own root": own,
        "our root behind their certificate": swapped(own, (leaf.der, chain[-1])),
        "our chain on their signature": swapped(own, chain),
        "our signature on another payload": encode((*copied[:2], other, copied[3])),
        "our certificates in no envelope": b"".join(chain),
        "a changed signature of ours": encode((*copied[:3], bytes(len(copied[3])))),
    }


def swapped(data, chain):
    protected, unprotected, *rest = read(data).value
    return encode((protected, {**unprotected, 33: tuple(chain)}, *rest))


def encode(parts):
    return cbor2.dumps(cbor2.CBORTag(18, list(parts)))


def test_what_can_be_made_without_our_key_is_told_from_what_notation_must_judge(
    registry, notary, corpus, target, search, moment
):
    case = corpus["three certificates"]
    forged = forgeries(notary, case, target, moment)
    for number, data in enumerate(forged.values()):
        add(registry, number, data, target.digest, **FUTURE)
    found = search({})
    assert found.proof is None
    assert (len(found.foreign), len(found.possible), len(found.unsure)) == (len(forged) - 1, 0, 1)
    assert found.unsure[0].data == forged["our certificates in no envelope"]


def test_one_signature_of_ours_in_a_thousand_manifests_is_one(registry, corpus, target, search):
    data = corpus["three certificates"].data
    for number in range(1060):
        add(registry, number, data, target.digest, manifest={"annotations": {"n": str(number)}})
    found = search({"dev.aksci.kind": "other"})
    assert found.proof is None
    assert len(found.proved) == len(found.for_notation()) == 1


def test_what_only_notation_understands_is_not_lost_among_rubbish(
    registry, corpus, target, search, notary, moment
):
    """Rubbish that cites our certificates comes after what our key has surely signed."""
    case = corpus["three certificates"]
    expired = search_of(registry, case.roots, case.identities, moment + 1000 * notary.DAY)
    add(registry, 1, case.data, target.digest)
    chain = read_envelope(case.data).chain
    for number in range(1060):
        rubbish = b"".join(chain) + str(number).encode()
        add(registry, number + 20, rubbish, target.digest, **FUTURE)
    found = expired.find(ImageRef("r.example", REPOSITORY, target.digest), {})
    assert [one.data for one in found.possible] == [case.data]
    assert found.for_notation()[0].data == case.data
    assert len(found.for_notation()) == 1000


def test_more_than_can_be_read_are_told_and_never_taken_for_none(
    registry, corpus, target, search, monkeypatch
):
    monkeypatch.setattr("aksci.supply.sign.notation.stored_signatures.MOST_READ", 100)
    add(registry, 1, corpus["three certificates"].data, target.digest)
    for number in range(150):
        add(registry, number + 20, b"rubbish", target.digest, **FUTURE)
    found = search({})
    assert (found.proof, found.listed, found.skipped) == (None, 151, 51)
    assert len(registry.asked("manifest", "blob")) <= 201


def test_a_person_is_told_of_a_long_search(registry, corpus, target, moment):
    case, told = corpus["three certificates"], []
    for number in range(201):
        add(registry, number + 20, b"rubbish", target.digest)
    looking = search_of(registry, case.roots, case.identities, moment, told.append)
    looking.find(ImageRef("r.example", REPOSITORY, target.digest), {})
    (line,) = told
    assert "201 signatures" in line


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
    ref = ImageRef("r.example", REPOSITORY, target.digest)
    found = search_of(registry, [root.pem], ("*",), moment).find(ref, {"a": "1"}).proof
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
