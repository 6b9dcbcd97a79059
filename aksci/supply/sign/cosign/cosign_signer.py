"""cosign (Sigstore): sign with a key or keyless, verify from the pinned key or identity only.

Signatures are Sigstore bundles: DSSE envelopes over in-toto statements whose subject is the digest
and has the claims as its annotations ("cosign Signature Specification"). What the signature covers
is read from what ``cosign verify --output=json`` prints, never from its messages nor from what a
registry tells of a bundle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.core.concurrency import gather
from aksci.core.errors import (
    ConfigError,
    DamagedInRegistry,
    NotFoundInRegistry,
    ProcessError,
    ProcessTimeout,
    TrustError,
)
from aksci.core.strict_json import MALFORMED, parse_json
from aksci.core.text import sanitise
from aksci.oci.artifact import find_artifacts, newest_first
from aksci.oci.registry import read_child
from aksci.supply.sandbox import Sandbox
from aksci.supply.sign.concurrent_signing import sign_and_check
from aksci.supply.sign.cosign.cosign_keys import cosign_key, ensure_cosign_key
from aksci.supply.sign.cosign.stored_bundles import BUNDLE, claims_of, read_bundle, read_key
from aksci.supply.sign.signer import (
    BindingError,
    NotSignedError,
    Proof,
    UntrustedError,
    require_readable,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping
    from pathlib import Path

    from aksci.config.supply_models import CosignConfig
    from aksci.core.process import Result, Runner
    from aksci.core.secret import Secret
    from aksci.oci.manifest import Descriptor
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry
    from aksci.supply.sign.cosign.cosign_keys import CosignKey

__all__ = ["CosignSigner", "cosign_signer", "sign_argv", "verify_argv"]

_SIGNATURE = "https://sigstore.dev/cosign/sign/v1"
_PREDICATE = "dev.sigstore.bundle.predicateType"
_TIMEOUT = 120.0  # seconds; a key service may be asked
_MOST_UNSURE = 100  # of those whose key is not known here
_THREADS = 8


@dataclass(frozen=True, kw_only=True)
class CosignSigner:
    """Signs and verifies with cosign. Safe in several threads and processes."""

    cosign: Path
    runner: Runner
    registry: Registry
    key: CosignKey
    plain_http: bool = False
    docker_config: Path | None = None

    @property
    def name(self) -> str:
        """What it is called in aksci.toml."""
        return "cosign"

    def sign(self, ref: ImageRef, claims: Mapping[str, str]) -> None:
        """Sign, then read back from the registry."""
        sign_and_check(
            ref,
            sign=lambda: self._sign_once(ref, claims),
            check=lambda: self.verify(ref, claims),
        )

    def verify(self, ref: ImageRef, claims: Mapping[str, str]) -> tuple[Proof, ...]:
        """Verify from the pinned key or identity only."""
        try:
            result = self._verify(ref)
        except ProcessTimeout:
            count = len(find_artifacts(self.registry, ref, BUNDLE))
            raise TrustError(
                f"The signatures of {ref} could not be verified: cosign did not look through all "
                f"{count:,} within {_TIMEOUT:g} s.",
                hint=f"delete those in {ref.repository} that are not yours.",
            ) from None
        valid = _valid_claims(result.stdout, ref) if result.status == 0 else []
        able = [found for found in valid if claims.items() <= found.items()]
        if not able:
            raise self._refusal(ref, claims, valid, result)
        # cosign prints them in any order; of one that tells more, no claim is missed.
        fullest = max(able, key=len)
        return (Proof(signer=self.name, identity=self.key.identity, claims=fullest),)

    def stored_signatures(
        self, ref: ImageRef, listed: tuple[Descriptor, ...]
    ) -> dict[str, Mapping[str, str]]:
        """Return the bundles on this digest by our key; of keys that are not known here, some.

        :raises RegistryError: the registry can't be asked, or there are too many.
        """
        own = newest_first(entry for entry in listed if entry.artifact_type == BUNDLE)
        require_readable(ref, own)
        key = read_key(self.key.public) if self.key.public else None
        chosen = own if key is not None else own[:_MOST_UNSURE]
        bundles = gather(
            lambda entry: read_bundle(self.registry, ref, entry),
            chosen,
            limit=_THREADS,
            name="signatures",
        )
        told = (claims_of(bundle, ref, key=key) for bundle in bundles)
        return {
            entry.digest: claims if key is not None else {}
            for entry, claims in zip(chosen, told, strict=True)
            if claims is not None
        }

    def _sign_once(self, ref: ImageRef, claims: Mapping[str, str]) -> None:
        argv = sign_argv(self.cosign, ref, claims, key=self.key, plain_http=self.plain_http)
        variables = self.runner.environment
        with Sandbox(variables, docker_config=self.docker_config) as sandbox:
            environment: dict[str, str | Secret] = {
                **self.key.credentials,
                **sandbox.environment,
                **self.key.secrets,
            }
            try:
                self.runner.run(
                    argv, cwd=sandbox.empty, env=environment, only_env=True, timeout=_TIMEOUT
                )
            except ProcessError as error:
                raise TrustError(
                    f"{ref} could not be signed with {self.key}.\n\n{error.output}",
                    hint=self.key.hint,
                ) from None

    def _verify(self, ref: ImageRef) -> Result:
        argv = verify_argv(self.cosign, ref, key=self.key, plain_http=self.plain_http)
        with Sandbox(self.runner.environment, docker_config=self.docker_config) as sandbox:
            environment = {**self.key.credentials, **sandbox.environment}
            return self.runner.run(
                argv,
                cwd=sandbox.empty,
                env=environment,
                only_env=True,
                timeout=_TIMEOUT,
                check=False,
                quiet=True,
            )

    def _refusal(
        self,
        ref: ImageRef,
        claims: Mapping[str, str],
        valid: list[dict[str, str]],
        result: Result,
    ) -> TrustError:
        """Return what is wrong with the signatures of a digest that was not verified."""
        if valid:
            required = ", ".join(f"{key}={value}" for key, value in claims.items())
            return BindingError(
                f"{ref} is signed, but no valid signature covers {required}: it was signed after "
                "another scan or another build, or in another repository.",
                hint="nox -s scan sign",
            )
        if not self._is_signed(ref):
            return NotSignedError(f"{ref} is not signed by cosign.", hint="nox -s sign")
        said = "\n".join(sanitise(self.runner.redact(result.stderr)).splitlines()[-5:])
        return UntrustedError(
            f"{ref} is signed, but no signature is valid and by {self.key.identity}.\n\n{said}",
            hint="check public_key, or identity and issuer, under [sign.cosign] in aksci.toml.",
        )

    def _is_signed(self, ref: ImageRef) -> bool:
        try:
            self.registry.manifest(ref.repository, ref.digest)
        except NotFoundInRegistry:
            raise TrustError(
                f"The signatures of {ref} could not be read: it is not there."
            ) from None
        try:
            listed = find_artifacts(self.registry, ref, BUNDLE)
            return any(self._kind(ref, entry) == _SIGNATURE for entry in listed)
        except DamagedInRegistry:
            return True  # a stranger wrote the list: whatever is in it, it is no valid signature

    def _kind(self, ref: ImageRef, entry: Descriptor) -> str:
        """Return what a listed bundle says that it is; a list need not have annotations."""
        annotations = entry.annotations
        if not annotations:
            try:
                annotations = read_child(self.registry, ref.repository, entry).annotations
            except NotFoundInRegistry:
                return ""
        return annotations.get(_PREDICATE, _SIGNATURE)


def sign_argv(
    cosign: Path, ref: ImageRef, claims: Mapping[str, str], *, key: CosignKey, plain_http: bool
) -> tuple[str, ...]:
    """Return the command that signs one digest."""
    return (
        str(cosign),
        "sign",
        "--yes",
        *key.signing_words(),
        *_registry_words(plain_http),
        *(f"--annotations={_field(f'{name}={text}')}" for name, text in sorted(claims.items())),
        str(ref),
    )


def verify_argv(
    cosign: Path, ref: ImageRef, *, key: CosignKey, plain_http: bool
) -> tuple[str, ...]:
    """Return the command that prints all signatures that are valid, as JSON.

    It is not asked for claims: so one answer tells what is valid and what is missing.
    """
    return (
        str(cosign),
        "verify",
        "--output=json",
        *key.verifying_words(),
        *_registry_words(plain_http),
        str(ref),
    )


def _registry_words(plain_http: bool) -> tuple[str, ...]:
    return ("--allow-http-registry", "--allow-insecure-registry") if plain_http else ()


def _field(text: str) -> str:
    """Return one field of a CSV record (RFC 4180).

    cosign reads such records, so that an unquoted comma in a claim would begin another claim.
    """
    return '"' + text.replace('"', '""') + '"'


def _valid_claims(text: str, ref: ImageRef) -> list[dict[str, str]]:
    """Return the claims of each valid signature of this digest.

    Attestations by the same key are valid too, and are no signatures.

    :param text: a JSON array of "simple signing" documents, whatever the signatures' own format.
    """
    try:
        documents = parse_json(text)
        return [
            _claims(document)
            for document in documents
            if document["critical"]["type"] == _SIGNATURE
            and document["critical"]["image"]["docker-manifest-digest"] == ref.digest
        ]
    except MALFORMED as error:
        raise TrustError(f"The signatures of {ref} are not understood ({error!r}).") from None


def _claims(document: dict[str, Any]) -> dict[str, str]:
    claims = document.get("optional") or {}
    return {name: text for name, text in claims.items() if isinstance(text, str)}


def cosign_signer(
    config: CosignConfig,
    *,
    cosign: Path,
    runner: Runner,
    registry: Registry,
    root: Path,
    state: Path,
    variables: Mapping[str, str],
    local: bool,
    plain_http: bool,
    now: dt.datetime,  # noqa: ARG001 - as every maker of a signer; keys have no dates
    docker_config: Path | None = None,
) -> CosignSigner:
    """Make the signer that ``[sign.cosign]`` asks for.

    :param root: the project's folder, which key files are relative to.
    :param state: the per-user state folder, where the local test key is kept.
    :param variables: the environment, with the key's password.
    :param local: the environment is on this machine. The test key signs for nothing else.
    :raises ConfigError: no key is named although the environment is not local; or the public key
        can't be read.
    """
    key = cosign_key(config, root=root, variables=variables)
    if key is None:
        if not local:
            raise ConfigError(
                "sign.cosign.key is not set: the local test key signs for the embedded platform "
                "only.",
                hint="name key and public_key, or identity and issuer, under [sign.cosign] in "
                "aksci.toml.",
            )
        key = ensure_cosign_key(state / "signing" / "cosign", cosign=cosign, runner=runner)
    return CosignSigner(
        cosign=cosign,
        runner=runner,
        registry=registry,
        key=key,
        plain_http=plain_http,
        docker_config=docker_config,
    )
