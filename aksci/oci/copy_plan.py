"""What a registry lacks of some images, and of all that refers to them: a plan to copy by."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aksci.core.errors import RegistryError
from aksci.core.text import short_line
from aksci.oci.closure import Blob, Closure, StoredManifest, read_closure
from aksci.oci.references import ImageRef
from aksci.oci.referrers import list_referrers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from concurrent.futures import Executor

    from aksci.core.reporting import Reporter
    from aksci.oci.closure import Wanted
    from aksci.oci.registry import Registry

__all__ = ["THREADS", "BlobMove", "TransferPlan", "format_size", "plan_transfer"]

THREADS = 6
_SHOWN = 3  # types of artifacts


@dataclass(frozen=True, kw_only=True)
class BlobMove:
    """One blob that target repositories lack."""

    blob: Blob
    source: str
    """A repository of the source that has it."""
    targets: tuple[str, ...]
    mounts: tuple[str, ...]
    """Repositories of the target that may have it."""


@dataclass(frozen=True, kw_only=True)
class TransferPlan:
    """What has to be copied."""

    source: str
    """``host[:port]``."""
    target: str
    seen: int
    """How many manifests there are, those that need no copying included."""
    blobs: tuple[BlobMove, ...] = ()
    manifests: tuple[tuple[StoredManifest, ...], ...] = ()
    """What is missing at the target, in rounds: each needs nothing but earlier ones."""
    referrers: Mapping[ImageRef, tuple[dict[str, Any], ...]] = field(default_factory=dict)
    """Subject at the target -> descriptors that its list lacks."""
    tags: Mapping[tuple[str, str], StoredManifest] = field(default_factory=dict)
    """(repository, tag) at the target -> what it is to mean."""
    repositories: Mapping[str, str] = field(default_factory=dict)
    left: Mapping[str, int] = field(default_factory=dict)
    """Type of artifact -> how many refer to the images and stay where they are."""

    @property
    def bytes(self) -> int:
        """How much has to be sent at most: what can be mounted need not."""
        return sum(move.blob.size for move in self.blobs) + sum(
            len(node.content) for nodes in self.manifests for node in nodes
        )

    @property
    def empty(self) -> bool:
        """Whether all is there."""
        return not (self.blobs or self.manifests or self.referrers or self.tags)

    def text(self) -> str:
        """Return it in one line."""
        manifests = sum(map(len, self.manifests))
        rest = f"; {self._left()}" if self.left else ""
        if self.empty:
            return f"{self.target} has all {self.seen} manifests: nothing to copy{rest}"
        return (
            f"{manifests} of {self.seen} manifests and {len(self.blobs)} blobs "
            f"({format_size(self.bytes)}) to copy from {self.source} to {self.target}{rest}"
        )

    def _left(self) -> str:
        """Say what is not copied, the most frequent type first; it comes from the network."""
        ranked = sorted(self.left.items(), key=lambda each: (-each[1], each[0]))
        shown = [f"{count:,} {short_line(kind, 80) or 'of no type'}" for kind, count in ranked]
        more = f" and {len(shown) - _SHOWN} more types" if len(shown) > _SHOWN else ""
        return (
            f"{sum(self.left.values()):,} others refer to them and stay, since nothing proves that "
            f"they belong to the release: {', '.join(shown[:_SHOWN])}{more}"
        )

    def as_json(self) -> dict[str, Any]:
        """Return the counts for machines."""
        return {
            "source": self.source,
            "target": self.target,
            "manifests": sum(map(len, self.manifests)),
            "manifestsSeen": self.seen,
            "blobs": len(self.blobs),
            "bytes": self.bytes,
            "referrers": sum(map(len, self.referrers.values())),
            "tags": len(self.tags),
            "left": sum(self.left.values()),
        }


def plan_transfer(
    source: Registry,
    target: Registry,
    refs: Iterable[ImageRef],
    *,
    reporter: Reporter,
    tags: Mapping[str, ImageRef] | None = None,
    repositories: Mapping[str, str] | None = None,
    wanted: Wanted | None = None,
) -> TransferPlan:
    """Find out what the target lacks of some images and of what refers to them.

    :param refs: at the source.
    :param tags: tag -> one of the images, which it is to mean at the target.
    :param repositories: names at the target that differ from those at the source.
    :param wanted: chooses among what refers to them; None: all of it.
    :raises RegistryError: something is not at the source, or a registry can't be asked.
    """
    names = dict(repositories or {})
    ordered = sorted(set(refs))
    for ref in ordered:
        if ref.registry != source.host:
            raise RegistryError(f"{ref} is not in {source.host}, from which it should be copied.")
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(THREADS, thread_name_prefix="transfer") as pool:
        closure = read_closure(source, ordered, pool=pool, reporter=reporter, wanted=wanted)
        look = _Look(source, target, closure, names, pool)
        there = look.manifests()
        missing = {ref for ref, present in there.items() if not present}
        return TransferPlan(
            source=source.host,
            target=target.host,
            seen=len(closure.nodes),
            blobs=look.blobs(missing),
            manifests=_rounds(closure, missing),
            referrers=look.referrers(),
            tags=look.tags(
                {tag: closure.nodes[ref] for tag, ref in (tags or {}).items()}, reporter
            ),
            repositories=names,
            left=closure.left,
        )


class _Look:
    """Compare what belongs to the images with what the target has."""

    def __init__(
        self,
        source: Registry,
        target: Registry,
        closure: Closure,
        names: Mapping[str, str],
        pool: Executor,
    ) -> None:
        self._source = source
        self._target = target
        self._closure = closure
        self._names = names
        self._pool = pool

    def manifests(self) -> dict[ImageRef, bool]:
        """Tell of each manifest whether the target has it; then it has all that it needs, too."""
        nodes = self._closure.nodes

        def there(ref: ImageRef) -> bool:
            return self._target.resolve(self._at(ref.repository), ref.digest) is not None

        return dict(zip(nodes, self._pool.map(there, nodes), strict=True))

    def blobs(self, missing: set[ImageRef]) -> tuple[BlobMove, ...]:
        """Return the blobs that the missing manifests need, as far as they are not there."""
        needed = {
            (blob, self._at(ref.repository)): ref.repository
            for ref in sorted(missing)
            for blob in self._closure.nodes[ref].blobs
        }
        there = self._pool.map(
            lambda each: self._target.has_blob(each[1], each[0].digest), list(needed)
        )
        lacking: dict[Blob, list[str]] = defaultdict(list)
        mounts = self._mounts(missing)
        for (blob, repository), present in zip(needed, there, strict=True):
            if present:
                mounts[blob.digest].add(repository)
            else:
                lacking[blob].append(repository)
        return tuple(
            BlobMove(
                blob=blob,
                source=needed[(blob, targets[0])],
                targets=tuple(targets),
                mounts=tuple(sorted(mounts[blob.digest] - set(targets))),
            )
            for blob, targets in sorted(lacking.items())
        )

    def referrers(self) -> dict[ImageRef, tuple[dict[str, Any], ...]]:
        """Return what the target's lists lack; those of a referrers API fill by themselves."""
        lists = self._closure.referrers

        def lacking(ref: ImageRef) -> tuple[dict[str, Any], ...]:
            at = ImageRef(self._target.host, self._at(ref.repository), ref.digest)
            if self._target.referrers(at.repository, at.digest) is not None:
                return ()
            # An older fallback tag may be there before its subject is.
            known = {entry["digest"] for entry in list_referrers(self._target, at)}
            return tuple(entry for entry in lists[ref] if entry["digest"] not in known)

        found = zip(lists, self._pool.map(lacking, lists), strict=True)
        return {ref: entries for ref, entries in found if entries}

    def tags(
        self, given: Mapping[str, StoredManifest], reporter: Reporter
    ) -> dict[tuple[str, str], StoredManifest]:
        """Return the tags that the target lacks. What cosign keeps in one there is not replaced."""
        named = {(self._at(node.ref.repository), tag): node for tag, node in given.items()}
        host = self._source.host
        ours = {
            (self._at(name), tag): self._closure.nodes[ImageRef(host, name, digest)]
            for (name, tag), digest in self._closure.tags.items()
        }
        every = {**ours, **named}
        now = dict(
            zip(every, self._pool.map(lambda each: self._target.resolve(*each), every), strict=True)
        )
        for place, node in ours.items():
            if now[place] not in {None, node.ref.digest}:
                name = f"{self._target.host}/{place[0]}:{place[1]}"
                reporter.warning(f"{name} has signatures of its own already, which stay.")
        return {
            place: node
            for place, node in every.items()
            if now[place] != node.ref.digest and (place in named or now[place] is None)
        }

    def _mounts(self, missing: set[ImageRef]) -> dict[str, set[str]]:
        """Return digest -> repositories of the target that have this blob already."""
        one_registry = self._source.host == self._target.host
        found: dict[str, set[str]] = defaultdict(set)
        for ref, node in self._closure.nodes.items():
            for blob in node.blobs:
                if one_registry:
                    found[blob.digest].add(ref.repository)
                if ref not in missing:
                    found[blob.digest].add(self._at(ref.repository))
        return found

    def _at(self, repository: str) -> str:
        return self._names.get(repository, repository)


def _rounds(closure: Closure, missing: set[ImageRef]) -> tuple[tuple[StoredManifest, ...], ...]:
    """Group the missing manifests: those of one round need nothing of each other."""
    depth: dict[ImageRef, int] = {}
    rounds: dict[int, list[StoredManifest]] = defaultdict(list)
    for ref, node in closure.nodes.items():
        if ref in missing:
            needed = (ref.beside(each) for each in (*node.children, node.subject) if each)
            depth[ref] = 1 + max((depth.get(each, 0) for each in needed), default=0)
            rounds[depth[ref]].append(node)
    return tuple(tuple(nodes) for _, nodes in sorted(rounds.items()))


def format_size(count: int) -> str:
    """Return bytes as people read them."""
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count} bytes"  # noqa: PLR2004
