"""What an image was made of, stored beside it in the registry as a referrer.

It is not in the image's own manifest: two builds that give the same bytes then have the same
digest, whatever commit or comment asked for them, and its dependents need no new build
(docs/adr/0003-lineage.md). For plans and builds it explains, and decides nothing. A cascade
compares it with what the names of the bases mean now, and only if it is trusted (``published``).
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aksci.core.concurrency import gather
from aksci.core.errors import DamagedInRegistry, NotFoundInRegistry
from aksci.core.strict_json import MALFORMED, parse_json
from aksci.core.unpack import unpack_gzip
from aksci.oci.artifact import (
    CREATED,
    Content,
    canonical_json,
    find_artifacts,
    push_artifact,
    read_artifact,
)
from aksci.oci.references import ImageRef, is_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from aksci.oci.artifact import Artifact
    from aksci.oci.manifest import Descriptor, Manifest
    from aksci.oci.registry import Registry

__all__ = [
    "ARTIFACT_TYPE",
    "Lineage",
    "Step",
    "load_lineage",
    "load_records",
    "read_files",
    "read_lineage",
    "read_lineage_before",
    "write_lineage",
]

ARTIFACT_TYPE = "application/vnd.aksci.build.v1+json"
_PROVENANCE = "application/vnd.aksci.buildkit-provenance.v0.2+json"
_FILES = "application/vnd.aksci.files.v1+json+gzip"
_KEY = "dev.aksci.input-key"
"""What JSON from the network can do to code that trusts its shape."""
_MOST_RECORDS = 2000  # of one digest that are read
_AT_ONCE = 32
_THREADS = 8
_LARGEST = 8 << 20  # bytes of a record, without its files
_MOST_FILES = 20_000
_MOST_BYTES = 64 << 20
"""Of a list of files, unpacked: 20,000 names and descriptions take about 3 MB."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One instruction of a Dockerfile that counts."""

    keyword: str
    hash: str
    """16 hexadecimal digits."""
    lines: tuple[int, int]
    """Its first and its last line, from 1; ``(0, 0)``: it is in a base's ONBUILD."""


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """One build's inputs."""

    image: str
    key_schema: int
    input_key: str
    """Empty while a parent is still to be built."""
    source: Mapping[str, Any]
    """``Source.document()``."""
    parents: Mapping[str, str | None]
    """Full reference -> digest; None while it is still to be built."""
    revision: str
    """Commit of the source tree; empty where unknown."""
    edges: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Full reference -> ``{"type": "runtime", "image": "base"}``; no ``image``: it is external."""
    steps: tuple[Step, ...] = ()
    run: str = ""
    """The run that built it; empty where unknown."""
    created: str = ""
    """When, in UTC, as ``2026-11-23T12:00:00Z``; empty: not yet."""
    file_list: str | None = None
    """Digest of the blob with its files; see ``read_files``."""
    provenance: str | None = None
    """Digest of the blob with BuildKit's provenance."""

    @property
    def digests(self) -> dict[str, str]:
        """Full reference -> digest of each parent that is known."""
        return {name: str(digest) for name, digest in self.parents.items() if digest}


def write_lineage(
    registry: Registry,
    ref: ImageRef,
    lineage: Lineage,
    *,
    provenance: Mapping[str, Any] | None,
    now: datetime,
    files: Mapping[str, str] | None = None,
    manifest: Manifest | None = None,
) -> ImageRef:
    """Store a build's inputs, and its provenance if there is one, beside the image.

    :param files: path -> description; of more than 20,000 only the number is kept.
    :param manifest: the image's, where it is at hand.
    """
    layers = [Content(media_type=ARTIFACT_TYPE, content=_document(lineage, files))]
    if files is not None and len(files) <= _MOST_FILES:
        layers.append(Content(media_type=_FILES, content=_pack(files)))
    if provenance:
        layers.append(Content(media_type=_PROVENANCE, content=canonical_json(provenance)))
    annotations = {CREATED: now.strftime("%Y-%m-%dT%H:%M:%SZ"), _KEY: lineage.input_key}
    if lineage.revision:
        annotations["org.opencontainers.image.revision"] = lineage.revision
    return push_artifact(
        registry,
        ref.repository,
        artifact_type=ARTIFACT_TYPE,
        layers=layers,
        annotations=annotations,
        subject=ref,
        about=manifest,
    )


def _document(lineage: Lineage, files: Mapping[str, str] | None) -> bytes:
    document = {
        "schema": 1,
        "image": lineage.image,
        "keySchema": lineage.key_schema,
        "inputKey": lineage.input_key,
        "source": lineage.source,
        "parents": lineage.parents,
        "revision": lineage.revision,
        "run": lineage.run,
        "edges": lineage.edges,
        "steps": [[step.keyword, step.hash, *step.lines] for step in lineage.steps],
        "files": None if files is None else len(files),
    }
    return canonical_json(document)


def read_lineage(
    registry: Registry, repository: str, reference: str, *, input_key: str | None = None
) -> Lineage | None:
    """Return the inputs of the latest build that gave the image of a tag; None when unknown.

    :param input_key: prefer the latest build of this key: others may have given the same bytes.
    """
    digest = registry.resolve(repository, reference)
    if digest is None:
        return None
    ref = ImageRef(registry.host, repository, digest)
    found = find_artifacts(registry, ref, ARTIFACT_TYPE)
    if not found:
        return None
    # The latest come first.
    asked = (one for one in found if one.annotations.get(_KEY) == input_key)
    return load_lineage(registry, repository, next(asked, found[0]))


def read_lineage_before(
    registry: Registry, repository: str, tags: Iterable[str], last: Lineage
) -> Lineage | None:
    """Return the inputs of an image's build before another one; None: nobody knows of one.

    :param tags: of finished builds, in any order.
    """
    digests = {registry.resolve(repository, tag) for tag in tags} - {None}
    refs = [ImageRef(registry.host, repository, str(digest)) for digest in digests]
    records = [
        (created, record)
        for ref in refs
        for record in find_artifacts(registry, ref, ARTIFACT_TYPE)
        if (created := record.annotations.get(CREATED, "")) < last.created
    ]
    records.sort(key=lambda one: one[0], reverse=True)
    # Several images may have one repository.
    loaded = load_records(registry, repository, (record for _, record in records))
    return next((lineage for _, lineage in loaded if lineage.image == last.image), None)


def load_lineage(registry: Registry, repository: str, record: Descriptor) -> Lineage | None:
    """Return what one record says; None where it is damaged: it explains nothing then.

    :param record: as ``find_artifacts`` gives it.
    """
    try:
        artifact = read_artifact(registry, repository, record.digest, artifact_type=ARTIFACT_TYPE)
        return _lineage(artifact, artifact.read_json(largest=_LARGEST))
    except (NotFoundInRegistry, DamagedInRegistry, *MALFORMED):
        return None


def load_records(
    registry: Registry, repository: str, records: Iterable[Descriptor], *, key: str = ""
) -> Iterator[tuple[Descriptor, Lineage]]:
    """Yield what records say, without damaged ones; those that name a key come first.

    A user with push access can enter any number, each with the date and the key of its choice. They
    are read a few at once, as far as they are asked for, and 2,000 at most.

    :param records: as ``find_artifacts`` gives them.
    """
    left = sorted(records, key=lambda one: one.annotations.get(_KEY) != key)[:_MOST_RECORDS]
    size = 1  # mostly, the first is the one
    while left:
        batch, left, size = left[:size], left[size:], _AT_ONCE
        found = gather(
            lambda one: load_lineage(registry, repository, one),
            batch,
            limit=_THREADS,
            name="records",
        )
        for one, lineage in zip(batch, found, strict=True):
            if lineage:
                yield one, lineage


def read_files(registry: Registry, repository: str, lineage: Lineage) -> dict[str, str] | None:
    """Return what ``write_lineage`` was told of the files; None when they are not known."""
    if lineage.file_list is None:
        return None
    try:
        packed = registry.blob(repository, lineage.file_list)
        files = parse_json(unpack_gzip(packed, largest=_MOST_BYTES))["files"]
        return {str(path): str(description) for path, description in files.items()}
    except (NotFoundInRegistry, *MALFORMED):
        return None


def _pack(files: Mapping[str, str]) -> bytes:
    """Return the same bytes for the same files. ASCII: names need not be UTF-8."""
    text = json.dumps({"schema": 1, "files": files}, sort_keys=True, separators=(",", ":"))
    return gzip.compress(text.encode(), compresslevel=6, mtime=0)


def _lineage(artifact: Artifact, document: Mapping[str, Any]) -> Lineage:
    blobs = {layer.media_type: layer.digest for layer in artifact.manifest.layers}
    # No registry could be asked for them: that would end whoever reads them later.
    if not all(map(is_digest, blobs.values())):
        raise artifact.manifest.damaged("a layer has no digest")
    source = dict(document["source"])
    _require_texts(source.get("args") or {})
    return Lineage(
        image=str(document["image"]),
        key_schema=document["keySchema"],
        input_key=str(document["inputKey"]),
        source=source,
        parents=_require_texts(document["parents"]),
        revision=str(document["revision"]),
        edges={name: _require_texts(edge) for name, edge in document.get("edges", {}).items()},
        steps=tuple(
            Step(keyword=str(keyword), hash=str(digest), lines=(int(first), int(last)))
            for keyword, digest, first, last in document.get("steps", ())
        ),
        run=str(document.get("run", "")),
        created=artifact.annotations.get(CREATED, ""),
        file_list=blobs.get(_FILES),
        provenance=blobs.get(_PROVENANCE),
    )


def _require_texts(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what holds nothing but texts, and None for what is not known."""
    if not all(isinstance(value, str | None) for value in found.values()):
        raise TypeError("a value is no text")
    return dict(found)
