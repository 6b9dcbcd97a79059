"""What of a registry's content is trusted: docs/adr/0007-what-is-trusted.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError, ProcessError, ToolError, TrustError
from aksci.core.once import once
from aksci.images.build.own_builds import read_own_builds, write_own_builds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from aksci.config.models import ImageConfig
    from aksci.core.work_folder import WorkFolder
    from aksci.images.build.build_record import BuiltImage
    from aksci.images.build.own_builds import OwnBuilds
    from aksci.images.validate.own_validations import OwnValidations
    from aksci.oci.references import ImageRef
    from aksci.supply.scan.verdict import Verdict
    from aksci.supply.sign.signer import Signer

__all__ = ["ProjectTrust"]

_DOUBTS = (ConfigError, ToolError, TrustError, ProcessError)
"""What can keep us from an answer to whether something is signed."""


@dataclass(frozen=True, kw_only=True)
class ProjectTrust:
    """Trusts what this project's own runs have made, and what a trusted signature covers.

    Whoever may push to the registry could have put anything else there. Safe in several threads.
    """

    work: WorkFolder
    """The project's ``.aksci``, where our runs note what they have made."""
    signer: Callable[[], Signer]
    """Makes who verifies: not before a signature must be looked for."""
    images: Mapping[str, ImageConfig]
    """As configured: what their checks ask."""

    def trusts_build(self, ref: ImageRef, key: str) -> bool:
        """Tell whether a finished build is trusted.

        :param key: its input key.
        """
        if self.own.has(ref, key):
            return True
        from aksci.supply.sign.signer import build_claims

        return self._signed(ref, build_claims(ref, input_key=key))

    def trusts_verdict(self, verdict: Verdict, keys: Iterable[str]) -> bool:
        """Tell whether a remembered verdict is trusted, whatever it says.

        :param keys: input keys of its image.
        """
        from aksci.supply.scan.own_verdicts import made_here
        from aksci.supply.sign.signer import image_claims

        # Ours first: that costs reading a file; a signature costs requests and a trust store.
        if made_here(self.work, verdict):
            return True
        if not verdict.passed:  # we sign none that fails
            return False
        stored = verdict.stored.digest if verdict.stored else ""
        return any(
            self._signed(verdict.image, image_claims(verdict.image, verdict=stored, input_key=key))
            for key in keys
        )

    def trusts_record(self, ref: ImageRef, key: str) -> bool:
        """Tell whether what a build has recorded is trusted; where nobody can tell, it is not."""
        if self.own.has(ref, key):
            return True
        from aksci.supply.sign.signer import build_claims

        return self._surely_signed(ref, build_claims(ref, input_key=key))

    def key_of(self, ref: ImageRef) -> str:
        """Return the input key of a digest's build, as we or its newest signature say; or nothing.

        Several builds can give one digest: another one's key may be as good.
        """
        own = self.own.keys.get(str(ref), frozenset())
        if len(own) == 1:
            return min(own)
        from aksci.supply.sign.signer import INPUT_KEY, REPOSITORY

        if not self._can_verify:
            return ""
        try:
            proofs = self.signer().verify(ref, {REPOSITORY: ref.repository})
        except _DOUBTS:
            return ""
        return next((proof.claims.get(INPUT_KEY, "") for proof in proofs), "")

    def trusts_release(self, ref: ImageRef) -> bool:
        """Tell whether a release is trusted; where nobody can tell, it is not."""
        from aksci.supply.sign.signer import kind_claims

        return self._surely_signed(ref, kind_claims(ref, "release"))

    def trusts_validation(self, ref: ImageRef, spec: str) -> bool:
        """Tell whether a trusted signature says that an image passed a check."""
        from aksci.supply.sign.signer import validation_claims

        return self._surely_signed(ref, validation_claims(ref, spec))

    def validated(self, name: str, ref: ImageRef) -> str:
        """Return the hash of the check that an image is known to have passed; empty: of none."""
        from aksci.config.models import ValidateConfig
        from aksci.images.validate.checks import spec_hash

        image = self.images.get(name)
        spec = spec_hash(image.validation if image else ValidateConfig())
        return spec if self.validations.find(name, ref, spec) else ""

    @once
    def validations(self) -> OwnValidations:
        """Which checks runs of this project have seen images pass."""
        from aksci.images.validate.own_validations import OwnValidations

        return OwnValidations(self.work)

    @property
    def own(self) -> OwnBuilds:
        """What runs of this project have built."""
        return self._own[-1]

    def remember(self, images: Iterable[BuiltImage]) -> None:
        """Add what this run has built."""
        self._own.append(write_own_builds(self.work, self.own, images))

    @once
    def _own(self) -> list[OwnBuilds]:
        """As read, then as each writing left it."""
        return [read_own_builds(self.work)]

    def _surely_signed(self, ref: ImageRef, claims: Mapping[str, str]) -> bool:
        """Tell whether a trusted signature covers the claims; in any doubt, none does.

        :raises RegistryError: the registry can't be asked, which never means "not signed".
        """
        try:
            return self._can_verify and self._signed(ref, claims)
        except _DOUBTS:
            return False

    @once
    def _can_verify(self) -> bool:
        """Whether anybody can: there may be no key, and no way to get the program.

        Asked once, and not for each image: it can take minutes to learn that a server is away.
        """
        try:
            self.signer()
        except _DOUBTS:
            return False
        return True

    def _signed(self, ref: ImageRef, claims: Mapping[str, str]) -> bool:
        from aksci.supply.sign.signer import BindingError, NotSignedError, UntrustedError

        try:
            self.signer().verify(ref, claims)
        except (NotSignedError, BindingError, UntrustedError):
            return False
        return True
