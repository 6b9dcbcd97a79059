"""Trivy's own settings in a project: files that the gate does not read.

Trivy reads them from its working directory ("Configuration file", "Filtering: by finding IDs"). A
pull request could silence the gate with one, so our scans get none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from aksci.config.supply_models import ScanConfig

__all__ = ["UNREAD_HINT", "unread_settings"]

_NAMES = (
    ".trivyignore",
    ".trivyignore.yaml",
    ".trivyignore.yml",
    "trivy.yaml",
    "trivy-secret.yaml",
)
UNREAD_HINT = "the gate does not read it; aksci.toml accepts findings, under [[scan.ignore]]"


def unread_settings(root: Path, policy: ScanConfig, folders: Iterable[str] = ()) -> list[str]:
    """Return such files, relative to the project.

    :param folders: where to look beside the project's own, such as the images' contexts.
    """
    if policy.scanner != "trivy":  # another scanner's settings are its own matter
        return []
    places = sorted({".", *filter(None, folders)})
    return [
        name if place == "." else f"{place}/{name}"
        for place in places
        for name in _NAMES
        if (root / place / name).is_file()
    ]
