"""One writer at a time of what belongs to one digest, over all threads and processes here."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from aksci.core.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["hold"]

_PRIVATE = 0o700
_HELD = threading.local()


@contextlib.contextmanager
def hold(digest: str) -> Iterator[None]:
    """Wait until nobody else of this user on this machine holds a digest, and hold it.

    The referrers of a digest share one tag on registries without a list of them, and who writes it
    while another does loses that one's entry. A registry has no lock that machines could share.
    Who holds a digest may hold it again in the same thread.
    """
    from filelock import FileLock

    held: set[str] = _HELD.__dict__.setdefault("digests", set())
    if digest in held:
        yield
        return
    with FileLock(_folder() / f"{digest.replace(':', '-')}.lock"):
        held.add(digest)
        try:
            yield
        finally:
            held.remove(digest)


def _folder() -> Path:
    """Return the user's own folder for locks: nobody else may put a link or a file there."""
    folder = Path(tempfile.gettempdir()) / f"aksci-locks-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=_PRIVATE)
    found = folder.lstat()
    if found.st_uid != os.getuid() or folder.is_symlink() or found.st_mode & 0o077:
        raise RegistryError(
            f"{folder} is not this user's alone, so no lock can be there.", hint=f"rm -r {folder}"
        )
    return folder
