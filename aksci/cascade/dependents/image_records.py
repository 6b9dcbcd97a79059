"""Read what images in a registry say of themselves: whatever somebody has pushed.

``ImageReader`` asks for all images of some repositories. It takes one request for each repository
and one for each stable tag; what an image says is asked once and then known from the cache, but
for lineage that isn't there: it may come later.

``LineageCache`` remembers that on this machine: for a digest it never changes. It saves requests
and decides nothing: an image that is a dependent by what is remembered is asked for again (a later
build may have given the same bytes from newer bases). Still unseen then: an image that was built
again, to the same digest, from something that it did not need before.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import threading
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeVar

from aksci.cascade.dependents.recorded_names import is_stable
from aksci.core.concurrency import gather
from aksci.core.errors import DamagedInRegistry, NotFoundInRegistry, RegistryError
from aksci.core.files import write_atomically
from aksci.core.strict_json import MALFORMED, parse_json
from aksci.images.annotations import BASE_DIGEST, BASE_NAME
from aksci.images.lineage import ARTIFACT_TYPE, Lineage, Step, read_lineage
from aksci.oci.artifact import find_artifacts
from aksci.oci.manifest import MANIFEST_TYPES
from aksci.oci.references import ImageRef, is_repository
from aksci.oci.registry import read_child

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from aksci.oci.registry import Registry

__all__ = [
    "AT_ONCE",
    "DAMAGE",
    "ImageReader",
    "ImageRecord",
    "LineageCache",
    "Problem",
    "read_lineage_of",
    "read_record",
]


@dataclass(frozen=True, kw_only=True)
class ImageRecord:
    """What one image says of itself."""

    image: bool
    """False: it is an artifact, such as a chart, a signature or a layer cache."""
    base: tuple[str, str] | None = None
    """``org.opencontainers.image.base.name`` and ``.digest``, which an index may have on its
    platforms' manifests only."""
    lineage: Lineage | None = None


DAMAGE = (DamagedInRegistry, *MALFORMED)
"""What reading a damaged document raises."""


def read_record(registry: Registry, ref: ImageRef) -> ImageRecord:
    """Read one image: two requests where it has no lineage, up to six otherwise.

    :raises RegistryError: the registry failed.
    """
    manifest = registry.manifest(ref.repository, ref.digest)
    # A cache of layers is an index, too: what it lists are no manifests.
    platforms = [one for one in manifest.images if one.media_type in MANIFEST_TYPES]
    if not (platforms or manifest.is_image):
        return ImageRecord(image=False)
    lineage = read_lineage_of(registry, ref)
    base = _base(manifest.annotations)
    if lineage is None and base is None and platforms:
        # Annotations of an image with several platforms may be on each of them only.
        base = _base(read_child(registry, ref.repository, platforms[0]).annotations)
    return ImageRecord(image=True, base=base, lineage=lineage)


def read_lineage_of(registry: Registry, ref: ImageRef) -> Lineage | None:
    """Return the record of the latest build, if there is one; one request where there is none."""
    # ``read_lineage`` would ask for the digest first: most images of others have no record.
    if not find_artifacts(registry, ref, ARTIFACT_TYPE):
        return None
    return read_lineage(registry, ref.repository, ref.digest)


def _base(annotations: Mapping[str, str]) -> tuple[str, str] | None:
    name = annotations.get(BASE_NAME)
    return (name, annotations.get(BASE_DIGEST, "")) if name else None


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that could not be looked at."""

    where: str
    """``repository``, ``repository:tag`` or ``repository@digest``; it comes from the network."""
    text: str
    """A sentence."""
    error: bool
    """Whether dependents may have been missed because the registry failed. Otherwise it is a
    warning: the thing is damaged, or went away meanwhile."""
    hint: str | None = None


AT_ONCE = 8
"""Requests that are under way at the same time. A registry that throttles (429) is obeyed by the
client; ACR's limits are those of its tier."""
_MOST_ERRORS = 20
"""After so many the registry counts as down, and is not asked for the rest."""
_T = TypeVar("_T")
_R = TypeVar("_R")


class ImageReader:
    """Read images, some at once, and collect what goes wrong on the way.

    :param most: tags that are looked at.
    """

    def __init__(self, registry: Registry, cache: LineageCache, *, most: int) -> None:
        self._registry = registry
        self._cache = cache
        self._most = most
        self._lock = threading.Lock()
        self._errors = 0
        self._fresh: set[ImageRef] = set()
        self.problems: list[Problem] = []

    def images(self, repositories: Iterable[str]) -> dict[ImageRef, tuple[str, ...]]:
        """Return all that stable tags mean, and those tags."""
        valid = []
        for name in sorted(repositories):
            if is_repository(name):
                valid.append(name)
            else:
                self.problem(name, "it is not the name of a repository", error=False)
        lists = self._each(valid, str, self._stable_tags)
        # One more than is looked at, to know that there are more.
        pairs = list(islice(chain.from_iterable(lists.values()), self._most + 1))
        if len(pairs) > self._most:
            text = f"it has more than {self._most:,} tags; the rest was not looked at"
            self.problem(self._registry.host, text, error=True)
        refs = self._each(pairs[: self._most], ":".join, self._resolve)
        found: dict[ImageRef, list[str]] = {}
        for (_, tag), ref in refs.items():
            found.setdefault(ref, []).append(tag)
        return {ref: tuple(sorted(tags)) for ref, tags in sorted(found.items())}

    def records(self, refs: Iterable[ImageRef]) -> dict[ImageRef, ImageRecord]:
        """Return what images say of themselves."""
        return self._each(list(refs), str, self._read)

    def again(
        self, refs: Iterable[ImageRef], known: Mapping[ImageRef, ImageRecord]
    ) -> dict[ImageRef, ImageRecord] | None:
        """Ask again for what was remembered of some images; None if nothing was.

        What was remembered of an image holds where it can't be asked for: that is a problem.
        """
        stale = [ref for ref in refs if ref not in self._fresh]
        if not stale:
            return None
        self._fresh.update(stale)  # once is enough, even where it fails
        return {**known, **self._each(stale, str, lambda ref: self._refresh(ref, known[ref]))}

    def problem(self, where: str, text: str, *, error: bool, hint: str | None = None) -> None:
        """Remember that something could not be looked at."""
        with self._lock:
            self.problems.append(Problem(where=where, text=text, error=error, hint=hint))
            self._errors += error
            if error and self._errors == _MOST_ERRORS:
                text = f"{_MOST_ERRORS} questions failed; the rest was not asked"
                self.problems.append(Problem(where=self._registry.host, text=text, error=True))

    # One of each

    def _stable_tags(self, repository: str) -> list[tuple[str, str]]:
        tags = sorted(set(self._registry.tags(repository)))
        return [(repository, tag) for tag in tags if is_stable(tag)]

    def _resolve(self, name: tuple[str, str]) -> ImageRef:
        repository, tag = name
        digest = self._registry.resolve(repository, tag)
        if digest is None:
            raise NotFoundInRegistry(tag)
        return ImageRef(self._registry.host, repository, digest)

    def _read(self, ref: ImageRef) -> ImageRecord:
        record = self._cache.get(ref)
        if record is None:
            record = read_record(self._registry, ref)
        # A record may come after the image; one that is there is asked for again only if it counts.
        elif record.image and record.lineage is None:
            return self._refresh(ref, record)
        else:
            return record
        return self._remember(ref, record)

    def _refresh(self, ref: ImageRef, record: ImageRecord) -> ImageRecord:
        lineage = read_lineage_of(self._registry, ref)
        return self._remember(ref, replace(record, lineage=lineage))

    def _remember(self, ref: ImageRef, record: ImageRecord) -> ImageRecord:
        self._fresh.add(ref)
        self._cache.put(ref, record)
        return record

    # All of them

    def _each(
        self, things: Sequence[_T], name: Callable[[_T], str], ask: Callable[[_T], _R]
    ) -> dict[_T, _R]:
        """Ask for things, some at once; what fails is a problem and left out."""
        answers: dict[_T, _R] = {}

        def one(thing: _T) -> None:
            # Read without the lock: a question too many does no harm.
            if self._errors < _MOST_ERRORS:
                self._guarded(name(thing), lambda: answers.update({thing: ask(thing)}))

        gather(one, things, limit=AT_ONCE, name="dependents")
        return {thing: answers[thing] for thing in things if thing in answers}

    def _guarded(self, where: str, ask: Callable[[], None]) -> None:
        try:
            ask()
        except NotFoundInRegistry:
            self.problem(where, "it went away while it was read", error=False)
        except DAMAGE:
            self.problem(where, "it is damaged, and was left out", error=False)
        except RegistryError as error:
            self.problem(where, error.message, error=True, hint=error.hint)


_SCHEMA = 1
_LARGEST = 1 << 20
"""Bytes of one entry; a larger one is not kept."""


class LineageCache:
    """A folder of small files, one for each image. Several threads and processes may use it.

    A file's name is a hash, so nothing that a registry sends chooses a path. A damaged file, or one
    that can't be read or written, is the same as none.

    :param most: files that are kept by ``prune``.
    """

    def __init__(self, folder: Path, *, most: int = 50_000) -> None:
        self._folder = folder
        self._most = most

    def get(self, ref: ImageRef) -> ImageRecord | None:
        """Return what is remembered of an image."""
        path = self._path(ref)
        try:
            if path.stat().st_size > _LARGEST:
                return None
            document = parse_json(path.read_bytes())
            # The name is a hash of the image: the content must be its own, too.
            if (document["schema"], document["image"]) != (_SCHEMA, str(ref)):
                return None
            return _record(document["record"])
        except (OSError, *DAMAGE):
            return None

    def put(self, ref: ImageRef, record: ImageRecord) -> None:
        """Remember an image."""
        document = {"schema": _SCHEMA, "image": str(ref), "record": dataclasses.asdict(record)}
        content = json.dumps(document)  # ASCII: a record may hold half of a surrogate pair
        if len(content) > _LARGEST:
            return
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_atomically(self._path(ref), content)

    def prune(self) -> None:
        """Delete the oldest files where there are too many."""
        with contextlib.suppress(OSError):
            paths = list(self._folder.glob("*.json"))
            if len(paths) > self._most:
                paths.sort(key=lambda path: path.stat().st_mtime)
                for path in paths[: -self._most]:
                    path.unlink(missing_ok=True)

    def _path(self, ref: ImageRef) -> Path:
        # The repository counts: what refers to an image does so in one repository.
        return self._folder / f"{hashlib.sha256(str(ref).encode()).hexdigest()}.json"


def _record(document: dict[str, Any]) -> ImageRecord:
    lineage = document["lineage"]
    base = document["base"]
    if not isinstance(document["image"], bool):
        raise TypeError(document["image"])
    return ImageRecord(
        image=document["image"],
        base=None if base is None else (str(base[0]), str(base[1])),
        lineage=None if lineage is None else _lineage(lineage),
    )


def _lineage(document: dict[str, Any]) -> Lineage:
    steps = tuple(
        Step(keyword=one["keyword"], hash=one["hash"], lines=(one["lines"][0], one["lines"][1]))
        for one in document["steps"]
    )
    mappings = [document[name] for name in ("source", "parents", "edges")]
    if not all(isinstance(one, dict) for one in (*mappings, *document["edges"].values())):
        raise TypeError(document)
    known = {one.name for one in dataclasses.fields(Lineage)}  # an older aksci knew of more
    kept = {name: value for name, value in document.items() if name in known}
    return Lineage(**{**kept, "steps": steps})
