"""What was seen of a repository's metadata: nobody may go back behind it."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from aksci.core.errors import TrustError
from aksci.core.files import write_atomically
from aksci.core.strict_json import MALFORMED, parse_json

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Memories", "Memory"]


@dataclass(frozen=True, kw_only=True)
class Memory:
    """One repository's: its root metadata, and the version of each role's."""

    root: bytes
    versions: dict[str, int]


@dataclass(frozen=True)
class Memories:
    """A folder of them, one file a repository: ``<state>/trust/dct``."""

    folder: Path

    def load(self, gun: str) -> Memory | None:
        """Return what is remembered; None before the first time.

        :raises TrustError: it is damaged. It is not taken for nothing: that would help an attacker.
        """
        path = self._path(gun)
        try:
            value = parse_json(path.read_bytes())
            versions = {str(name): int(number) for name, number in value["versions"].items()}
            return Memory(root=base64.b64decode(value["root"], validate=True), versions=versions)
        except FileNotFoundError:
            return None
        except (OSError, *MALFORMED):
            raise TrustError(
                f"What was seen of {gun} can't be read from {path}.",
                hint="remove the file if you know why it is damaged.",
            ) from None

    def keep(self, gun: str, memory: Memory) -> None:
        """Remember what was verified just now, unless another process has seen something newer."""
        from filelock import FileLock

        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._path(gun).with_suffix(".lock")):
            known = self.load(gun)
            if known == memory or (known and _newer(known, memory)):
                return
            value = {
                "schema": 1,
                "gun": gun,
                "root": base64.b64encode(memory.root).decode(),
                "versions": {**(known.versions if known else {}), **memory.versions},
            }
            write_atomically(self._path(gun), json.dumps(value, indent=2, sort_keys=True) + "\n")

    def forget(self, gun: str) -> None:
        """Forget a repository that is about to be made anew by who holds its root key."""
        self._path(gun).unlink(missing_ok=True)

    def _path(self, gun: str) -> Path:
        return self.folder / f"{quote(gun, safe='')}.json"


def _newer(known: Memory, memory: Memory) -> bool:
    """Compare what both have; a root that is higher than ours wins by itself."""
    order = ("root", "timestamp")
    ours, theirs = ([each.versions.get(name, 0) for name in order] for each in (memory, known))
    return theirs > ours
