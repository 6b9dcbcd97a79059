"""What Python takes for a valid signature, the real notation takes for one too."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import pytest

from aksci.core.errors import TrustError
from aksci.core.process import Runner
from aksci.oci.artifact import Content, push_artifact
from aksci.oci.references import ImageRef
from aksci.oci.referrers import list_referrers
from aksci.supply.sign.notation.verify_in_process import SIGNATURE
from aksci.supply.sign.signer import UntrustedError, ensure_signed
from aksci.testing.memory_registry import MemoryRegistry

CLAIMS = {"dev.aksci.kind": "corpus"}


@pytest.fixture
def image(make_image, files):
    return make_image(files.clean)


@pytest.fixture
def idle(tmp_path):
    """A runner that tells what it has started."""
    started = []
    environment = {"PATH": str(tmp_path / "nothing")}
    return Runner(environment=environment, log=started.append), started


def store(registry, image, case, media_type="application/cose"):
    layer = Content(media_type=media_type, content=case.data)
    push_artifact(
        registry, image.repository, artifact_type=SIGNATURE, layers=[layer], subject=image
    )


def copy(registry, image, repository):
    manifest = registry.manifest(image.repository, image.digest)
    content = json.loads(manifest.content)
    for part in (content["config"], *content["layers"]):
        registry.put_blob(repository, registry.blob(image.repository, part["digest"]))
    registry.put_manifest(repository, manifest.content, manifest.media_type)
    return ImageRef(image.registry, repository, image.digest)


def test_whatever_is_proved_here_notation_verifies_and_what_is_good_both_do(
    image, registry, notary, make_signer, tmp_path, session_now
):
    """Each case is in a repository of its own, so that notation judges that one signature."""
    signer = make_signer()
    corpus = notary.corpus(registry.manifest(image.repository, image.digest), session_now)

    def judge(number, label, case):
        there = copy(registry, image, f"supply-test/corpus-{number}")
        store(registry, there, case)
        roots = [tmp_path / f"{number}-{count}.pem" for count, _ in enumerate(case.roots)]
        for path, pem in zip(roots, case.roots, strict=True):
            path.write_bytes(pem)
        mine = replace(signer, roots=tuple(roots), identities=case.identities)
        ours = mine._find_proof(there, {}) is not None
        try:
            replace(mine, registry=blind(registry, there)).verify(there, {})
        except TrustError:
            return label, case.good, ours, False
        return label, case.good, ours, True

    with ThreadPoolExecutor(3) as pool:
        cases = [(number, *item) for number, item in enumerate(corpus.items())]
        judged = list(pool.map(lambda case: judge(*case), cases))
    assert [row for row in judged if row[2] and not row[3]] == []
    assert [row for row in judged if row[1] and not (row[2] and row[3])] == []
    assert [row for row in judged if row[2] and not row[1]] == []
    # What is valid but not surely so for us must get to notation.
    assert "an intermediate pinned" in {row[0] for row in judged if row[3] and not row[2]}


def blind(registry, image):
    """Return a registry in which Python finds no signature: notation has a client of its own."""
    found = registry.manifest(image.repository, image.digest)
    memory = MemoryRegistry(registry.host)
    memory.put_manifest(image.repository, found.content, found.media_type)
    return memory


def test_notations_own_signature_is_verified_without_any_program(image, signer, idle):
    signer.sign(image, CLAIMS)
    runner, started = idle
    (proof,) = replace(signer, runner=runner).verify(image, CLAIMS)
    assert started == []
    assert proof.signer == "notation"
    assert proof.identity == "CN=aksci-local-test,O=aksci local test,ST=local,C=ZZ"
    assert proof.claims == CLAIMS
    assert abs(proof.signed_at - signer.now).total_seconds() < 3600


def test_what_is_not_sure_is_notations_to_say_and_its_proof_has_all_that_was_signed(
    image, signer, make_signer, registry
):
    signer.sign(image, CLAIMS | {"more": "x"})
    make_signer("other").sign(image, CLAIMS | {"more": "x", "yet": "another"})
    (proof,) = replace(signer, registry=blind(registry, image)).verify(image, CLAIMS)
    assert proof.claims == CLAIMS | {"more": "x"}
    assert "CN=aksci-local-test" in proof.identity


def test_rubbish_beside_it_neither_hides_a_signature_nor_keeps_us_from_signing(
    image, signer, registry
):
    store(registry, image, SimpleNamespace(data=b"rubbish"))
    with pytest.raises(UntrustedError, match="can't be read"):
        signer.verify(image, CLAIMS)
    assert ensure_signed(image, CLAIMS, required=CLAIMS, signer=signer)
    assert (
        replace(signer, registry=blind(registry, image)).verify(image, CLAIMS)[0].claims == CLAIMS
    )


def test_a_jws_signature_is_notations_to_verify(image, signer, registry, runner, tmp_path):
    from aksci.supply.sandbox import Sandbox

    with Sandbox(runner.environment) as sandbox:
        environment = {**sandbox.environment, "XDG_CONFIG_HOME": str(signer.config_home)}
        runner.run(
            [
                signer.notation,
                "sign",
                "--insecure-registry",
                f"--key={signer.key.name}",
                "--signature-format=jws",
                "--force-referrers-tag=false",
                "--user-metadata=dev.aksci.kind=corpus",
                str(image),
            ],
            env=environment,
            only_env=True,
        )
    assert len(list_referrers(registry, image, artifact_type=SIGNATURE)) == 1
    assert signer._find_proof(image, CLAIMS) is None
    assert signer.verify(image, CLAIMS)[0].claims == CLAIMS
