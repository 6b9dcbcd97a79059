from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from aksci.config.supply_models import CosignConfig
from aksci.core.errors import ConfigError
from aksci.core.process import Runner
from aksci.core.secret import Secret
from aksci.supply.sign.cosign.cosign_keys import CosignKey, cosign_key
from aksci.supply.sign.cosign.cosign_signer import CosignSigner, cosign_signer
from aksci.supply.sign.cosign.stored_bundles import BUNDLE
from aksci.supply.sign.signer import NotSignedError, UntrustedError
from aksci.testing.memory_registry import MemoryRegistry
from aksci.testing.sample_images import MANIFEST


@pytest.fixture
def public(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "cosign.pub").write_bytes(pem)
    return "cosign.pub"


def test_the_test_key_never_stands_in_for_a_real_one(tmp_path, now):
    with pytest.raises(ConfigError, match=r"sign\.cosign\.key is not set"):
        cosign_signer(
            CosignConfig(),
            cosign=tmp_path / "cosign",
            runner=Runner(environment={}, log=lambda _: None),
            registry=None,
            root=tmp_path,
            state=tmp_path,
            variables={},
            local=False,
            plain_http=False,
            now=now,
        )
    assert list(tmp_path.iterdir()) == []


def test_the_password_is_taken_from_the_variable_that_is_named_for_it(tmp_path, public):
    config = CosignConfig(key="cosign.key", public_key=public, password_env="SHOP_KEY")
    variables = {"SHOP_KEY": "right", "COSIGN_PASSWORD": "wrong"}
    key = cosign_key(config, root=tmp_path, variables=variables)
    assert key.secrets == {"COSIGN_PASSWORD": Secret("right")}
    assert "right" not in repr(key)


def test_a_key_in_a_variable_is_passed_on_as_a_secret(tmp_path, public):
    config = CosignConfig(key="env://SIGNING_KEY", public_key=public)
    key = cosign_key(config, root=tmp_path, variables={"SIGNING_KEY": "pem"})
    assert key.secrets["SIGNING_KEY"] == Secret("pem")
    with pytest.raises(ConfigError, match="SIGNING_KEY is not set"):
        cosign_key(config, root=tmp_path, variables={})


def test_only_a_key_service_is_logged_in_to(tmp_path, public):
    variables = {"AZURE_CLIENT_ID": "x", "HOME": "/h"}
    config = CosignConfig(key="cosign.key", public_key=public)
    assert cosign_key(config, root=tmp_path, variables=variables).credentials == {}
    config = CosignConfig(key="azurekms://v/k", public_key="azurekms://v/k")
    key = cosign_key(config, root=tmp_path, variables=variables)
    assert key.credentials == {"AZURE_CLIENT_ID": "x", "AZURE_CONFIG_DIR": "/h/.azure"}


def test_keyless_signatures_are_always_in_the_log_and_tokens_are_secrets():
    config = CosignConfig(identity="me", issuer="https://token.example")
    variables = {"SIGSTORE_ID_TOKEN": "t", "ACTIONS_ID_TOKEN_REQUEST_URL": "", "OTHER": "x"}
    key = cosign_key(config, root=Path("/p"), variables=variables)
    assert key.transparency_log
    assert key.secrets == {"SIGSTORE_ID_TOKEN": Secret("t")}


def test_a_pin_in_a_keys_address_is_refused_and_not_shown(public, tmp_path):
    config = CosignConfig(key="pkcs11:token=t?pin-value=1234", public_key=public)
    with pytest.raises(ConfigError, match="PIN") as caught:
        cosign_key(config, root=tmp_path, variables={})
    assert "1234" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no key"])
def test_a_public_key_that_is_none_is_said_at_once(tmp_path, content):
    (tmp_path / "cosign.pub").write_bytes(content)
    config = CosignConfig(key="cosign.key", public_key="cosign.pub")
    with pytest.raises(ConfigError, match=r"cosign\.pub can't be read"):
        cosign_key(config, root=tmp_path, variables={})


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        ({"annotations": "x"}, NotSignedError),
        ({"annotations": ["x"]}, NotSignedError),
        ({}, NotSignedError),
        ({"digest": "sha256:" + "1" * 64, "annotations": ["x"]}, NotSignedError),
        ({"digest": "sha256:" + "1" * 64}, UntrustedError),
        ({"digest": "sha256:" + "2" * 64}, NotSignedError),
    ],
)
def test_what_a_stranger_lists_as_a_signature_is_refused_and_breaks_nothing(ref, entry, error):
    registry = MemoryRegistry()
    for digest, content in ((ref.digest, b"{}"), ("sha256:" + "1" * 64, b"[]")):
        registry.plant(ref.repository, content, digest=digest, media_type=MANIFEST)
    registry.list_referrer(ref.repository, ref.digest, {"artifactType": BUNDLE, **entry})
    failed = SimpleNamespace(status=1, stdout="", stderr="")
    signer = CosignSigner(
        cosign=Path("cosign"),
        runner=SimpleNamespace(environment={}, run=lambda *_, **__: failed, redact=str),
        registry=registry,
        key=CosignKey(public="cosign.pub", identity="the key"),
    )
    with pytest.raises(error):
        signer.verify(ref, {})


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_valid_signatures_the_one_that_tells_the_most_is_the_proof(ref, order):
    told = [{"a": "1"}, {"a": "1", "b": "2"}, {"c": "3", "d": "4", "e": "5"}]
    image = {"docker-manifest-digest": ref.digest}
    critical = {"type": "https://sigstore.dev/cosign/sign/v1", "image": image}
    printed = json.dumps([{"critical": critical, "optional": each} for each in told[::order]])
    answer = SimpleNamespace(status=0, stdout=printed, stderr="")
    signer = CosignSigner(
        cosign=Path("cosign"),
        runner=SimpleNamespace(environment={}, run=lambda *_, **__: answer),
        registry=MemoryRegistry(),
        key=CosignKey(public="cosign.pub", identity="the key"),
    )
    (proof,) = signer.verify(ref, {"a": "1"})
    assert proof.claims == {"a": "1", "b": "2"}
