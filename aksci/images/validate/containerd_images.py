"""Images in the embedded platform's containerd, through its client ``ctr``: ``ContainerdImages``.

They are in the namespace that Kubernetes has there, so that what was pulled to be validated need
not be pulled again to be deployed. What is decided is decided by exit statuses alone.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.core.errors import PlatformError, ProcessError, RegistryError
from aksci.core.text import one_line

if TYPE_CHECKING:
    from pathlib import Path

    from aksci.core.process import Result, Runner
    from aksci.local.layout import Layout
    from aksci.oci.references import ImageRef

__all__ = ["ContainerdImages", "SpecificationError"]

_NAMESPACE = "k8s.io"
_PULL = 300.0  # seconds
_TIMEOUT = 60.0  # seconds for anything else
_SHORT = 400  # characters of what a program says
_APPARMOR = "cri-containerd.apparmor.d"


class SpecificationError(Exception):
    """No container can be made of an image: its user does not exist in it, for example."""


@dataclass(frozen=True, kw_only=True)
class ContainerdImages:
    """What containerd has, and makes, of images. Safe in several threads."""

    layout: Layout
    runner: Runner
    apparmor: bool
    """Whether this machine confines containers by AppArmor."""

    def version(self) -> str:
        """Return containerd's version, such as ``1.6.20``.

        :raises PlatformError: it does not answer.
        """
        told = self._ask("version").stdout
        found = re.findall(r"Version:\s+v?([0-9][^\s~+]*)", told)
        return str(found[-1]) if found else "?"

    def pull(self, ref: ImageRef) -> None:
        """Have an image of this machine's platform, whole and unpacked.

        :raises RegistryError: it can't be pulled.
        :raises PlatformError: containerd does not answer.
        """
        done = self._run(
            "images", "pull", "--hosts-dir", self.layout.registries, str(ref), timeout=_PULL
        )
        if done.status:
            self.version()
            raise RegistryError(f"containerd can't pull {ref}: {_why(done)}")

    def mount(self, ref: ImageRef, target: Path) -> None:
        """Mount an image's files in a folder, writable; what is written goes with ``unmount``.

        containerd's own lease on them, named like the folder, ends after a day.

        :raises PlatformError: containerd could not.
        """
        target.mkdir(mode=0o755)
        self._ask("images", "mount", "--rw", str(ref), target)

    def unmount(self, target: Path) -> None:
        """Take back what ``mount`` has done. Safe to repeat."""
        if self._run("images", "unmount", "--rm", target).status:
            self._run("leases", "delete", "--sync", target)

    def specification(self, ref: ImageRef, name: str) -> dict[str, Any]:
        """Return the container that containerd would make of an image (OCI runtime specification).

        From it we take what only containerd knows: the user's number, and its seccomp profile.

        :raises SpecificationError: it can't be made. The image must be mounted already: then it is
            the image's own fault.
        :raises PlatformError: containerd does not answer.
        """
        confined = ["--apparmor-default-profile", _APPARMOR] if self.apparmor else []
        # Any process: the real one replaces it, and an image of data alone names none.
        words = ["containers", "create", "--seccomp", *confined, str(ref), name, "true"]
        made = self._run(*words)
        try:
            if made.status:
                self.version()
                raise SpecificationError(_why(made))
            document: dict[str, Any] = json.loads(self._ask("containers", "info", name).stdout)
            found: dict[str, Any] = document["Spec"]
            return found
        finally:
            self.forget(name)

    def forget(self, name: str) -> None:
        """Remove what ``specification`` makes in passing, or a run that was killed in it."""
        if self._run("containers", "delete", name).status:
            # One that could not be made has left its files all the same.
            self._run("snapshots", "delete", name)

    def leases(self, parent: Path) -> list[Path]:
        """Return the folders below one that something is mounted in, or was."""
        told = self._ask("leases", "list", "--quiet").stdout.splitlines()
        return [
            parent / line[len(f"{parent}/") :] for line in told if line.startswith(f"{parent}/")
        ]

    def _ask(self, *words: str | Path) -> Result:
        done = self._run(*words)
        if done.status:
            raise PlatformError(
                f"containerd failed: {_why(done)}",
                hint=f"its log is {self.layout.log('containerd')}; nox -s up repairs it.",
            )
        return done

    def _run(self, *words: str | Path, timeout: float = _TIMEOUT) -> Result:
        socket = self.layout.containerd_socket
        try:
            return self.runner.run(
                ["ctr", "--address", socket, "--namespace", _NAMESPACE, *words],
                check=False,
                quiet=True,
                timeout=timeout,
            )
        except ProcessError as error:
            raise PlatformError(f"containerd does not answer: {error.message}") from None


def _why(done: Result) -> str:
    said = done.stderr.strip().splitlines()
    # Its log comes first, and last why it failed.
    return one_line(said[-1], _SHORT) if said else f"ctr ended with status {done.status}"
