"""Which release the last build made: ``.aksci/release.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError, UsageError
from aksci.core.strict_json import MALFORMED
from aksci.oci.references import ImageRef

if TYPE_CHECKING:
    from pathlib import Path

    from aksci.core.work_folder import WorkFolder
    from aksci.supply.release.release import Release

__all__ = ["read_release_file", "write_release_file"]

_NAME = "release.json"


def write_release_file(work: WorkFolder, release: Release, *, run: str) -> Path:
    """Write ``release.json`` in the project's ``.aksci`` folder: what the last build made."""
    document = {"schema": 1, "ref": str(release.ref), "digest": release.id, "run": run}
    return work.write_own(_NAME, document)


def read_release_file(work: WorkFolder) -> ImageRef:
    """Read which release the last build made.

    :raises UsageError: there is none, or the file is unreadable.
    :raises TrustError: a run of ours may not have written it: it could name any older release.
    """
    path = work.path / _NAME
    try:
        document = work.read_own(_NAME)
        if document["schema"] != 1:
            raise ValueError(document["schema"])
        return ImageRef.parse(document["ref"])
    except FileNotFoundError:
        raise UsageError(
            f"There is no release yet: {path} does not exist.", hint="nox -s build"
        ) from None
    except (OSError, ConfigError, *MALFORMED) as error:
        raise UsageError(f"{path} is damaged ({error!r}).", hint="nox -s build") from None
