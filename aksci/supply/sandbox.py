"""A place for a program that must see nothing of the user's: no files, no variables."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

__all__ = ["Sandbox"]

# What a program needs to find programs and to reach a registry; nothing that configures it.
_PASSED = (
    "PATH",
    "TMPDIR",
    "LANG",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)


class Sandbox:
    """An empty working directory, an empty home and a short list of variables, for one call.

    :param variables: of the process; only those that a network client needs are passed on.
    :param docker_config: folder with ``config.json``, where registry credentials are needed.
    :param offline: the program asks nobody beyond this machine, so it gets no proxy either, whose
        address may hold a password.
    """

    def __init__(
        self,
        variables: Mapping[str, str],
        *,
        docker_config: Path | None = None,
        offline: bool = False,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="aksci-", ignore_cleanup_errors=True)
        root = Path(self._folder.name)
        self.files = root / "files"
        """For configuration that we write."""
        self.empty = root / "empty"
        """The working directory."""
        home = root / "home"
        for folder in (self.files, self.empty, home):
            folder.mkdir(mode=0o700)
        passed = [name for name in _PASSED if not (offline and name.lower().endswith("_proxy"))]
        self.environment = {
            **{name: variables[name] for name in passed if name in variables},
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_CACHE_HOME": str(home / "cache"),
            "DOCKER_CONFIG": str(docker_config or home / "docker"),
        }

    def write(self, name: str, text: str) -> Path:
        """Write a file that only the program needs, and return its path."""
        path = self.files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return path

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._folder.cleanup()
