"""What a promotion brings along: what the release binds or we have signed, and nothing else."""

from __future__ import annotations

import base64
import contextlib
import json
from collections import Counter

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from aksci import steps
from aksci.images.lineage import ARTIFACT_TYPE as LINEAGE
from aksci.images.validate.result import ARTIFACT_TYPE as VALIDATION
from aksci.oci.artifact import attach, canonical_json, find_artifacts
from aksci.oci.manifest import OCI_INDEX, OCI_MANIFEST, parse_descriptor
from aksci.oci.references import ImageRef
from aksci.oci.referrers import list_referrers, record_referrer
from aksci.parts import Parts
from aksci.supply.scan.sbom import SBOM_TYPES
from aksci.supply.scan.scan_evidence import REPORT_TYPE
from aksci.supply.scan.stored_verdict import VERDICT_TYPE
from aksci.supply.sign.cosign.stored_bundles import claims_of, read_key
from aksci.supply.sign.notation.certificate_chain import read_anchors
from aksci.supply.sign.notation.stored_signatures import SIGNATURE, SignatureSearch
from aksci.supply.sign.notation.verify_in_process import TrustedRoots
from aksci.supply.sign.own_signer import OwnSigner
from aksci.supply.sign.signer import AllSigners, NotSignedError, signatures_of
from aksci.testing import MemoryWorld, open_environment
from aksci.testing.memory_registry import MemoryRegistry
from aksci.testing.memory_signer import SIGNATURE_TYPE
from aksci.testing.sample_images import push_sample

NOTE = "application/vnd.acme.note"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
FUTURE = {"org.opencontainers.image.created": "2099-01-01T00:00:00Z"}
FILES = {
    "aksci.toml": """\
schema = 1
[project]
name = "shop"
[images.web]
dockerfile = "Dockerfile"
[services.web]
chart = "chart"
images = {image = "web"}
[environments.production]
registry = "production.example"
namespace = "shop"
promote_from = "local"
""",
    "Dockerfile": 'FROM debian:bookworm-slim\nCOPY x /\nCMD ["/x"]\n',
    "x": "1",
    "chart/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n",
}


@pytest.fixture
def make(tmp_path):
    """Open a project's environment; the text is more of ``[environments.production]``."""
    with contextlib.ExitStack() as opened:

        def make(more=""):
            for name, text in FILES.items():
                path = tmp_path / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text + (more if name == "aksci.toml" else ""))
            return opened.enter_context(open_environment(tmp_path))

        yield make


@pytest.fixture
def env(make):
    return make()


def release(env):
    build = steps.build(env)
    steps.validate(env, build)
    verdicts = steps.scan(env, build)
    steps.sign(env, build, verdicts)
    made = steps.publish(env, build, verdicts)
    steps.deploy(env, made)
    return made


def kinds(registry, ref):
    at = ImageRef(registry.host, ref.repository, ref.digest)
    return Counter(entry["artifactType"] for entry in list_referrers(registry, at))


OURS = {VERDICT_TYPE, REPORT_TYPE, LINEAGE, VALIDATION, SIGNATURE_TYPE}


def test_all_that_belongs_to_an_image_comes_along(env):
    made = release(env)
    image = made.images["web"].ref
    production = env.at("production")
    steps.promote(env, production, made)
    before, after = kinds(env.registry, image), kinds(production.registry, image)
    assert before == after
    assert {*after} >= OURS
    assert {*after} & {*SBOM_TYPES.values()}


def test_what_only_claims_to_belong_to_an_image_stays_and_it_is_said(env):
    """Whoever may push to the one registry could otherwise put things of theirs into the next."""
    made = release(env)
    image, registry = made.images["web"].ref, env.registry
    good = kinds(registry, image)
    planted = {
        attach(registry, ref, kind, f"planted {number}".encode(), annotations=FUTURE).digest
        for ref in (image, made.ref, *made.charts)
        for kind in (NOTE, *sorted(OURS), *SBOM_TYPES.values(), SIGNATURE, BUNDLE)
        for number in range(3)
    }
    signature = find_artifacts(registry, image, SIGNATURE_TYPE)[-1]
    below = attach(registry, image.beside(signature.digest), NOTE, b"of a signature")
    tag = image.digest.replace(":", "-")
    for suffix in ("sig", "att", "sbom"):
        registry.move_tag(image.repository, f"{tag}.{suffix}", image.digest)
    production = env.at("production")
    plan = steps.plan_promote(env, production, made)
    assert sum(plan.transfer.left.values()) == len(planted) + 1
    assert f"{len(planted) + 1} others refer to them and stay" in plan.transfer.text()
    assert plan.as_json()["transfer"]["left"] == len(planted) + 1
    steps.promote(env, production, made)
    assert kinds(production.registry, image) == good
    there = production.registry.store.manifests
    copied = {digest for found in there.values() for digest in found}
    assert not copied & {*planted, below.digest}
    assert [t for t in production.registry.tags(image.repository) if t.startswith("sha256")] == []
    steps.promote(env, production, made)  # again: nothing is missing, and nothing comes


def test_a_record_that_gives_another_key_is_not_taken_for_the_builds(env):
    made = release(env)
    image, registry = made.images["web"].ref, env.registry
    (honest,) = find_artifacts(registry, image, LINEAGE)
    manifest = json.loads(registry.manifest(image.repository, honest.digest).content)
    document = json.loads(registry.blob(image.repository, manifest["layers"][0]["digest"]))
    (base,) = document["parents"]
    document["parents"][base] = "sha256:" + "e" * 64
    forged = attach(registry, image, LINEAGE, canonical_json(document), annotations=FUTURE)
    steps.promote(env, env.at("production"), made)
    found = env.at("production").registry.store.manifests[image.repository]
    assert honest.digest in found
    assert forged.digest not in found


class Silent:
    """A signer that does not say what it stores."""

    name = "silent"

    def __init__(self, signer):
        self.sign, self.verify = signer.sign, signer.verify


def test_signatures_of_a_signer_that_does_not_say_what_it_stores_are_told_to_stay(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    world = MemoryWorld()
    parts = Parts(signer=Silent(world.signer))
    with open_environment(tmp_path, world=world, parts=parts) as env:
        made = release(env)
        with pytest.raises(NotSignedError, match="its signatures did not come along") as caught:
            steps.promote(env, env.at("production"), made)
    assert "artifact_types or stored_signatures" in caught.value.hint


@pytest.mark.parametrize("kind", [LINEAGE, VALIDATION, SIGNATURE_TYPE, NOTE])
def test_nothing_that_a_runtime_would_take_for_an_image_refers_to_one(make, kind):
    """A good record, or a good signature, in the manifest of an image of somebody's own."""
    env = make(f'artifacts = ["{NOTE}"]\n')
    made = release(env)
    image, registry = made.images["web"].ref, env.registry
    if kind == NOTE:
        attach(registry, image, NOTE, b"x")
    honest = find_artifacts(registry, image, kind)[0]
    evil = json.loads(registry.manifest(image.repository, push_evil(registry)).content)
    manifest = json.loads(registry.manifest(image.repository, honest.digest).content)
    manifest |= {
        "config": evil["config"],
        "layers": [*manifest["layers"], *evil["layers"]],
        "annotations": {**manifest.get("annotations", {}), **FUTURE},
    }
    planted = registry.put_manifest(image.repository, canonical_json(manifest), OCI_MANIFEST)
    assert planted in {one.digest for one in find_artifacts(registry, image, kind)}
    production = env.at("production")
    steps.promote(env, production, made)
    copied = production.registry.store.manifests[image.repository]
    assert planted not in copied
    assert honest.digest in copied


def test_no_index_of_images_refers_to_one(make):
    env = make(f'artifacts = ["{NOTE}"]\n')
    made = release(env)
    image, registry = made.images["web"].ref, env.registry
    manifest = registry.manifest(image.repository, image.digest)
    evil = registry.manifest(image.repository, push_evil(registry))
    index = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "artifactType": NOTE,
        "manifests": [descriptor(evil)],
        "subject": descriptor(manifest),
    }
    planted = registry.put_manifest(image.repository, canonical_json(index), OCI_INDEX)
    record_referrer(registry, image.repository, canonical_json(index))
    assert planted in {one.digest for one in find_artifacts(registry, image, NOTE)}
    production = env.at("production")
    steps.promote(env, production, made)
    assert not {planted, evil.digest} & {*production.registry.store.manifests[image.repository]}


def descriptor(manifest):
    size = len(manifest.content)
    return {"mediaType": manifest.media_type, "digest": manifest.digest, "size": size}


def push_evil(registry):
    return push_sample(registry, "shop/web", files={"evil": b"1"}).digest


@pytest.mark.parametrize("named", [True, False])
def test_many_newer_records_do_not_hide_the_builds(env, named):
    made = release(env)
    image, registry = made.images["web"], env.registry
    (honest,) = find_artifacts(registry, image.ref, LINEAGE)
    notes = FUTURE | ({"dev.aksci.input-key": image.input_key} if named else {})
    for number in range(60):
        attach(registry, image.ref, LINEAGE, str(number).encode(), annotations=notes)
    steps.promote(env, env.at("production"), made)
    assert honest.digest in env.at("production").registry.store.manifests[image.ref.repository]


def test_a_verdict_of_a_later_scan_comes_along_with_the_signature_that_binds_it(env):
    """Who verifies the image there, and not the release, takes its newest signature."""
    made = release(env)
    image = made.images["web"].ref
    (entry,) = find_artifacts(env.registry, image, VERDICT_TYPE)
    verdict = env.registry.manifest(image.repository, entry.digest)
    document = json.loads(verdict.content) | {"annotations": {"n": "2"}}
    document["annotations"] |= verdict.annotations
    content = json.dumps(document).encode()
    second = env.registry.put_manifest(image.repository, content, OCI_MANIFEST)
    claims = env.signer.verify(image, {})[0].claims
    env.world.signer.sign(image, {**claims, "dev.aksci.verdict": second})
    steps.promote(env, env.at("production"), made)
    assert kinds(env.at("production").registry, image)[VERDICT_TYPE] == 2


def test_what_aksci_toml_names_comes_along_too(make):
    env = make(f'artifacts = ["{NOTE}"]\n')
    made = release(env)
    image = made.images["web"].ref
    for number in range(150):
        attach(env.registry, image, NOTE, str(number).encode())
    attach(env.registry, image, "application/vnd.acme.other", b"x")
    steps.promote(env, env.at("production"), made)
    found = kinds(env.at("production").registry, image)
    assert (found[NOTE], found["application/vnd.acme.other"]) == (100, 0)


class Acme:
    name, artifact_types = "acme", (NOTE,)

    def sign(self, _ref, _claims):
        pass

    def verify(self, _ref, _claims):
        return ()


def test_a_signer_of_ones_own_names_the_types_of_what_it_stores():
    registry = MemoryRegistry("r.example")
    ref = push_sample(registry, "shop/web")
    for kind in (NOTE, "application/vnd.acme.other"):
        attach(registry, ref, kind, b"x")
    listed = tuple(map(parse_descriptor, list_referrers(registry, ref)))
    own = {each.digest for each in listed if each.artifact_type == NOTE}
    for signer in (Acme(), OwnSigner(signer=Acme(), name="a"), AllSigners((Acme(), object()))):
        assert signatures_of(signer, ref, listed).keys() == own
    assert signatures_of(object(), ref, listed) == {}


# Which signatures are ours


def test_of_notations_signatures_those_of_a_pinned_key_come_along(notary):
    import datetime as dt

    now = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
    registry = MemoryRegistry("r.example")
    ref = push_sample(registry, "shop/web")
    target = registry.manifest(ref.repository, ref.digest)
    root, other = (notary.make("root", ca=True, now=now) for _ in range(2))
    search = SignatureSearch(
        registry=registry,
        trust=TrustedRoots.read([root.pem], ("*",)),
        anchors=read_anchors([root.pem]),
        now=now,
    )

    def store(data, kind="application/cose"):
        layer = {"mediaType": kind, "digest": registry.put_blob(ref.repository, data)}
        manifest = {
            "schemaVersion": 2,
            "artifactType": SIGNATURE,
            "layers": [layer | {"size": len(data)}],
            "subject": {"digest": ref.digest},
        }
        text = json.dumps(manifest).encode()
        return registry.put_manifest(ref.repository, text, OCI_MANIFEST)

    def signed(root, claims, payload=None):
        chain = [notary.make("leaf", issuer=root, now=now), root]
        return notary.envelope(chain, payload or notary.payload(target, claims), now)

    good = signed(root, {"a": "1"})
    protected, unprotected, *rest = cbor2.loads(good).value
    unusual = cbor2.dumps(cbor2.CBORTag(18, [protected, {**unprotected, "odd": 1}, *rest]))
    ours = {store(good): {"a": "1"}, store(unusual): {}}
    strangers = [signed(other, {}), b"rubbish", good[:-1] + b"\0", root.der]
    for data in strangers:
        store(data)
    listed = find_artifacts(registry, ref, SIGNATURE)
    assert len(listed) == 6
    assert search.ours(ref, listed) == ours


def test_of_cosigns_bundles_those_of_the_pinned_key_on_this_image_come_along(tmp_path):
    ours, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    pem = ours.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (tmp_path / "cosign.pub").write_bytes(pem)
    key = read_key(str(tmp_path / "cosign.pub"))
    ref = ImageRef("r.example", "shop/web", "sha256:" + "a" * 64)
    kind = "application/vnd.in-toto+json"

    def bundle(private, digest="a" * 64):
        subject = {"digest": {"sha256": digest}, "annotations": {"k": "1"}}
        payload = json.dumps({"subject": [subject]}).encode()
        signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind.encode(), len(payload), payload)
        signature = private.sign(signed, ec.ECDSA(hashes.SHA256()))
        return {
            "dsseEnvelope": {
                "payload": base64.b64encode(payload).decode(),
                "payloadType": kind,
                "signatures": [{"sig": base64.b64encode(signature).decode()}],
            }
        }

    assert claims_of(bundle(ours), ref, key=key) == {"k": "1"}
    assert claims_of(bundle(other), ref, key=key) is None
    assert claims_of(bundle(ours, "b" * 64), ref, key=key) is None
    assert claims_of(bundle(other), ref, key=None) == {"k": "1"}, "keyless: cosign alone can tell"
    for damaged in (None, [], {}, {"dsseEnvelope": []}, {"dsseEnvelope": {"payload": "?"}}):
        assert claims_of(damaged, ref, key=key) is None
    for missing in ("nothing.pub", "gcpkms://projects/x"):
        assert read_key(str(tmp_path / missing)) is None
