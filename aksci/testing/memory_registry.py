"""An OCI registry in memory: ``MemoryRegistry``.

``registry_server`` serves the same content over HTTP, and ``sample_images`` puts images into it.
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from aksci.core.errors import ConfigError, NotFoundInRegistry, RegistryError
from aksci.core.strict_json import require_shallow
from aksci.oci.answers import require_same
from aksci.oci.manifest import Manifest
from aksci.oci.references import digest_of, is_digest, is_repository
from aksci.oci.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

__all__ = ["Call", "MemoryRegistry", "NotTakenError", "Store", "subject_of"]

_PIECE = 1 << 16


class NotTakenError(Exception):
    """What a registry does not take. Distribution specification 1.1, "Error Codes"."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class Store:
    """What one registry keeps, by repository. Several threads may use it.

    :param complete: refuse manifests that name what the repository does not have.
    """

    def __init__(self, *, complete: bool = False) -> None:
        self.complete = complete
        self.lock = threading.RLock()
        self.manifests: dict[str, dict[str, Manifest]] = defaultdict(dict)
        """Repository -> digest -> manifest or index."""
        self.tags: dict[str, dict[str, str]] = defaultdict(dict)
        """Repository -> tag -> digest."""
        self.blobs: dict[str, dict[str, bytes]] = defaultdict(dict)
        """Repository -> digest -> content."""
        self._referrers: dict[tuple[str, str], dict[str, dict[str, Any]]] = defaultdict(dict)

    def digest(self, repository: str, reference: str) -> str | None:
        """Return what a tag means, whether or not that is stored; of a digest, only if it is."""
        with self.lock:
            if reference in self.manifests[repository]:
                return reference
            return self.tags[repository].get(reference)

    def manifest(self, repository: str, reference: str) -> Manifest | None:
        """Return a manifest by tag or digest, if it is there."""
        with self.lock:
            return self.manifests[repository].get(self.digest(repository, reference) or "")

    def put_manifest(
        self, repository: str, content: bytes, media_type: str, *, tag: str | None = None
    ) -> Manifest:
        """Take a manifest.

        :raises NotTakenError: it is none, or is incomplete.
        """
        # Looked at before anything is kept: what is refused leaves nothing.
        document = _document(content, media_type)
        manifest = Manifest(media_type=media_type, digest=digest_of(content), content=content)
        with self.lock:
            if self.complete:
                self._require_parts(repository, document)
            self.manifests[repository][manifest.digest] = manifest
            if tag:
                self.tags[repository][tag] = manifest.digest
            if subject := subject_of(document):
                self.list_referrer(repository, subject, _descriptor(manifest, document))
        return manifest

    def list_referrer(self, repository: str, subject: str, descriptor: dict[str, Any]) -> None:
        """Enter a descriptor in the list of what refers to a digest, whether or not it is true."""
        key = str(descriptor.get("digest"))
        with self.lock:
            self._referrers[repository, subject][key] = descriptor

    def referrers(self, repository: str, subject: str) -> list[dict[str, Any]]:
        """Return the descriptors of what refers to a digest, in the order of their arrival."""
        with self.lock:
            return [dict(one) for one in self._referrers[repository, subject].values()]

    def delete(self, repository: str, reference: str) -> bool:
        """Forget a tag; or a manifest or blob and all that names it. Tell whether it was there."""
        with self.lock:
            if self.tags[repository].pop(reference, None):
                return True
            manifest = self.manifests[repository].pop(reference, None)
            blob = self.blobs[repository].pop(reference, None)
            tags = self.tags[repository]
            self.tags[repository] = {tag: one for tag, one in tags.items() if one != reference}
            # What is gone refers to nothing.
            for (name, _), entries in self._referrers.items():
                if name == repository:
                    entries.pop(reference, None)
            return manifest is not None or blob is not None

    def tagged(self) -> dict[str, str]:
        """Return the digest of each ``repository:tag``."""
        with self.lock:
            every = [(name, tag) for name, tags in self.tags.items() for tag in tags]
            return {f"{name}:{tag}": self.tags[name][tag] for name, tag in every}

    def repositories(self) -> list[str]:
        """Return the names of all repositories that have something."""
        with self.lock:
            kept = (self.manifests, self.tags, self.blobs)
            return sorted({name for each in kept for name, has in each.items() if has})

    def _require_parts(self, repository: str, document: dict[str, Any]) -> None:
        named = [document.get("config"), *(document.get("layers") or [])]
        for one in filter(None, named):
            # Layers with ``urls`` may be elsewhere (foreign layers).
            if one["digest"] not in self.blobs[repository] and not one.get("urls"):
                raise NotTakenError(404, "MANIFEST_BLOB_UNKNOWN", f"{one['digest']} is unknown")
        for one in document.get("manifests") or []:
            if one["digest"] not in self.manifests[repository]:
                raise NotTakenError(404, "MANIFEST_BLOB_UNKNOWN", f"{one['digest']} is unknown")


class Call(NamedTuple):
    """One question to a ``MemoryRegistry``."""

    method: str
    """Such as ``resolve``."""
    repository: str
    reference: str
    """The tag or digest; empty where the method has none."""


@dataclass(kw_only=True)
class _Fault:
    method: str
    error: Exception
    left: int | None
    reference: str | None

    def meets(self, call: Call) -> bool:
        return (
            self.left != 0
            and self.method in {"*", call.method}
            and self.reference in {None, call.reference}
        )


class MemoryRegistry(Registry):
    """A registry in memory, with the methods and errors of ``RegistryClient``.

    What is written is checked as a registry and its client do; what a test plants is not.
    Several threads may use it.

    :param referrers_api: without it, ``list_referrers`` falls back on tags, as with old registries.
    :param mounts: whether a blob can be taken over from another repository.
    :param complete: refuse a manifest whose blobs or manifests are not there, as most registries
        do; without it a test may push a manifest alone.
    """

    def __init__(
        self,
        host: str = "registry.test",
        *,
        referrers_api: bool = True,
        mounts: bool = True,
        complete: bool = False,
    ) -> None:
        self.host = host
        self.referrers_api = referrers_api
        self.mounts = mounts
        self.store = Store(complete=complete)
        self.calls: list[Call] = []
        """All questions so far, those that failed, too."""
        self.delay = 0.0
        """Seconds that each answer takes."""
        self._faults: list[_Fault] = []

    # What a test arranges, and looks at

    def fail(
        self,
        method: str,
        error: Exception,
        *,
        times: int | None = None,
        reference: str | None = None,
    ) -> None:
        """Answer the next calls of a method by an error, until ``recover``.

        :param method: such as ``resolve``, or ``*`` for all.
        :param times: how many calls; all unless told.
        :param reference: only calls for this tag or digest.
        """
        self._faults.append(_Fault(method=method, error=error, left=times, reference=reference))

    def recover(self) -> None:
        """Answer well from now on."""
        self._faults.clear()

    def asked(self, *methods: str) -> list[str]:
        """Return the tags and digests that were asked for, by these methods or by any."""
        return [call.reference for call in self.calls if not methods or call.method in methods]

    def move_tag(self, repository: str, tag: str, digest: str) -> None:
        """Let a tag mean a digest, stored or not: a test of names needs no images."""
        with self.store.lock:
            self.store.tags[repository][tag] = digest

    def plant(
        self,
        repository: str,
        content: bytes,
        *,
        digest: str | None = None,
        media_type: str | None = None,
    ) -> str:
        """Keep any content under any digest, and hand it out unchecked; return the digest.

        It is a manifest if a media type is given or one has the digest, else a blob.

        :param digest: its own unless told.
        """
        digest = digest or digest_of(content)
        with self.store.lock:
            before = self.store.manifests[repository].get(digest)
            if media_type or before:
                kind = media_type or (before.media_type if before else "")
                manifest = Manifest(media_type=kind, digest=digest, content=content)
                self.store.manifests[repository][digest] = manifest
            else:
                self.store.blobs[repository][digest] = content
        return digest

    def list_referrer(self, repository: str, subject: str, descriptor: dict[str, Any]) -> None:
        """Enter a descriptor in the list of what refers to a digest, whether or not it is true."""
        self.store.list_referrer(repository, subject, descriptor)

    def delete(self, repository: str, reference: str) -> bool:
        """Forget a tag; or a manifest or blob and all that names it. Tell whether it was there."""
        return self.store.delete(repository, reference)

    # Manifests

    def resolve(self, repository: str, reference: str) -> str | None:
        """Return the digest of a tag or digest; None where it is not there."""
        self._note("resolve", repository, reference)
        return self.store.digest(repository, reference)

    def manifest(self, repository: str, reference: str) -> Manifest:
        """Return a manifest by tag or digest. Raise ``NotFoundInRegistry`` where there is none."""
        self._note("manifest", repository, reference)
        found = self.store.manifest(repository, reference)
        if found is None:
            raise self._missing(f"{repository}:{reference}")
        return found

    def put_manifest(
        self, repository: str, content: bytes, media_type: str, *, tag: str | None = None
    ) -> str:
        """Store a manifest by tag or digest; return its digest."""
        digest = digest_of(content)
        self._note("put_manifest", repository, tag or digest)
        try:
            return self.store.put_manifest(repository, content, media_type, tag=tag).digest
        except NotTakenError as error:
            raise RegistryError(
                f"The registry {self.host} answered {error.status} to PUT "
                f"/v2/{repository}/manifests/{tag or digest}: {error.code}: {error.message}."
            ) from None

    def tags(self, repository: str) -> list[str]:
        """Return all tags of a repository, sorted; none where there is no such repository."""
        self._note("tags", repository)
        with self.store.lock:
            return sorted(self.store.tags[repository])

    def referrers(self, repository: str, digest: str) -> list[dict[str, Any]] | None:
        """Return the descriptors that refer to a digest, or None without a referrers API."""
        self._note("referrers", repository, digest)
        return self.store.referrers(repository, digest) if self.referrers_api else None

    def repositories(self) -> list[str]:
        """Return the names of all repositories, sorted."""
        self._answer(Call("repositories", "", ""))
        return self.store.repositories()

    # Blobs

    def has_blob(self, repository: str, digest: str) -> bool:
        """Tell whether a blob is stored."""
        self._note_blob("has_blob", repository, digest)
        return digest in self.store.blobs[repository]

    def blob(self, repository: str, digest: str) -> bytes:
        """Return a blob. Raise ``NotFoundInRegistry`` where there is none."""
        self._note_blob("blob", repository, digest)
        return self._blob(repository, digest)

    def stream_blob(self, repository: str, digest: str) -> Generator[bytes, None, None]:
        """Yield a blob in pieces of 64 KiB."""
        self._note_blob("stream_blob", repository, digest)
        content = self._blob(repository, digest)
        for start in range(0, len(content), _PIECE):
            yield content[start : start + _PIECE]

    def put_blob(self, repository: str, content: bytes) -> str:
        """Store a blob and return its digest."""
        digest = digest_of(content)
        self._note_blob("put_blob", repository, digest)
        self.store.blobs[repository][digest] = content
        return digest

    def put_blob_file(self, repository: str, path: Path) -> str:
        """Store a file as a blob and return its digest."""
        return self.put_blob(repository, path.read_bytes())

    def write_blob(
        self,
        repository: str,
        digest: str,
        size: int,  # noqa: ARG002 - the protocol's; a client chooses its way by it
        pieces: Callable[[], Generator[bytes, None, None]],
    ) -> None:
        """Store a blob from its pieces."""
        self._note_blob("write_blob", repository, digest)
        content = b"".join(pieces())
        require_same(digest_of(content), digest, f"{self.host}/{repository}")
        self.store.blobs[repository][digest] = content

    def mount_blob(self, repository: str, digest: str, source_repository: str) -> bool:
        """Take a blob over from another repository; tell whether that was done."""
        self._note_blob("mount_blob", repository, digest)
        found = self.store.blobs[source_repository].get(digest)
        if found is None or not self.mounts:
            return False
        self.store.blobs[repository][digest] = found
        return True

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def _blob(self, repository: str, digest: str) -> bytes:
        found = self.store.blobs[repository].get(digest)
        if found is None:
            raise self._missing(f"{repository}@{digest}")
        return found

    def _missing(self, name: str) -> NotFoundInRegistry:
        return NotFoundInRegistry(f"{self.host}/{name} does not exist in the registry.")

    def _note_blob(self, method: str, repository: str, digest: str) -> None:
        if not is_digest(digest):  # whoever may push chooses what manifests name
            raise RegistryError(f"{digest[:100]!r}, which {repository} names, is not a digest.")
        self._note(method, repository, digest)

    def _note(self, method: str, repository: str, reference: str = "") -> None:
        if not is_repository(repository):
            raise ConfigError(f"{repository!r} is not the name of a repository (lower case only).")
        self._answer(Call(method, repository, reference))

    def _answer(self, call: Call) -> None:
        # Before a fault: what was asked in vain was asked.
        self.calls.append(call)
        if self.delay:
            time.sleep(self.delay)
        with self.store.lock:
            fault = next((fault for fault in self._faults if fault.meets(call)), None)
            if fault is None:
                return
            fault.left = fault.left and fault.left - 1
        # Outside of the lock: whoever catches it may ask again.
        raise fault.error


def _document(content: bytes, media_type: str) -> dict[str, Any]:
    """Read what is to be a manifest. Distribution specification 1.1, "Pushing Manifests"."""
    try:
        require_shallow(content)
        document = json.loads(content)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise NotTakenError(400, "MANIFEST_INVALID", "it is no JSON object")
    # Distribution specification 1.1: the two must be the same, or two readers see two things.
    if document.get("mediaType", media_type) != media_type:
        raise NotTakenError(400, "MANIFEST_INVALID", f"it says that it is {document['mediaType']}")
    return document


def subject_of(document: dict[str, Any]) -> str:
    """Return the digest that a manifest refers to, or nothing."""
    subject = document.get("subject")
    return str(subject.get("digest") or "") if isinstance(subject, dict) else ""


def _descriptor(manifest: Manifest, document: dict[str, Any]) -> dict[str, Any]:
    """Describe what refers to something. Distribution specification 1.1, "Listing Referrers"."""
    config = document.get("config")
    kind = document.get("artifactType") or (isinstance(config, dict) and config.get("mediaType"))
    annotations = document.get("annotations")
    return {
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": len(manifest.content),
        **({"artifactType": kind} if kind else {}),
        **({"annotations": annotations} if annotations else {}),
    }
