"""notation (Notary Project): sign with a configured key, verify with pinned roots only.

Its errors have no codes, so what is wrong is worked out from ``notation inspect --output json``
and never from its messages. What is surely right is seen without it: see ``verify_in_process``.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from aksci.core.errors import (
    ConfigError,
    NotFoundInRegistry,
    ProcessError,
    RegistryError,
    TrustError,
)
from aksci.core.files import write_atomically
from aksci.core.inside import place_named
from aksci.core.text import one_line, sanitise
from aksci.supply.sandbox import Sandbox
from aksci.supply.sign.concurrent_signing import sign_and_check
from aksci.supply.sign.notation.cbor import DoubtError
from aksci.supply.sign.notation.certificate_chain import read_anchors
from aksci.supply.sign.notation.local_certificate import TEST_KEY, TestKey, ensure_test_key
from aksci.supply.sign.notation.notation_keys import NotationKey, credentials, notation_key
from aksci.supply.sign.notation.sign_in_process import (
    FileKey,
    make_envelope,
    read_file_key,
    store_signature,
)
from aksci.supply.sign.notation.signature_view import serve_signatures
from aksci.supply.sign.notation.stored_signatures import SIGNATURE, SignatureSearch
from aksci.supply.sign.notation.verify_in_process import TrustedRoots
from aksci.supply.sign.signer import BindingError, NotSignedError, Proof, UntrustedError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from aksci.config.supply_models import NotationConfig
    from aksci.core.process import Result, Runner
    from aksci.oci.manifest import Descriptor
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry
    from aksci.supply.sign.notation.stored_signatures import Found

__all__ = ["NotationSigner", "notation_signer", "sign_argv", "trust_policy"]

_TIMEOUT = 120.0  # seconds; a plugin may ask a key vault
_STORE = "aksci"
# Signatures of one digest that notation looks at, at most as many as it is shown: its own limit,
# 100, would be reached by each day's verdict on the same bytes.
_MOST = 2000
_MOST_FULLER = 3  # sets of claims that notation is asked to verify beside those that are required
_LONGEST = 16 << 10  # characters of them, all on its command line


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """What notation lists for a digest, none of it verified."""

    signatures: list[dict[str, Any]]
    all_read: bool
    """False where there are others, which it could not read."""


@dataclass(frozen=True, kw_only=True)
class NotationSigner:
    """Signs and verifies with notation. Safe in several threads and processes."""

    notation: Path
    runner: Runner
    registry: Registry
    config_home: Path
    """XDG_CONFIG_HOME for signing: ``notation/signingkeys.json`` and plugins are in it."""
    key: NotationKey
    roots: tuple[Path, ...]
    """Root certificates (PEM): the only ones that count when verifying."""
    identities: tuple[str, ...] = ("*",)
    """notation's trustedIdentities."""
    now: dt.datetime
    """When certificates must be valid and signatures not expired."""
    plain_http: bool = False
    docker_config: Path | None = None
    clock: Callable[[], dt.datetime] | None = None
    """Tells when a signature is made. Default: always ``now``."""

    @property
    def name(self) -> str:
        """What it is called in aksci.toml."""
        return "notation"

    def sign(self, ref: ImageRef, claims: Mapping[str, str]) -> None:
        """Sign, then read back from the registry; without a program where the key is a file."""
        sign_and_check(
            ref,
            sign=self._signing_here(ref, claims) or (lambda: self._sign_once(ref, claims)),
            check=lambda: self.verify(ref, claims),
        )

    def verify(self, ref: ImageRef, claims: Mapping[str, str]) -> tuple[Proof, ...]:
        """Verify from the pinned roots only; without a program where that is sure."""
        found = self._find(ref, claims)
        if found.proof is not None:
            return (found.proof,)
        if not found.listed:
            raise NotSignedError(f"{ref} is not signed by notation.", hint="nox -s sign")
        return self.ask_notation(ref, claims, found)

    def ask_notation(
        self, ref: ImageRef, claims: Mapping[str, str], found: Found
    ) -> tuple[Proof, ...]:
        """Let notation judge what was found; it asks no registry but ours of those signatures.

        :raises TrustError: as ``verify``.
        """
        shown = found.for_notation()
        with (
            Sandbox(self.runner.environment) as sandbox,
            serve_signatures(found.target, shown, ref) as view,
        ):
            self._write_trust(sandbox, view)
            environment = {
                **sandbox.environment,
                "XDG_CONFIG_HOME": str(sandbox.files),
            }
            seen = self._inspect(sandbox, environment, view)
            # Fuller sets first: a proof of more answers the next question of this run, too.
            for asked in (*_fuller(seen, claims), claims):
                if self._verify(sandbox, environment, view, asked).status == 0:
                    return (self._proof(seen, asked),)
            has_any = bool(claims) and not self._verify(sandbox, environment, view, {}).status
            raise _refusal(ref, claims, seen, found, has_any=has_any)

    def stored_signatures(
        self, ref: ImageRef, listed: tuple[Descriptor, ...]
    ) -> dict[str, Mapping[str, str]]:
        """Return the signatures that a key of ours has surely made, each once."""
        own = [entry for entry in listed if entry.artifact_type == SIGNATURE]
        return self._search().ours(ref, own) if own else {}

    def _find(self, ref: ImageRef, claims: Mapping[str, str]) -> Found:
        try:
            return self._search().find(ref, claims)
        except NotFoundInRegistry:
            raise TrustError(
                f"The signatures of {ref} could not be read: it is not there."
            ) from None
        except RegistryError as error:
            raise TrustError(
                f"The signatures of {ref} could not be read.\n\n{error.message}", hint=error.hint
            ) from None

    def _search(self) -> SignatureSearch:
        """Return what looks through signatures; what is not understood here is notation's."""
        trust, anchors = None, frozenset[bytes]()
        with contextlib.suppress(OSError):
            roots = tuple(root.read_bytes() for root in self.roots)
            with contextlib.suppress(ValueError):
                anchors = _read_anchors(roots)
            with contextlib.suppress(DoubtError, ValueError):
                trust = _read_trust(roots, tuple(self.identities))
        return SignatureSearch(
            registry=self.registry,
            trust=trust,
            anchors=anchors,
            now=self.now,
            say=self.runner.log,
        )

    @cached_property
    def _file_key(self) -> FileKey | None:
        return read_file_key(self.config_home, self.key.name) if self.key.name else None

    def _signing_here(
        self, ref: ImageRef, claims: Mapping[str, str]
    ) -> Callable[[], object] | None:
        """Return what signs in this process; None where it is notation that has to."""
        key, now = self._file_key, self.clock() if self.clock else self.now
        if key is None:
            return None
        try:
            target = self.registry.manifest(ref.repository, ref.digest)
            envelope = make_envelope(key, target, claims, now=now)
        except (DoubtError, RegistryError):
            return None
        self.runner.log(f"signing {ref} with {self.key}")
        return lambda: store_signature(self.registry, ref, envelope, key, about=target, now=now)

    def _sign_once(self, ref: ImageRef, claims: Mapping[str, str]) -> None:
        argv = sign_argv(self.notation, ref, claims, key=self.key, plain_http=self.plain_http)
        variables = self.runner.environment
        with Sandbox(variables, docker_config=self.docker_config) as sandbox:
            environment = {
                **(credentials(variables) if self.key.name != TEST_KEY else {}),
                **sandbox.environment,
                "XDG_CONFIG_HOME": str(self.config_home),
            }
            try:
                self.runner.run(
                    argv, cwd=sandbox.empty, env=environment, only_env=True, timeout=_TIMEOUT
                )
            except ProcessError as error:
                raise TrustError(
                    f"{ref} could not be signed with {self.key}.\n\n{error.output}"
                ) from None

    def _verify(
        self,
        sandbox: Sandbox,
        environment: Mapping[str, str],
        ref: ImageRef,
        claims: Mapping[str, str],
    ) -> Result:
        words = [*self._looking(), *_claim_words(claims), str(ref)]
        return self._run(sandbox, environment, "verify", words)

    def _proof(self, seen: _Seen, claims: Mapping[str, str]) -> Proof:
        """Return the proof of what notation has verified; whose signature it was, it never says."""
        able = [each for each in seen.signatures if claims.items() <= _metadata(each).items()]
        names = dict.fromkeys(_subject(signature) for signature in able)
        return Proof(signer=self.name, identity=" or ".join(names), claims=dict(claims))

    def _inspect(self, sandbox: Sandbox, environment: Mapping[str, str], ref: ImageRef) -> _Seen:
        """List the signatures. One that can't be read makes notation fail, once it has told all."""
        words = [*self._looking(), "--output=json", str(ref)]
        seen = self._run(sandbox, environment, "inspect", words)
        if seen.status and not seen.stdout.strip():
            text = sanitise(seen.stderr).strip()
            raise TrustError(f"The signatures of {ref} could not be read.\n\n{text}")
        signatures, rest = _signatures(seen.stdout, ref)
        return _Seen(signatures=signatures, all_read=not (seen.status or rest))

    def _looking(self) -> tuple[str, ...]:
        return ("--insecure-registry", f"--max-signatures={_MOST}")  # our own, on loopback

    def _run(
        self, sandbox: Sandbox, environment: Mapping[str, str], verb: str, words: list[str]
    ) -> Result:
        return self.runner.run(
            [self.notation, verb, *words],
            cwd=sandbox.empty,
            env=environment,
            only_env=True,
            timeout=_TIMEOUT,
            check=False,
            quiet=True,
        )

    def _write_trust(self, sandbox: Sandbox, ref: ImageRef) -> None:
        for number, root in enumerate(self.roots):
            try:
                text = root.read_text(encoding="utf-8")
            except (OSError, ValueError) as error:
                raise TrustError(f"The root certificate {root} can't be read: {error}.") from None
            sandbox.write(f"notation/truststore/x509/ca/{_STORE}/{number}.pem", text)
        policy = trust_policy(ref.name, identities=self.identities)
        sandbox.write("notation/trustpolicy.json", json.dumps(policy))


def _refusal(
    ref: ImageRef, claims: Mapping[str, str], seen: _Seen, found: Found, *, has_any: bool
) -> TrustError:
    """Return what is wrong with the signatures of a digest that was not verified.

    :param has_any: whether one of them is valid, with other claims.
    """
    if has_any:
        required = ", ".join(f"{key}={value}" for key, value in claims.items())
        return BindingError(
            f"{ref} is signed, but no valid signature covers {required}: it was signed after "
            "another scan or another build, or in another repository.",
            hint="nox -s scan sign",
        )
    signers = [_signer(signature) for signature in seen.signatures]
    unread = [] if seen.all_read and not found.unread else ["an unreadable signature"]
    message = (
        f"{ref} is signed, but no signature is valid and by a trusted identity. "
        f"Signed by: {'; '.join(dict.fromkeys([*signers, *unread]))}."
    )
    hint = "check trust_store and identities under [sign.notation] in aksci.toml."
    if found.skipped:
        message += (
            f" It has {found.listed:,} signatures, and {found.skipped:,} of them were not read."
        )
        hint = (
            f"delete the signatures of {ref.name} that are not yours (oras discover lists them), "
            "and see who may push there."
        )
    return UntrustedError(message, hint=hint)


@lru_cache(maxsize=8)
def _read_anchors(roots: tuple[bytes, ...]) -> frozenset[bytes]:
    return read_anchors(roots)


@lru_cache(maxsize=8)
def _read_trust(roots: tuple[bytes, ...], identities: tuple[str, ...]) -> TrustedRoots:
    return TrustedRoots.read(roots, identities)


def notation_signer(
    config: NotationConfig,
    *,
    notation: Path,
    runner: Runner,
    registry: Registry,
    root: Path,
    state: Path,
    user_config: Path,
    local: bool,
    plain_http: bool,
    now: dt.datetime,
    docker_config: Path | None = None,
    clock: Callable[[], dt.datetime] | None = None,
) -> NotationSigner:
    """Make the signer that ``[sign.notation]`` asks for.

    :param root: the project's folder, which ``trust_store`` is relative to.
    :param state: the per-user state folder, where the local test key is kept.
    :param user_config: the user's XDG_CONFIG_HOME, where a named key and plugins are.
    :param local: the environment is on this machine. The test key signs for nothing else.
    :raises ConfigError: no key is named although the environment is not local; the trust store is
        missing or empty; or what is for the plugin is a secret.
    """
    key = notation_key(config)
    if key is None and not local:
        raise ConfigError(
            "sign.notation.key is not set: the local test key signs for the embedded platform "
            "only.",
            hint='name a key of `notation key list` as key = "…" under [sign.notation] in '
            "aksci.toml, or a plugin with its key_id.",
        )
    if key is not None and not config.trust_store:
        raise ConfigError(
            f"{key} is to sign, but sign.notation.trust_store is not set.",
            hint="name the folder with its root certificate (PEM) under [sign.notation].",
        )
    home = state / "signing"
    roots = _roots(root, config.trust_store) if config.trust_store else ()
    if key is None:
        pair = ensure_test_key(home, now=now)
        roots = roots or (pair.certificate,)
        _write_key(home, pair)
    return NotationSigner(
        notation=notation,
        runner=runner,
        registry=registry,
        config_home=user_config if key else home,
        key=key or NotationKey(name=TEST_KEY),
        roots=roots,
        identities=config.identities,
        now=now,
        plain_http=plain_http,
        docker_config=docker_config,
        clock=clock,
    )


def sign_argv(
    notation: Path,
    ref: ImageRef,
    claims: Mapping[str, str],
    *,
    key: NotationKey,
    plain_http: bool,
) -> tuple[str, ...]:
    """Return the command that signs one digest."""
    return (
        str(notation),
        "sign",
        *_registry_words(plain_http),
        *key.words(),
        "--signature-format=cose",
        "--force-referrers-tag=false",
        *_claim_words(claims),
        str(ref),
    )


def trust_policy(repository: str, *, identities: tuple[str, ...]) -> dict[str, Any]:
    """Return notation's trust policy for one repository: strict, our store, these identities."""
    return {
        "version": "1.0",
        "trustPolicies": [
            {
                "name": "aksci",
                "registryScopes": [repository],
                "signatureVerification": {"level": "strict"},
                "trustStores": [f"ca:{_STORE}"],
                "trustedIdentities": list(identities),
            }
        ],
    }


def _write_key(home: Path, pair: TestKey) -> None:
    """Write signingkeys.json where it says something else."""
    entry = {"name": TEST_KEY, "keyPath": str(pair.key), "certPath": str(pair.certificate)}
    text = json.dumps({"default": TEST_KEY, "keys": [entry]}, indent=2)
    path = home / "notation" / "signingkeys.json"
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text)


def _roots(root: Path, named: str) -> tuple[Path, ...]:
    where = "sign.notation.trust_store"
    folder = place_named(root, named, where=where)
    names = sorted(path for path in folder.glob("*") if path.suffix in {".pem", ".crt", ".cer"})
    found = [path for path in names if place_named(root, path, where=where).is_file()]
    if not found:
        raise ConfigError(
            f"sign.notation.trust_store {folder} holds no certificate (.pem, .crt, .cer)."
        )
    return tuple(found)


def _registry_words(plain_http: bool) -> tuple[str, ...]:
    return ("--insecure-registry",) if plain_http else ()


def _claim_words(claims: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"--user-metadata={key}={value}" for key, value in sorted(claims.items()))


def _signatures(text: str, ref: ImageRef) -> tuple[list[dict[str, Any]], str]:
    """Return the listed signatures, and what follows: a warning that there are more."""
    # notation 1.3 writes "Signatures", later ones "signatures".
    try:
        found, end = json.JSONDecoder().raw_decode(text.lstrip())
        document = {key.lower(): value for key, value in found.items()}
        return list(document["signatures"] or []), text.lstrip()[end:].strip()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrustError(f"The signatures of {ref} are not understood ({error!r}).") from None


def _fuller(seen: _Seen, claims: Mapping[str, str]) -> list[dict[str, str]]:
    """Return what signatures say beyond the claims, which notation may be asked to verify too."""
    found = [_metadata(each) for each in seen.signatures]
    fuller = [each for each in found if claims.items() < each.items() and _is_usual(each)]
    return sorted(fuller, key=len, reverse=True)[:_MOST_FULLER]


def _metadata(signature: dict[str, Any]) -> dict[str, str]:
    return dict(signature.get("userDefinedAttributes") or {})


def _is_usual(metadata: Mapping[str, str]) -> bool:
    """Tell whether notation, when it is asked for these words, looks for just them.

    A stranger may have written them.
    """
    words = _claim_words(metadata)
    whole = all(name and text and "=" not in name for name, text in metadata.items())
    return whole and all(word.isprintable() for word in words) and len("".join(words)) < _LONGEST


def _signer(signature: dict[str, Any]) -> str:
    expiry = _first_certificate(signature).get("expiry", "?")
    return sanitise(f"{_subject(signature)} (certificate expires {expiry})")


def _subject(signature: dict[str, Any]) -> str:
    name = str(_first_certificate(signature).get("issuedTo", "nobody"))
    return one_line(name)


def _first_certificate(signature: dict[str, Any]) -> dict[str, Any]:
    return dict((signature.get("certificates") or [{}])[0])
