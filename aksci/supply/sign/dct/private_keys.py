"""Notary's private keys: files named by key identifier, encrypted, with the role in a header."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.core.files import write_atomically
from aksci.core.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

__all__ = ["KeyStore", "local_passphrase"]


@dataclass(frozen=True)
class KeyStore:
    """A folder of keys, as ``~/.docker/trust/private`` is one. They are never decrypted here."""

    folder: Path

    def find(self, identifiers: Collection[str]) -> tuple[Path, ...]:
        """Return the files of those keys that are here, by canonical identifier."""
        paths = (self.folder / f"{identifier}.key" for identifier in sorted(identifiers))
        return tuple(path for path in paths if path.is_file())

    def of_role(self, role: str) -> tuple[str, ...]:
        """Return the identifiers of the keys that were made for a role."""
        return tuple(path.stem for path in self._keys() if _role(path) == role)

    def lend(self, keys: Iterable[Path], folder: Path) -> None:
        """Copy keys into a folder that only one program uses, and that goes with it."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for key in keys:
            write_atomically(folder / key.name, key.read_bytes())

    def adopt(self, folder: Path) -> None:
        """Keep the keys that were made in a folder and are not here yet."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for key in sorted(folder.glob("*.key")):
            if not (self.folder / key.name).exists():
                write_atomically(self.folder / key.name, key.read_bytes())

    def _keys(self) -> list[Path]:
        return sorted(self.folder.glob("*.key"))


def local_passphrase(folder: Path) -> Secret:
    """Return the passphrase of the local test keys, made on first use."""
    from filelock import FileLock

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / "passphrase"
    with FileLock(folder / "lock"):
        if not path.is_file():
            write_atomically(path, secrets.token_urlsafe(32))
        return Secret(path.read_text(encoding="utf-8"))


def _role(path: Path) -> str:
    """Read the header ``role`` of a PEM file (RFC 1421, 4.6)."""
    for line in path.read_text(encoding="ascii", errors="replace").splitlines():
        name, colon, value = line.partition(":")
        if colon and name.strip() == "role":
            return value.strip()
    return ""
