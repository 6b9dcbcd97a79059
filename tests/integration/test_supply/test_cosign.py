"""Signatures with the real cosign, stored in the real registry."""

from __future__ import annotations

import base64
import json
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from aksci.config.supply_models import CosignConfig
from aksci.core.errors import TrustError
from aksci.core.process import Runner
from aksci.core.secret import Secret
from aksci.oci.artifact import Content, push_artifact
from aksci.oci.references import ImageRef
from aksci.oci.referrers import list_referrers
from aksci.supply.sandbox import Sandbox
from aksci.supply.sign.cosign.stored_bundles import BUNDLE
from aksci.supply.sign.signer import (
    AllSigners,
    BindingError,
    NotSignedError,
    UntrustedError,
    ensure_signed,
)

CLAIMS = {
    "dev.aksci.repository": "supply-test/app",
    "dev.aksci.verdict": "sha256:" + "1" * 64,
    "dev.aksci.input-key": "k",
}


@pytest.fixture
def image(make_image, files):
    return make_image(files.clean)


@pytest.fixture
def bundles(registry):
    return lambda ref: list_referrers(registry, ref, artifact_type=BUNDLE)


def bundle_of(registry, ref, entry):
    """Return a stored bundle, and the annotations of its manifest."""
    manifest = json.loads(registry.manifest(ref.repository, entry["digest"]).content)
    bundle = registry.blob(ref.repository, manifest["layers"][0]["digest"])
    return json.loads(bundle), manifest["annotations"]


def store(registry, ref, bundle, annotations):
    layer = Content(media_type=BUNDLE, content=json.dumps(bundle).encode())
    push_artifact(
        registry,
        ref.repository,
        artifact_type=BUNDLE,
        layers=[layer],
        subject=ref,
        annotations=annotations,
    )


def test_a_digest_is_signed_once_with_its_claims(image, cosigner, bundles):
    assert ensure_signed(image, CLAIMS | {"more": "x"}, required=CLAIMS, signer=cosigner)
    assert not ensure_signed(image, CLAIMS, required=CLAIMS, signer=cosigner)
    assert len(bundles(image)) == 1
    (proof,) = cosigner.verify(image, CLAIMS)
    assert proof.signer == "cosign"
    assert proof.identity == cosigner.key.identity
    assert proof.identity.startswith("the key sha256:")
    assert proof.claims == CLAIMS | {"more": "x"}


def test_a_claim_is_one_claim_whatever_is_in_it(image, cosigner):
    text = 'a,dev.aksci.verdict=sha256:forged,"b"=c'
    cosigner.sign(image, {"dev.aksci.kind": text})
    (proof,) = cosigner.verify(image, {})
    assert proof.claims == {"dev.aksci.kind": text}


def test_an_unsigned_image_is_refused(image, cosigner):
    with pytest.raises(NotSignedError, match="is not signed"):
        cosigner.verify(image, CLAIMS)


def test_a_missing_claim_is_told_from_a_missing_signature(image, cosigner):
    cosigner.sign(image, CLAIMS)
    for claims in (CLAIMS | {"dev.aksci.verdict": "sha256:" + "0" * 64}, {"other": "x"}):
        with pytest.raises(BindingError, match="no valid signature covers"):
            cosigner.verify(image, claims)


def test_claims_of_two_signatures_do_not_add_up(image, cosigner):
    cosigner.sign(image, {"a": "1"})
    cosigner.sign(image, {"b": "2"})
    with pytest.raises(BindingError):
        cosigner.verify(image, {"a": "1", "b": "2"})


def test_a_signature_by_another_key_is_refused(image, make_cosigner):
    make_cosigner("other").sign(image, CLAIMS)
    mine = make_cosigner()
    with pytest.raises(UntrustedError, match="no signature is valid"):
        mine.verify(image, CLAIMS)
    mine.sign(image, CLAIMS)
    mine.verify(image, CLAIMS)
    make_cosigner("other").verify(image, CLAIMS)


def test_what_the_key_does_not_sign_is_no_claim(
    image, make_image, files, cosigner, registry, bundles
):
    """Annotations of the stored manifest can be written by anybody who can push."""
    cosigner.sign(image, {"a": "1"})
    bundle, annotations = bundle_of(registry, image, bundles(image)[0])
    store(registry, image, bundle, annotations | CLAIMS)
    with pytest.raises(BindingError):
        cosigner.verify(image, CLAIMS)


def test_a_changed_statement_is_refused(image, cosigner, registry, bundles, make_image, files):
    cosigner.sign(image, {"a": "1"})
    (entry,) = bundles(image)
    bundle, annotations = bundle_of(registry, image, entry)
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    statement["subject"][0]["annotations"] = CLAIMS
    forged = base64.b64encode(json.dumps(statement).encode()).decode()
    bundle["dsseEnvelope"]["payload"] = forged
    store(registry, image, bundle, annotations)
    with pytest.raises(BindingError):
        cosigner.verify(image, CLAIMS)
    other = make_image(files.clean)
    store(registry, other, bundle, annotations)
    with pytest.raises(UntrustedError):
        cosigner.verify(other, CLAIMS)


def test_a_signature_beside_another_image_is_refused(
    image, make_image, files, cosigner, registry, bundles
):
    cosigner.sign(image, CLAIMS)
    (entry,) = bundles(image)
    other = make_image(files.clean)
    store(registry, other, *bundle_of(registry, image, entry))
    with pytest.raises(UntrustedError):
        cosigner.verify(other, CLAIMS)


def test_a_signature_replayed_in_another_repository_does_not_cover_that_repository(
    image, cosigner, registry, bundles
):
    cosigner.sign(image, CLAIMS)
    manifest = registry.manifest(image.repository, image.digest)
    content = json.loads(manifest.content)
    there = ImageRef(image.registry, "supply-test/other", image.digest)
    for part in (content["config"], *content["layers"]):
        registry.put_blob(there.repository, registry.blob(image.repository, part["digest"]))
    registry.put_manifest(there.repository, manifest.content, manifest.media_type)
    with pytest.raises(NotSignedError):
        cosigner.verify(there, CLAIMS)
    (entry,) = bundles(image)
    store(registry, there, *bundle_of(registry, image, entry))
    with pytest.raises(BindingError, match="another repository"):
        cosigner.verify(there, CLAIMS | {"dev.aksci.repository": there.repository})


def test_an_attestation_by_the_same_key_is_no_signature(image, cosigner, runner, tmp_path):
    predicate = tmp_path / "predicate.json"
    predicate.write_text("{}")
    with Sandbox(runner.environment) as sandbox:
        runner.run(
            [
                cosigner.cosign,
                "attest",
                "--yes",
                *cosigner.key.signing_words(),
                "--allow-http-registry",
                f"--predicate={predicate}",
                "--type=https://example.com/x",
                str(image),
            ],
            env={**sandbox.environment, **cosigner.key.secrets},
            only_env=True,
        )
    with pytest.raises(NotSignedError):
        cosigner.verify(image, {})
    cosigner.sign(image, CLAIMS)
    cosigner.verify(image, CLAIMS)


def test_six_signers_of_one_digest_at_once_lose_no_signature(image, cosigner, bundles):
    wanted = [CLAIMS | {"dev.aksci.input-key": f"key-{number}"} for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda claims: cosigner.sign(image, claims), wanted))
    assert len(bundles(image)) == 6
    for claims in wanted:
        cosigner.verify(image, claims)


def test_notation_and_cosign_at_once_lose_no_signature(image, cosigner, signer, bundles, registry):
    """They share one list on registries without a referrers API."""
    with ThreadPoolExecutor(4) as pool:
        for number in range(3):
            claims = {"number": str(number)}
            pool.submit(signer.sign, image, claims)
            pool.submit(cosigner.sign, image, claims)
    assert len(list_referrers(registry, image)) == 6
    both = AllSigners((signer, cosigner))
    assert both.name == "notation+cosign"
    for number in range(3):
        proofs = both.verify(image, {"number": str(number)})
        assert [proof.signer for proof in proofs] == ["notation", "cosign"]


def test_all_signers_must_verify(image, cosigner, signer):
    signer.sign(image, CLAIMS)
    with pytest.raises(NotSignedError, match="by cosign"):
        AllSigners((signer, cosigner)).verify(image, CLAIMS)


def test_a_wrong_password_signs_nothing_and_is_not_shown(image, cosigner, bundles):
    wrong = replace(cosigner.key, secrets={"COSIGN_PASSWORD": Secret("open sesame")})
    with pytest.raises(TrustError, match="could not be signed") as caught:
        replace(cosigner, key=wrong).sign(image, CLAIMS)
    assert "open sesame" not in str(caught.value)
    assert bundles(image) == []


def test_a_key_that_does_not_belong_to_the_pinned_one_is_noticed_when_signing(image, make_cosigner):
    mine, other = make_cosigner(), make_cosigner("other")
    mixed = replace(mine.key, public=other.key.public, identity=other.key.identity)
    with pytest.raises(UntrustedError):
        replace(mine, key=mixed).sign(image, CLAIMS)


def test_a_configured_key_signs_with_the_password_of_its_variable(image, make_cosigner, tmp_path):
    made = make_cosigner("made").key
    config = CosignConfig(key=made.private, public_key=made.public, password_env="SHOP_PASSWORD")
    password = made.secrets["COSIGN_PASSWORD"].reveal()
    mine = make_cosigner("mine", config, variables={"SHOP_PASSWORD": password})
    mine.sign(image, CLAIMS)
    with pytest.raises(TrustError, match="could not be signed") as caught:
        make_cosigner("mine", config).sign(image, CLAIMS)
    assert "SHOP_PASSWORD" in caught.value.hint
    assert not (tmp_path / "mine").exists()


def test_a_key_in_a_variable_signs(image, make_cosigner, tmp_path):
    made = make_cosigner("made").key
    config = CosignConfig(key="env://SHOP_KEY", public_key=made.public)
    variables = {
        "SHOP_KEY": (tmp_path / "made/signing/cosign/cosign.key").read_text(),
        "COSIGN_PASSWORD": made.secrets["COSIGN_PASSWORD"].reveal(),
    }
    mine = make_cosigner("mine", config, variables=variables)
    mine.sign(image, CLAIMS)
    mine.verify(image, CLAIMS)


def test_the_users_own_environment_decides_nothing(image, make_cosigner, runner, bundles, tmp_path):
    make_cosigner("other").sign(image, CLAIMS)
    hostile = {
        **runner.environment,
        "COSIGN_REPOSITORY": "localhost:5000/supply-test/elsewhere",
        "COSIGN_PASSWORD": "wrong",
        "COSIGN_EXPERIMENTAL": "1",
        "SIGSTORE_ROOT_FILE": str(tmp_path / "root"),
        "TUF_ROOT": str(tmp_path / "tuf"),
        "DOCKER_CONFIG": str(tmp_path / "docker"),
        "HOME": str(tmp_path / "home"),
    }
    mine = make_cosigner(runner=Runner(environment=hostile, log=lambda _: None))
    with pytest.raises(UntrustedError):
        mine.verify(image, CLAIMS)
    mine.sign(image, CLAIMS)
    assert len(bundles(image)) == 2
    assert not (tmp_path / "home").exists()


def test_no_secret_is_in_argv_and_the_test_key_is_the_users_alone(
    image, make_cosigner, runner, tmp_path
):
    lines = []
    noting = Runner(environment=runner.environment, log=lines.append)
    mine = make_cosigner(runner=noting)
    mine.sign(image, CLAIMS)
    password = mine.key.secrets["COSIGN_PASSWORD"].reveal()
    assert lines
    assert password not in "".join(lines)
    folder = tmp_path / "state" / "signing" / "cosign"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_the_test_key_is_made_once_by_many_and_again_where_a_part_is_missing(
    make_cosigner, tmp_path
):
    with ThreadPoolExecutor(6) as pool:
        keys = list(pool.map(lambda _: make_cosigner().key.identity, range(6)))
    assert len(set(keys)) == 1
    (tmp_path / "state" / "signing" / "cosign" / "password").unlink()
    assert make_cosigner().key.identity not in keys


def test_what_is_not_there_can_neither_be_signed_nor_verified(image, cosigner):
    gone = ImageRef(image.registry, image.repository, "sha256:" + "0" * 64)
    with pytest.raises(TrustError, match="could not be read"):
        cosigner.verify(gone, CLAIMS)
    with pytest.raises(TrustError):
        cosigner.sign(gone, CLAIMS)
