"""Copy images from one registry to another, with all that refers to them, byte for byte.

First a plan: what is not there yet. Then the copy: blobs, then manifests, each after what it needs,
then the lists of referrers, and tags last. So a copy that was cut off can be seen by nobody who
does not know its digests; the next one goes on with what is missing.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from aksci.core.errors import RegistryError, UnreachableError
from aksci.oci.copy_plan import THREADS, format_size, plan_transfer
from aksci.oci.referrers import record_referrers

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from concurrent.futures import Executor

    from aksci.core.reporting import Reporter
    from aksci.oci.closure import Blob, StoredManifest, Wanted
    from aksci.oci.copy_plan import BlobMove, TransferPlan
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry

__all__ = ["Transfer", "apply_transfer", "copy_image"]

T = TypeVar("T")
_LARGE = 16 << 20
"""Bytes of a blob that is told of by itself."""


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """What was copied."""

    manifests: int = 0
    streamed: int = 0
    """Blobs that were sent."""
    mounted: int = 0
    """Blobs that the target took over from another of its repositories."""
    bytes: int = 0
    """Of the blobs that were sent."""
    tags: int = 0


def copy_image(
    source: Registry,
    target: Registry,
    ref: ImageRef,
    *,
    reporter: Reporter,
    repository: str | None = None,
    tags: tuple[str, ...] = (),
    wanted: Wanted | None = None,
) -> Transfer:
    """Copy one image with all that refers to it; see ``plan_transfer`` and ``apply_transfer``.

    :param repository: at the target. Default: the same.
    :param wanted: chooses among what refers to it; None: all of it.
    """
    plan = plan_transfer(
        source,
        target,
        [ref],
        reporter=reporter,
        tags=dict.fromkeys(tags, ref),
        repositories={ref.repository: repository} if repository else {},
        wanted=wanted,
    )
    return apply_transfer(plan, source, target, reporter=reporter)


def apply_transfer(
    plan: TransferPlan, source: Registry, target: Registry, *, reporter: Reporter
) -> Transfer:
    """Copy what a plan names.

    :raises RegistryError: a registry refuses, fails or sends something damaged. What was copied
        stays, and a new plan does not have it.
    """
    if plan.empty:
        return Transfer()
    copy = _Copy(plan, source, target, reporter)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(THREADS, thread_name_prefix="transfer") as pool:
        try:
            blobs = _all(pool, copy.move, plan.blobs)
            # In rounds: a registry refuses a manifest while something that it names is missing.
            for nodes in plan.manifests:
                _all(pool, copy.put, nodes)
            _all(pool, copy.enter, plan.referrers)
            _all(pool, copy.tag, plan.tags)
        except BaseException:
            copy.stopped.set()
            raise
    streamed = sum(count for count, _ in blobs)
    return Transfer(
        manifests=sum(map(len, plan.manifests)),
        streamed=streamed,
        mounted=sum(len(move.targets) for move in plan.blobs) - streamed,
        bytes=sum(size for _, size in blobs),
        tags=len(plan.tags),
    )


class _Copy:
    """The copy that is under way. Each method does one piece of the plan, in several threads."""

    def __init__(
        self,
        plan: TransferPlan,
        source: Registry,
        target: Registry,
        reporter: Reporter,
    ) -> None:
        self.stopped = threading.Event()
        self._names = plan.repositories
        self._referrers = plan.referrers
        self._tags = plan.tags
        self._source = source
        self._target = target
        self._reporter = reporter

    def move(self, move: BlobMove) -> tuple[int, int]:
        """Bring one blob to all repositories that lack it; return how often and how much was sent.

        Once at most, where the target mounts: then from the first repository to the others.
        """
        blob, mounts, sent = move.blob, list(move.mounts), 0
        for repository in move.targets:
            if not any(self._mount(repository, blob, each) for each in mounts):
                self._target.write_blob(
                    repository,
                    blob.digest,
                    blob.size,
                    lambda: self._pieces(move.source, blob),
                )
                sent += 1
                if blob.size >= _LARGE:
                    self._reporter.line(f"copied {blob.digest} ({format_size(blob.size)})")
            # From now on the target has it: it need not be sent again.
            mounts = [repository]
        return sent, sent * blob.size

    def put(self, node: StoredManifest) -> None:
        """Store one manifest."""
        repository = self._names.get(node.ref.repository, node.ref.repository)
        self._stop_if_asked()
        self._target.put_manifest(repository, node.content, node.media_type)

    def enter(self, ref: ImageRef) -> None:
        """Enter what refers to something in the target's list."""
        repository = self._names.get(ref.repository, ref.repository)
        record_referrers(self._target, repository, ref.digest, self._referrers[ref])

    def tag(self, place: tuple[str, str]) -> None:
        """Store one manifest under a tag."""
        repository, tag = place
        node = self._tags[place]
        self._target.put_manifest(repository, node.content, node.media_type, tag=tag)

    def _mount(self, repository: str, blob: Blob, source: str) -> bool:
        self._stop_if_asked()
        try:
            return self._target.mount_blob(repository, blob.digest, source)
        except UnreachableError:
            raise
        except RegistryError:  # an identity may write here and may not read there
            return False

    def _pieces(self, repository: str, blob: Blob) -> Generator[bytes, None, None]:
        seen = 0
        for piece in self._source.stream_blob(repository, blob.digest):
            self._stop_if_asked()
            seen += len(piece)
            if seen > blob.size:
                break
            yield piece
        if seen != blob.size:
            raise RegistryError(
                f"{self._source.host}/{repository}@{blob.digest} has another size than its "
                f"manifest says ({blob.size} bytes)."
            )

    def _stop_if_asked(self) -> None:
        if self.stopped.is_set():
            raise RegistryError("The copy was given up, since another part of it failed.")


def _all(pool: Executor, work: Callable[[Any], T], items: Iterable[Any]) -> list[T]:
    """Do something with each; at the first failure, begin no more."""
    futures = [pool.submit(work, item) for item in items]
    try:
        return [future.result() for future in futures]
    except BaseException:
        for future in futures:
            future.cancel()
        raise
