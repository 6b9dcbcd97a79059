"""What of a registry's content is trusted, and who is asked for it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from aksci.core.errors import DownloadError
from aksci.core.git import Tracked
from aksci.core.work_folder import WorkFolder
from aksci.images.build.build_record import BuiltImage
from aksci.oci.references import ImageRef
from aksci.supply.project_trust import ProjectTrust
from aksci.supply.sign.signer import BindingError, NotSignedError, Proof, UntrustedError

REF = ImageRef("r.example", "shop/web", "sha256:" + "1" * 64)


@dataclass
class Verifier:
    """Says the same of every question, and counts them."""

    error: Exception | None = None
    asked: list = field(default_factory=list)

    def verify(self, ref, claims):
        self.asked.append((ref, claims))
        if self.error:
            raise self.error


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def trust(tmp_path, warnings):
    def make(verifier=None, brought=()):
        return ProjectTrust(
            work=WorkFolder(
                tmp_path / ".aksci",
                tracked=lambda: Tracked(files=brought),
                warn=warnings.append,
            ),
            signer=lambda: verifier or pytest.fail("nobody need be asked"),
            images={},
        )

    return make


def built(key="k", action="built"):
    return BuiltImage(
        name="web", ref=REF, input_key=key, tags=(), action=action, reasons=(), seconds=0
    )


def test_what_our_own_run_has_built_is_trusted_and_no_signer_is_made(trust):
    first = trust()
    first.remember([built()])
    for each in (first, trust()):
        assert each.trusts_build(REF, "k")
        assert each.trusts_record(REF, "k")


def test_what_git_brings_is_not_our_own_runs_and_that_is_told_once(trust, warnings):
    trust().remember([built()])
    other = trust(Verifier(NotSignedError("no")), brought=("built.json",))
    assert not other.trusts_build(REF, "k")
    assert not other.trusts_record(REF, "k")
    (warning,) = warnings
    assert "git brings built.json with the sources" in warning


@pytest.mark.parametrize("error", [NotSignedError, BindingError, UntrustedError])
def test_what_is_neither_ours_nor_signed_is_not_trusted(trust, error):
    assert not trust(Verifier(error("no"))).trusts_build(REF, "k")


def test_a_signature_must_be_of_this_input_key(trust):
    signer = Verifier()
    assert trust(signer).trusts_build(REF, "k")
    ((ref, claims),) = signer.asked
    assert ref == REF
    assert claims == {"dev.aksci.repository": "shop/web", "dev.aksci.input-key": "k"}


def test_the_key_of_a_build_is_our_own_runs_or_its_signatures(trust):
    proof = Proof(signer="x", identity="x", claims={"dev.aksci.input-key": "signed"})

    class Shows(Verifier):
        def verify(self, ref, claims):
            super().verify(ref, claims)
            return (proof,)

    assert trust(Shows()).key_of(REF) == "signed"
    assert trust(Verifier(NotSignedError("no"))).key_of(REF) == ""
    trust().remember([built()])
    assert trust().key_of(REF) == "k"


def test_who_can_not_verify_is_asked_once_and_not_for_each_image(tmp_path):
    asked = []

    def signer():
        asked.append("signer")
        raise DownloadError("notation could not be fetched in 3 attempts.")

    trust = ProjectTrust(
        work=WorkFolder(tmp_path / ".aksci", warn=pytest.fail),
        signer=signer,
        images={},
    )
    assert not trust.trusts_validation(REF, "spec")
    assert not trust.trusts_record(REF, "k")
    assert not trust.trusts_release(REF)
    assert asked == ["signer"]
    with pytest.raises(DownloadError):
        trust.trusts_build(REF, "k")
