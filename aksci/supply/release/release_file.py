"""Which release the last build made: ``.aksci/release.json``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError, UsageError
from aksci.core.files import write_atomically
from aksci.core.strict_json import MALFORMED, parse_json
from aksci.oci.references import ImageRef

if TYPE_CHECKING:
    from pathlib import Path

    from aksci.supply.release.release import Release

__all__ = ["read_release_file", "write_release_file"]

_NAME = "release.json"


def write_release_file(work: Path, release: Release, *, run: str) -> Path:
    """Write ``release.json`` in the project's ``.aksci`` folder: what the last build made."""
    document = {"schema": 1, "ref": str(release.ref), "digest": release.id, "run": run}
    work.mkdir(parents=True, exist_ok=True)
    path = work / _NAME
    write_atomically(path, json.dumps(document, indent=2) + "\n", mode=0o666)
    return path


def read_release_file(work: Path) -> ImageRef:
    """Read which release the last build made.

    :raises UsageError: there is none, or the file is unreadable.
    """
    path = work / _NAME
    try:
        document = parse_json(path.read_bytes())
        if document["schema"] != 1:
            raise ValueError(document["schema"])
        return ImageRef.parse(document["ref"])
    except FileNotFoundError:
        raise UsageError(
            f"There is no release yet: {path} does not exist.", hint="nox -s build"
        ) from None
    except (OSError, ConfigError, *MALFORMED) as error:
        raise UsageError(f"{path} is damaged ({error!r}).", hint="nox -s build") from None
