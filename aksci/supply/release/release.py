"""What a release is made of, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.oci.own_names import CHARTS, RELEASES, own_repository

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.oci.references import ImageRef

__all__ = [
    "Migration",
    "Release",
    "ReleaseBase",
    "ReleaseImage",
    "ReleaseService",
    "chart_repository",
    "release_repository",
    "release_tag",
]


@dataclass(frozen=True, kw_only=True, order=True)
class ReleaseBase:
    """What an image was built from: one edge of its lineage."""

    name: str
    """The image of this project that it is; else its full reference, as Dockerfiles say it."""
    digest: str
    type: str
    """Of the edge: ``runtime``, ``stage``, ``copy``, ``mount``, ``context``, ``requires``…"""
    internal: bool
    """It is an image of this project."""


@dataclass(frozen=True, kw_only=True)
class ReleaseImage:
    """One image of a release."""

    name: str
    ref: ImageRef
    input_key: str
    verdict: str
    """Digest of the stored verdict that its signature binds."""
    policy: str = ""
    """Hash of the policy that the verdict was made under."""
    database: str = ""
    """Identity of the vulnerability database that it was made with."""
    bases: tuple[ReleaseBase, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Migration:
    """One file that changes a database's schema."""

    version: str
    """The file's name without its suffix."""
    digest: str
    """Of its content."""


@dataclass(frozen=True, kw_only=True)
class ReleaseService:
    """One service of a release."""

    name: str
    chart: ImageRef
    chart_name: str
    chart_version: str
    images: Mapping[str, str]
    """Values key -> name of the image."""
    migrations: tuple[Migration, ...] = ()
    """In the order of their versions."""

    @property
    def schema_range(self) -> tuple[str, str] | None:
        """The first and the last version of its database's schema; None: it has none."""
        if not self.migrations:
            return None
        return self.migrations[0].version, self.migrations[-1].version


@dataclass(frozen=True, kw_only=True)
class Release:
    """A release, read from or written to a registry."""

    ref: ImageRef
    project: str
    source: str = ""
    """Address of the source repository; empty where aksci.toml names none."""
    commit: str
    """Of the source tree, ``-dirty`` appended where files had changed; empty without git."""
    images: Mapping[str, ReleaseImage]
    services: Mapping[str, ReleaseService]

    @property
    def id(self) -> str:
        """The digest."""
        return self.ref.digest

    @property
    def tag(self) -> str:
        """``r-`` and 12 digits of the digest."""
        return release_tag(self.ref.digest)

    @property
    def charts(self) -> list[ImageRef]:
        """Each chart once: services may share one."""
        return sorted({service.chart for service in self.services.values()})

    def service_images(self, service: str) -> dict[str, ImageRef]:
        """Return values key -> digest reference of a service's images."""
        return {key: self.images[name].ref for key, name in self.services[service].images.items()}


def chart_repository(project: str, chart: str) -> str:
    """Return where a project's chart is stored; Helm wants it to end in the chart's name."""
    return own_repository(project, CHARTS, chart)


def release_repository(project: str) -> str:
    """Return where a project's releases are kept, without the registry."""
    return own_repository(project, RELEASES)


def release_tag(digest: str) -> str:
    """Return the tag of the release with this digest."""
    return "r-" + digest.removeprefix("sha256:")[:12]
