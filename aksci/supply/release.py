"""A release: which images and charts belong together, as an immutable, signed OCI artifact.

Its digest is its identity. What is hashed holds no registry, no time and no run, so that the same
inputs give the same release, and a promotion to another registry keeps its digest.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.errors import ConfigError, RegistryError, TrustError, UsageError
from aksci.files import write_atomically
from aksci.registry.push import Content, canonical_json, push_artifact
from aksci.registry.refs import ImageRef
from aksci.supply.chart import push_chart, read_chart
from aksci.supply.signing import ensure_signed, verify_image

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from aksci.config.models import Config, ServiceConfig
    from aksci.images.building.record import BuildRecord
    from aksci.registry.protocol import Registry
    from aksci.supply.signing import Signer
    from aksci.supply.verdict import Verdict

__all__ = [
    "RELEASE_TYPE",
    "Release",
    "ReleaseImage",
    "ReleaseService",
    "load_release",
    "make_release",
    "read_release_file",
    "sign_release",
    "verify_release",
    "write_release_file",
]

RELEASE_TYPE = "application/vnd.aksci.release.v1+json"
_METADATA = {"dev.aksci.kind": "release"}
_THREADS = 8


@dataclass(frozen=True, kw_only=True)
class ReleaseImage:
    """One image of a release."""

    name: str
    ref: ImageRef
    input_key: str
    verdict: str
    """Digest of the stored verdict that its signature binds."""


@dataclass(frozen=True, kw_only=True)
class ReleaseService:
    """One service of a release."""

    name: str
    chart: ImageRef
    chart_name: str
    chart_version: str
    images: Mapping[str, str]
    """Values key -> name of the image."""


@dataclass(frozen=True, kw_only=True)
class Release:
    """A release, read from or written to a registry."""

    ref: ImageRef
    project: str
    commit: str
    images: Mapping[str, ReleaseImage]
    services: Mapping[str, ReleaseService]

    @property
    def id(self) -> str:
        """The digest."""
        return self.ref.digest

    @property
    def tag(self) -> str:
        """``r-`` and 12 digits of the digest."""
        return _tag(self.ref.digest)

    def service_images(self, service: str) -> dict[str, ImageRef]:
        """Return values key -> digest reference of a service's images."""
        return {key: self.images[name].ref for key, name in self.services[service].images.items()}


def make_release(
    record: BuildRecord,
    *,
    config: Config,
    root: Path,
    verdicts: Mapping[str, Verdict],
    registry: Registry,
) -> Release:
    """Pack and store every service's chart, then store the release and its ``r-…`` tag.

    The same inputs make the same release. ``sign_release`` signs it.

    :param root: the project's folder.
    :raises UsageError: an image that a service names was not built.
    :raises TrustError: an image has no stored, passing verdict.
    """
    images = {
        name: ReleaseImage(
            name=name,
            ref=image.ref,
            input_key=image.input_key,
            verdict=_verdict_digest(image.ref, verdicts.get(name)),
        )
        for name, image in sorted(record.images.items())
    }
    services = {
        name: _make_service(name, service, config.project.name, root, images, registry)
        for name, service in sorted(config.services.items())
    }
    project = config.project.name
    document = canonical_json(_document(project, record.commit, images, services))
    repository = f"{project}/release"
    ref = push_artifact(
        registry,
        repository,
        artifact_type=RELEASE_TYPE,
        layers=[Content(media_type=RELEASE_TYPE, content=document)],
    )
    manifest = registry.manifest(repository, ref.digest)
    registry.put_manifest(repository, manifest.content, manifest.media_type, tag=_tag(ref.digest))
    return Release(ref=ref, project=project, commit=record.commit, images=images, services=services)


def load_release(registry: Registry, ref: ImageRef) -> Release:
    """Read a release by digest. It is not trusted before ``verify_release``.

    :raises RegistryError: it is not there, or not a release.
    """
    manifest = registry.manifest(ref.repository, ref.digest)
    try:
        outer = json.loads(manifest.content)
        if outer["artifactType"] != RELEASE_TYPE:
            raise ValueError(outer["artifactType"])  # noqa: TRY301 - one place says so
        content = json.loads(registry.blob(ref.repository, outer["layers"][0]["digest"]))
        return _parse(content, ref)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, ConfigError) as error:
        raise RegistryError(f"{ref} is not a release ({error!r}).") from None


def sign_release(release: Release, *, signer: Signer) -> bool:
    """Sign a release unless that is done; return whether a signature was added."""
    return ensure_signed(release.ref, _METADATA, signer=signer)


def verify_release(release: Release, *, signer: Signer, registry: Registry | None = None) -> None:
    """Verify the release's signature, then every image's, each with its verdict and input key.

    :param registry: also read the release from there again, so that what is deployed is what the
        digest says and not what somebody made of it since.
    :raises TrustError: naming each offender.
    """
    from concurrent.futures import ThreadPoolExecutor

    signer.verify(release.ref, _METADATA)
    if registry is not None and load_release(registry, release.ref) != release:
        raise TrustError(f"The release in hand is not the one that {release.ref} holds.")

    def one(image: ReleaseImage) -> TrustError | None:
        try:
            verify_image(image.ref, verdict=image.verdict, input_key=image.input_key, signer=signer)
        except TrustError as error:
            return error
        return None

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="verify") as pool:
        errors = [error for error in pool.map(one, release.images.values()) if error]
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise TrustError(
            f"{len(errors)} images of {release.ref} are not trusted:\n"
            + "\n".join(f"  - {error.message}" for error in errors)
        )


def write_release_file(work: Path, release: Release, *, run: str) -> Path:
    """Write ``release.json`` in the project's ``.aksci`` folder: what the last build made."""
    document = {"schema": 1, "ref": str(release.ref), "digest": release.id, "run": run}
    work.mkdir(parents=True, exist_ok=True)
    path = work / "release.json"
    write_atomically(path, json.dumps(document, indent=2) + "\n", mode=0o666)
    return path


def read_release_file(work: Path) -> ImageRef:
    """Read which release the last build made.

    :raises UsageError: there is none, or the file is unreadable.
    """
    path = work / "release.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] != 1:
            raise ValueError(document["schema"])  # noqa: TRY301 - one place says so
        return ImageRef.parse(document["ref"])
    except FileNotFoundError:
        raise UsageError(
            f"There is no release yet: {path} does not exist.", hint="nox -s build"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, ConfigError) as error:
        raise UsageError(f"{path} is damaged ({error!r}).", hint="nox -s build") from None


def _make_service(
    name: str,
    service: ServiceConfig,
    project: str,
    root: Path,
    images: Mapping[str, ReleaseImage],
    registry: Registry,
) -> ReleaseService:
    wanted = {*service.images.values(), *(step.image for step in service.pre if step.kind == "job")}
    wanted |= {step.image for step in service.post if step.kind == "job"}
    for image in sorted(wanted):
        if image not in images:
            raise UsageError(
                f"The service {name!r} needs the image {image!r}, which was not built.",
                hint="nox -s build",
            )
    chart = read_chart(root / service.chart)
    return ReleaseService(
        name=name,
        chart=push_chart(registry, f"{project}/charts/{chart.name}", chart),
        chart_name=chart.name,
        chart_version=chart.version,
        images=dict(sorted(service.images.items())),
    )


def _verdict_digest(ref: ImageRef, verdict: Verdict | None) -> str:
    if verdict is None or verdict.image != ref or not verdict.passed or verdict.stored is None:
        raise TrustError(
            f"{ref} can't be released: it has no stored, passing verdict.", hint="nox -s scan"
        )
    return verdict.stored.digest


def _document(
    project: str,
    commit: str,
    images: Mapping[str, ReleaseImage],
    services: Mapping[str, ReleaseService],
) -> dict[str, Any]:
    return {
        "schema": 1,
        "project": project,
        "commit": commit,
        "images": {
            name: {
                "image": _place(image.ref),
                "inputKey": image.input_key,
                "verdict": image.verdict,
            }
            for name, image in images.items()
        },
        "services": {
            name: {
                "chart": _place(service.chart),
                "chartName": service.chart_name,
                "chartVersion": service.chart_version,
                "images": dict(service.images),
            }
            for name, service in services.items()
        },
    }


def _parse(document: dict[str, Any], ref: ImageRef) -> Release:
    if document["schema"] != 1:
        raise ValueError(document["schema"])
    place: Callable[[str], ImageRef] = lambda text: ImageRef.parse(f"{ref.registry}/{text}")  # noqa: E731
    images = {
        name: ReleaseImage(
            name=name,
            ref=place(entry["image"]),
            input_key=str(entry["inputKey"]),
            verdict=str(entry["verdict"]),
        )
        for name, entry in document["images"].items()
    }
    services = {
        name: ReleaseService(
            name=name,
            chart=place(entry["chart"]),
            chart_name=str(entry["chartName"]),
            chart_version=str(entry["chartVersion"]),
            images={str(key): str(images[image].name) for key, image in entry["images"].items()},
        )
        for name, entry in document["services"].items()
    }
    return Release(
        ref=ref,
        project=str(document["project"]),
        commit=str(document["commit"]),
        images=images,
        services=services,
    )


def _place(ref: ImageRef) -> str:
    """Return repository and digest, which are the same in every registry."""
    return f"{ref.repository}@{ref.digest}"


def _tag(digest: str) -> str:
    return "r-" + digest.removeprefix("sha256:")[:12]
