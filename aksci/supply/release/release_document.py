"""A release as JSON, ``schema: 2``: report/schemas/release.schema.json describes it.

What is hashed holds no registry, no time and no run: equal inputs must give an equal digest, and a
promotion keeps it. When it was signed, and by which run, is told by the signature (``Origin``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

from aksci.oci.references import ImageRef, is_digest, is_repository
from aksci.supply.release.release import (
    Migration,
    Release,
    ReleaseBase,
    ReleaseImage,
    ReleaseService,
    release_repository,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["SCHEMA", "parse_release", "release_document"]

SCHEMA = 2
T = TypeVar("T")
_SERVICE = re.compile(r"[a-z](?:[a-z0-9-]{0,51}[a-z0-9])?")
"""As aksci.toml asks (``Label``)."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def release_document(
    *,
    project: str,
    source: str,
    commit: str,
    images: Mapping[str, ReleaseImage],
    services: Mapping[str, ReleaseService],
) -> dict[str, Any]:
    """Return what is stored of a release."""
    return {
        "schema": SCHEMA,
        "project": project,
        "source": source,
        "commit": commit,
        "images": {name: _image_document(image) for name, image in images.items()},
        "services": {name: _service_document(service) for name, service in services.items()},
    }


def parse_release(document: Any, ref: ImageRef) -> Release:
    """Read ``release_document`` back: these keys and no others, each of its type.

    :param ref: where it was found, which must be where its project keeps releases.
    :raises ValueError: it is anything else. So does ``ConfigError``, for a reference.
    """
    _require_keys(document, ("schema", "project", "source", "commit", "images", "services"))
    if document["schema"] != SCHEMA:
        raise ValueError(f"schema {document['schema']!r}")
    project = _text(document["project"])
    if ref.repository != release_repository(project):
        raise ValueError(f"a release of {project!r}")
    images = _table(document["images"], lambda name, entry: _image(name, entry, ref))
    return Release(
        ref=ref,
        project=project,
        source=_text(document["source"], empty=True),
        commit=_text(document["commit"], empty=True),
        images=images,
        services=_table(
            document["services"], lambda name, entry: _service(name, entry, ref, images)
        ),
    )


def _image_document(image: ReleaseImage) -> dict[str, Any]:
    return {
        "image": _place(image.ref),
        "inputKey": image.input_key,
        "verdict": image.verdict,
        "policy": image.policy,
        "database": image.database,
        "bases": [
            {
                "image" if base.internal else "reference": base.name,
                "digest": base.digest,
                "type": base.type,
            }
            for base in image.bases
        ],
    }


def _service_document(service: ReleaseService) -> dict[str, Any]:
    return {
        "chart": _place(service.chart),
        "chartName": service.chart_name,
        "chartVersion": service.chart_version,
        "images": dict(service.images),
        "migrations": [
            {"version": migration.version, "digest": migration.digest}
            for migration in service.migrations
        ],
    }


def _image(name: str, entry: Any, ref: ImageRef) -> ReleaseImage:
    if not is_repository(name):
        raise ValueError(f"{name!r} can't be the name of an image")
    _require_keys(entry, ("image", "inputKey", "verdict", "policy", "database", "bases"))
    return ReleaseImage(
        name=name,
        ref=_ref(entry["image"], ref),
        input_key=_text(entry["inputKey"]),
        verdict=_digest(entry["verdict"]),
        policy=_digest(entry["policy"]),
        database=_text(entry["database"]),
        bases=tuple(_base(base) for base in _list(entry["bases"])),
    )


def _base(entry: Any) -> ReleaseBase:
    internal = isinstance(entry, dict) and "image" in entry
    name = "image" if internal else "reference"
    _require_keys(entry, (name, "digest", "type"))
    return ReleaseBase(
        name=_text(entry[name]),
        digest=_digest(entry["digest"]),
        type=_text(entry["type"]),
        internal=internal,
    )


def _service(
    name: str, entry: Any, ref: ImageRef, images: Mapping[str, ReleaseImage]
) -> ReleaseService:
    if not _SERVICE.fullmatch(name):  # a folder is called so as well
        raise ValueError(f"{name!r} can't be the name of a service")
    _require_keys(entry, ("chart", "chartName", "chartVersion", "images", "migrations"))
    return ReleaseService(
        name=name,
        chart=_ref(entry["chart"], ref),
        chart_name=_text(entry["chartName"]),
        chart_version=_text(entry["chartVersion"]),
        images=_table(entry["images"], lambda _, image: images[_text(image)].name),
        migrations=tuple(_migration(migration) for migration in _list(entry["migrations"])),
    )


def _migration(entry: Any) -> Migration:
    _require_keys(entry, ("version", "digest"))
    return Migration(version=_text(entry["version"]), digest=_digest(entry["digest"]))


def _table(value: Any, read: Callable[[str, Any], T]) -> dict[str, T]:
    if not isinstance(value, dict):
        raise ValueError(f"{value!r} is no object")  # noqa: TRY004 - about data
    return {_text(name): read(name, entry) for name, entry in value.items()}


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is no list")  # noqa: TRY004
    return value


def _require_keys(value: Any, names: Iterable[str]) -> None:
    if not isinstance(value, dict) or set(value) != set(names):
        found = sorted(value) if isinstance(value, dict) else value
        raise ValueError(f"{found!r} are not the keys of {sorted(names)}")


def _text(value: Any, *, empty: bool = False) -> str:
    if not isinstance(value, str) or not (value or empty) or _CONTROL.search(value):
        raise ValueError(f"{value!r} is no plain text")
    return value


def _digest(value: Any) -> str:
    if not isinstance(value, str) or not is_digest(value):
        raise ValueError(f"{value!r} is no digest")
    return value


def _ref(value: Any, beside: ImageRef) -> ImageRef:
    return ImageRef.parse(f"{beside.registry}/{_text(value)}")


def _place(ref: ImageRef) -> str:
    """Return repository and digest, which are the same in every registry."""
    return f"{ref.repository}@{ref.digest}"
