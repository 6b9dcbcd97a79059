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
from aksci.oci.manifest import OCI_EMPTY, OCI_MANIFEST
from aksci.oci.references import ImageRef
from aksci.oci.referrers import list_referrers, record_referrers
from aksci.supply.sign.notation.stored_signatures import SIGNATURE
from aksci.supply.sign.signer import UntrustedError, ensure_signed

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
        found = mine._find(there, {})
        # What is told from rubbish is shown to notation here, too.
        ours, sorted_out = found.proof is not None, bool(found.foreign)
        try:
            mine.ask_notation(there, {}, found)
        except TrustError:
            return label, case.good, ours, False, sorted_out
        return label, case.good, ours, True, sorted_out

    with ThreadPoolExecutor(3) as pool:
        cases = [(number, *item) for number, item in enumerate(corpus.items())]
        judged = list(pool.map(lambda case: judge(*case), cases))
    assert [row for row in judged if row[2] and not row[3]] == []
    assert [row for row in judged if row[1] and not (row[2] and row[3])] == []
    assert [row for row in judged if row[2] and not row[1]] == []
    # What notation takes is never sorted out before it is asked; and rubbish is.
    assert [row for row in judged if row[3] and row[4]] == []
    assert sum(row[4] for row in judged) > 20
    # What is valid but not surely so for us must get to notation.
    assert "an intermediate pinned" in {row[0] for row in judged if row[3] and not row[2]}


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
    found = signer._find(image, CLAIMS)
    (proof,) = signer.ask_notation(image, CLAIMS, found)
    assert proof.claims == CLAIMS | {"more": "x"}
    assert "CN=aksci-local-test" in proof.identity


def test_rubbish_beside_it_neither_hides_a_signature_nor_keeps_us_from_signing(
    image, signer, registry
):
    store(registry, image, SimpleNamespace(data=b"rubbish"))
    with pytest.raises(UntrustedError, match="an unreadable signature"):
        signer.verify(image, CLAIMS)
    assert ensure_signed(image, CLAIMS, required=CLAIMS, signer=signer)
    found = signer._find(image, CLAIMS)
    assert signer.ask_notation(image, CLAIMS, found)[0].claims == CLAIMS


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
    assert signer._find(image, CLAIMS).proof is None
    assert signer.verify(image, CLAIMS)[0].claims == CLAIMS


def flood(registry, image, count, media_type, data=b"rubbish"):
    """Store so many worthless signatures beside an image, all of them the newest."""
    config = registry.put_blob(image.repository, b"{}")
    subject = registry.manifest(image.repository, image.digest)
    for number in range(count):
        content = data + str(number).encode()
        layer = {"mediaType": media_type, "digest": registry.put_blob(image.repository, content)}
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": SIGNATURE,
            "config": {"mediaType": OCI_EMPTY, "digest": config, "size": 2},
            "layers": [layer | {"size": len(content)}],
            "subject": {
                "mediaType": subject.media_type,
                "digest": subject.digest,
                "size": len(subject.content),
            },
            "annotations": {"org.opencontainers.image.created": "2099-01-01T00:00:00Z"},
        }
        yield json.dumps(manifest).encode()


def store_all(registry, image, manifests):
    """Enter them in one go: the fallback tag would be written anew for each."""
    entries = []
    for content in manifests:
        digest = registry.put_manifest(image.repository, content, OCI_MANIFEST)
        notes = json.loads(content)["annotations"]
        entries.append(
            {
                "mediaType": OCI_MANIFEST,
                "artifactType": SIGNATURE,
                "digest": digest,
                "size": len(content),
                "annotations": notes,
            }
        )
    record_referrers(registry, image.repository, image.digest, entries)


def test_1060_worthless_signatures_change_nothing(
    image, registry, signer, make_signer, idle, runner, tmp_path
):
    """They made a good image untrusted: notation looks at so many, in the order of the list."""
    cose, jose = "application/cose", "application/jose+json"
    store_all(registry, image, flood(registry, image, 530, cose))
    store_all(registry, image, flood(registry, image, 530, jose))
    with pytest.raises(UntrustedError, match="an unreadable signature"):
        signer.verify(image, CLAIMS)
    assert ensure_signed(image, CLAIMS, required=CLAIMS, signer=signer)
    silent, started = idle
    assert replace(signer, runner=silent).verify(image, CLAIMS)[0].claims == CLAIMS
    assert [line for line in started if "notation" in line] == []
    # Nor where notation has to tell: it is shown what may be ours, and of the rest a few.
    expired = replace(signer, now=signer.now.replace(year=signer.now.year + 9))
    found = expired._find(image, CLAIMS)
    assert (found.proof, len(found.possible), len(found.foreign)) == (None, 1, 20)
    assert signer.ask_notation(image, CLAIMS, found)[0].claims == CLAIMS
