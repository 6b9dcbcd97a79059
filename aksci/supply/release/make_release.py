"""A release: which images and charts belong together, as an immutable, signed OCI artifact.

Its digest is its identity. What is hashed holds no registry, no time and no run, so that the same
inputs give the same release, and a promotion to another registry keeps its digest.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from aksci.core.errors import (
    ConfigError,
    DamagedInRegistry,
    NotFoundInRegistry,
    RegistryError,
    TrustError,
    UsageError,
)
from aksci.core.inside import Inside
from aksci.core.strict_json import MALFORMED, parse_json
from aksci.oci.artifact import Content, canonical_json, push_artifact, read_artifact
from aksci.supply.release.chart import push_chart, read_chart
from aksci.supply.release.release import (
    Migration,
    Release,
    ReleaseBase,
    ReleaseImage,
    ReleaseService,
    chart_repository,
    release_repository,
)
from aksci.supply.release.release_document import SCHEMA, parse_release, release_document

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from aksci.config.deploy_models import ServiceConfig
    from aksci.config.models import Config
    from aksci.images.build.build_record import Base, Build, BuiltImage
    from aksci.oci.artifact import Artifact
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry
    from aksci.supply.release.chart import Chart
    from aksci.supply.scan.verdict import Verdict

__all__ = [
    "RELEASE_TYPE",
    "NoReleaseError",
    "load_release",
    "make_release",
    "natural_key",
    "read_charts",
    "read_migrations",
]

RELEASE_TYPE = "application/vnd.aksci.release.v1+json"


class NoReleaseError(RegistryError):
    """What is there is not a release, or is a damaged one."""

    code = "registry-no-release"


def make_release(
    build: Build,
    *,
    config: Config,
    root: Path,
    charts: Mapping[str, Chart],
    verdicts: Mapping[str, Verdict],
    registry: Registry,
) -> Release:
    """Store every service's chart, then the release and its ``r-…`` tag.

    The same inputs make the same release. ``publish_release`` signs it.

    :param root: the project's folder.
    :param charts: as ``read_charts`` returns them.
    :raises UsageError: an image that a service names was not built.
    :raises TrustError: an image has no stored, passing verdict.
    :raises ConfigError: a migration can't be read.
    """
    images = {
        name: release_image(image, verdicts.get(name))
        for name, image in sorted(build.images.items())
    }
    services = {
        name: _make_service(
            name, service, config.project.name, root, images, charts[name], registry
        )
        for name, service in sorted(config.services.items())
    }
    # No registry, time or run is in it: the same inputs have to give the same digest.
    document = release_document(
        project=config.project.name,
        source=config.project.source,
        commit=build.commit,
        images=images,
        services=services,
    )
    return store_release(document, registry=registry)


def store_release(document: dict[str, Any], *, registry: Registry) -> Release:
    """Store what ``release_document`` has written, and its ``r-…`` tag."""
    ref = push_artifact(
        registry,
        release_repository(document["project"]),
        artifact_type=RELEASE_TYPE,
        layers=[Content(media_type=RELEASE_TYPE, content=canonical_json(document))],
    )
    release = parse_release(document, ref)
    point(registry, ref, release.tag)
    return release


def load_release(registry: Registry, ref: ImageRef) -> Release:
    """Read a release by digest. It is not trusted before ``verify_release``.

    :raises NoReleaseError: what is there is not a release, or a part of it is gone.
    :raises NotFoundInRegistry: nothing is there.
    """
    try:
        artifact = read_artifact(registry, ref.repository, ref.digest, artifact_type=RELEASE_TYPE)
        content = _read(artifact)
        if isinstance(content, dict) and content.get("schema") != SCHEMA:
            raise NoReleaseError(
                f"{ref} is a release of another version of aksci: schema "
                f"{str(content.get('schema'))[:20]!r}, and not {SCHEMA}.",
                hint="nox -s build makes one that this version reads.",
            )
        return parse_release(content, ref)
    except DamagedInRegistry as error:
        raise NoReleaseError(f"{ref} is not a release ({error.why[:200]!r}).") from None
    except (ConfigError, *MALFORMED) as error:
        raise NoReleaseError(f"{ref} is not a release ({str(error)[:200]!r}).") from None


def _read(artifact: Artifact) -> Any:
    """Read JSON as ``canonical_json`` writes it: all else could mean two things to two readers."""
    (layer,) = artifact.manifest.layers
    try:
        content = artifact.read(layer)
    except NotFoundInRegistry:
        raise artifact.manifest.damaged("a part of it is gone") from None
    for written in (artifact.manifest.content, content):
        if canonical_json(parse_json(written)) != written:
            raise ValueError("it is not written as aksci writes it")
    return parse_json(content)


def point(registry: Registry, ref: ImageRef, tag: str) -> None:
    """Make a tag mean this release."""
    manifest = registry.manifest(ref.repository, ref.digest)
    registry.put_manifest(ref.repository, manifest.content, manifest.media_type, tag=tag)


def release_image(image: BuiltImage, verdict: Verdict | None) -> ReleaseImage:
    """Return what a release says of an image.

    :raises TrustError: it has no stored, passing verdict.
    """
    if (
        verdict is None
        or verdict.image != image.ref
        or not verdict.passed
        or verdict.stored is None
    ):
        raise TrustError(
            f"{image.ref} can't be released: it has no stored, passing verdict.",
            hint="nox -s scan",
        )
    return ReleaseImage(
        name=image.name,
        ref=image.ref,
        input_key=image.input_key,
        verdict=verdict.stored.digest,
        policy=verdict.policy,
        database=verdict.database,
        bases=tuple(sorted(_make_base(base) for base in image.bases)),
    )


def _make_base(base: Base) -> ReleaseBase:
    """Name a base; the reference of one of our own images may say which registry built it."""
    return ReleaseBase(
        name=base.image or base.reference,
        digest=base.digest,
        type=base.type,
        internal=bool(base.image),
    )


def _make_service(
    name: str,
    service: ServiceConfig,
    project: str,
    root: Path,
    images: Mapping[str, ReleaseImage],
    chart: Chart,
    registry: Registry,
) -> ReleaseService:
    steps = (*service.pre, *service.post)
    needed = {*service.images.values(), *(step.image for step in steps if step.kind == "job")}
    for image in sorted(needed):
        if image not in images:
            raise UsageError(
                f"The service {name!r} needs the image {image!r}, which was not built.",
                hint="nox -s build",
            )
    migrations = read_migrations(root, service.migrations, service=name)
    return ReleaseService(
        name=name,
        chart=push_chart(registry, chart_repository(project, chart.name), chart),
        chart_name=chart.name,
        chart_version=chart.version,
        images=dict(sorted(service.images.items())),
        migrations=migrations,
    )


def read_charts(config: Config, root: Path) -> dict[str, Chart]:
    """Return each service's chart, packed.

    :raises ConfigError: one can't be read; or two have one name and version and differ, so that one
        tag would mean the one that comes last.
    """
    charts: dict[str, Chart] = {}
    first: dict[tuple[str, str], str] = {}
    inside = Inside(root)
    for name, service in sorted(config.services.items()):
        chart = read_chart(inside.find(service.chart, where=f"services.{name}.chart"))
        same = first.setdefault((chart.name, chart.version), name)
        if charts.setdefault(same, chart).content != chart.content:
            raise ConfigError(
                f"services.{name}: {service.chart} is {chart.name} {chart.version}, as "
                f"{config.services[same].chart} is, and they differ.",
                hint="give one of them another name or version in its Chart.yaml.",
            )
        charts[name] = chart
    return charts


def read_migrations(root: Path, patterns: Iterable[str], *, service: str) -> tuple[Migration, ...]:
    """Return a service's migrations in the order of their versions, ``2`` before ``10``.

    :param root: the project's folder, which the globs are relative to.
    :raises ConfigError: a glob matches nothing or leads outside, or two files are one version.
    """
    found: dict[str, Path] = {}
    for pattern in patterns:
        for path in _files(root, pattern, service):
            other = found.setdefault(path.stem, path)
            if other != path:
                raise ConfigError(
                    f"services.{service}.migrations: {other.relative_to(root)} and "
                    f"{path.relative_to(root)} are both version {path.stem!r}."
                )
    return tuple(
        Migration(version=version, digest=_digest(found[version], service))
        for version in sorted(found, key=natural_key)
    )


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Return what sorts texts with their numbers by value; different texts differ."""
    parts = re.findall(r"[0-9]+|[^0-9]+", text)
    numbers = tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)
    return (*numbers, (-1, 0, text))


def _files(root: Path, pattern: str, service: str) -> Iterator[Path]:
    """Yield the files of one glob; symbolic links may not lead outside."""
    where = f"services.{service}.migrations: {pattern!r}"
    parts = PurePosixPath(pattern).parts
    if not parts or ".." in parts or pattern.startswith("/"):
        raise ConfigError(f"{where} must be a glob of files inside the project.")
    inside = Inside(root)
    found = {root}
    try:
        # Part by part: a link must be looked at before all that lies behind it is.
        for number, part in enumerate(parts, 1):
            matched = {path for folder in found for path in folder.glob(part)}
            found = {path for path in matched if _stays(inside, path, parts[number:], where)}
    except (ValueError, NotImplementedError) as error:
        raise ConfigError(f"{where}: {error}.") from None
    matches = sorted(path for path in found if path.is_file())
    if not matches:
        raise ConfigError(
            f"services.{service}.migrations: {pattern!r} matches no file in {root}.",
            hint="write a glob relative to aksci.toml, such as services/NAME/migrations/*.sql.",
        )
    yield from matches


def _stays(inside: Inside, path: Path, rest: tuple[str, ...], where: str) -> bool:
    """Tell whether a path is in the project; of others, those that no migration is behind are left.

    :param rest: what the glob looks for behind it.
    :raises ConfigError: it leads outside, and is a migration or may have some.
    """
    try:
        inside.check(path, where=where)
    except ConfigError:
        # ``**`` would search all of the machine.
        if not rest or "**" in rest or any(path.glob("/".join(rest))):
            raise
        return False
    return True


def _digest(path: Path, service: str) -> str:
    try:
        with path.open("rb") as file:
            return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(
            f"services.{service}.migrations: {path} can't be read: {error.strerror}."
        ) from None
