"""A target that deploys into a folder: each revision of a service is a file of its images."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.parts import Revision, ServiceState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from aksci.parts import Change, Cluster, TargetContext


@dataclass(frozen=True)
class FolderTarget:
    folder: Path

    def observe(self, cluster: Cluster) -> Mapping[str, ServiceState]:  # noqa: ARG002
        return {
            each.name: ServiceState(name=each.name, revisions=self._revisions(each.name))
            for each in self.folder.glob("*")
        }

    def render(self, change: Change) -> Sequence[Mapping[str, Any]]:  # noqa: ARG002
        return ()

    def apply(self, cluster: Cluster, change: Change) -> None:  # noqa: ARG002
        images = {key: str(ref) for key, ref in change.images.items()}
        self._write(change.service, change.number, change.desired, change.release, images)

    def objects(self, cluster: Cluster, service: str) -> Sequence[Mapping[str, Any]]:  # noqa: ARG002
        return ()

    def status(self, cluster: Cluster, service: str, *, timeout: float) -> str:  # noqa: ARG002
        broken = self.folder / service / "broken"
        return broken.read_text() if broken.exists() else ""

    def restore(self, cluster: Cluster, service: str, number: int, *, timeout: int) -> None:  # noqa: ARG002
        old = json.loads((self.folder / service / f"{number}.json").read_text())
        latest = self._revisions(service)[-1].number
        self._write(service, latest + 1, old["desired"], old["release"], old["images"])

    def remove(self, cluster: Cluster, service: str, *, timeout: int) -> None:  # noqa: ARG002
        for path in (self.folder / service).glob("*"):
            path.unlink()
        (self.folder / service).rmdir()

    def stop(self) -> None:
        """Do nothing: no operation keeps running."""

    def _revisions(self, service: str) -> tuple[Revision, ...]:
        found = [
            Revision(number=int(path.stem), status="deployed", **told)
            for path in (self.folder / service).glob("*.json")
            for told in [json.loads(path.read_text())]
            if told.pop("images") is not None
        ]
        return tuple(sorted(found))

    def _write(
        self, service: str, number: int, desired: str, release: str, images: Mapping[str, str]
    ) -> None:
        (self.folder / service).mkdir(parents=True, exist_ok=True)
        told = {"desired": desired, "release": release, "images": dict(images)}
        (self.folder / service / f"{number}.json").write_text(json.dumps(told))


def make(given: TargetContext) -> FolderTarget:
    return FolderTarget(given.root / given.options["folder"])
