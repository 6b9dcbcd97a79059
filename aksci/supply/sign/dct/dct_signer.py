"""Docker Content Trust as a signer: ``notary`` signs a digest, and we verify it ourselves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from aksci.core.concurrency import backoff, retry
from aksci.core.errors import TrustError
from aksci.core.text import sanitise
from aksci.supply.sign.dct.canonical_json import encode
from aksci.supply.sign.dct.notary_client import add_words
from aksci.supply.sign.dct.target import read_claims, target_name
from aksci.supply.sign.dct.trust_chain import read_trust
from aksci.supply.sign.signer import BindingError, NotSignedError, Proof, UntrustedError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from aksci.core.process import Result
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry
    from aksci.supply.sign.dct.metadata import FileMeta
    from aksci.supply.sign.dct.notary_client import NotaryClient, NotaryHome
    from aksci.supply.sign.dct.private_keys import KeyStore
    from aksci.supply.sign.dct.seen_metadata import Memories
    from aksci.supply.sign.dct.trust_chain import Branch, VerifiedMetadata

__all__ = ["DctSigner"]

_ATTEMPTS = 12  # other machines may publish at the same time; one of them always succeeds


class _OvertakenError(TrustError):
    """Another machine was quicker."""


@dataclass(frozen=True, kw_only=True)
class DctSigner:
    """Signs and verifies with Docker Content Trust. Safe in several threads and processes."""

    client: NotaryClient
    registry: Registry
    roots: Mapping[str, tuple[str, ...]]
    """Repository, or ``*`` -> identifiers of the root keys, or of their certificates."""
    keys: KeyStore
    memories: Memories
    locks: Path
    now: Callable[[], dt.datetime]
    role: str = "targets"
    local: bool = False
    """The server is the embedded platform's: it forgets everything when it stops."""

    @property
    def name(self) -> str:
        """Always ``dct``."""
        return "dct"

    def sign(self, ref: ImageRef, claims: Mapping[str, str]) -> None:
        """Sign the digest itself, then read it back; again where another machine was quicker.

        :raises TrustError: it could not be signed.
        """
        from filelock import FileLock

        size = len(self.registry.manifest(ref.repository, ref.digest).content)
        self.locks.mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(self.locks / f"{quote(ref.name, safe='')}.lock"):
            retry(
                lambda: self._sign_once(ref, claims, size),
                again=lambda error: isinstance(error, _OvertakenError),
                waits=backoff(0, attempts=_ATTEMPTS),
            )

    def _sign_once(self, ref: ImageRef, claims: Mapping[str, str], size: int) -> None:
        seen = self._ready(ref)
        done = self._add(ref, claims, size, seen)
        try:
            self.verify(ref, claims)
        except (NotSignedError, BindingError):
            # notary's messages are not read: if nobody has published since, it is ours that failed.
            if done.status and not self._moved(ref, seen):
                raise self._failed(ref, done) from None
            raise _OvertakenError(
                f"{ref} could not be signed: other programs publish in {ref.name} all the time.",
                hint="run again when they have ended.",
            ) from None

    def verify(self, ref: ImageRef, claims: Mapping[str, str]) -> tuple[Proof, ...]:
        """Verify all metadata from the pinned root, fetched anew, and find the digest in it."""
        trust = self.read(ref.name, ref.repository)
        branch = trust.branches.get(self.role) if trust else None
        found = [file for _, file in branch.files() if _is(file, ref)] if branch else []
        if branch is None or not found:
            raise NotSignedError(
                f"{ref} is not signed by {self.role} in Docker Content Trust.", hint="nox -s sign"
            )
        size = len(self.registry.manifest(ref.repository, ref.digest).content)
        # Who claims another length has signed other bytes, whatever the hash says.
        found = [file for file in found if file.length == size]
        if not found:
            raise UntrustedError(f"{ref} is signed with another length than its {size} bytes.")
        told = [read_claims(file) for file in found]
        proofs = tuple(
            Proof(signer="dct", identity=_identity(branch), claims=each)
            for each in told
            if claims.items() <= each.items()
        )
        if not proofs:
            required = ", ".join(f"{key}={value}" for key, value in claims.items())
            raise BindingError(
                f"{ref} is signed, but no signature covers {required}: it was signed after another "
                "scan or another build, or for another repository.",
                hint="nox -s scan sign",
            )
        return proofs

    def read(
        self, gun: str, repository: str, *, every_role: bool = False
    ) -> VerifiedMetadata | None:
        """Verify what the server has of a repository, and remember how far it was.

        :returns: None where the server knows nothing of it.
        :raises TrustError: it can't be asked, or what it says can't be trusted.
        """
        trust = read_trust(
            self.client.server,
            gun,
            pins=self._pins(repository),
            now=self.now(),
            role=None if every_role else self.role,
            before=None if self._forgetful(gun) else self.memories.load(gun),
        )
        if trust:
            self.memories.keep(gun, trust.memory)
        return trust

    def _pins(self, repository: str) -> frozenset[str]:
        return frozenset(self.roots.get(repository, self.roots.get("*", ())))

    def _forgetful(self, gun: str) -> bool:
        """Forget what the embedded platform's server has forgotten."""
        if not self.local or self.client.server.get(gun, "root", largest=2**24) is not None:
            return False
        self.memories.forget(gun)
        return True

    # -- signing --

    def _ready(self, ref: ImageRef) -> VerifiedMetadata:
        """Return the repository's metadata, made first where there is none, with our role in it."""
        trust = self.read(ref.name, ref.repository)
        if trust is None:
            self._initialise(ref)
            trust = self.read(ref.name, ref.repository)
        if trust and self.role not in trust.branches and self.local:
            self._delegate(ref, trust)
            trust = self.read(ref.name, ref.repository)
        if trust is None or self.role not in trust.branches:
            raise TrustError(
                f"{ref.name} has no role {self.role} in Docker Content Trust.",
                hint=f"whoever holds its keys adds it: notary delegation add {ref.name} "
                f"{self.role} KEY.pem --all-paths --publish",
            )
        return trust

    def _add(
        self, ref: ImageRef, claims: Mapping[str, str], size: int, trust: VerifiedMetadata
    ) -> Result:
        role = trust.branches[self.role].role
        own = self._keys_of(trust, self.role)
        if not own:
            needed = ", ".join(sorted(key.canonical_id for key in role.keys.values()))
            raise TrustError(
                f"No key of the role {self.role} of {ref.name} is in {self.keys.folder}; "
                f"one of {needed} is needed."
            )
        with self._home(trust, own) as home:
            # Signed by the client as it stands, and checked by the server in canonical form.
            custom = home.write("custom.json", encode(dict(claims)).decode())
            words = add_words(
                ref.name,
                target_name(ref, claims),
                digest=ref.digest,
                size=size,
                custom=custom,
                role=self.role,
            )
            return home.run(*words)

    def _initialise(self, ref: ImageRef) -> None:
        """Make a repository's metadata with the pinned root key; the server keeps the snapshot key.

        The keys that are made are kept before anything is published.
        """
        roots = self.keys.find([*self._pins(ref.repository)])
        if not roots or not self.client.root_passphrase:
            raise NotSignedError(
                f"{ref.name} is not in Docker Content Trust yet, and to add it takes a pinned root "
                f"key in {self.keys.folder} with its passphrase.",
                hint=f"whoever holds it runs: docker trust sign {ref.name}:TAG",
            )
        with self.client.home(self.keys, roots[:1], {}) as home:
            made = home.run("init", ref.name)
            self.keys.adopt(home.private)
            done = made if made.status else home.run("key", "rotate", ref.name, "snapshot", "-r")
        if done.status and self.read(ref.name, ref.repository) is None:
            raise self._failed(ref, done)

    def _delegate(self, ref: ImageRef, trust: VerifiedMetadata) -> None:
        """On the embedded platform: give our role a key of its own."""
        parent = self.role.rpartition("/")[0]
        with self._home(trust, self._keys_of(trust, parent)) as home:
            stem = home.private.parent / "delegation"
            made = home.run("key", "generate", "ecdsa", f"--role={self.role}", f"--output={stem}")
            if made.status:
                raise self._failed(ref, made)
            public = stem.with_suffix(".pem")
            key = stem.with_name("delegation-key.pem")
            key.rename(home.private / f"{_identifier(public)}.key")
            self.keys.adopt(home.private)
            words = ("delegation", "add", ref.name, self.role, public, "--all-paths", "--publish")
            done = home.run(*words)
        if done.status:
            raise self._failed(ref, done)

    def _home(self, trust: VerifiedMetadata, keys: tuple[Path, ...]) -> NotaryHome:
        """Make a trust folder that trusts the root that we have verified, and no other."""
        pins = {trust.gun: sorted(trust.root.roles["root"].keys)}
        return replace(self.client, root_passphrase=None).home(self.keys, keys, pins)

    def _keys_of(self, trust: VerifiedMetadata, role: str) -> tuple[Path, ...]:
        """Return our keys of a role, and of the snapshot where the server does not keep it."""
        roles = (trust.branches[role].role, trust.root.roles["snapshot"])
        own, snapshot = (
            self.keys.find({key.canonical_id for key in each.keys.values()}) for each in roles
        )
        return (*own, *snapshot) if own else ()

    def _moved(self, ref: ImageRef, seen: VerifiedMetadata) -> bool:
        """Tell whether somebody has published since."""
        now = self.read(ref.name, ref.repository)
        return now is None or now.versions != seen.versions

    def _failed(self, ref: ImageRef, done: Result) -> TrustError:
        text = self.client.runner.redact(sanitise(done.stdout + done.stderr)).strip()
        return TrustError(
            f"{ref} could not be signed with Docker Content Trust.\n\n{text}",
            hint="check the keys and passphrases under [sign.dct] in aksci.toml.",
        )


def _identity(branch: Branch) -> str:
    return f"{branch.name}, key {', '.join(sorted(branch.signers))}"


def _identifier(public: Path) -> str:
    """Return a key's identifier, from a PEM file with Notary's headers in it."""
    import base64

    from aksci.supply.sign.dct.public_keys import Key

    body = public.read_text(encoding="ascii").partition("\n\n")[2].partition("-----")[0]
    return Key(kind="ecdsa", public=base64.b64decode("".join(body.split()))).id


def _is(file: FileMeta, ref: ImageRef) -> bool:
    return file.hashes["sha256"].hex() == ref.digest.removeprefix("sha256:")
