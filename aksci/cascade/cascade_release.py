"""What a cascade publishes: the release that goes on from the last one, and the stable tags."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from aksci.cascade.cascade_report import FindingMove, gone_on
from aksci.core.errors import AksciError, Interrupted, RegistryError
from aksci.images.build.stable_tags import publish_tags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from aksci.cascade.cascade_plan import Choice
    from aksci.cascade.cascade_report import Cascade
    from aksci.core.reporting import Reporter
    from aksci.core.work_folder import WorkFolder
    from aksci.images.build.build_record import Build, BuiltImage
    from aksci.images.build.stable_tags import MovedTag
    from aksci.images.graph import Graph
    from aksci.oci.registry import Registry
    from aksci.supply.release.release import Release
    from aksci.supply.scan.verdict import Finding, Verdict
    from aksci.supply.scan.verdict_changes import FindingChanges
    from aksci.supply.sign.signer import Signer

__all__ = ["Publishing"]

_UNCOMPARED = frozenset({"BASELINE", "UNSIGNED"})
"""Reasons of images whose sources could not be compared with those of their published build."""


@dataclass(frozen=True, kw_only=True)
class Publishing:
    """Publishes images that passed the gate."""

    build: Build
    """All that the cascade has made or kept."""
    graph: Graph
    choices: Mapping[str, Choice]
    """What it has decided on each image."""
    verdicts: Mapping[str, Verdict]
    """On the images that were made again, by name."""
    registry: Registry
    signer: Callable[[], Signer]
    """Makes who signs: not before there is a release to go on from."""
    work: WorkFolder
    """The project's ``.aksci``."""
    reporter: Reporter

    def publish(self, cascade: Cascade, moving: Mapping[str, BuiltImage]) -> Cascade:
        """Make the release, then move the tags: what dies in between is done again by the next.

        :param moving: the images that were made again and passed.
        :returns: the cascade with what was done, and with the error that it stopped at.
        """
        if not moving:
            self.reporter.line("nothing was made again: no tag moves")
            return cascade
        began = time.monotonic()
        try:
            before = self._last(cascade.project)
            after = self.go_on(before, moving) if before else None
            released = time.monotonic()
            cascade = gone_on(
                cascade,
                "release",
                released - began,
                release_before=str(before.ref) if before else "",
                release_after=str(after.ref) if after else "",
            )
            # Tags come last: while they stay, the next cascade sees the same drift, and goes on.
            tags = self.move_tags(moving)
            cascade = gone_on(cascade, "tags", time.monotonic() - released, tags=tags)
            return replace(cascade, findings=self.findings(before) if before else ())
        except Interrupted:
            raise
        except AksciError as error:  # the report still tells what was made
            return replace(cascade, error=cascade.error or error)

    def _last(self, project: str) -> Release | None:
        from aksci.supply.release.find_release import latest_release
        from aksci.supply.release.make_release import load_release

        last = latest_release(self.registry, project)
        if last is None:
            self.reporter.line("no release: there is none yet to go on from")
            return None
        return load_release(self.registry, last)

    def go_on(self, before: Release, moving: Mapping[str, BuiltImage]) -> Release:
        """Make and sign the last release anew, with the images that were made again.

        :raises TrustError: the last release can't be verified, so nothing may go on from it.
        :raises RegistryError: somebody else has moved a tag meanwhile.
        """
        from aksci.supply.release.continued import continue_release, publish_continued
        from aksci.supply.release.release_file import write_release_file
        from aksci.supply.release.verify_release import verify_release

        registry, signer = self.registry, self.signer()
        self._require_unmoved(moving)
        verify_release(before, signer=signer, registry=registry)
        images = self._released(before, moving)
        after = continue_release(before, images, self.verdicts, registry=registry)
        if after.ref == before.ref:
            return before
        run = self.build.run_id
        publish_continued(after, before=before, registry=registry, signer=signer, run=run)
        write_release_file(self.work, after, run=run)
        self.reporter.line(f"release {after.ref}, which goes on from {before.tag}")
        self.reporter.output("release", str(after.ref))
        return after

    def move_tags(self, moving: Mapping[str, BuiltImage]) -> tuple[MovedTag, ...]:
        """Move the stable tags of what passed.

        :raises RegistryError: somebody else has moved one meanwhile; then none is moved.
        """
        self._require_unmoved(moving)
        moves = publish_tags(replace(self.build, images=dict(moving)), self.registry)
        for move in moves:
            self.reporter.line(f"{move.repository}:{move.tag} is now {move.new}")
        return moves

    def findings(self, before: Release) -> tuple[FindingMove, ...]:
        """Tell which findings came and which went with the images that were made again."""
        from aksci.supply.release.release_evidence import release_verdicts
        from aksci.supply.scan.verdict_changes import changes_since

        made = {name: one for name, one in self.verdicts.items() if name in before.images}
        earlier = replace(before, images={name: before.images[name] for name in made})
        changes = changes_since(release_verdicts(self.registry, earlier), made)
        return tuple(move for name, change in changes.items() for move in _moves(name, change))

    def _require_unmoved(self, moving: Mapping[str, BuiltImage]) -> None:
        for name, image in moving.items():
            for tag in image.tags[:1]:
                now = self.registry.resolve(image.ref.repository, tag)
                if now not in {self._published(name), image.ref.digest}:
                    raise RegistryError(
                        f"{image.ref.name}:{tag} was moved to {now} by somebody else while the "
                        "cascade ran: no tag was moved.",
                        hint="nox -s cascade, once more.",
                    )

    def _released(self, before: Release, moving: Mapping[str, BuiltImage]) -> dict[str, BuiltImage]:
        """Return the images that take the place of those of the last release.

        What is based on an image that is not released would bring that along, sources and all.
        """
        found: dict[str, BuiltImage] = {}
        for name in self.graph.order:
            image, released = moving.get(name), before.images.get(name)
            if image is None or released is None:
                continue
            why = "" if image.ref == released.ref else self._obstacle(before, name, moving, found)
            if why:
                self.reporter.warning(
                    f"{name} {why}; the new release keeps what the last one has: nox -s build "
                    "releases it."
                )
            else:
                found[name] = image
        return found

    def _obstacle(
        self,
        before: Release,
        name: str,
        moving: Mapping[str, BuiltImage],
        found: Mapping[str, BuiltImage],
    ) -> str:
        """Say why an image can't take the place of the one that was released; empty: it can."""

        def is_released(image: str) -> bool:
            released = before.images.get(image)
            return released is not None and released.ref.digest == self._published(image)

        if not is_released(name):
            return "was published after the last release, by a build that made none"
        codes = {reason["code"] for reason in self.choices[name].reasons}
        if codes & _UNCOMPARED and not self._same_sources(before):
            return "was made again without a record that can be trusted, and its sources may differ"
        for parent in sorted(self.graph.parents[name]):
            if parent not in found and (parent in moving or not is_released(parent)):
                return f"needs {parent}, which is not released as it is"
        return ""

    def _same_sources(self, before: Release) -> bool:
        commit = self.build.commit
        return bool(commit) and not commit.endswith("-dirty") and commit == before.commit

    def _published(self, name: str) -> str | None:
        """Return what an image's first stable tag meant when the cascade looked at it."""
        published = self.choices[name].published
        return published.ref.digest if published else None


def _moves(name: str, change: FindingChanges) -> Iterator[FindingMove]:
    kinds: tuple[tuple[Literal["fixed", "introduced"], tuple[Finding, ...]], ...] = (
        ("fixed", change.fixed),
        ("introduced", change.introduced),
    )
    for kind, findings in kinds:
        for finding in findings:
            yield FindingMove(
                image=name,
                change=kind,
                id=finding.id,
                package=finding.package,
                severity=finding.severity,
                title=finding.title,
            )
