"""What Docker Content Trust has signed is signed by others, once, and nothing else is."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from aksci.core.errors import ConfigError
from aksci.oci.references import ImageRef
from aksci.supply.sign.dct.metadata import FileMeta, MetadataError, Role, Signed, Targets
from aksci.supply.sign.dct.migrate import MIGRATED_FROM, TAGS, migrate_repository
from aksci.supply.sign.dct.seen_metadata import Memory
from aksci.supply.sign.dct.trust_chain import Branch, VerifiedMetadata
from aksci.supply.sign.signer import REPOSITORY, NotSignedError, Proof
from aksci.testing.memory_registry import MemoryRegistry
from aksci.testing.sample_images import MANIFEST

REPO = "shop/catalog"
ONE, TWO = "1" * 64, "2" * 64


def branch(name, files, paths=("",)):
    signed = Signed(name=name, content={}, message=b"", signatures=(), version=1, expires=None)
    files = {
        target: FileMeta(length=1, hashes={"sha256": bytes.fromhex(digest)}, custom=custom)
        for target, (digest, custom) in files.items()
    }
    targets = Targets(signed=signed, files=files, delegations={})
    return Branch(name=name, role=Role(keys={}, threshold=1), paths=paths, targets=targets)


class Verified:
    """A reader of metadata that was verified."""

    role = "targets/ci"

    def __init__(self, *branches):
        memory = Memory(root=b"", versions={})
        self.trust = VerifiedMetadata(
            gun="", root=None, branches={each.name: each for each in branches}, memory=memory
        )

    def read(self, gun, repository, *, every_role=False):
        assert (gun, repository, every_role) == (f"r.example/{REPO}", REPO, True)
        return self.trust


class Signing:
    """A signer in memory."""

    name = "memory"

    def __init__(self):
        self.signed = []

    def sign(self, ref, claims):
        self.signed.append((ref, dict(claims)))

    def verify(self, ref, claims):
        for known, told in self.signed:
            if known == ref and claims.items() <= told.items():
                return (Proof(signer="memory", identity="", claims=told),)
        raise NotSignedError("not signed")


@pytest.fixture
def signer():
    return Signing()


@pytest.fixture
def registry():
    found = MemoryRegistry("r.example")
    for digest in (ONE, TWO):
        found.plant(REPO, b"{}", digest=f"sha256:{digest}", media_type=MANIFEST)
    return found


def migrate(reader, registry, signer, *, plan=False):
    found = migrate_repository(REPO, reader=reader, registry=registry, signer=signer, plan=plan)
    return [(each.ref.digest[7:8], each.names, each.state) for each in found]


def test_each_signed_digest_is_signed_again_with_its_tags(registry, signer):
    tags = branch("targets", {"v1": (ONE, None), "v2": (TWO, None)})
    releases = branch("targets/releases", {"latest": (TWO, None)})
    done = migrate(Verified(tags, releases), registry, signer)
    assert done == [("1", ("v1",), "signed"), ("2", ("latest", "v2"), "signed")]
    assert signer.signed[1] == (
        ImageRef("r.example", REPO, f"sha256:{TWO}"),
        {REPOSITORY: REPO, MIGRATED_FROM: "dct", TAGS: "latest,v2"},
    )


def test_the_second_time_nothing_is_left_to_do_though_a_tag_was_added(registry, signer):
    migrate(Verified(branch("targets", {"v1": (ONE, None)})), registry, signer)
    both = branch("targets", {"v1": (ONE, None), "v1.0": (ONE, None)})
    assert migrate(Verified(both), registry, signer) == [("1", ("v1", "v1.0"), "already")]
    assert len(signer.signed) == 1


def test_a_plan_signs_nothing(registry, signer):
    reader = Verified(branch("targets", {"v1": (ONE, None)}))
    assert migrate(reader, registry, signer, plan=True) == [("1", ("v1",), "due")]
    assert not signer.signed
    migrate(reader, registry, signer)
    assert migrate(reader, registry, signer, plan=True) == [("1", ("v1",), "already")]


def test_what_the_registry_no_longer_has_is_told_and_not_signed(registry, signer):
    gone = branch("targets", {"old": ("3" * 64, None)})
    assert migrate(Verified(gone), registry, signer) == [("3", ("old",), "absent")]
    assert not signer.signed


def test_claims_of_our_own_signatures_are_kept(registry, signer):
    claims = {REPOSITORY: REPO, "dev.aksci.verdict": "sha256:v"}
    own = branch("targets", {f"sha256-{ONE}-abc": (ONE, claims)})
    assert migrate(Verified(own), registry, signer) == [("1", (), "signed")]
    assert signer.verify(ImageRef("r.example", REPO, f"sha256:{ONE}"), claims)
    assert TAGS not in signer.signed[0][1]


@pytest.mark.parametrize("name", ["targets/qa", "targets/ci-2", "targets/ci/temp"])
def test_only_the_role_that_the_gate_believes_is_believed_in_what_it_claims(registry, signer, name):
    forged = {REPOSITORY: REPO, "dev.aksci.kind": "release", "dev.aksci.verdict": "sha256:v"}
    migrate(Verified(branch(name, {"v1": (ONE, {**forged, "team": "qa"})})), registry, signer)
    ((_, claims),) = signer.signed
    assert claims == {REPOSITORY: REPO, MIGRATED_FROM: "dct", TAGS: "v1", "team": "qa"}
    for above in ("targets", "targets/ci"):
        migrate(Verified(branch(above, {above: (TWO, forged)})), registry, signer)
        assert forged.items() <= signer.signed[-1][1].items()


def test_what_was_signed_for_another_repository_is_left_out(registry, signer):
    foreign = branch("targets", {"v1": (ONE, {REPOSITORY: "shop/other"})})
    assert migrate(Verified(foreign), registry, signer) == []


def test_what_a_role_may_not_sign_is_left_out(registry, signer):
    outside = branch("targets/ci", {"v1": (ONE, None)}, paths=("ci/",))
    assert migrate(Verified(outside), registry, signer) == []


def test_metadata_that_cannot_be_trusted_is_an_error_and_nothing_is_signed(registry, signer):
    class Wrong:
        role = "targets"

        def read(self, *_, **__):
            raise MetadataError("expired")

    with pytest.raises(MetadataError):
        migrate(Wrong(), registry, signer)
    assert not signer.signed


@pytest.mark.parametrize("name", [f"{REPO}:v1", f"{REPO}@sha256:{ONE}", "localhost:5000/x", ""])
def test_what_is_no_repository_is_an_error_and_not_an_unsigned_one(registry, signer, name):
    reader = SimpleNamespace(role="targets", read=lambda *_, **__: None)
    with pytest.raises(ConfigError, match="no repository's name"):
        migrate_repository(name, reader=reader, registry=registry, signer=signer, plan=True)
