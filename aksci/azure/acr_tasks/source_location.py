"""Where ACR Tasks finds the sources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit, urlunsplit

from aksci.core.git import repository_of

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SourceLocation", "locate_source"]

_GITHUB = "github.com"


@dataclass(frozen=True, kw_only=True)
class SourceLocation:
    """A Git repository, and a folder in it."""

    repository: str
    """Its address; empty: not known."""
    folder: str
    """The project's folder in it, with slashes; ``.``: its root."""

    @property
    def suffix(self) -> str:
        """What follows the branch in a context, such as ``:examples/shop``."""
        return "" if self.folder == "." else f":{self.folder}"

    @property
    def kind(self) -> str:
        """What ACR calls its host: GitHub, or Azure DevOps for everything else."""
        host = _split(self.repository).hostname
        return "Github" if host == _GITHUB else "VisualStudioTeamService"


def locate_source(address: str, root: Path) -> SourceLocation:
    """Return the repository that ``[project] source`` names, and where the project is in it.

    Credentials in the address are left out: what is exported is no place for them.

    Source: ACR Tasks overview, "Context locations"; GitHub's addresses end in ``.git`` there.

    :param root: the folder of aksci.toml.
    """
    parts = _split(address)
    # ACR Tasks takes no SSH addresses.
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return SourceLocation(repository="", folder=_folder(root))
    # With the port, without a user's name and token.
    host = parts.netloc.rpartition("@")[2]
    path = parts.path.rstrip("/")
    if host == _GITHUB and not path.endswith(".git"):
        path += ".git"
    return SourceLocation(
        repository=urlunsplit((parts.scheme, host, path, "", "")), folder=_folder(root)
    )


def _split(address: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError:  # half an IPv6 address
        return urlsplit("")


def _folder(root: Path) -> str:
    """Return a project's folder relative to the work tree that it is in."""
    return root.relative_to(repository_of(root)).as_posix()
