"""An image as another tool's file describes it, and the words that those files share."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from aksci.config.secret_names import secret_names
from aksci.core.errors import ConfigError
from aksci.core.secret_variables import VisibleVariables
from aksci.images.discovery.importers.import_notes import ImportNote, note_lines
from aksci.oci.references import is_repository, parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from aksci.config.models import Config

__all__ = [
    "Imported",
    "Importer",
    "NotOursError",
    "image_name",
    "locate",
    "split_references",
    "text",
]

_LONGEST_NAME = 128  # characters, as in aksci.toml
_REMOTE = re.compile(r"[a-z][a-z0-9+.-]*://|git@|github\.com/", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Importer:
    """What reading other tools' files takes from the edge."""

    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The process's environment variables, for ``${VAR}`` in Compose files and the like: only
    ``visible`` ones are read."""
    bake_print: Callable[[Sequence[Path], Sequence[str]], Mapping[str, Any]] | None = None
    """Returns what ``docker buildx bake --print`` says of files and targets."""
    warn: Callable[[str], None] = lambda _message: None
    """Told what is left out, and why."""
    notes: list[ImportNote] = field(default_factory=list)
    """What was found, one by one; ``tell_notes`` warns of it."""
    secrets: frozenset[str] = frozenset()
    """The ids that [build.secrets] has."""
    ssh: frozenset[str] = frozenset()
    """The ids that [build] ssh has."""
    secret_files: frozenset[Path] = frozenset()
    """Those of [build.secrets], resolved."""

    @cached_property
    def visible(self) -> VisibleVariables:
        """The variables without those that hold secrets."""
        if isinstance(self.variables, VisibleVariables):
            return self.variables
        return VisibleVariables(self.variables)

    def for_project(self, config: Config, root: Path) -> Importer:
        """Return what reads the files of a project, which says itself what is secret."""
        return replace(
            self,
            variables=self.visible.for_project(
                ours=secret_names(config), allowed=config.discover.variables
            ),
            secrets=frozenset(config.build.secrets),
            ssh=frozenset(config.build.ssh),
            secret_files=frozenset(
                (root / one.file).resolve() for one in config.build.secrets.values() if one.file
            ),
        )

    def require_no_secret(self, path: Path, shown: str) -> None:
        """Refuse to read variables from what aksci.toml names as a secret.

        :raises ConfigError: it is the file of a [build.secrets.ID].
        """
        if self.secret_files and path.resolve() in self.secret_files:
            raise ConfigError(
                f"{shown} is a build secret, by [build.secrets] of aksci.toml: no variables are "
                "read from it, as what they fill in is published.",
                hint="keep variables and secrets in files of their own.",
            )

    def reading(self, files: Sequence[str]) -> Importer:
        """Return the same, which tells once what some files ask for and don't get."""
        told: set[str] = set()

        def tell(name: str) -> None:
            if name not in told:
                told.add(name)
                self.warn(_withheld(name, ", ".join(files), own=name in self.visible.ours))

        return replace(self, variables=self.visible.telling(tell))

    def note(self, where: str, text: str) -> None:
        """Note what is read in another way at a place: ``docker-bake.hcl: target.web``."""
        self.notes.append(ImportNote.at(where, text))

    def tell_notes(self) -> None:
        """Warn of all that was noted, once for what a file has at many places."""
        for line in note_lines(self.notes):
            self.warn(line)

    def tell_secrets(self, where: str, secrets: Iterable[str], ssh: Iterable[str]) -> None:
        """Warn of secrets and SSH keys that a file names and aksci.toml does not."""
        for one in sorted({*secrets} - self.secrets):
            self.note(where, f"the secret {one} is not taken over: add [build.secrets.{one}]")
        for one in sorted({*ssh} - self.ssh):
            self.note(where, f"the SSH key {one} is not taken over: add it to [build.ssh]")


def _withheld(name: str, files: str, *, own: bool) -> str:
    if own:
        return f"{files}: the variable {name} holds a secret of aksci's: it is not set here"
    return (
        f"{files}: the variable {name} is taken for a secret and is not set here; [discover] "
        f'variables = ["{name}"] in aksci.toml lets these files read it, and so publish it'
    )


@dataclass(frozen=True, kw_only=True)
class Imported:
    """One image of another tool's file."""

    name: str
    where: str
    """File and key, for messages."""
    dockerfile: str
    """Relative to the project, with slashes; as is ``context``."""
    context: str
    inline: str | None = None
    """The Dockerfile's text, where it is in no file."""
    target: str | None = None
    args: Mapping[str, str] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)
    """Build arguments whose value only the other tool can tell -> why."""
    platforms: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    """What the tool calls the image, as ``[host/]repository[:tag]``."""
    aliases: tuple[str, ...] = ()
    """Further references by which Dockerfiles may mean it."""
    requires: tuple[str, ...] = ()
    """Names of images."""
    base_args: Mapping[str, str] = field(default_factory=dict)
    """Build argument -> name of the image whose reference is its value."""
    contexts: Mapping[str, str] = field(default_factory=dict)
    """As in ``ImageSpec``."""
    repository: str | None = None
    """Without the registry; None: as the first reference says."""
    tags: tuple[str, ...] | None = None
    """None: as the references say."""

    @property
    def identity(self) -> tuple[object, ...]:
        """What makes it another image, whatever it is called."""
        return (
            self.dockerfile,
            self.context,
            self.inline,
            self.target,
            tuple(sorted(self.args.items())),
            tuple(sorted(self.base_args.items())),
            tuple(sorted(self.contexts.items())),
        )


class NotOursError(Exception):
    """An image can't be built by this project; the message says why."""


def image_name(word: str, where: str) -> str:
    """Return another tool's name for an image as one of ours: in lower case.

    :raises ConfigError: it can't be one.
    """
    name = word.lower().strip("._-/")
    # Files are called so as well, and ``a/../../b`` would be one outside of the project.
    if not is_repository(name) or len(name) > _LONGEST_NAME:
        raise ConfigError(
            f"{where}: {word!r} can't be the name of an image.",
            hint="names are words of a-z and 0-9 with . _ __ or dashes between them.",
        )
    return name


def locate(root: Path, base: str, path: str, *, what: str) -> str:
    """Return a path of another tool's file, relative to the project, with slashes.

    :param base: the folder that it is relative to, itself relative to the project.
    :raises NotOursError: it is an address, or a place outside of the project.
    """
    if _REMOTE.match(path):
        raise NotOursError(f"its {what} is the address {path}, not a folder")
    joined = path
    if path.startswith("/"):
        joined = posixpath.relpath(path, root.as_posix())
    else:
        joined = posixpath.normpath(posixpath.join(base or ".", path or "."))
    if joined == ".." or joined.startswith("../"):
        raise NotOursError(f"its {what} {path} is outside of {root}")
    return joined


def text(value: Any) -> str:
    """Write a value of YAML as Go writes it (and so Compose and Skaffold)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:  # noqa: PLR2004 - Go's %v
        return str(int(value))
    try:
        return str(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        raise ConfigError("A number of more than 4,300 digits is no value.") from None


def split_references(
    references: Sequence[str], where: str
) -> tuple[str | None, tuple[str, ...], tuple[str, ...]]:
    """Return repository without registry, its tags, and all references in full.

    The first reference names the repository; references to others are only known by name.

    :raises ConfigError: one can't be the name of an image.
    """
    full = []
    for one in references:
        try:
            full.append(parse_reference(one))
        except ConfigError as error:
            raise ConfigError(
                f"{where}: {error.message}",
                hint=error.hint
                or "set the variables that the file builds it from, or give the "
                "image a table [images.NAME] with repository and tags.",
            ) from None
    if not full:
        return None, (), ()
    # Docker Hub's prefix: in a registry of the project, ``web`` is ``web``.
    repositories = [each.repository.removeprefix("library/") for each in full]
    tags = [
        each.tag for each, own in zip(full, repositories, strict=True) if own == repositories[0]
    ]
    return (
        repositories[0],
        tuple(dict.fromkeys(tags)),
        tuple(dict.fromkeys(f"{each.name}:{each.tag}" for each in full)),
    )
