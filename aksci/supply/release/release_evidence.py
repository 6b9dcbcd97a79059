"""What the registry knows of a release's images: the verdicts that it binds, and their packages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aksci.core.concurrency import gather
from aksci.core.errors import AksciError, RegistryError, UnreachableError
from aksci.supply.release.find_release import latest_release
from aksci.supply.release.make_release import load_release
from aksci.supply.scan.stored_verdict import read_verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry
    from aksci.supply.release.release import Release, ReleaseImage
    from aksci.supply.scan.scan_evidence import Package
    from aksci.supply.scan.verdict import Verdict

__all__ = ["ImageEvidence", "load_evidence", "release_verdicts", "verdicts_before"]

_THREADS = 8


@dataclass(frozen=True, kw_only=True)
class ImageEvidence:
    """What is known of one image."""

    verdict: Verdict | None
    packages: tuple[Package, ...] | None
    note: str = ""
    """Why something is not known; empty where all is."""


def load_evidence(
    registry: Registry, release: Release, *, other: Release | None = None
) -> dict[str, ImageEvidence]:
    """Read the verdicts that a release binds, and their packages, by image.

    What is gone or damaged is told, not raised: a difference is still worth showing.

    :param other: leave out the images that this release has, too, just so.
    :raises UnreachableError: the registry does not answer.
    """
    known = other.images if other else {}
    images = [image for name, image in release.images.items() if known.get(name) != image]
    found = gather(
        lambda image: _evidence(registry, image), images, limit=_THREADS, name="evidence"
    )
    return {image.name: one for image, one in zip(images, found, strict=True)}


def release_verdicts(registry: Registry, release: Release) -> dict[str, Verdict]:
    """Return the verdicts that a release binds, without those that can't be read."""

    def one(image: ReleaseImage) -> Verdict | None:
        try:
            return _load(registry, image)
        except UnreachableError:
            raise
        except RegistryError:
            return None

    images = list(release.images.values())
    found = gather(one, images, limit=_THREADS, name="evidence")
    return {image.name: verdict for image, verdict in zip(images, found, strict=True) if verdict}


def verdicts_before(
    verdicts: Mapping[str, Verdict],
    *,
    project: str,
    registry: Registry,
    trusted: Callable[[ImageRef], bool],
) -> dict[str, Verdict] | None:
    """Return the verdicts of a project's last release; None where there is none to trust.

    The tag ``latest`` may be anybody's: findings would not be told as new on his word.

    :param verdicts: those of now; what both have is not read again.
    :param trusted: tells whether a release is.
    """
    ref = latest_release(registry, project)
    try:
        if ref is None or not trusted(ref):
            return None
        release = load_release(registry, ref)
    except RegistryError:
        return None  # a hint that leads nowhere; nothing depends on it
    stored = {one.stored.digest: one for one in verdicts.values() if one.stored}
    same = {n: stored[i.verdict] for n, i in release.images.items() if i.verdict in stored}
    others = {n: image for n, image in release.images.items() if n not in same}
    return {**same, **release_verdicts(registry, replace(release, images=others))}


def _evidence(registry: Registry, image: ReleaseImage) -> ImageEvidence:
    from aksci.supply.scan.scan_evidence import load_packages

    try:
        verdict = _load(registry, image)
    except UnreachableError:
        raise
    except RegistryError as error:
        return ImageEvidence(verdict=None, packages=None, note=error.message)
    try:
        packages = tuple(load_packages(registry, verdict))
    except UnreachableError:
        raise
    except AksciError as error:
        return ImageEvidence(verdict=verdict, packages=None, note=error.message)
    return ImageEvidence(verdict=verdict, packages=packages)


def _load(registry: Registry, image: ReleaseImage) -> Verdict:
    """Read a verdict by the digest that the release, and the image's signature, bind."""
    verdict = read_verdict(registry, image.ref, image.verdict)
    # A release may be read where it was promoted from: its images say which registry that is.
    return replace(verdict, stored=image.ref.beside(image.verdict))
