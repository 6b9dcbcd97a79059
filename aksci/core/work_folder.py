"""The project's ``.aksci``: all that is read, written, listed and removed there.

A pull request can bring the folder with the sources, or put a link in its place or in it. So each
way into it is opened step by step, and no link is followed (open(2), ``O_NOFOLLOW``; the ``*at``
functions). What decides counts only if runs of ours wrote it: docs/adr/0017-the-work-folder.md.

The sources are read through ``aksci.core.inside``, which follows links that stay in the project.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import stat
import threading
from typing import TYPE_CHECKING, Any

from aksci.core.errors import TrustError, UsageError
from aksci.core.git import Tracked
from aksci.core.strict_json import parse_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

__all__ = ["ForeignFileError", "WorkFolder", "WorkFolderError"]

_MOST = 64 * 2**20
"""Bytes of a file: a build of 10,000 images takes 20 MB."""
_NAMED = 3
"""Files that a warning names."""
_LONGEST = 200  # characters
_SEAL = "seal"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a named pipe in the file's place would let us wait for ever.
_READING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITING = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LINKS = frozenset({errno.ELOOP, errno.ENOTDIR})
_REPOSITORY = frozenset({".git", "head", "objects", "refs", "commondir"})
"""What makes a folder a repository (gitrepository-layout(5))."""


class WorkFolderError(UsageError):
    """Something in the work folder is not what aksci puts there."""


class ForeignFileError(TrustError):
    """A file of the work folder may come from elsewhere than from runs of ours."""


class WorkFolder:
    """Files of one project's ``.aksci``. Safe in several threads.

    Names are relative to it, with ``/`` between folders.

    :param path: the folder; what is above it is resolved.
    :param key: returns the key that seals what decides; None: there is none.
    :param shared: the key is handed to each job of a run, so that what it does not seal is not
        ours.
    :param tracked: tells what of the folder git brings with the sources.
    :param warn: is told, once, what is not trusted and why.
    """

    def __init__(
        self,
        path: Path,
        *,
        key: Callable[[], bytes | None] = lambda: None,
        shared: bool = False,
        tracked: Callable[[], Tracked] = lambda: Tracked(problem="git is not asked"),
        warn: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.path = path
        self._key = key
        self._shared = shared
        self._tracked = tracked
        self._warn = warn
        self._lock = threading.RLock()
        self._answer: Tracked | None = None
        self._warned = False

    # -- Files --

    def require_real(self) -> None:
        """Refuse a link, or a file, in the folder's place.

        :raises WorkFolderError: it is one.
        """
        with contextlib.suppress(FileNotFoundError):
            os.close(self._enter(os.fspath(self.path), self.path))

    def read(self, name: str, *, most: int = _MOST) -> bytes:
        """Return what a file holds.

        :raises FileNotFoundError: it does not exist.
        :raises WorkFolderError: a link leads there, it is no file, or larger than ``most``.
        """
        with self._folder_of(name) as (folder, last):
            handle = self._open(last, _READING, folder, name)
            state = os.fstat(handle)
            if not stat.S_ISREG(state.st_mode):
                os.close(handle)
                raise self._strange(name, "is no file")
            with os.fdopen(handle, "rb") as file:
                content = file.read(most + 1) if state.st_size <= most else None
        if content is None or len(content) > most:
            raise self._strange(name, f"is larger than {most} bytes")
        return content

    def write(self, name: str, content: str | bytes, *, mode: int = 0o666) -> Path:
        """Write a file so that a reader, or a kill, sees either the old content or the new one.

        :param mode: of the file, less the umask. A job of another user takes most of them up.
        :raises WorkFolderError: a link leads there.
        """
        data = content.encode() if isinstance(content, str) else content
        with self._folder_of(name, make=True) as (folder, last):
            draft = f".{last}.{secrets.token_hex(6)}.draft"
            handle = os.open(draft, _WRITING, mode, dir_fd=folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                # A link in the file's place is replaced, and not followed (rename(2)).
                os.rename(draft, last, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException as error:  # Ctrl-C leaves no draft either
                with contextlib.suppress(OSError):
                    os.unlink(draft, dir_fd=folder)
                if isinstance(error, IsADirectoryError):
                    raise self._strange(name, "is a folder") from None
                if isinstance(error, OSError) and error.filename in {None, draft}:
                    error.filename = os.fspath(self.path / name)
                raise
        return self.path / name

    def claim(self, name: str) -> bool:
        """Make an empty file; tell whether the name was free, so that no two jobs take one."""
        with self._folder_of(name, make=True) as (folder, last):
            try:
                os.close(os.open(last, _WRITING, 0o666, dir_fd=folder))
            except FileExistsError:
                return False
        return True

    def remove(self, name: str) -> None:
        """Remove a file, or a link itself; one that does not exist is no error."""
        with (
            contextlib.suppress(FileNotFoundError),
            self._folder_of(name) as (folder, last),
        ):
            try:
                os.unlink(last, dir_fd=folder)
            except (IsADirectoryError, PermissionError):
                # Linux says EISDIR, POSIX EPERM (unlink(2)).
                if not stat.S_ISDIR(os.stat(last, dir_fd=folder, follow_symlinks=False).st_mode):
                    raise
                raise self._strange(name, "is a folder") from None

    def files(self, folder: str = "") -> dict[str, os.stat_result]:
        """Return the files of a folder by their names, links and folders left out.

        :raises WorkFolderError: a link leads there.
        """
        found = {}
        with (
            contextlib.suppress(FileNotFoundError),
            self._folder_of(f"{folder}/." if folder else ".") as (handle, _),
        ):
            for name in os.listdir(handle):  # noqa: PTH208 - by its number
                with contextlib.suppress(FileNotFoundError):  # another session removes some
                    state = os.stat(name, dir_fd=handle, follow_symlinks=False)
                    if stat.S_ISREG(state.st_mode):
                        found[name] = state
        return found

    def make(self) -> Path:
        """Make the folder where it is missing.

        :raises WorkFolderError: there is a link, or a file, in its place.
        """
        with self._folder_of(".", make=True):
            return self.path

    def mark(self, name: str) -> os.stat_result:
        """Write an empty file in place, and return its state: what time it is on its disk."""
        with self._folder_of(name, make=True) as (folder, last):
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            handle = self._open(last, flags, folder, name)
            try:
                os.ftruncate(handle, 0)
                os.write(handle, b"now")
                return os.fstat(handle)
            finally:
                os.close(handle)

    # -- What decides --

    def write_own(self, name: str, document: Mapping[str, Any]) -> Path:
        """Write a JSON document that only counts if a run of ours wrote it."""
        key = self._key()
        sealed = {**document, _SEAL: _seal(key, name, document)} if key else document
        return self.write(name, json.dumps(sealed, indent=2) + "\n")

    def read_own(self, name: str) -> Any:
        """Return a JSON document of a run of ours.

        :raises FileNotFoundError: it does not exist.
        :raises WorkFolderError: a link leads there.
        :raises ForeignFileError: it may come from elsewhere.
        :raises ValueError: it is no JSON object.
        """
        document = parse_json(self.read(name))
        if not isinstance(document, dict):
            raise ValueError(f"{name} is no JSON object")  # noqa: TRY004 - as all else in a file
        seal = document.pop(_SEAL, None)
        if why := self._doubt(name, document, seal):
            raise ForeignFileError(
                f"{self.path / name} is not trusted: {why}.",
                hint="nox -s build makes it again; or hand .aksci of the job that built on in a "
                "checkout by git, or with one secret AKSCI_STATE_KEY in all jobs.",
            )
        return document

    def find_own(self, name: str) -> Any:
        """Return a JSON document of a run of ours; None where there is none that counts.

        What is not trusted is told, once a run.
        """
        try:
            return self.read_own(name)
        except (ForeignFileError, WorkFolderError) as error:
            with self._lock:
                told, self._warned = self._warned, True
            if not told:
                self._warn(f"{error.message} What depends on it is done again.")
        except (OSError, ValueError, RecursionError):
            pass
        return None

    def require_untracked(self, name: str) -> None:
        """Refuse a file that is a link, or whose folder git tracks in part.

        For what can hold no seal.

        :raises WorkFolderError: it is a link, or no file.
        :raises ForeignFileError: git tracks something of the folder.
        """
        try:
            with self._folder_of(name) as (folder, last):
                handle = self._open(last, _READING, folder, name)
                regular = stat.S_ISREG(os.fstat(handle).st_mode)
                os.close(handle)
        except FileNotFoundError:
            return
        if not regular:
            raise self._strange(name, "is no file")
        if why := self._why_foreign():
            raise ForeignFileError(
                f"{self.path / name} is not trusted: {why}.", hint=f"rm {self.path / name}"
            )

    def _why_foreign(self) -> str:
        """Say why all of the folder may come with the sources; empty: git knows of nothing."""
        names = [each.name for each in self.path.iterdir()]
        if strange := sorted(each for each in names if each.casefold() in _REPOSITORY):
            return f"{self.path} holds a git repository ({', '.join(strange)})"
        if files := self._ask().files:
            return (
                f"git brings {_listed(files)} with the sources, so a pull request can change it; "
                "remove it from git, and name .aksci/ in .gitignore"
            )
        return ""

    def _doubt(self, name: str, document: Mapping[str, Any], seal: object) -> str:
        """Say why a file may not be ours; empty: it is."""
        if why := self._why_foreign():
            return why
        key = self._key()
        if key and isinstance(seal, str) and _same(seal, _seal(key, name, document)):
            return ""
        if self._shared:
            return "it is not sealed with AKSCI_STATE_KEY"
        if problem := self._ask().problem:
            return (
                f"git can't tell whether it came with the sources ({problem}), and no run "
                "of this user in this folder has sealed it"
            )
        return ""

    def _ask(self) -> Tracked:
        # It takes longer than all else here, so git is asked once, and only where it matters.
        with self._lock:
            if self._answer is None:
                self._answer = self._tracked()
            return self._answer

    # -- The way there --

    @contextlib.contextmanager
    def _folder_of(self, name: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """Open the folder that a file is in; yield it and the file's own name."""
        *folders, last = name.split("/")
        if not last or {"", ".."} & {*folders, last} or "\0" in name:
            raise WorkFolderError(f"{name!r} can't name a file of {self.path}.")
        if make:
            with contextlib.suppress(FileExistsError):
                self.path.mkdir(parents=True)
        place, handle = self.path, self._enter(os.fspath(self.path), self.path)
        try:
            for each in folders:
                place /= each
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(each, dir_fd=handle)
                inner = self._enter(each, place, handle)
                os.close(handle)
                handle = inner
            yield handle, last
        finally:
            os.close(handle)

    def _enter(self, name: str, place: Path, folder: int | None = None) -> int:
        try:
            return os.open(name, _DIRECTORY, dir_fd=folder)
        except OSError as error:
            if error.errno in _LINKS:
                raise _wrong(place, "is a symbolic link, or a file, and not a folder") from None
            error.filename = os.fspath(place)
            raise

    def _open(self, last: str, flags: int, folder: int, name: str) -> int:
        try:
            return os.open(last, flags, 0o666, dir_fd=folder)
        except OSError as error:
            if error.errno in {*_LINKS, errno.ENXIO}:  # ENXIO: a socket, or a pipe without reader
                raise self._strange(name, "is a symbolic link, or no file") from None
            if error.errno == errno.EISDIR:
                raise self._strange(name, "is a folder") from None
            error.filename = os.fspath(self.path / name)
            raise

    def _strange(self, name: str, what: str) -> WorkFolderError:
        return _wrong(self.path / name, what)


def _wrong(place: Path, what: str) -> WorkFolderError:
    return WorkFolderError(
        f"{place} {what}. aksci keeps what its runs leave in a real folder, and follows no link "
        "there: it could lead anywhere.",
        hint=f"look at it, and remove it: rm {place}",
    )


def _listed(files: tuple[str, ...]) -> str:
    from aksci.core.text import one_line

    more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
    return one_line(", ".join(files[:_NAMED]), _LONGEST) + more


def _seal(key: bytes, name: str, document: Mapping[str, Any]) -> str:
    """Return the seal of a document under a name: HMAC-SHA-256."""
    import hmac

    text = json.dumps([name, document], sort_keys=True, separators=(",", ":"))
    return hmac.digest(key, text.encode(), "sha256").hex()


def _same(one: str, other: str) -> bool:
    import hmac

    return hmac.compare_digest(one.encode(), other.encode())
