"""Which files change a service's database, as a release names them: one file, one version."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError
from aksci.supply.release.release import Migration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["natural_key", "read_migrations"]


def read_migrations(root: Path, patterns: Iterable[str], *, service: str) -> tuple[Migration, ...]:
    """Return a service's migrations in the order of their versions, ``2`` before ``10``.

    :param root: the project's folder, which the globs are relative to.
    :raises ConfigError: a glob matches nothing or leads outside, or two files are one version.
    """
    found: dict[str, Path] = {}
    for pattern in patterns:
        for path in _files(root, pattern, service):
            other = found.setdefault(path.stem, path)
            if other != path:
                raise ConfigError(
                    f"services.{service}.migrations: {other.relative_to(root)} and "
                    f"{path.relative_to(root)} are both version {path.stem!r}."
                )
    return tuple(
        Migration(version=version, digest=_digest(found[version], service))
        for version in sorted(found, key=natural_key)
    )


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Return what sorts texts with their numbers by value; different texts differ."""
    parts = re.findall(r"[0-9]+|[^0-9]+", text)
    numbers = tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)
    return (*numbers, (-1, 0, text))


def _files(root: Path, pattern: str, service: str) -> Iterator[Path]:
    """Yield the files of one glob; symbolic links may not lead outside."""
    try:
        matches = sorted(path for path in root.glob(pattern) if path.is_file())
    except (ValueError, NotImplementedError) as error:
        raise ConfigError(f"services.{service}.migrations: {pattern!r}: {error}.") from None
    home = root.resolve()
    for path in matches:
        if ".." in path.parts[len(root.parts) :] or not path.resolve().is_relative_to(home):
            raise ConfigError(
                f"services.{service}.migrations: {pattern!r} leads to {path.resolve()}, which is "
                "outside the project."
            )
    if not matches:
        raise ConfigError(
            f"services.{service}.migrations: {pattern!r} matches no file in {root}.",
            hint="write a glob relative to aksci.toml, such as services/NAME/migrations/*.sql.",
        )
    yield from matches


def _digest(path: Path, service: str) -> str:
    try:
        with path.open("rb") as file:
            return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(
            f"services.{service}.migrations: {path} can't be read: {error.strerror}."
        ) from None
