from __future__ import annotations

import datetime as dt
import json
import stat
from dataclasses import replace
from types import SimpleNamespace
from typing import ClassVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from aksci.config.supply_models import NotationConfig, ScanConfig
from aksci.core.errors import ConfigError, RegistryError, TrustError
from aksci.core.process import Runner
from aksci.oci.artifact import Content, push_artifact
from aksci.oci.manifest import OCI_MANIFEST
from aksci.supply.scan.gate import evaluate
from aksci.supply.sign.notation.local_certificate import ensure_test_key
from aksci.supply.sign.notation.notation_keys import credentials
from aksci.supply.sign.notation.notation_signer import notation_signer, trust_policy
from aksci.supply.sign.notation.stored_signatures import SIGNATURE
from aksci.supply.sign.signer import (
    BindingError,
    NotSignedError,
    UntrustedError,
    sign_image,
    validation_claims,
)
from aksci.testing.memory_registry import MemoryRegistry


@pytest.fixture
def passing(report, ref, now, database):
    report["Results"][0]["Vulnerabilities"] = []
    verdict = evaluate(report, policy=ScanConfig(), ref=ref, now=now, database=database)
    return replace(verdict, stored=ref)


def test_nothing_is_signed_without_a_stored_passing_verdict_on_that_digest(passing, ref):
    other = replace(ref, digest="sha256:" + "c" * 64)
    for verdict, words in (
        (replace(passing, passed=False), "did not pass"),
        (replace(passing, image=other), "its verdict is on"),
        (replace(passing, stored=None), "not in the registry"),
    ):
        with pytest.raises(TrustError, match=words):
            sign_image(ref, verdict, input_key="k", signer=object())


class Shelf:
    """A signer that keeps what it was asked to sign."""

    def __init__(self):
        self.signed = []

    def verify(self, ref, claims):
        if not any(claims.items() <= each.items() for each in self.signed):
            raise BindingError(f"{ref} has no such signature")

    def sign(self, _ref, claims):
        self.signed.append(claims)


def test_a_signature_tells_which_check_the_image_passed_and_another_check_gets_another(
    passing, ref
):
    signer = Shelf()

    def sign(validated):
        return sign_image(ref, passing, input_key="k", signer=signer, validated=validated)

    assert [sign(""), sign("5" * 64), sign("5" * 64), sign(""), sign("6" * 64)] == [
        True, True, False, False, True,
    ]  # fmt: skip
    told = [claims.get("dev.aksci.validated") for claims in signer.signed]
    assert told == [None, "5" * 64, "6" * 64]
    signer.verify(ref, validation_claims(ref, "5" * 64))


def test_the_test_certificate_satisfies_notarys_requirements(tmp_path, now):
    pair = ensure_test_key(tmp_path / "signing", now=now)
    certificate = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [x509.oid.ExtendedKeyUsageOID.CODE_SIGNING]
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
    assert stat.S_IMODE(pair.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(pair.key.parent.stat().st_mode) == 0o700


def test_the_test_key_stays_until_it_expires_or_is_damaged(tmp_path, now):
    pair = ensure_test_key(tmp_path, now=now)
    first = pair.key.read_bytes()
    ensure_test_key(tmp_path, now=now + dt.timedelta(days=700))
    assert pair.key.read_bytes() == first
    ensure_test_key(tmp_path, now=now + dt.timedelta(days=731))
    second = pair.key.read_bytes()
    assert second != first
    pair.certificate.write_text("broken")
    ensure_test_key(tmp_path, now=now + dt.timedelta(days=731))
    assert pair.key.read_bytes() not in {first, second}


def test_trust_is_strict_and_for_one_repository_only():
    (policy,) = trust_policy("r.example/shop/catalog", identities=("x509.subject: C=ZZ",))[
        "trustPolicies"
    ]
    assert policy["registryScopes"] == ["r.example/shop/catalog"]
    assert policy["signatureVerification"] == {"level": "strict"}
    assert policy["trustedIdentities"] == ["x509.subject: C=ZZ"]


def make_notation(tmp_path, now, config, *, local=False):
    return notation_signer(
        config,
        notation=tmp_path / "notation",
        runner=Runner(environment={}, log=lambda _: None),
        registry=None,
        root=tmp_path,
        state=tmp_path,
        user_config=tmp_path,
        local=local,
        plain_http=False,
        now=now,
    )


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (NotationConfig(), "sign.notation.key is not set"),
        (NotationConfig(key="prod"), "sign.notation.trust_store is not set"),
        (NotationConfig(plugin="azure-kv", key_id="x"), "sign.notation.trust_store is not set"),
        (NotationConfig(key="prod", trust_store="trust"), "holds no certificate"),
    ],
)
def test_the_test_key_never_stands_in_for_a_real_one(tmp_path, now, config, words):
    with pytest.raises(ConfigError, match=words):
        make_notation(tmp_path, now, config)


@pytest.mark.parametrize("name", ["client_secret", "Password", "access-token"])
def test_a_secret_for_a_plugin_is_refused_and_not_shown(tmp_path, now, name):
    config = NotationConfig(
        plugin="azure-kv", key_id="x", plugin_config={name: "hunter2"}, trust_store="trust"
    )
    with pytest.raises(ConfigError, match="command line") as caught:
        make_notation(tmp_path, now, config)
    assert name in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_plugin_gets_what_it_logs_in_with_and_nothing_that_tells_what_to_sign_or_trust():
    variables = {
        "HOME": "/home/me",
        "AZURE_CLIENT_ID": "x",
        "IDENTITY_ENDPOINT": "http://127.0.0.1",
        "NOTATION_PASSWORD": "x",
        "COSIGN_REPOSITORY": "evil.example/x",
        "SIGSTORE_ROOT_FILE": "/evil",
        "XDG_CONFIG_HOME": "/evil",
    }
    assert credentials(variables) == {
        "AZURE_CLIENT_ID": "x",
        "AZURE_CONFIG_DIR": "/home/me/.azure",
        "IDENTITY_ENDPOINT": "http://127.0.0.1",
    }
    assert credentials({"AZURE_CONFIG_DIR": "/a", "HOME": "/h"}) == {"AZURE_CONFIG_DIR": "/a"}


# -- what notation is asked when Python is not sure --


class Notation:
    """In place of a runner: answers as notation, with these signatures, by its own key or not."""

    environment: ClassVar = {}

    def __init__(self, *signatures, unread=False):
        self.signatures = signatures
        self.unread = unread
        self.log = lambda _: None

    def run(self, argv, **_):
        verb, words = argv[1], argv[2:]
        most = next(int(word[17:]) for word in words if word.startswith("--max-signatures="))
        if verb == "inspect":
            listed = [
                {
                    "userDefinedAttributes": claims or None,
                    "certificates": [{"issuedTo": "CN=me" if valid else "CN=stranger"}],
                }
                for valid, claims in self.signatures
            ]
            text = json.dumps({"mediaType": "x", "Signatures": listed[:most]})
            if len(listed) > most:
                text += f"\nWarning: exceeded configured limit of max signatures {most} to examine"
            return SimpleNamespace(status=int(self.unread), stdout=text, stderr="skipped")
        start = "--user-metadata="
        pairs = [word.removeprefix(start) for word in words if word.startswith(start)]
        assert not any("\0" in pair for pair in pairs)
        wanted = dict(pair.split("=", 1) for pair in pairs)
        seen = self.signatures[:most]
        good = any(valid and wanted.items() <= claims.items() for valid, claims in seen)
        return SimpleNamespace(status=int(not good), stdout="", stderr="")


def by_notation(tmp_path, now, ref, *signatures, unread=False):
    """Return a signer for an image with as many signatures, which only notation understands."""
    signer = make_notation(tmp_path, now, NotationConfig(), local=True)
    registry = MemoryRegistry(ref.registry)
    target = json.dumps({"schemaVersion": 2}).encode()
    registry.plant(ref.repository, target, digest=ref.digest, media_type=OCI_MANIFEST)
    root = x509.load_pem_x509_certificate(signer.roots[0].read_bytes())
    der = root.public_bytes(Encoding.DER)
    for number in range(len(signatures) + unread):
        layer = Content(media_type="application/cose", content=f"{number} ".encode() + der)
        push_artifact(
            registry, ref.repository, artifact_type=SIGNATURE, layers=[layer], subject=ref
        )
    return replace(signer, runner=Notation(*signatures, unread=unread), registry=registry)


def test_notations_proof_has_all_that_the_signature_covers(tmp_path, now, ref):
    told = {"dev.aksci.repository": "shop/catalog", "dev.aksci.verdict": "v"}
    forged = {**told, "dev.aksci.run": "forged"}
    signer = by_notation(tmp_path, now, ref, (False, forged), (True, told))
    (proof,) = signer.verify(ref, {"dev.aksci.repository": "shop/catalog"})
    assert proof.claims == told


@pytest.mark.parametrize(
    "odd", [{"a=b": "c"}, {"a": "\0"}, {"": "x"}, {"a": ""}, {"a": "x" * 99999}]
)
def test_notation_is_not_asked_for_what_it_would_read_in_another_way(tmp_path, now, ref, odd):
    signer = by_notation(tmp_path, now, ref, (True, {"k": "1", **odd}))
    assert signer.verify(ref, {"k": "1"})[0].claims == {"k": "1"}


def test_a_strangers_rubbish_neither_spoils_a_signature_nor_keeps_us_from_signing(
    tmp_path, now, ref
):
    signer = by_notation(tmp_path, now, ref, (True, {"k": "1"}), unread=True)
    assert signer.verify(ref, {"k": "1"})[0].claims == {"k": "1"}
    with pytest.raises(UntrustedError, match="an unreadable signature"):
        by_notation(tmp_path, now, ref, unread=True).verify(ref, {"k": "1"})
    with pytest.raises(NotSignedError):
        by_notation(tmp_path, now, ref).verify(ref, {"k": "1"})
    with pytest.raises(BindingError):
        signer.verify(ref, {"k": "2"})


@pytest.mark.parametrize("count", [150, 1100])
def test_a_digest_may_have_more_signatures_than_notation_looks_at_by_itself(
    tmp_path, now, ref, count
):
    """Each verdict on the same bytes, one a day, adds one."""
    signed = [(True, {"k": str(number)}) for number in range(count)]
    signer = by_notation(tmp_path, now, ref, *signed)
    assert signer.verify(ref, {"k": "149"})[0].claims == {"k": "149"}
    with pytest.raises(UntrustedError, match="an unreadable signature"):
        by_notation(tmp_path, now, ref, *[(False, {})] * count, unread=True).verify(ref, {})


def test_where_the_signatures_can_not_be_read_nobody_is_told_that_there_is_none(tmp_path, now, ref):
    for failing in ("manifest", "blob", "referrers"):
        signer = by_notation(tmp_path, now, ref, (True, {}))
        signer.registry.fail(failing, RegistryError("503", hint="later"))
        with pytest.raises(TrustError, match="could not be read") as caught:
            signer.verify(ref, {})
        assert type(caught.value) is TrustError
    signer.registry.recover()
    signer.registry.delete(ref.repository, ref.digest)
    with pytest.raises(TrustError, match="it is not there"):
        signer.verify(ref, {})
