"""Write Notary Project signatures, good and bad ones, with another CBOR library than ours reads."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PAYLOAD = "application/vnd.cncf.notary.payload.v1+json"
SCHEME, TIME, EXPIRY = (
    f"io.cncf.notary.{name}" for name in ("signingScheme", "signingTime", "expiry")
)
CODE = ExtendedKeyUsageOID.CODE_SIGNING
DAY = dt.timedelta(days=1)
ALGORITHMS = {"p256": -7, "p384": -35, "p521": -36, "rsa2048": -37, "rsa3072": -38, "rsa4096": -39}
BITS = {-7: hashes.SHA256(), -35: hashes.SHA384(), -36: hashes.SHA512()}
BITS |= {-37: hashes.SHA256(), -38: hashes.SHA384(), -39: hashes.SHA512()}
USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@dataclass
class Party:
    """A key and its certificate."""

    key: object
    kind: str
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)


def make_key(kind):
    if kind.startswith("rsa"):
        return rsa.generate_private_key(65537, int(kind[3:]))
    curves = {
        "p256": ec.SECP256R1,
        "p384": ec.SECP384R1,
        "p521": ec.SECP521R1,
        "p224": ec.SECP224R1,
    }
    return ec.generate_private_key(curves[kind]())


def name(common, *, state="local", more=()):
    attributes = [
        (NameOID.COUNTRY_NAME, "ZZ"),
        (NameOID.STATE_OR_PROVINCE_NAME, state),
        (NameOID.ORGANIZATION_NAME, "aksci corpus"),
        *more,
        (NameOID.COMMON_NAME, common),
    ]
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in attributes])


def make(
    common,
    *,
    issuer=None,
    kind="p256",
    ca=False,
    usage=None,
    purposes=(CODE,),
    length=None,
    begins=-10 * DAY,
    ends=300 * DAY,
    now=None,
    critical=True,
    extra=(),
    subject=None,
    constraints=True,
    key=None,
    digest=None,
):
    """Make a certificate; it is its own issuer where none is given."""
    key = key or make_key(kind)
    now = now or dt.datetime.now(dt.UTC)
    subject = subject or name(common)
    wanted = usage or ({"key_cert_sign"} if ca else {"digital_signature"})
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
    )
    if constraints:
        builder = builder.add_extension(x509.BasicConstraints(ca, length), critical=True)
    flags = {usage: usage in wanted for usage in USAGES}
    builder = builder.add_extension(x509.KeyUsage(**flags), critical=critical)
    if not ca and purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(purposes)), critical=False)
    for extension, is_critical in extra:
        builder = builder.add_extension(extension, critical=is_critical)
    signed = builder.sign(issuer.key if issuer else key, digest or hashes.SHA256())
    return Party(key, kind, signed)


def payload(manifest, annotations=None, **changes):
    target = {
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": len(manifest.content),
        "annotations": {"dev.aksci.kind": "corpus"} if annotations is None else annotations,
    }
    return json.dumps({"targetArtifact": target | changes}).encode()


def protected(signer, now, *, expires=None, changes=()):
    headers = {
        1: ALGORITHMS.get(signer.kind, -7),
        2: [SCHEME, *([EXPIRY] if expires else [])],
        3: PAYLOAD,
        SCHEME: "notary.x509",
        TIME: cbor2.CBORTag(1, int(now.timestamp())),
        **({EXPIRY: cbor2.CBORTag(1, int(expires.timestamp()))} if expires else {}),
    }
    for key, value in dict(changes).items():
        if value is None:
            del headers[key]
        else:
            headers[key] = value
    return cbor2.dumps(headers)


def sign(signer, raw, content, *, salt=None, algorithm=None):
    signed = cbor2.dumps(["Signature1", raw, b"", content])
    digest = BITS[algorithm or ALGORITHMS.get(signer.kind, -7)]
    if signer.kind.startswith("rsa"):
        pss = padding.PSS(padding.MGF1(digest), digest.digest_size if salt is None else salt)
        return signer.key.sign(signed, pss, digest)
    r, s = decode_dss_signature(signer.key.sign(signed, ec.ECDSA(digest)))
    size = (signer.key.key_size + 7) // 8
    return r.to_bytes(size) + s.to_bytes(size)


def wrap(raw, chain, content, signature, *, more=(), tag=18):
    unprotected = {33: [each.der for each in chain], **dict(more)}
    return cbor2.dumps(cbor2.CBORTag(tag, [raw, unprotected, content, signature]))


def envelope(chain, content, now, **more):
    """Write a good envelope, but for what is changed."""
    signer = chain[0]
    headers = {key: more.pop(key) for key in ("expires", "changes") if key in more}
    outer = {key: more.pop(key) for key in ("more", "tag") if key in more}
    raw = protected(signer, now, **headers)
    return wrap(raw, chain, content, sign(signer, raw, content, **more), **outer)


@dataclass
class Case:
    """An envelope, whom to trust, and whether that is surely a valid signature."""

    data: bytes
    roots: list[bytes]
    good: bool
    identities: tuple[str, ...] = ("*",)


def _chains(now):  # noqa: PLR0915 - a list
    """Every kind of key as its own root; chains of three; roots of each kind."""
    for kind in ALGORITHMS:
        yield f"its own root {kind}", [make("self", kind=kind, now=now)], True
    root = make("root", ca=True, now=now)
    middle = make("middle", ca=True, issuer=root, length=0, now=now)
    leaf = make("leaf", issuer=middle, now=now)
    yield "three certificates", [leaf, middle, root], True
    rsa_root = make("rsa root", ca=True, kind="rsa2048", now=now)
    yield "an RSA root", [make("leaf", issuer=rsa_root, now=now), rsa_root], True
    yield "no purposes", [make("leaf", issuer=root, purposes=(), now=now), root], True
    yield "no constraints", [make("leaf", issuer=root, constraints=False, now=now), root], True
    usage = {"digital_signature", "content_commitment"}
    yield "content commitment", [make("leaf", issuer=root, usage=usage, now=now), root], True
    names = x509.SubjectAlternativeName([x509.DNSName("a.example")])
    yield "another name", [make("leaf", issuer=root, extra=[(names, False)], now=now), root], True

    yield "a chain without its root", [leaf, middle], False
    yield "a chain of another order", [leaf, root, middle], False
    yield "the root twice", [leaf, middle, root, root], False
    yield "a stranger between", [leaf, make("middle", ca=True, issuer=root, now=now), root], False
    yield "a swapped leaf", [make("leaf", issuer=rsa_root, now=now), middle, root], False
    for purpose in (
        "SERVER_AUTH",
        "CLIENT_AUTH",
        "EMAIL_PROTECTION",
        "TIME_STAMPING",
        "OCSP_SIGNING",
    ):
        oid = getattr(ExtendedKeyUsageOID, purpose)
        yield (
            f"for {purpose}",
            [make("leaf", issuer=root, purposes=(CODE, oid), now=now), root],
            False,
        )
    anything = (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)
    yield "for anything", [make("leaf", issuer=root, purposes=anything, now=now), root], False
    for usage in ("key_encipherment", "data_encipherment", "key_cert_sign", "crl_sign"):
        wrong = make("leaf", issuer=root, usage={"digital_signature", usage}, now=now)
        yield f"also for {usage}", [wrong, root], False
    wrong = make("leaf", issuer=root, usage={"content_commitment"}, now=now)
    yield "not for signatures", [wrong, root], False
    yield "a usage to ignore", [make("leaf", issuer=root, critical=False, now=now), root], False
    yield (
        "an authority that signs",
        [make("leaf", issuer=root, ca=True, usage=set(USAGES[:1]), now=now), root],
        False,
    )
    yield "an issuer that is none", [make("leaf", issuer=leaf, now=now), leaf, middle, root], False
    idle = make("idle", ca=True, issuer=root, usage={"crl_sign"}, now=now)
    yield "an issuer for lists only", [make("leaf", issuer=idle, now=now), idle, root], False
    deeper = make("deeper", ca=True, issuer=middle, now=now)
    yield "too long a path", [make("leaf", issuer=deeper, now=now), deeper, middle, root], False
    yield "an expired leaf", [make("leaf", issuer=root, ends=-DAY, now=now), root], False
    yield "a leaf of tomorrow", [make("leaf", issuer=root, begins=DAY, now=now), root], False
    old = make("old", ca=True, issuer=root, ends=-DAY, now=now)
    yield "an expired issuer", [make("leaf", issuer=old, now=now), old, root], False
    old_root = make("old root", ca=True, ends=-DAY, now=now)
    yield "an expired root", [make("leaf", issuer=old_root, now=now), old_root], False
    yield "a short RSA key", [make("leaf", issuer=root, kind="rsa1024", now=now), root], False
    yield "a short curve", [make("leaf", issuer=root, kind="p224", now=now), root], False
    weak = make("weak", ca=True, kind="rsa1024", now=now)
    yield "a weak root", [make("leaf", issuer=weak, now=now), weak], False
    addresses = [x509.UniformResourceIdentifier("http://127.0.0.1:9/crl")]
    points = x509.CRLDistributionPoints([x509.DistributionPoint(addresses, None, None, None)])
    yield (
        "a revocation list",
        [make("leaf", issuer=root, extra=[(points, False)], now=now), root],
        False,
    )
    strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    yield (
        "a strange extension",
        [make("leaf", issuer=root, extra=[(strange, True)], now=now), root],
        False,
    )
    limits = x509.NameConstraints(None, [x509.DNSName("example")])
    bound = make("bound", ca=True, issuer=root, extra=[(limits, True)], now=now)
    yield "names constrained", [make("leaf", issuer=bound, now=now), bound, root], False
    forged = Party(
        leaf.key,
        leaf.kind,
        make("leaf", issuer=Party(rsa_root.key, "", root.certificate), now=now).certificate,
    )
    yield "signed by another key of the issuer's name", [forged, root], False


def _envelopes(chain, manifest, now):  # noqa: PLR0915 - a list
    """Envelopes by a good chain."""
    good = payload(manifest)

    def write(content=good, **more):
        return envelope(chain, content, now, **more)

    yield "nothing special", write(), True
    yield "an agent", write(more={"io.cncf.notary.signingAgent": "x/1"}), True
    yield (
        "a timestamp that is not needed",
        write(more={"io.cncf.notary.timestampSignature": b"x"}),
        True,
    )
    yield "an expiry ahead", write(expires=now + DAY), True
    yield "no annotations", write(payload(manifest, {})), True
    yield "an artifact type", write(payload(manifest, artifactType="a/b")), True

    yield "an expiry passed", write(expires=now - DAY), False
    late = {TIME: cbor2.CBORTag(1, int((now + 2 * DAY).timestamp()))}
    yield "an expiry before the signature", write(expires=now + DAY, changes=late), False
    yield "an expiry not critical", write(expires=now + DAY, changes={2: [SCHEME]}), False
    yield "another digest", write(payload(manifest, digest="sha256:" + "0" * 64)), False
    yield "another size", write(payload(manifest, size=len(manifest.content) + 1)), False
    yield "a size as text", write(payload(manifest, size=str(len(manifest.content)))), False
    yield "another media type", write(payload(manifest, mediaType="a/b")), False
    yield "annotations that are none", write(payload(manifest, ["x"])), False
    yield "annotations of numbers", write(payload(manifest, {"a": 1})), False
    twice = good[:-1] + b',"TargetArtifact":{"digest":"sha256:' + b"0" * 64 + b'"}}'
    yield "a target in two spellings", write(twice), False
    yield "a digest twice", write(good.replace(b'"size"', b'"digest":"sha256:0","size"')), False
    yield "no JSON", write(b"{"), False
    yield "JSON of another kind", write(b"[]"), False
    yield "more after the JSON", write(good + b"{}"), False
    yield (
        "half a character",
        write(payload(manifest, {"a": "X"}).replace(b'"X"', b'"\\ud800"')),
        False,
    )
    yield "no text", write(payload(manifest, {"a": "X"}).replace(b'"X"', b'"\xff"')), False
    for label, value in {
        "another algorithm": {1: -35},
        "an algorithm as text": {1: "ES256"},
        "no algorithm": {1: None},
        "no critical headers": {2: None},
        "an empty list of critical headers": {2: []},
        "an unknown critical header": {2: [SCHEME, "x"], "x": 1},
        "a critical header that is not there": {2: [SCHEME, "x"]},
        "a critical header twice": {2: [SCHEME, SCHEME]},
        "an unknown header": {"x": 1},
        "a verification plugin": {
            2: [SCHEME, "io.cncf.notary.verificationPlugin"],
            "io.cncf.notary.verificationPlugin": "x",
        },
        "another content type": {3: "application/json"},
        "no content type": {3: None},
        "a signing authority": {SCHEME: "notary.x509.signingAuthority"},
        "no scheme": {SCHEME: None},
        "no time": {TIME: None},
        "a time without a tag": {TIME: 1_700_000_000},
        "a time with another tag": {TIME: cbor2.CBORTag(0, "2026-11-24T00:00:00Z")},
        "a time before the certificate": {TIME: cbor2.CBORTag(1, 1_000_000_000)},
        "a time far off": {TIME: cbor2.CBORTag(1, 1 << 62)},
        "a time of half a second": {TIME: cbor2.CBORTag(1, 1.5)},
    }.items():
        yield label, write(changes=value), False
    yield "another tag", write(tag=98), False
    yield "a chain as one certificate", write(more={33: chain[0].der}), False
    yield "no chain", write(more={33: []}), False
    yield "a chain of rubbish", write(more={33: [b"x", *(each.der for each in chain[1:])]}), False
    yield "an unknown unsigned header", write(more={"x": 1}), False
    data = write()
    yield "without its tag", data[1:], False
    yield "more after it", data + b"\x00", False
    yield "its end missing", data[:-1], False
    yield "nothing", b"\x00", False
    yield "a JWS envelope", b'{"payload":"e30","protected":"e30","signature":"e30"}', False
    raw = protected(chain[0], now)
    signature = sign(chain[0], raw, good)
    yield "a signature of zeros", wrap(raw, chain, good, bytes(len(signature))), False
    yield "an empty signature", wrap(raw, chain, good, b""), False
    yield "a signature too long", wrap(raw, chain, good, signature + b"\x00"), False
    yield (
        "another payload under it",
        wrap(raw, chain, payload(manifest, {"a": "b"}), signature),
        False,
    )
    other = protected(chain[0], now + DAY)
    yield "other headers under it", wrap(other, chain, good, signature), False
    assert raw[0] == 0xA5
    double = b"\xa6" + raw[1:] + cbor2.dumps(3) + cbor2.dumps(PAYLOAD)
    yield "a header twice", wrap(double, chain, good, sign(chain[0], double, good)), False
    loose = b"\xb8\x05" + raw[1:]
    yield "a count in two bytes", wrap(loose, chain, good, sign(chain[0], loose, good)), False
    endless = b"\xbf" + raw[1:] + b"\xff"
    yield (
        "headers without a count",
        wrap(endless, chain, good, sign(chain[0], endless, good)),
        False,
    )
    plain = wrap(raw, chain, good, signature)
    start = plain.index(b"\x18\x21")  # the key 33 of the chain
    moved = plain[: start - 1] + b"\xa2" + plain[start:]
    end = moved.index(good) - len(cbor2.dumps(good)) + len(good)
    yield "a chain twice", moved[:end] + b"\x18\x21\x80" + moved[end:], False


def _identities(root, now):
    ours = "x509.subject: C=ZZ, ST=local, O=aksci corpus"
    leaf = make("leaf", issuer=root, now=now)
    for label, identities, good in (
        ("identity of three", (ours,), True),
        ("identity with S", ("x509.subject:C=ZZ,S=local,O=aksci corpus,CN=leaf",), True),
        ("one of two identities", ("x509.subject: C=ZZ, ST=local, O=other", ours), True),
        ("another organisation", ("x509.subject: C=ZZ, ST=local, O=aksci",), False),
        ("another case", ("x509.subject: C=ZZ, ST=Local, O=aksci corpus",), False),
        ("another common name", (ours + ", CN=other",), False),
        ("an identity without O", ("x509.subject: C=ZZ, ST=local",), False),
        ("an identity of another kind", ("x: y",), False),
        ("identities that overlap", (ours, ours + ", CN=leaf"), False),
        ("everybody and somebody", ("*", ours), False),
    ):
        yield label, [leaf, root], identities, good
    units = [(NameOID.ORGANIZATIONAL_UNIT_NAME, text) for text in ("a", "b")]
    double = make("leaf", issuer=root, subject=name("leaf", more=units), now=now)
    yield "a subject of two units", [double, root], (ours + ", OU=a",), False
    comma = make("leaf", issuer=root, subject=name("a, CN=leaf"), now=now)
    yield "a subject with a comma", [comma, root], (ours + ", CN=leaf",), False


def _bits_unused(root, manifest, now):
    """Say that the last bit of a certificate's signature, a zero, is unused: nobody signs that."""
    while True:
        leaf = make("leaf", issuer=root, now=now)
        signature = leaf.certificate.signature
        if signature[-1] & 1 == 0:
            break
    changed = leaf.der.replace(b"\0" + signature, b"\1" + signature)
    more = {33: [changed, root.der]}
    return envelope([leaf, root], payload(manifest), now, more=more)


def corpus(manifest, now):
    """Return all cases by name, for the signature of one manifest."""
    root = make("root", ca=True, now=now)
    leaf = make("leaf", issuer=root, now=now)
    stranger = make("stranger", ca=True, now=now)
    content = payload(manifest)
    cases = {}
    for label, chain, good in _chains(now):
        cases[label] = Case(envelope(chain, content, now), [chain[-1].pem], good)
    for label, data, good in _envelopes([leaf, root], manifest, now):
        cases[label] = Case(data, [root.pem], good)
    for label, chain, identities, good in _identities(root, now):
        cases[label] = Case(envelope(chain, content, now), [root.pem], good, identities)
    cases["another root"] = Case(envelope([leaf, root], content, now), [stranger.pem], good=False)
    cases["one of two roots"] = Case(
        envelope([leaf, root], content, now), [stranger.pem, root.pem], good=True
    )
    middle = make("middle", ca=True, issuer=root, now=now)
    chain = [make("leaf", issuer=middle, now=now), middle, root]
    cases["an intermediate pinned"] = Case(envelope(chain, content, now), [middle.pem], good=False)
    same = make("root", ca=True, now=now)
    cases["a root of the same name"] = Case(
        envelope([leaf, root], content, now), [same.pem], good=False
    )
    unused = _bits_unused(root, manifest, now)
    cases["an unused bit"] = Case(unused, [root.pem], good=False)
    short = make("self", kind="rsa2048", now=now)
    raw = protected(short, now)
    cases["a salt of another length"] = Case(
        wrap(raw, [short], content, sign(short, raw, content, salt=20)), [short.pem], good=False
    )
    return cases
