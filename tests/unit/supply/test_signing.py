from __future__ import annotations

import datetime as dt
import stat
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from aksci.config.models import ScanConfig, SignConfig
from aksci.errors import ConfigError, TrustError
from aksci.process import Runner
from aksci.supply import evaluate, notation_signer, sign_image
from aksci.supply.certificate import ensure_test_key
from aksci.supply.notation import trust_policy


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


@pytest.mark.parametrize(
    ("config", "local", "words"),
    [
        (SignConfig(), False, "sign.key is not set"),
        (SignConfig(key="prod"), False, "sign.trust_store is not set"),
        (SignConfig(key="prod", trust_store="trust"), False, "holds no certificate"),
    ],
)
def test_the_test_key_never_stands_in_for_a_real_one(tmp_path, now, config, local, words):
    with pytest.raises(ConfigError, match=words):
        notation_signer(
            config,
            notation=tmp_path / "notation",
            runner=Runner(environment={}, log=lambda _: None),
            root=tmp_path,
            state=tmp_path,
            user_config=tmp_path,
            local=local,
            plain_http=False,
            now=now,
        )
