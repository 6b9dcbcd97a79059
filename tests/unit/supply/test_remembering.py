from __future__ import annotations

import pytest

from aksci.oci.references import ImageRef
from aksci.supply.sign.make_signer import RememberingSigner
from aksci.supply.sign.signer import AllSigners, BindingError, NotSignedError, Proof

OTHER = ImageRef("r:1", "shop/other", "sha256:" + "b" * 64)


class Memory:
    """A signer that keeps its signatures in memory, and counts the questions."""

    def __init__(self, name="notation"):
        self.name = name
        self.signed = []
        self.asked = 0

    def sign(self, ref, claims):
        self.signed.append((ref, dict(claims)))

    def verify(self, ref, claims):
        self.asked += 1
        own = [found for image, found in self.signed if image == ref]
        if not own:
            raise NotSignedError(f"{ref} is not signed.")
        for found in own:
            if claims.items() <= found.items():
                return (Proof(signer=self.name, identity="me", claims=found),)
        raise BindingError("other claims")


@pytest.fixture
def memory():
    return Memory()


def test_a_proof_answers_every_question_that_it_covers_and_no_other(memory, ref):
    signer = RememberingSigner(memory)
    signer.sign(ref, {"key": "k", "verdict": "v"})
    for claims in ({"key": "k"}, {"key": "k", "verdict": "v"}, {}, {"verdict": "v"}):
        assert signer.verify(ref, claims)[0].claims["verdict"] == "v"
    assert memory.asked == 1
    with pytest.raises(BindingError):
        signer.verify(ref, {"key": "k", "verdict": "other"})
    with pytest.raises(NotSignedError):
        signer.verify(OTHER, {"key": "k"})


def test_a_refusal_is_asked_again(memory, ref):
    signer = RememberingSigner(memory)
    with pytest.raises(NotSignedError):
        signer.verify(ref, {"key": "k"})
    signer.sign(ref, {"key": "k"})
    assert signer.verify(ref, {"key": "k"})


def test_each_of_several_signers_must_have_signed_what_is_asked(memory, ref):
    other = Memory("cosign")
    signer = RememberingSigner(AllSigners((memory, other)))
    memory.sign(ref, {"key": "k"})
    with pytest.raises(NotSignedError):
        signer.verify(ref, {"key": "k"})
    signer.sign(ref, {"key": "k"})
    assert [proof.signer for proof in signer.verify(ref, {"key": "k"})] == ["notation", "cosign"]
    assert len(memory.signed) == 1, "who has signed so does not sign again"
    memory.sign(ref, {"key": "k", "verdict": "v"})
    with pytest.raises(BindingError):
        signer.verify(ref, {"key": "k", "verdict": "v"})
