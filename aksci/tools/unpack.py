"""Take one file out of an archive, and nothing else."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from aksci.core.errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["unpack"]


def unpack(file: Path, url: str, member: str | None, target: Path) -> None:
    """Write the archive's member, or the file itself where no member is named, to ``target``.

    Only that member is read: what else the archive holds, and where it would go, does not matter.

    :param url: where the file came from; its ending names the format.
    :raises DownloadError: the archive is broken, or has no such file.
    """
    try:
        with _opened(file, url, member) as source, target.open("wb") as output:
            shutil.copyfileobj(source, output)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, KeyError) as error:
        raise DownloadError(f"{url} holds no readable file {member!r}: {error}") from None


@contextmanager
def _opened(file: Path, url: str, member: str | None) -> Iterator[IO[bytes]]:
    if member is None:
        with file.open("rb") as plain:
            yield plain
    elif url.endswith(".zip"):
        with zipfile.ZipFile(file) as archive, archive.open(member) as inside:
            yield inside
    else:
        with tarfile.open(file) as tar:
            extracted = tar.extractfile(member)
            if extracted is None:
                raise KeyError(f"{member} is no file")
            yield extracted
