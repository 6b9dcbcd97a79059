"""notation (Notary Project): sign with a configured key, verify with pinned roots only.

Its errors have no codes, so what is wrong is worked out from ``notation inspect --output json``
and never from its messages.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.errors import ConfigError, ProcessError, TrustError
from aksci.files import write_atomically
from aksci.reporting import sanitise
from aksci.supply.certificate import TEST_KEY, TestKey, ensure_test_key
from aksci.supply.sandbox import Sandbox
from aksci.supply.signing import BindingError, NotSignedError, UntrustedError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping
    from pathlib import Path

    from aksci.config.models import SignConfig
    from aksci.process import Result, Runner
    from aksci.registry.refs import ImageRef

__all__ = ["NotationSigner", "notation_signer", "trust_policy"]

_TIMEOUT = 120.0  # seconds; a plugin may ask a key vault
_ATTEMPTS = 3
_STORE = "aksci"


@dataclass(frozen=True, kw_only=True)
class NotationSigner:
    """Signs and verifies with notation. Safe in several threads and processes."""

    notation: Path
    runner: Runner
    config_home: Path
    """XDG_CONFIG_HOME for signing: ``notation/signingkeys.json`` and plugins are in it."""
    key: str
    """The key's name in ``signingkeys.json``."""
    roots: tuple[Path, ...]
    """Root certificates (PEM): the only ones that count when verifying."""
    identities: tuple[str, ...] = ("*",)
    """notation's trustedIdentities."""
    locks: Path
    """Folder for lock files: on registries without a referrers API, signatures of one digest
    share a tag, and parallel writers lose entries."""
    plain_http: bool = False
    docker_config: Path | None = None

    def sign(self, ref: ImageRef, metadata: Mapping[str, str]) -> None:
        """Sign, then read back: another machine may have overwritten the list of signatures."""
        from filelock import FileLock

        self.locks.mkdir(parents=True, exist_ok=True)
        with FileLock(self.locks / f"{ref.digest.replace(':', '-')}.lock"):
            for attempt in range(1, _ATTEMPTS + 1):
                self._sign_once(ref, metadata)
                try:
                    self.verify(ref, metadata)
                except (NotSignedError, BindingError) as error:
                    if attempt == _ATTEMPTS:
                        raise TrustError(
                            f"{ref} was signed {_ATTEMPTS} times, but the signature does not stay: "
                            f"another program writes at the same time.\n\n{error.message}",
                            hint="run again when it has ended.",
                        ) from None
                else:
                    return

    def verify(self, ref: ImageRef, metadata: Mapping[str, str]) -> None:
        """Verify against a trust folder made for this call, from the pinned roots only."""
        with Sandbox(self.runner.environment, docker_config=self.docker_config) as sandbox:
            self._write_trust(sandbox, ref)
            environment = {
                **sandbox.environment,
                "XDG_CONFIG_HOME": str(sandbox.files),
            }
            if self._verify(sandbox, environment, ref, metadata).status:
                self._explain(sandbox, environment, ref, metadata)

    def _sign_once(self, ref: ImageRef, metadata: Mapping[str, str]) -> None:
        with Sandbox(self.runner.environment, docker_config=self.docker_config) as sandbox:
            environment = {**sandbox.environment, "XDG_CONFIG_HOME": str(self.config_home)}
            argv: list[str | Path] = [
                self.notation,
                "sign",
                *self._registry_words(),
                f"--key={self.key}",
                "--signature-format=cose",
                "--force-referrers-tag=false",
                *_metadata_words(metadata),
                str(ref),
            ]
            try:
                self.runner.run(
                    argv, cwd=sandbox.empty, env=environment, only_env=True, timeout=_TIMEOUT
                )
            except ProcessError as error:
                raise TrustError(
                    f"{ref} could not be signed with the key {self.key!r}.\n\n{error.output}"
                ) from None

    def _verify(
        self,
        sandbox: Sandbox,
        environment: Mapping[str, str],
        ref: ImageRef,
        metadata: Mapping[str, str],
    ) -> Result:
        words = [*self._registry_words(), *_metadata_words(metadata), str(ref)]
        return self._run(sandbox, environment, "verify", words)

    def _explain(
        self,
        sandbox: Sandbox,
        environment: Mapping[str, str],
        ref: ImageRef,
        metadata: Mapping[str, str],
    ) -> None:
        """Raise what is wrong with the signatures of a digest that was not verified."""
        words = [*self._registry_words(), "--output=json", str(ref)]
        seen = self._run(sandbox, environment, "inspect", words)
        if seen.status:
            text = sanitise(seen.stderr).strip()
            raise TrustError(f"The signatures of {ref} could not be read.\n\n{text}")
        signatures = _signatures(seen.stdout, ref)
        if not signatures:
            raise NotSignedError(f"{ref} is not signed.", hint="nox -s sign")
        if metadata and not self._verify(sandbox, environment, ref, {}).status:
            wanted = ", ".join(f"{key}={value}" for key, value in metadata.items())
            raise BindingError(
                f"{ref} is signed, but no valid signature covers {wanted}: it was signed after "
                "another scan or another build.",
                hint="nox -s scan sign",
            )
        signers = "; ".join(dict.fromkeys(_signer(signature) for signature in signatures))
        raise UntrustedError(
            f"{ref} is signed, but no signature is valid and by a trusted identity. "
            f"Signed by: {signers}.",
            hint="check trust_store and identities under [sign] in aksci.toml.",
        )

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

    def _registry_words(self) -> tuple[str, ...]:
        return ("--insecure-registry",) if self.plain_http else ()

    def _write_trust(self, sandbox: Sandbox, ref: ImageRef) -> None:
        for number, root in enumerate(self.roots):
            try:
                text = root.read_text(encoding="utf-8")
            except (OSError, ValueError) as error:
                raise TrustError(f"The root certificate {root} can't be read: {error}.") from None
            sandbox.write(f"notation/truststore/x509/ca/{_STORE}/{number}.pem", text)
        policy = trust_policy(ref.name, identities=self.identities)
        sandbox.write("notation/trustpolicy.json", json.dumps(policy))


def notation_signer(
    config: SignConfig,
    *,
    notation: Path,
    runner: Runner,
    root: Path,
    state: Path,
    user_config: Path,
    local: bool,
    plain_http: bool,
    now: dt.datetime,
    docker_config: Path | None = None,
) -> NotationSigner:
    """Make the signer that ``[sign]`` asks for.

    :param root: the project's folder, which ``trust_store`` is relative to.
    :param state: the per-user state folder, where the local test key is kept.
    :param user_config: the user's XDG_CONFIG_HOME, where a named key is configured.
    :param local: the environment is on this machine. The test key signs for nothing else.
    :raises ConfigError: no key is named although the environment is not local; or the trust store
        is missing or empty.
    """
    if config.key is None and not local:
        raise ConfigError(
            "sign.key is not set: the local test key signs for the embedded platform only.",
            hint='name a key of `notation key list` as key = "…" under [sign] in aksci.toml.',
        )
    home = state / "signing"
    roots = _roots(root / config.trust_store) if config.trust_store else ()
    if config.key is None or not roots:
        if config.key is not None:
            raise ConfigError(
                f"sign.key is {config.key!r}, but sign.trust_store is not set.",
                hint="name the folder with its root certificate (PEM) under [sign].",
            )
        pair = ensure_test_key(home, now=now)
        roots = roots or (pair.certificate,)
        _write_key(home, pair)
    return NotationSigner(
        notation=notation,
        runner=runner,
        config_home=user_config if config.key else home,
        key=config.key or TEST_KEY,
        roots=roots,
        identities=config.identities,
        locks=home / "locks",
        plain_http=plain_http,
        docker_config=docker_config,
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


def _roots(folder: Path) -> tuple[Path, ...]:
    found = sorted(path for path in folder.glob("*") if path.suffix in {".pem", ".crt", ".cer"})
    if not found:
        raise ConfigError(f"sign.trust_store {folder} holds no certificate (.pem, .crt, .cer).")
    return tuple(found)


def _metadata_words(metadata: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"--user-metadata={key}={value}" for key, value in sorted(metadata.items()))


def _signatures(text: str, ref: ImageRef) -> list[dict[str, Any]]:
    # notation 1.3 writes "Signatures", later ones "signatures".
    try:
        document = {key.lower(): value for key, value in json.loads(text).items()}
        return list(document["signatures"] or [])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrustError(f"The signatures of {ref} are not understood ({error!r}).") from None


def _signer(signature: dict[str, Any]) -> str:
    chain = signature.get("certificates") or [{}]
    name, expiry = chain[0].get("issuedTo", "nobody"), chain[0].get("expiry", "?")
    return " ".join(sanitise(f"{name} (certificate expires {expiry})").split())
