"""A builder without BuildKit: the context's files are the image's one layer."""

from __future__ import annotations

import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aksci.errors import BuildError
from aksci.parts import BuildOutput, push_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from aksci.parts import BuildRequest, PartContext, Registry


@dataclass
class FolderBuilder:
    registry: Registry
    folder: str
    """Where in the image the files are."""
    stopped: bool = field(default=False, init=False)

    def build(self, request: BuildRequest, on_line: Callable[[str], None]) -> BuildOutput:
        if self.stopped:
            raise BuildError(f"{request.name} was not built: the run was stopped.")
        on_line(f"pack {request.context.name}")
        with tempfile.TemporaryDirectory() as folder:
            layer = Path(folder) / "layer.tar"
            with tarfile.open(layer, "w") as tar:
                for path in sorted(request.context.rglob("*")):
                    name = path.relative_to(request.context).as_posix()
                    entry = tar.gettarinfo(path, f"{self.folder}/{name}")
                    entry.mtime = 0  # the same files give the same digest
                    with path.open("rb") if path.is_file() else tempfile.TemporaryFile() as file:
                        tar.addfile(entry, file)
            pushed = push_image(
                self.registry,
                request.repository.partition("/")[2],
                None,
                layers=[layer],
                config={"os": "linux", "architecture": "amd64"},
                annotations=request.annotations,
            )
        return BuildOutput(digest=pushed.digest, provenance=None)

    def stop(self) -> None:
        self.stopped = True


def make(given: PartContext) -> FolderBuilder:
    return FolderBuilder(given.registry, given.options.get("folder", "app"))
