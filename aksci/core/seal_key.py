"""The key that seals what runs of this user write into a project's ``.aksci``."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError
from aksci.core.git import repository_of

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SEAL_VARIABLE", "shared_key", "user_key"]

SEAL_VARIABLE = "AKSCI_STATE_KEY"
"""The environment variable with a key for all jobs of a run, whatever machine they are on."""
_NAME = "seal.key"
_BYTES = 32
_SHORTEST = 32  # characters


def shared_key(value: str, project: str) -> bytes:
    """Return the key that a secret variable gives to a project.

    :raises ConfigError: it is too short to be a secret.
    """
    if len(value) < _SHORTEST:
        raise ConfigError(
            f"{SEAL_VARIABLE} has fewer than {_SHORTEST} characters.",
            hint=f"{SEAL_VARIABLE}=$(openssl rand -hex 32), as a secret of the CI system.",
        )
    return _derived(value.encode(), f"project {project}")


def user_key(state: Path, root: Path) -> bytes | None:
    """Return this user's key for a project's folder; the first call makes it.

    None where it could be another's word: in the sources, behind a link, of another user, or where
    others may read it; and where it can't be kept.

    :param state: aksci's per-user state folder.
    :param root: the project's folder, resolved.
    """
    place = state.resolve()
    # A home in the checkout, as some CI systems have it: a commit may hold such a file.
    if place.is_relative_to(repository_of(root)):
        return None
    try:
        with contextlib.suppress(FileNotFoundError):
            return _read(place, root)
        _make(place)
        return _read(place, root)
    except OSError:
        return None


def _read(place: Path, root: Path) -> bytes | None:
    handle = os.open(place / _NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        state = os.fstat(handle)
        private = stat.S_ISREG(state.st_mode) and not state.st_mode & 0o077
        if not private or state.st_uid != os.geteuid():
            return None
        content = file.read(_BYTES + 1)
    return _derived(content, f"folder {root}") if len(content) == _BYTES else None


def _make(place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = place / f".{_NAME}.{secrets.token_hex(6)}.draft"
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_BYTES))
        # Unlike rename(2), it replaces nothing: of two processes that make one, the first's stays.
        with contextlib.suppress(FileExistsError):
            os.link(draft, place / _NAME)
    finally:
        draft.unlink()


def _derived(key: bytes, purpose: str) -> bytes:
    """Return a key of its own for one purpose: no project's seal is another's."""
    import hmac

    return hmac.digest(key, f"aksci seal 1\n{purpose}".encode("utf-8", "surrogateescape"), "sha256")
