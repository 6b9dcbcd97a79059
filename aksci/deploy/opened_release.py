"""A verified release, opened to be deployed: its charts on disk, its images by digest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aksci.supply.release.chart import fetch_chart

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry
    from aksci.supply.release.release import Release

__all__ = ["OpenedRelease", "OpenedService", "open_release"]


@dataclass(frozen=True, kw_only=True)
class OpenedService:
    """What a release says about one service."""

    name: str
    chart: Path
    """The packaged chart (``.tgz``), or its folder."""
    images: Mapping[str, ImageRef] = field(default_factory=dict)
    """Values key -> image."""


@dataclass(frozen=True, kw_only=True)
class OpenedRelease:
    """What is deployed together: a verified release, opened."""

    reference: str
    """``registry/repository@sha256:…``; it names the release for people, the record and
    ``rollback``.
    """
    services: Mapping[str, OpenedService]
    images: Mapping[str, ImageRef] = field(default_factory=dict)
    """Image's name -> reference, for steps that run one."""

    @property
    def allowed(self) -> frozenset[str]:
        """What its charts may run: a chart may run another service's image."""
        services = [ref for service in self.services.values() for ref in service.images.values()]
        return frozenset(map(str, [*self.images.values(), *services]))

    @property
    def short(self) -> str:
        """The first 12 digits of the digest: a Kubernetes label's value."""
        return self.reference.rpartition("sha256:")[2][:12] or "unknown"


def open_release(release: Release, registry: Registry, folder: Path) -> OpenedRelease:
    """Fetch the charts of a release that the caller has verified.

    :param folder: an empty one, for the charts; whoever gives it removes it.
    """
    services = {}
    for name, service in release.services.items():
        place = folder / name
        place.mkdir()
        services[name] = OpenedService(
            name=name,
            chart=fetch_chart(registry, service.chart, place),
            images=release.service_images(name),
        )
    images = {name: image.ref for name, image in release.images.items()}
    return OpenedRelease(reference=str(release.ref), services=services, images=images)
