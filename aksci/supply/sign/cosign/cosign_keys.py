"""Which key cosign signs with and which one is trusted: a file, a key service, an identity."""

from __future__ import annotations

import hashlib
import secrets
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError, ProcessError, TrustError
from aksci.core.files import write_atomically
from aksci.core.inside import place_named, read_file
from aksci.core.secret import Secret
from aksci.supply.sandbox import Sandbox
from aksci.supply.sign.notation.notation_keys import credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.config.supply_models import CosignConfig
    from aksci.core.process import Runner

__all__ = ["CosignKey", "cosign_key", "ensure_cosign_key"]

_PASSWORD = "COSIGN_PASSWORD"  # noqa: S105 - a variable's name
_ENV = "env://"
_OFFLINE = ("--use-signing-config=false", "--tlog-upload=false")
# What a pipeline's OIDC provider is asked with; SIGSTORE_ID_TOKEN is such a token itself.
_TOKENS = ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL", "SIGSTORE_ID_TOKEN")
_KEY_TIMEOUT = 60.0  # seconds


@dataclass(frozen=True, kw_only=True)
class CosignKey:
    """How to sign, and whose signatures count."""

    private: str = ""
    """A file, or a key service's address. Empty: keyless."""
    public: str = ""
    identity: str = ""
    """What is trusted, in one line; keyless: the certificate's identity itself."""
    issuer: str = ""
    """Keyless: the OIDC issuer."""
    transparency_log: bool = False
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    """Environment variables for signing."""
    credentials: Mapping[str, str] = field(default_factory=dict)
    """Environment variables for a key service."""
    hint: str | None = None
    """What may help where signing fails."""

    def signing_words(self) -> tuple[str, ...]:
        """Return the arguments of ``cosign sign``."""
        key = (f"--key={self.private}",) if self.private else ()
        return (*key, *(() if self.transparency_log else _OFFLINE))

    def verifying_words(self) -> tuple[str, ...]:
        """Return the arguments of ``cosign verify``."""
        log = () if self.transparency_log else ("--insecure-ignore-tlog=true",)
        if self.public:
            return (f"--key={self.public}", *log)
        return (
            f"--certificate-identity={self.identity}",
            f"--certificate-oidc-issuer={self.issuer}",
            *log,
        )

    def __str__(self) -> str:
        return f"the key {self.private}" if self.private else "an identity of this pipeline"


def cosign_key(
    config: CosignConfig, *, root: Path, variables: Mapping[str, str]
) -> CosignKey | None:
    """Return what ``[sign.cosign]`` names; None where it names nothing.

    :raises ConfigError: the public key can't be read, or a variable is not set.
    """
    if config.identity and config.issuer:
        tokens = {name: Secret(variables[name]) for name in _TOKENS if variables.get(name)}
        return CosignKey(
            identity=config.identity,
            issuer=config.issuer,
            transparency_log=True,  # its certificates are valid for minutes: the log tells when
            secrets=tokens,
        )
    if not config.key or not config.public_key:
        return None
    _refuse_pin(config.key)
    return CosignKey(
        private=_place(config.key, root),
        public=_place(config.public_key, root),
        identity=_describe(config.public_key, root),
        transparency_log=config.transparency_log,
        secrets=_secrets(config, variables),
        credentials=credentials(variables) if _is_address(config.key) else {},
        hint=f"is {config.password_env} the key's password?",
    )


def ensure_cosign_key(folder: Path, *, cosign: Path, runner: Runner) -> CosignKey:
    """Return the local test key, made on first use. Safe in several processes at once.

    :param folder: ``<state>/signing/cosign``; made with mode 0700.
    :raises TrustError: cosign could not make it.
    """
    from filelock import FileLock

    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name("cosign.lock")):
        if not all((folder / name).is_file() for name in ("cosign.key", "cosign.pub", "password")):
            shutil.rmtree(folder, ignore_errors=True)
            _make(folder, cosign, runner)
    public = folder / "cosign.pub"
    return CosignKey(
        private=str(folder / "cosign.key"),
        public=str(public),
        identity=_describe(str(public), folder),
        secrets={_PASSWORD: Secret((folder / "password").read_text(encoding="utf-8"))},
        hint=f"rm -r {folder} makes a new local test key.",
    )


def _make(folder: Path, cosign: Path, runner: Runner) -> None:
    """Make the key in a folder beside, so that a kill leaves no half of it."""
    with tempfile.TemporaryDirectory(prefix=".cosign-", dir=folder.parent) as name:
        draft = Path(name) / "key"
        draft.mkdir(mode=0o700)
        password = secrets.token_urlsafe(32)
        write_atomically(draft / "password", password)
        with Sandbox(runner.environment) as sandbox:
            environment: dict[str, str | Secret] = {
                **sandbox.environment,
                _PASSWORD: Secret(password),
            }
            try:
                runner.run(
                    [cosign, "generate-key-pair"],
                    cwd=draft,
                    env=environment,
                    only_env=True,
                    timeout=_KEY_TIMEOUT,
                    quiet=True,
                )
            except ProcessError as error:
                raise TrustError(f"cosign could not make a test key.\n\n{error.output}") from None
        for path in draft.iterdir():
            path.chmod(0o600)
        draft.rename(folder)


def _secrets(config: CosignConfig, variables: Mapping[str, str]) -> dict[str, Secret]:
    """Return the key's password, and the key itself where a variable has it (``env://NAME``).

    Without a password in its environment, cosign would ask for one.
    """
    found = {_PASSWORD: Secret(variables.get(config.password_env, ""))}
    name = (config.key or "").removeprefix(_ENV)
    if name == config.key:
        return found
    if name not in variables:
        raise ConfigError(f"sign.cosign.key is {config.key!r}, but {name} is not set.")
    return {**found, name: Secret(variables[name])}


def _refuse_pin(key: str) -> None:
    if "pin-value=" in key:
        raise ConfigError(
            "sign.cosign.key has a PIN in it, which everybody on the machine could read.",
            hint="leave pin-value out.",
        )


def _is_address(key: str) -> bool:
    return "://" in key or key.startswith("pkcs11:")


def _place(key: str, root: Path) -> str:
    return key if _is_address(key) else str(place_named(root, key, where="sign.cosign"))


def _describe(public: str, root: Path) -> str:
    """Return what tells one public key from another: SHA-256 of its DER, or its address."""
    if _is_address(public):
        return public
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_pem_public_key,
    )

    path = place_named(root, public, where="sign.cosign.public_key")
    try:
        key = load_pem_public_key(read_file(path, shown=f"The public key {path}"))
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        why = "there is none" if isinstance(error, OSError) else "it is no public key in PEM"
        raise ConfigError(f"The public key {path} can't be read: {why}.") from None
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"the key sha256:{hashlib.sha256(der).hexdigest()}"
