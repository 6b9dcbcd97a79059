"""What a cascade publishes: the release that goes on from the last one, and the stable tags."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aksci.errors import RegistryError
from aksci.images import BuildRecord, publish_tags
from aksci.images.cascade.report.model import FindingMove, TagMove

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aksci.images import BuiltImage
    from aksci.images.cascade import CascadeRun
    from aksci.supply import Release, Verdict
    from aksci.supply.report.changes import FindingChanges
    from pipelines.bench import Bench

__all__ = ["Publishing"]


@dataclass(frozen=True, kw_only=True)
class Publishing:
    """Publishes images that passed the gate."""

    bench: Bench
    run: CascadeRun
    verdicts: Mapping[str, Verdict]
    """On the images that were made again, by name."""

    def go_on(self, before: Release, moving: Mapping[str, BuiltImage]) -> Release:
        """Make and sign the last release anew, with the images that were made again.

        :raises TrustError: the last release can't be verified, so nothing may go on from it.
        """
        from aksci.supply import verify_release, write_release_file
        from aksci.supply.release.continuing import continue_release, publish_continued

        bench, context = self.bench, self.bench.context
        registry, signer = bench.registry, bench.signer
        verify_release(before, signer=signer, registry=registry)
        images = {name: image for name, image in moving.items() if self._replaces(before, image)}
        after = continue_release(before, images, self.verdicts, registry=registry)
        if after.ref == before.ref:
            return before
        publish_continued(
            after, before=before, registry=registry, signer=signer, run=context.run_id
        )
        write_release_file(context.work, after, run=context.run_id)
        context.reporter.line(f"release {after.ref}, which goes on from {before.tag}")
        context.reporter.output("release", str(after.ref))
        return after

    def move_tags(self, moving: Mapping[str, BuiltImage]) -> tuple[TagMove, ...]:
        """Move the stable tags of what passed.

        :raises RegistryError: somebody else has moved one meanwhile; then none is moved.
        """
        bench = self.bench
        for name, image in moving.items():
            began = self._published(name)
            now = bench.registry.resolve(image.ref.repository, image.tags[0])
            if now not in {began, image.ref.digest}:
                raise RegistryError(
                    f"{image.ref.name}:{image.tags[0]} was moved to {now} by somebody else while "
                    "the cascade ran: no tag was moved.",
                    hint="nox -s cascade, once more.",
                )
        record = BuildRecord(
            run_id=bench.context.run_id,
            commit=bench.commit,
            environment=bench.context.environment_name,
            images=dict(moving),
        )
        moves = publish_tags(record, bench.registry)
        for move in moves:
            bench.context.reporter.line(f"{move.repository}:{move.tag} is now {move.new}")
        return tuple(
            TagMove(image=m.image, repository=m.repository, tag=m.tag, old=m.old, new=m.new)
            for m in moves
        )

    def findings(self, before: Release) -> tuple[FindingMove, ...]:
        """Tell which findings came and which went with the images that were made again."""
        from aksci.supply import release_verdicts
        from aksci.supply.report.changes import changes_since

        made = {name: one for name, one in self.verdicts.items() if name in before.images}
        earlier = replace(before, images={name: before.images[name] for name in made})
        changes = changes_since(release_verdicts(self.bench.registry, earlier), made)
        return tuple(move for name, change in changes.items() for move in _moves(name, change))

    def _replaces(self, before: Release, image: BuiltImage) -> bool:
        """Tell whether an image takes the place of the very one that was released."""
        released = before.images.get(image.name)
        if released is None:
            return False
        if released.ref.digest in {self._published(image.name), image.ref.digest}:
            return True
        self.bench.context.reporter.warning(
            f"{image.name} was published after the last release, by a build that made none; the "
            "new release keeps what the last one has: nox -s build releases it."
        )
        return False

    def _published(self, name: str) -> str | None:
        """Return what an image's first stable tag meant when the cascade looked at it."""
        published = self.run.choices[name].published
        return published.ref.digest if published else None


def _moves(name: str, change: FindingChanges) -> Iterator[FindingMove]:
    for finding in change.fixed:
        yield FindingMove(
            image=name,
            change="fixed",
            id=finding.id,
            package=finding.package,
            severity=finding.severity,
            title=finding.title,
        )
    for finding in change.introduced:
        yield FindingMove(
            image=name,
            change="introduced",
            id=finding.id,
            package=finding.package,
            severity=finding.severity,
            title=finding.title,
        )
