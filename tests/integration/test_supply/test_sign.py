"""Signatures with the real notation, stored in the real registry."""

from __future__ import annotations

import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from aksci.core.errors import TrustError
from aksci.core.process import Runner
from aksci.oci.references import ImageRef
from aksci.oci.referrers import list_referrers
from aksci.supply.scan.scan_images import scan_image
from aksci.supply.sign.notation.notation_keys import NotationKey
from aksci.supply.sign.signer import (
    BindingError,
    NotSignedError,
    UntrustedError,
    sign_image,
    verify_image,
)

SIGNATURE = "application/vnd.cncf.notary.signature"
CLAIMS = {
    "dev.aksci.repository": "supply-test/app",
    "dev.aksci.verdict": "sha256:" + "1" * 64,
    "dev.aksci.input-key": "k",
}


@pytest.fixture
def image(make_image, files):
    return make_image(files.clean)


@pytest.fixture
def signatures(registry):
    return lambda ref: len(list_referrers(registry, ref, artifact_type=SIGNATURE))


def test_an_image_is_signed_once_with_its_verdict_and_input_key_bound_in(
    image, scanner, registry, notes, session_now, signer, signatures
):
    from aksci.config.supply_models import ScanConfig

    verdict = scan_image(
        image,
        scanner=scanner,
        policy=ScanConfig(),
        registry=registry,
        reporter=notes,
        now=session_now,
    )
    assert sign_image(image, verdict, input_key="k", signer=signer) is True
    assert sign_image(image, verdict, input_key="k", signer=signer) is False
    assert signatures(image) == 1
    verify_image(image, verdict=verdict.stored.digest, input_key="k", signer=signer)
    with pytest.raises(BindingError, match="no valid signature covers"):
        verify_image(image, verdict="sha256:" + "0" * 64, input_key="k", signer=signer)
    with pytest.raises(BindingError):
        verify_image(image, verdict=verdict.stored.digest, input_key="other", signer=signer)
    assert sign_image(image, verdict, input_key="other", signer=signer) is True
    verify_image(image, verdict=verdict.stored.digest, input_key="k", signer=signer)


def test_an_unsigned_image_is_refused(image, signer):
    with pytest.raises(NotSignedError, match="is not signed"):
        signer.verify(image, CLAIMS)


def test_a_signature_by_another_key_is_refused_and_its_signer_named(image, make_signer):
    make_signer("other").sign(image, CLAIMS)
    with pytest.raises(UntrustedError, match="CN=aksci-local-test"):
        make_signer().verify(image, CLAIMS)


def test_our_signature_counts_beside_one_by_another_key(image, make_signer):
    make_signer("other").sign(image, CLAIMS)
    make_signer().sign(image, CLAIMS)
    make_signer().verify(image, CLAIMS)
    make_signer("other").verify(image, CLAIMS)


def test_a_trusted_identity_must_match(image, signer):
    signer.sign(image, CLAIMS)
    ours = "x509.subject: C=ZZ, ST=local, O=aksci local test"
    replace(signer, identities=(ours,)).verify(image, CLAIMS)
    with pytest.raises(UntrustedError):
        replace(signer, identities=(ours.replace("local test", "other"),)).verify(image, CLAIMS)


def test_an_expired_certificate_is_not_trusted(image, make_signer, session_now):
    before = session_now - dt.timedelta(days=731)
    signer = make_signer(now=before)
    with pytest.raises(TrustError):
        replace(signer, clock=lambda: session_now).sign(image, CLAIMS)
    signer.sign(image, CLAIMS)  # it was good then
    with pytest.raises(UntrustedError):
        replace(signer, now=session_now).verify(image, CLAIMS)


@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "rsa2048", "rsa3072", "rsa4096"])
def test_what_a_key_file_signs_without_a_program_notation_verifies(
    kind, image, signer, notary, tmp_path, runner
):
    root = notary.make("root", ca=True)
    middle = notary.make("middle", issuer=root, ca=True)
    leaf = notary.make("leaf", issuer=middle, kind=kind)
    ours = with_key(signer, tmp_path, leaf, [leaf, middle, root])
    started = []
    ours = replace(ours, runner=Runner(environment=runner.environment, log=started.append))
    ours.sign(image, CLAIMS)
    assert not [line for line in started if line.startswith("+")]
    # The real one, by its own rules, of all that was signed.
    (proof,) = ours.ask_notation(image, CLAIMS, ours._find(image, {}))
    assert proof.claims == CLAIMS
    with pytest.raises(BindingError):
        ours.ask_notation(image, CLAIMS | {"x": "y"}, ours._find(image, {}))


def test_a_certificate_that_is_not_surely_good_is_for_notation_to_sign_with(
    image, signer, notary, tmp_path, runner
):
    leaf = notary.make("leaf", ends=-notary.DAY)
    started = []
    ours = replace(
        with_key(signer, tmp_path, leaf, [leaf]),
        runner=Runner(environment=runner.environment, log=started.append),
    )
    with pytest.raises(TrustError, match="could not be signed with the key 'prod'"):
        ours.sign(image, CLAIMS)
    assert any("notation sign" in line for line in started)
    assert not list_referrers(signer.registry, image, artifact_type=SIGNATURE)


def with_key(signer, folder, leaf, chain):
    """Return a signer with a key that notation's own configuration names."""
    pem = leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "prod.key").write_bytes(pem)
    (folder / "prod.pem").write_bytes(b"".join(each.pem for each in chain))
    (folder / "root.pem").write_bytes(chain[-1].pem)
    paths = {"keyPath": str(folder / "prod.key"), "certPath": str(folder / "prod.pem")}
    home = folder / "config"
    (home / "notation").mkdir(parents=True)
    document = {"default": "prod", "keys": [{"name": "prod", **paths}]}
    (home / "notation" / "signingkeys.json").write_text(json.dumps(document))
    return replace(
        signer, config_home=home, key=NotationKey(name="prod"), roots=(folder / "root.pem",)
    )


def test_a_signature_in_one_repository_is_none_in_another(make_image, files, registry, signer):
    image = make_image(files.clean)
    signer.sign(image, CLAIMS)
    other = make_image(files.clean, name="other")
    manifest = registry.manifest(image.repository, image.digest)
    content = json.loads(manifest.content)
    for part in (content["config"], *content["layers"]):
        registry.put_blob(other.repository, registry.blob(image.repository, part["digest"]))
    registry.put_manifest(other.repository, manifest.content, manifest.media_type)
    with pytest.raises(NotSignedError):
        signer.verify(ImageRef(image.registry, other.repository, image.digest), CLAIMS)


def test_the_users_own_trust_configuration_decides_nothing(image, make_signer, tmp_path, runner):
    make_signer("other").sign(image, CLAIMS)
    home = tmp_path / "home" / "notation"
    home.mkdir(parents=True)
    skip = {
        "name": "skip",
        "registryScopes": ["*"],
        "signatureVerification": {"level": "skip"},
    }
    (home / "trustpolicy.json").write_text(json.dumps({"version": "1.0", "trustPolicies": [skip]}))
    hostile = {**runner.environment, "XDG_CONFIG_HOME": str(home.parent), "HOME": str(home.parent)}
    mine = replace(make_signer(), runner=Runner(environment=hostile, log=lambda _: None))
    with pytest.raises(UntrustedError):
        mine.verify(image, CLAIMS)


def test_six_signers_of_one_digest_at_once_lose_no_signature(image, signer, signatures):
    wanted = [CLAIMS | {"dev.aksci.input-key": f"key-{number}"} for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda claims: signer.sign(image, claims), wanted))
    assert signatures(image) == 6
    for claims in wanted:
        signer.verify(image, claims)


def test_what_is_not_there_can_neither_be_signed_nor_verified(image, signer):
    gone = ImageRef(image.registry, image.repository, "sha256:" + "0" * 64)
    with pytest.raises(TrustError, match="could not be signed"):
        signer.sign(gone, CLAIMS)
    with pytest.raises(TrustError, match="could not be read"):
        signer.verify(gone, CLAIMS)
