"""What a service should be, as one hash: the reason why a second run has nothing to do."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError
from aksci.core.inside import place_named
from aksci.supply.release.chart_content import packed_files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from aksci.config.deploy_models import EnvironmentConfig, ServiceConfig
    from aksci.deploy.opened_release import OpenedRelease, OpenedService

__all__ = [
    "DesiredInputs",
    "gather_inputs",
    "hash_chart",
    "values_files",
]


@dataclass(frozen=True, kw_only=True)
class DesiredInputs:
    """Everything that decides what a service looks like in the cluster."""

    chart: str
    values: dict[str, str]
    """Values file, relative to the project -> hash of its content, in the order in which Helm reads
    them.
    """
    images: dict[str, str]
    """Values key -> ``registry/repository@digest``."""
    steps: str

    @property
    def desired(self) -> str:
        """The hash of all, short enough for a label's value (63 characters)."""
        text = json.dumps({"format": 1, **asdict(self)})  # in order: later values files win
        return hashlib.sha256(text.encode()).hexdigest()[:40]


def gather_inputs(
    release: OpenedRelease,
    service: OpenedService,
    config: ServiceConfig,
    values: Sequence[Path],
    *,
    root: Path,
) -> DesiredInputs:
    """Hash what a service is made of.

    Charts by their files: packing one again changes the tgz and not the chart.
    """
    steps = [step.model_dump(mode="json") for step in (*config.pre, *config.post)]
    used = {
        # A step names its image by name; a new digest of it is a reason to deploy.
        step["image"]: str(release.images.get(step["image"], ""))
        for step in steps
        if "image" in step
    }
    return DesiredInputs(
        chart=hash_chart(service.chart),
        # Relative: another checkout of the same commit gives the same hash.
        values={os.path.relpath(path, root): _sha256(path.read_bytes()) for path in values},
        images={key: str(image) for key, image in sorted(service.images.items())},
        steps=_sha256(json.dumps([steps, used], sort_keys=True).encode()),
    )


def values_files(root: Path, environment: EnvironmentConfig, service: str) -> tuple[Path, ...]:
    """Return the environment's values files for a service, ``{service}`` filled in.

    :raises ConfigError: one does not exist, or a link leads out of the project.
    """
    where = f"services.{service}: the values file"
    paths = tuple(
        place_named(root, each.replace("{service}", service), where=where)
        for each in environment.values
    )
    for path in paths:
        if not path.is_file():
            raise ConfigError(
                f"services.{service}: the values file {path} does not exist.",
                hint="create it (it may be empty), or correct the environment's 'values'.",
            )
    return paths


def hash_chart(chart: Path) -> str:
    """Return the hash of a chart's files, packed (``.tgz``) or in a folder."""
    digest = hashlib.sha256()
    for name, content in sorted(_chart_files(chart).items()):
        # Hashes of one length between: no content can look like the next file's name.
        digest.update(f"{name}\0{_sha256(content)}\n".encode())
    return digest.hexdigest()


def _chart_files(chart: Path) -> dict[str, bytes]:
    if chart.is_dir():
        return {
            path.relative_to(chart).as_posix(): path.read_bytes()
            for path in chart.rglob("*")
            if path.is_file()
        }
    # Without the package's own folder: packed or not, a chart has one hash.
    return packed_files(chart.read_bytes(), f"The chart {chart}")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
