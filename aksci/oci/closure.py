"""All that belongs to an image: its manifests and blobs, and whatever refers to any of them."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aksci.core.errors import DamagedInRegistry, NotFoundInRegistry, RegistryError
from aksci.oci.manifest import INDEX_TYPES, MANIFEST_TYPES, parse_descriptor
from aksci.oci.references import ImageRef
from aksci.oci.referrers import list_referrers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from concurrent.futures import Executor

    from aksci.core.reporting import Reporter
    from aksci.oci.manifest import Descriptor, Manifest
    from aksci.oci.registry import Registry

__all__ = ["Blob", "Closure", "StoredManifest", "Wanted", "read_closure"]

Wanted = Callable[["ImageRef", "tuple[Descriptor, ...]"], "frozenset[str]"]
"""Told a manifest and what refers to it, it returns the digests of those that belong to it. It is
called from several threads."""

_ANY_TYPE = INDEX_TYPES | MANIFEST_TYPES
_ELSEWHERE = ("nondistributable", "foreign")
"""In the media type of a layer that is fetched from its ``urls`` and stored in no registry."""
_COSIGN = re.compile(r"sha256-([0-9a-f]{64})\.(?:sig|att|sbom)")
"""Where cosign keeps things that registries without referrers could not list."""


@dataclass(frozen=True, order=True)
class Blob:
    """One blob that a manifest names."""

    digest: str
    size: int


@dataclass(frozen=True, kw_only=True)
class StoredManifest:
    """One manifest or index, as its very bytes."""

    ref: ImageRef
    media_type: str
    content: bytes
    blobs: tuple[Blob, ...] = ()
    children: tuple[str, ...] = ()
    """Digests of the manifests that an index lists."""
    subject: str = ""
    """Digest of what it refers to."""
    may_run: bool = False
    """Whether a runtime takes it for an image, or finds one in it."""


@dataclass(frozen=True, kw_only=True)
class Closure:
    """What has to be copied so that nothing of some images is lost."""

    nodes: Mapping[ImageRef, StoredManifest]
    """Each after what it needs: an index after its manifests, what refers after its subject."""
    referrers: Mapping[ImageRef, tuple[dict[str, Any], ...]]
    """Subject -> descriptors of what refers to it, as the registry lists them."""
    tags: Mapping[tuple[str, str], str]
    """(repository, tag) -> digest: the tags in which cosign keeps signatures."""
    left: Mapping[str, int] = field(default_factory=dict)
    """Type of artifact -> how many refer to something here and are not wanted."""


def read_closure(
    registry: Registry,
    refs: Iterable[ImageRef],
    *,
    pool: Executor,
    reporter: Reporter,
    wanted: Wanted | None = None,
) -> Closure:
    """Read all that belongs to some images, by digest: a tag that moves meanwhile changes nothing.

    :param wanted: chooses among what refers to them. None: all of it, and cosign's tags.
    :raises RegistryError: something that is needed is not there or can't be read.
    """
    walk = _Walk(registry=registry, pool=pool, reporter=reporter, wanted=wanted)
    walk.follow(refs)
    # Nothing proves that what is in a tag belongs to the image.
    while wanted is None and (found := walk.cosign_tags()):
        walk.follow(ImageRef(registry.host, name, digest) for name, digest in found)
    return Closure(
        nodes=_ordered(walk.nodes),
        referrers=walk.true_referrers(),
        tags=walk.tags,
        left=dict(walk.left),
    )


@dataclass(kw_only=True)
class _Walk:
    """One walk, breadth first: each round asks for all that the one before has found, at once."""

    registry: Registry
    pool: Executor
    reporter: Reporter
    wanted: Wanted | None = None
    left: Counter[str] = field(default_factory=Counter)
    nodes: dict[ImageRef, StoredManifest] = field(default_factory=dict)
    referrers: dict[ImageRef, tuple[dict[str, Any], ...]] = field(default_factory=dict)
    tags: dict[tuple[str, str], str] = field(default_factory=dict)
    _listed: dict[str, list[str]] = field(default_factory=dict)

    def follow(self, refs: Iterable[ImageRef]) -> None:
        """Visit manifests and all that they lead to."""
        needed, claimed = set(refs), dict[ImageRef, set[str]]()
        while new := sorted({*needed, *claimed} - set(self.nodes)):
            found = list(self.pool.map(self._visit, new, [ref in needed for ref in new]))
            nodes = [
                (node, listed)
                for node, listed in filter(None, found)
                if node.ref in needed or self._refers(node, claimed[node.ref])
            ]
            needed, claimed = set(), defaultdict(set)
            for node, (listed, left) in nodes:
                self.nodes[node.ref] = node
                self.referrers[node.ref] = listed
                self.left.update(left)
                needed |= {node.ref.beside(each) for each in node.children}
                for entry in listed:
                    claimed[node.ref.beside(entry["digest"])].add(node.ref.digest)

    def true_referrers(self) -> dict[ImageRef, tuple[dict[str, Any], ...]]:
        """Return the lists without what is gone or refers to something else."""
        found = {
            ref: tuple(entry for entry in entries if self._is_about(ref, entry["digest"]))
            for ref, entries in self.referrers.items()
        }
        return {ref: entries for ref, entries in found.items() if entries}

    def cosign_tags(self) -> list[tuple[str, str]]:
        """Return repository and digest of what cosign's tags for the visited manifests hold."""
        known = {(ref.repository, ref.digest) for ref in self.nodes}
        names = sorted({ref.repository for ref in self.nodes} - set(self._listed))
        self._listed |= dict(zip(names, self.pool.map(self.registry.tags, names), strict=True))
        places = [
            (repository, tag)
            for repository, tags in self._listed.items()
            for tag in tags
            if (match := _COSIGN.fullmatch(tag))
            and (repository, f"sha256:{match.group(1)}") in known
            and (repository, tag) not in self.tags
        ]
        digests = self.pool.map(lambda each: self.registry.resolve(*each), places)
        found = {place: digest for place, digest in zip(places, digests, strict=True) if digest}
        self.tags |= found
        return [(repository, digest) for (repository, _), digest in found.items()]

    def _visit(
        self,
        ref: ImageRef,
        needed: bool,
    ) -> tuple[StoredManifest, tuple[tuple[dict[str, Any], ...], Counter[str]]] | None:
        """Read one manifest, and the list of what refers to it. A list may name what is gone."""
        try:
            manifest = self.registry.manifest(ref.repository, ref.digest)
        except NotFoundInRegistry:
            if needed:
                raise
            self.reporter.warning(f"{ref} is listed as a referrer, and does not exist.")
            return None
        return _parse(ref, manifest), self._chosen(ref)

    def _chosen(self, ref: ImageRef) -> tuple[tuple[dict[str, Any], ...], Counter[str]]:
        """Return the entries of what refers to something and is wanted; the types of the rest."""
        # Each once, by its digest.
        listed = {entry["digest"]: entry for entry in list_referrers(self.registry, ref)}
        if self.wanted is None:
            return tuple(listed.values()), Counter()
        told = tuple(map(parse_descriptor, listed.values()))
        wanted = self.wanted(ref, told)
        left = Counter(each.artifact_type for each in told if each.digest not in wanted)
        return tuple(listed[digest] for digest in listed if digest in wanted), left

    def _refers(self, node: StoredManifest, subjects: set[str]) -> bool:
        """Trust no list: anybody who may write can enter anything in a fallback tag."""
        named = ", ".join(sorted(subjects))
        if node.subject in subjects:
            if self.wanted is None or not node.may_run:
                return True
            # What it holds may be as signed as its like: by its digest, the rest of it runs, too.
            self.reporter.warning(f"{node.ref} refers to {named}, and could be run: it stays.")
            return False
        self.reporter.warning(f"{node.ref} is listed as referring to {named}, and does not.")
        return False

    def _is_about(self, ref: ImageRef, digest: str) -> bool:
        node = self.nodes.get(ref.beside(digest))
        return node is not None and node.subject == ref.digest


def _parse(ref: ImageRef, manifest: Manifest) -> StoredManifest:
    """Read which blobs and manifests one needs. Image specification 1.1, manifest and index."""
    try:
        if not all(one.media_type for one in manifest.entries):
            raise ValueError("an entry has no media type")  # noqa: TRY301 - one place says so
        children = [one for one in manifest.entries if one.media_type in _ANY_TYPE]
        named = [*filter(None, [manifest.config]), *manifest.layers]
        named += [one for one in manifest.entries if one.media_type not in _ANY_TYPE]
        node = StoredManifest(
            ref=ref,
            media_type=manifest.media_type,
            content=manifest.content,
            blobs=tuple(sorted({_blob(one) for one in named if not _is_elsewhere(one)})),
            children=tuple(dict.fromkeys(one.digest for one in children)),
            subject=manifest.subject,
            may_run=manifest.may_run,
        )
    except (DamagedInRegistry, ValueError) as error:
        raise RegistryError(f"The manifest {ref} is damaged ({error}).") from None
    if manifest.media_type not in _ANY_TYPE:
        raise RegistryError(
            f"{ref} is of the type {manifest.media_type!r}, which can't be copied.",
            hint="build it anew: images of Docker's schema 1 have no fixed digest.",
        )
    return node


def _blob(descriptor: Descriptor) -> Blob:
    if descriptor.size is None:
        raise ValueError(f"{descriptor.digest[:80]} has no size")
    return Blob(descriptor.digest, descriptor.size)


def _is_elsewhere(descriptor: Descriptor) -> bool:
    return descriptor.urls and any(word in descriptor.media_type for word in _ELSEWHERE)


def _ordered(nodes: Mapping[ImageRef, StoredManifest]) -> dict[ImageRef, StoredManifest]:
    """Put each after what it needs. Digests can't go round in a circle."""
    ordered: dict[ImageRef, StoredManifest] = {}
    stack = sorted(nodes, reverse=True)
    while stack:
        node = nodes[stack[-1]]
        needed = [node.ref.beside(each) for each in (*node.children, node.subject) if each]
        open_ = [each for each in needed if each in nodes and each not in ordered]
        if open_:
            stack += open_
        else:
            ordered.setdefault(stack.pop(), node)
    return ordered
