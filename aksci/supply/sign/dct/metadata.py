"""The four kinds of Notary's metadata as frozen values, and the signatures on them.

Notary (v1) implements TUF, "The Update Framework Specification", in a dialect of its own: its
``tuf/data`` package is what is followed here. What is not understood is refused.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.core.text import sanitise
from aksci.supply.sign.dct.canonical_json import encode, parse
from aksci.supply.sign.dct.public_keys import KINDS, Key
from aksci.supply.sign.signer import UntrustedError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "FileMeta",
    "MetadataError",
    "Role",
    "Root",
    "Signed",
    "Targets",
    "read_files",
    "read_root",
    "read_signed",
    "read_targets",
]

_ROLES = ("root", "targets", "snapshot", "timestamp")
_DELEGATION = re.compile(r"targets(?:/[-a-z0-9_]+)+")  # Notary's delegationRegexp
_HASHES = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}


class MetadataError(UntrustedError):
    """Metadata that can't be read, is not signed as it must be, or is out of date."""

    code = "trust-dct-metadata"


@dataclass(frozen=True, kw_only=True)
class Role:
    """Who may sign, and how many of them must."""

    keys: Mapping[str, Key]
    threshold: int


@dataclass(frozen=True, kw_only=True)
class Signed:
    """A document of metadata: what all kinds have in common, and its signatures."""

    name: str
    content: Mapping[str, Any]
    message: bytes
    """What was signed: the content in canonical form."""
    signatures: tuple[tuple[str, str, bytes], ...]
    """Key identifier, method, signature."""
    version: int
    expires: dt.datetime

    def signers(self, role: Role) -> frozenset[str]:
        """Return the role's keys that have signed, each once, by their canonical identifiers."""
        found = set()
        for identifier, method, signature in self.signatures:
            key = role.keys.get(identifier)
            if key and key.has_signed(self.message, signature, method):
                found.add(key.canonical_id)
        return frozenset(found)

    def require(self, role: Role, *, now: dt.datetime | None = None) -> frozenset[str]:
        """Require enough signatures and, at ``now``, that it has not expired; return who signed.

        :raises MetadataError: it lacks one of them.
        """
        found = self.signers(role)
        if len(found) < role.threshold:
            raise MetadataError(
                f"The metadata {self.name} has {len(found)} valid signatures of its role's keys; "
                f"{role.threshold} are required."
            )
        if now is not None and self.expires <= now:
            raise MetadataError(
                f"The metadata {self.name} expired on {self.expires:%Y-%m-%d %H:%M} UTC."
            )
        return found


@dataclass(frozen=True, kw_only=True)
class FileMeta:
    """What a file must be: its length in bytes and its hashes."""

    length: int
    hashes: Mapping[str, bytes]
    custom: Any = None
    """What else its signer has written of it."""

    def require(self, name: str, data: bytes) -> None:
        """Require that a file is this one.

        :raises MetadataError: it is another.
        """
        same = [
            hmac.compare_digest(_HASHES[kind](data).digest(), expected)
            for kind, expected in self.hashes.items()
        ]
        if len(data) != self.length or not all(same):
            raise MetadataError(f"The metadata {name} is not the one that was signed for.")


@dataclass(frozen=True, kw_only=True)
class Root:
    """Root metadata: who may sign each of the others."""

    signed: Signed
    roles: Mapping[str, Role]


@dataclass(frozen=True, kw_only=True)
class Delegation:
    """A role below another one, and the targets that it may sign."""

    role: Role
    paths: tuple[str, ...]
    """Prefixes of targets' names."""


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What a role has signed, and to whom it delegates."""

    signed: Signed
    files: Mapping[str, FileMeta]
    delegations: Mapping[str, Delegation]


def read_signed(name: str, data: bytes, kind: str) -> Signed:
    """Read a document of metadata; nothing of it is trusted yet.

    :param kind: its ``_type``: ``Root``, ``Targets``, ``Snapshot`` or ``Timestamp``.
    :raises MetadataError: it is not understood.
    """
    try:
        whole = _mapping(parse(data))
        content = _content(whole, kind)
        return Signed(
            name=name,
            content=content,
            message=encode(content),
            signatures=tuple(_signature(each) for each in _sequence(whole["signatures"])),
            version=_number(content["version"], least=1),
            expires=_moment(content["expires"]),
        )
    except (ValueError, KeyError) as error:
        raise _not_understood(name, error) from None


def read_root(name: str, data: bytes) -> Root:
    """Read root metadata.

    :raises MetadataError: it is not understood.
    """
    signed = read_signed(name, data, "Root")
    try:
        keys = _keys(signed.content["keys"])
        roles = _mapping(signed.content["roles"])
        return Root(signed=signed, roles={each: _role(roles[each], keys) for each in _ROLES})
    except (ValueError, KeyError) as error:
        raise _not_understood(name, error) from None


def read_files(signed: Signed) -> Mapping[str, FileMeta]:
    """Read which metadata a timestamp or a snapshot lists.

    :raises MetadataError: it is not understood.
    """
    try:
        return {name: _file(each) for name, each in _mapping(signed.content["meta"]).items()}
    except (ValueError, KeyError) as error:
        raise _not_understood(signed.name, error) from None


def read_targets(signed: Signed) -> Targets:
    """Read the targets and delegations of a role.

    :raises MetadataError: it is not understood.
    """
    try:
        files = _mapping(signed.content["targets"])
        return Targets(
            signed=signed,
            files={name: _file(each) for name, each in files.items()},
            delegations=_delegations(signed.name, signed.content.get("delegations") or {}),
        )
    except (ValueError, KeyError) as error:
        raise _not_understood(signed.name, error) from None


def _content(whole: dict[str, Any], kind: str) -> dict[str, Any]:
    if set(whole) != {"signed", "signatures"}:
        raise ValueError("it has other parts than 'signed' and 'signatures'")
    content = _mapping(whole["signed"])
    if content["_type"] != kind:
        raise ValueError(f"it is no {kind}")
    return content


def _delegations(parent: str, value: Any) -> dict[str, Delegation]:
    table = _mapping(value)
    keys = _keys(table.get("keys") or {})
    found: dict[str, Delegation] = {}
    for each in _sequence(table.get("roles") or []):
        role = _mapping(each)
        name = _string(role["name"])
        if name in found or not _DELEGATION.fullmatch(name) or name.rpartition("/")[0] != parent:
            raise ValueError(f"it can't delegate to {name[:80]!r}")
        paths = tuple(_string(path) for path in _sequence(role.get("paths") or []))
        found[name] = Delegation(role=_role(role, keys), paths=paths)
    return found


def _keys(value: Any) -> dict[str, Key]:
    keys = {}
    for identifier, each in _mapping(value).items():
        kind = _string(_mapping(each)["keytype"])
        if kind not in KINDS:
            raise ValueError(f"a key is of the unknown type {kind[:40]!r}")
        key = Key(kind=kind, public=_bytes(_mapping(each["keyval"])["public"]))
        if key.id != identifier:
            raise ValueError("a key does not have the identifier that it is listed by")
        keys[identifier] = key
    return keys


def _role(value: Any, keys: Mapping[str, Key]) -> Role:
    table = _mapping(value)
    names = [_string(name) for name in _sequence(table["keyids"])]
    threshold = _number(table["threshold"], least=1)
    return Role(keys={name: keys[name] for name in names}, threshold=threshold)


def _file(value: Any) -> FileMeta:
    table = _mapping(value)
    hashes = {kind: _bytes(text) for kind, text in _mapping(table["hashes"]).items()}
    if "sha256" not in hashes or not set(hashes) <= set(_HASHES):
        raise ValueError("a file has no SHA-256, or a hash of an unknown type")
    if any(len(hashes[kind]) != _HASHES[kind]().digest_size for kind in hashes):
        raise ValueError("a hash has another length than its type")
    length = _number(table["length"], least=0)
    return FileMeta(length=length, hashes=hashes, custom=table.get("custom"))


def _signature(value: Any) -> tuple[str, str, bytes]:
    table = _mapping(value)
    return _string(table["keyid"]), _string(table["method"]).lower(), _bytes(table["sig"])


def _moment(value: Any) -> dt.datetime:
    moment = dt.datetime.fromisoformat(_string(value))
    if moment.tzinfo is None:
        raise ValueError("a date has no time zone")
    try:
        return moment.astimezone(dt.UTC)
    except OverflowError:
        raise ValueError("a date is out of range") from None


def _bytes(value: Any) -> bytes:
    return base64.b64decode(_string(value), validate=True)


def _number(value: Any, *, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"a number of at least {least} is missing")
    return value


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a text is missing")  # noqa: TRY004 - all that is wrong is a ValueError
    return value


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("an object is missing")  # noqa: TRY004 - see _string
    return value


def _sequence(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("a list is missing")  # noqa: TRY004 - see _string
    return value


def _not_understood(name: str, error: Exception) -> MetadataError:
    what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
    return MetadataError(f"The metadata {name} is not understood: {sanitise(what)}.")
