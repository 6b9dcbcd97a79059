"""From a pinned root to what a role has signed: TUF's client workflow, as Notary's client has it.

"The Update Framework Specification", section 5: root (each version signed by the one before it),
timestamp, snapshot, targets, delegations. Each is checked for signatures, expiry and rollback, and
against what lists it. Nothing is taken from a cache: what can't be fetched is not trusted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from aksci.core.concurrency import backoff, import_first, retry
from aksci.supply.sign.dct.metadata import (
    MetadataError,
    Role,
    Root,
    Signed,
    Targets,
    read_files,
    read_root,
    read_signed,
    read_targets,
)
from aksci.supply.sign.dct.seen_metadata import Memory
from aksci.supply.sign.signer import UntrustedError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping

    from aksci.supply.sign.dct.metadata import FileMeta

__all__ = ["Branch", "MetadataSource", "VerifiedMetadata", "read_trust"]

_LARGEST = 16 * 2**20  # bytes of one document
_LARGEST_TIMESTAMP = 2**20
_MOST_ROOTS = 256  # versions in a chain
_MOST_ROLES = 64  # delegations that are looked at
_ATTEMPTS = 3  # somebody may publish while we read


class MetadataSource(Protocol):
    """Where metadata comes from."""

    def get(self, gun: str, name: str, *, largest: int) -> bytes | None:
        """Return a document, None when there is none.

        :raises TrustError: it can't be asked.
        """


class _MovedError(MetadataError):
    """Two documents don't belong together, as when one was replaced while we read."""


@dataclass(frozen=True, kw_only=True)
class Branch:
    """One role that may sign targets, verified."""

    name: str
    role: Role
    paths: tuple[str, ...]
    targets: Targets | None
    """None while it has signed nothing."""
    signers: frozenset[str] = frozenset()
    """The canonical identifiers of the keys that signed."""

    def files(self) -> Iterator[tuple[str, FileMeta]]:
        """Yield what it has signed of that which it may sign, by name."""
        for name, file in (self.targets.files if self.targets else {}).items():
            if any(name.startswith(path) for path in self.paths):
                yield name, file


@dataclass(frozen=True, kw_only=True)
class VerifiedMetadata:
    """What is known of a repository once all of it is verified."""

    gun: str
    root: Root
    branches: Mapping[str, Branch]
    memory: Memory
    """What to remember, so that nobody can go back behind it."""

    @property
    def versions(self) -> Mapping[str, int]:
        """The version of each role's metadata."""
        return self.memory.versions


@dataclass(kw_only=True)
class _Reader:
    source: MetadataSource
    gun: str
    pins: frozenset[str]
    now: dt.datetime
    before: Memory | None
    versions: dict[str, int] = field(default_factory=dict)

    # -- root --

    def root(self, data: bytes) -> Root:
        newest = read_root("root", data)
        # The pinned keys may have been replaced: then an older version has them, and leads here.
        if not self._anchored(newest):
            self._follow(None, newest, 1)
        # The pins alone would take an old root again, with keys that were replaced for a reason.
        if self.before:
            self._follow_up(self.before, newest)
        # Only the newest must not have expired: the others are steps on the way to it.
        newest.signed.require(self._of_root(newest, self.now), now=self.now)
        self._advance(newest.signed)
        return newest

    def _follow_up(self, before: Memory, newest: Root) -> None:
        """Require that the newest root descends from the one that is remembered."""
        old = read_root("root", before.root)
        same = newest.signed.version == old.signed.version
        if same and newest.signed.message != old.signed.message:
            raise MetadataError(
                f"The root metadata of {self.gun} is another than before, in the same version "
                f"{old.signed.version}."
            )
        if newest.signed.version > old.signed.version:
            self._follow(old, newest, old.signed.version + 1)
        for name in ("timestamp", "snapshot"):
            if newest.roles[name].keys.keys() != old.roles[name].keys.keys():
                before.versions.pop(name, None)  # TUF, 5.3.11: recover from a fast-forward attack

    def _follow(self, trusted: Root | None, newest: Root, first: int) -> None:
        """Go from version to version, each signed by the keys of the one before and by its own.

        :param trusted: where to start from; None: at the first version with pinned keys.
        """
        last = newest.signed.version
        if last - first > _MOST_ROOTS:
            raise MetadataError(f"The root metadata of {self.gun} has too many versions.")
        for version in range(first, last + 1):
            root = newest if version == last else self._old_root(version)
            if root is None and trusted is None:
                continue  # Notary publishes its second version first, where it manages the snapshot
            if root is None:
                raise MetadataError(f"Version {version} of the root of {self.gun} is missing.")
            if trusted is None:
                trusted = root if self._anchored(root) else None
                continue
            # Both: the old keys hand over, and the new ones show that they can sign. TUF, 5.3.4.
            root.signed.require(self._of_root(trusted, None))
            root.signed.require(self._of_root(root, None))
            trusted = root
        if trusted is None:
            raise UntrustedError(
                f"The root of {self.gun} is not signed by a pinned key. Its keys are "
                f"{', '.join(sorted(key.id for key in newest.roles['root'].keys.values()))}.",
                hint="if you trust one of them, pin it: roots under [sign.dct] in aksci.toml.",
            )

    def _old_root(self, version: int) -> Root | None:
        name = f"{version}.root"
        data = self.source.get(self.gun, name, largest=_LARGEST)
        if data is None:
            return None
        root = read_root(name, data)
        if root.signed.version != version:
            raise MetadataError(f"The metadata {name} is of version {root.signed.version}.")
        return root

    def _anchored(self, root: Root) -> bool:
        """Tell whether enough pinned keys have signed a root."""
        role = self._of_root(root, None)
        keys = {
            name: key
            for name, key in role.keys.items()
            if key.id in self.pins or key.canonical_id in self.pins
        }
        return len(root.signed.signers(Role(keys=keys, threshold=1))) >= role.threshold

    def _of_root(self, root: Root, now: dt.datetime | None) -> Role:
        """Return the root role with only those keys whose certificates name this repository."""
        role = root.roles["root"]
        keys = {name: key for name, key in role.keys.items() if key.certifies(self.gun, now)}
        return Role(keys=keys, threshold=role.threshold)

    # -- the others --

    def files(self, root: Root, data: bytes) -> Mapping[str, FileMeta]:
        """Verify timestamp and snapshot; return what the snapshot lists."""
        stamp = read_signed(
            "timestamp", self._fetch("timestamp", largest=_LARGEST_TIMESTAMP), "Timestamp"
        )
        self._accept(stamp, root.roles["timestamp"])
        listed = read_files(stamp)
        content = self._fetch_listed("snapshot", listed)
        snapshot = read_signed("snapshot", content, "Snapshot")
        self._accept(snapshot, root.roles["snapshot"])
        files = read_files(snapshot)
        # A snapshot is of one moment: without these checks, parts of two moments could be mixed.
        if "root" not in files:
            raise MetadataError("The metadata snapshot does not list the root.")
        _require_same("root", files["root"], data)
        return files

    def branch(
        self, name: str, role: Role, paths: tuple[str, ...], files: Mapping[str, FileMeta]
    ) -> Branch:
        """Verify one role's targets."""
        if name not in files:
            # A delegation that has signed nothing yet has no file; one that had it keeps it.
            if name == "targets" or name in (self.before.versions if self.before else {}):
                raise MetadataError(f"The metadata snapshot does not list {name}.")
            return Branch(name=name, role=role, paths=paths, targets=None)
        signed = read_signed(name, self._fetch_listed(name, files), "Targets")
        signers = self._accept(signed, role)
        targets = read_targets(signed)
        return Branch(name=name, role=role, paths=paths, targets=targets, signers=signers)

    def _accept(self, signed: Signed, role: Role) -> frozenset[str]:
        signers = signed.require(role, now=self.now)
        self._advance(signed)
        return signers

    def _advance(self, signed: Signed) -> None:
        """Note a version; an older one than is remembered is a rollback."""
        known = self.before.versions.get(signed.name, 0) if self.before else 0
        if signed.version < known:
            raise MetadataError(
                f"The metadata {signed.name} of {self.gun} is of version {signed.version}; version "
                f"{known} was seen before. Somebody has put old metadata back.",
                hint="if the server was restored from a backup on purpose, sign anew.",
            )
        self.versions[signed.name] = signed.version

    def _fetch(self, name: str, *, largest: int = _LARGEST) -> bytes:
        data = self.source.get(self.gun, name, largest=largest)
        if data is None:
            raise MetadataError(f"The server does not have {name} of {self.gun}.")
        return data

    def _fetch_listed(self, name: str, files: Mapping[str, FileMeta]) -> bytes:
        """Fetch a document by its hash, and require that it is the one that is listed."""
        if name not in files:
            raise MetadataError(f"Nothing verified lists the metadata {name} of {self.gun}.")
        listed = files[name]
        if listed.length > _LARGEST:
            raise MetadataError(f"The metadata {name} of {self.gun} is too large.")
        data = self._fetch(f"{name}.{listed.hashes['sha256'].hex()}", largest=listed.length)
        _require_same(name, listed, data)
        return data


def read_trust(
    source: MetadataSource,
    gun: str,
    *,
    pins: frozenset[str],
    now: dt.datetime,
    role: str | None = "targets",
    before: Memory | None = None,
) -> VerifiedMetadata | None:
    """Verify a repository's metadata as far as a role; None when the server has none.

    :param pins: identifiers of root keys, or of their certificates, that are trusted.
    :param role: ``targets`` or a delegation below it; None: all of them.
    :param before: what was seen earlier.
    :raises UntrustedError: the root is not signed by pinned keys.
    :raises MetadataError: something else is wrong.
    :raises TrustError: the server can't be asked.
    """
    import_first("cryptography.x509")  # several threads verify at once

    def read() -> VerifiedMetadata | None:
        data = source.get(gun, "root", largest=_LARGEST)
        if data is None:
            if before:
                raise MetadataError(f"The server no longer has what was signed in {gun}.")
            return None
        earlier = Memory(root=before.root, versions=dict(before.versions)) if before else None
        reader = _Reader(source=source, gun=gun, pins=pins, now=now, before=earlier)
        return _read(reader, data, role)

    return retry(read, again=_has_moved, waits=backoff(0, attempts=_ATTEMPTS))


def _has_moved(error: Exception) -> bool:
    return isinstance(error, _MovedError)


def _read(reader: _Reader, data: bytes, role: str | None) -> VerifiedMetadata:
    root = reader.root(data)
    files = reader.files(root, data)
    top = reader.branch("targets", root.roles["targets"], ("",), files)
    branches = {"targets": top}
    waiting = [top]
    while waiting and len(branches) <= _MOST_ROLES:
        parent = waiting.pop(0)
        for name, each in (parent.targets.delegations if parent.targets else {}).items():
            if role is not None and not f"{role}/".startswith(f"{name}/"):
                continue
            # A role may sign only what all those above it may.
            paths = tuple(
                path for path in each.paths if any(path.startswith(own) for own in parent.paths)
            )
            branches[name] = reader.branch(name, each.role, paths, files)
            waiting.append(branches[name])
    memory = Memory(root=data, versions=reader.versions)
    return VerifiedMetadata(gun=reader.gun, root=root, branches=branches, memory=memory)


def _require_same(name: str, listed: FileMeta, data: bytes) -> None:
    try:
        listed.require(name, data)
    except MetadataError as error:
        raise _MovedError(error.message) from None
