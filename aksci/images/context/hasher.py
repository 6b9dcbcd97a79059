"""What an image's build reads of its context, as one hash: what BuildKit would see, no more."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pickle
import posixpath
import signal
import stat
import sys
import threading
import time
from collections import deque
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aksci.core.errors import ConfigError
from aksci.core.inside import Inside
from aksci.images.context.ignore import parse_ignore
from aksci.images.context.known_files import Facts, key_of
from aksci.images.context.sent_files import find_sent_file
from aksci.images.context.walk import (
    EVERYTHING,
    STATE,
    LinkedSourceError,
    StateFoundError,
    parse_sources,
    walk,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from aksci.images.context.ignore import Ignore
    from aksci.images.context.walk import Folder, Selection
    from aksci.images.dockerfile.recipe import Sources

    Arguments = tuple[str, str | None, Sources]
    Key = tuple[str, Path, Sources]
    News = tuple[dict[bytes, bytes], dict[bytes, bytes]]

__all__ = ["TreeHasher", "ignore_file", "ignore_of", "ignore_override", "unread_ignore_file"]

_MODE = 0o7757
"""What counts of a mode, as COPY takes it over: all but the group's write permission, in which the
umasks of developers (002) and CI (022) differ."""
_CHUNK = 1 << 16
_LARGE = 1 << 20
"""Bytes from which a file is remembered by itself, not only with its folder."""
_ALONE = 0.03
"""Seconds after which a second process is worth its start, which takes about a tenth of that."""
_OWN = 4
"""One in so many contexts is hashed here: whoever asks for the hashes has more to do besides."""
_AS_IT_IS = "./."
"""The project's own folder as a named context: nobody leaves our state out of it for BuildKit."""
_identity = attrgetter("st_mode", "st_ino", "st_dev", "st_size", "st_mtime_ns", "st_ctime_ns")


class TreeHasher:
    """Hash build contexts; each is read once a run, however many images share it.

    Each entry counts with relative path, kind, mode (but for the group's write permission), and
    content or link target; times and owners do not, as BuildKit's cache ignores them too. Files
    that did not change since an earlier run are not read. Safe to use from several threads.

    :param known: the file that keeps what earlier runs have read; None: nothing does.
    """

    def __init__(self, root: Path, known: Path | None = None) -> None:
        self._root = root
        self._inside = Inside(root)
        self._facts = Facts(root / STATE, known)
        self._reading = threading.Lock()
        """One thread reads at a time: several would only wrestle for the interpreter's lock."""
        self._keys: dict[Arguments, Key] = {}
        self._trees: dict[Key, tuple[str, bytes]] = {}
        """Hash, and the files' states."""
        self._seen: list[bytes] = []
        """The states of the files of each folder that was described last."""
        self._helper: _Helper | None = None
        self._helped: set[Key] = set()
        """What the helper is still to tell."""

    def hash(self, context: str, dockerfile: str | None, sources: Sources = None) -> str:
        """Return the hash of what a build reads of a context, after its .dockerignore.

        :param dockerfile: its own ignore file counts; None: there is no Dockerfile.
        :param sources: paths and patterns that it reads; None: everything.
        :raises ConfigError: a file can't be read, aksci's own state would be, or the context is
            outside of the project.
        """
        key = self._key(context, dockerfile, sources)
        with self._reading:
            self._wait_for_helper(key)
            if key not in self._trees:
                found = self._find(*key, self._describe)
                # The ignore file decides what is read, and need not be among it.
                written = _written(str(key[1]))
                self._trees[key] = _hash(found), key_of([written, sorted(self._seen)])
            return self._trees[key][0]

    def state(self, context: str, dockerfile: str | None, sources: Sources = None) -> bytes:
        """Return what changes when a file that ``hash`` counts is written, be it the same again.

        Numbers and times of files: it means nothing in another checkout.
        """
        self.hash(context, dockerfile, sources)
        return self._trees[self._key(context, dockerfile, sources)][1]

    def prepare(self, trees: Iterable[Arguments]) -> None:
        """Begin to hash many contexts before anyone asks, in a second process if that pays.

        ``save`` ends it. To be called before there are other threads.

        :param trees: arguments of ``hash``, in the order in which they will be asked for.
        """
        waiting = deque(dict.fromkeys(trees))
        started = time.monotonic()
        while waiting and time.monotonic() - started < _ALONE:
            self._hash_if_possible(waiting.popleft())
        shared = tuple(one for at, one in enumerate(waiting) if at % _OWN)
        if shared and _can_help():
            self._helped = {self._key(*one) for one in shared}
            self._helper = _Helper(shared, self._hash_for_another)
            for one in islice(waiting, 0, None, _OWN):
                self._hash_if_possible(one)

    def _hash_if_possible(self, one: Arguments) -> str | None:
        """Hash; a context that can't be read is left to who asks for it, to be told."""
        with contextlib.suppress(ConfigError):
            return self.hash(*one)
        return None

    def _hash_for_another(self, one: Arguments) -> tuple[Key, tuple[str, bytes] | None, News]:
        self._hash_if_possible(one)
        return self._key(*one), self._trees.get(self._key(*one)), self._facts.take_news()

    def _wait_for_helper(self, key: Key) -> None:
        """Take over what the other process finds until it has come to a key, or to its end."""
        while self._helper and key in self._helped:
            result = self._helper.result()
            if result is None:
                # It has ended, or died: what it did not tell is done here.
                self._helped.clear()
                return
            done, tree, news = result
            self._helped.discard(done)
            self._facts.learn(news)
            if tree is not None:
                self._trees[done] = tree

    def entries(
        self, context: str, dockerfile: str | None, sources: Sources = None
    ) -> Mapping[str, str]:
        """Return what ``hash`` is made of: path -> kind, mode, and what it holds.

        All of it is read. Bytes of a path that are not UTF-8 are surrogates.
        """
        key = self._key(context, dockerfile, sources)
        with self._reading:
            return self._find(*key, self._describe_each)

    def _key(self, context: str, dockerfile: str | None, sources: Sources) -> Key:
        # Asked for several times an image; which ignore file counts is looked up once a run, too.
        asked = context, dockerfile, sources
        known = self._keys.get(asked)
        if known is None:
            if dockerfile is None and _is_root(context):
                context = _AS_IT_IS
            known = context, _ignore_file(self._root, context, dockerfile), sources
            self._keys[asked] = known
        return known

    def save(self) -> None:
        """Write down what was read, for the next run; a helper ends."""
        with self._reading:
            if self._helper:
                self._helper.end()
            self._facts.save()

    def _find(
        self,
        context: str,
        ignore_file: Path,
        sources: Sources,
        describe: Callable[[str, Folder], Iterable[tuple[str, str]]],
    ) -> dict[str, str]:
        """Describe all that is read; where a source leads through a link, that is everything."""
        # BuildKit, too, takes what a link to the folder itself leads to for the context.
        self._inside.check(context, where="the build context")
        base = str(self._root / context)
        self._seen.clear()
        try:
            ignore = parse_ignore(_ignore_text(self._inside, context, ignore_file))
            try:
                found = _collect(base, ignore, parse_sources(sources), describe)
            except LinkedSourceError:  # where the link leads is for BuildKit to say
                self._seen.clear()
                found = _collect(base, ignore, EVERYTHING, describe)
        except StateFoundError as error:
            state = error.args[0]
            raise ConfigError(
                f"The build context would hold {state}, where aksci keeps what changes with each "
                "run.",
                hint=f"printf '\\n{state}\\n' >> {ignore_file}",
            ) from None
        except OSError as error:
            raise ConfigError(
                f"{error.filename} in the build context {context} can't be read: {error.strerror}.",
                hint="name it in .dockerignore if the build does not need it.",
            ) from None
        if ignore.doubt is not None:
            # No path in a context begins with a slash, so nothing else can have this name.
            found["/.dockerignore"] = ignore.doubt
        return found

    def _describe(self, base: str, folder: Folder) -> Iterator[tuple[str, str]]:
        yield from _describe_others(folder)
        if folder.files:
            yield folder.path or "/", f"f {self._hash_files(base, folder)}"

    def _describe_each(self, base: str, folder: Folder) -> Iterator[tuple[str, str]]:
        yield from _describe_others(folder)
        for name, state in folder.files:
            content = self._content(f"{base}/{folder.path}{name}", state)
            yield folder.path + name, f"f {state.st_mode & _MODE:o} {content.hex()}"

    def _hash_files(self, base: str, folder: Folder) -> str:
        files = sorted(folder.files)
        # One look-up for all files of a folder: most folders are as they were in the last run.
        key = key_of([(name, *_identity(state)) for name, state in files])
        self._seen.append(key)
        known = self._facts.get(key)
        if known is None:
            total = hashlib.sha256()
            for name, state in files:
                content = self._content(f"{base}/{folder.path}{name}", state)
                raw = os.fsencode(name)
                # With its length, no name can look like the end of one and the start of another.
                total.update(b"%d %s %o " % (len(raw), raw, state.st_mode & _MODE) + content)
            known = total.digest()
            self._facts.put(key, known, [state for _, state in files])
        return known.hex()

    def _content(self, path: str, state: os.stat_result) -> bytes:
        """Return the SHA-256 of a file."""
        if state.st_size < _LARGE:
            return hashlib.sha256(_read_small(path)).digest()
        key = key_of(_identity(state))
        known = self._facts.get(key)
        if known is None:
            with open(path, "rb") as file:  # noqa: PTH123 - a path is text here
                known = hashlib.file_digest(file, "sha256").digest()
            self._facts.put(key, known, [state])
        return known


def _written(path: str) -> tuple[int, ...] | None:
    """Return what changes when a file is written; None: it is not there."""
    try:
        found: tuple[int, ...] = _identity(os.stat(path))  # noqa: PTH116 - a path is text here
    except OSError:
        return None
    return found


def _read_small(path: str) -> bytes:
    """Read a file, in a third of the time that a file object takes."""
    handle = os.open(path, os.O_RDONLY)
    try:
        parts = []
        while part := os.read(handle, _CHUNK):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(handle)


def _collect(
    base: str,
    ignore: Ignore,
    selection: Selection,
    describe: Callable[[str, Folder], Iterable[tuple[str, str]]],
) -> dict[str, str]:
    found: dict[str, str] = {}
    for folder in walk(base, ignore, selection):
        found.update(describe(base, folder))
    return found


def _describe_others(folder: Folder) -> Iterator[tuple[str, str]]:
    for path, mode in folder.folders:
        yield path, f"d {mode & _MODE:o}"
    for path, target in folder.links:
        yield path, f"l {target}"
    for path, state in folder.others:
        yield path, f"o {stat.S_IFMT(state.st_mode):o} {state.st_mode & _MODE:o} {state.st_rdev}"


def _hash(found: Mapping[str, str]) -> str:
    total = hashlib.sha256()
    # Folders come in no order, and a file system lists its entries in one of its own.
    for path, description in sorted(found.items()):
        name, text = os.fsencode(path), os.fsencode(description)
        total.update(b"%d %s %d %s\n" % (len(name), name, len(text), text))
    return total.hexdigest()


def ignore_of(root: Path, context: str, dockerfile: str) -> Ignore:
    """Return what a build's ignore file leaves out of its context."""
    return parse_ignore(
        _ignore_text(Inside(root), context, _ignore_file(root, context, dockerfile))
    )


def ignore_file(root: Path, context: str, dockerfile: str) -> str:
    """Return the ignore file of a build, there or not, relative to the project."""
    return os.path.relpath(_ignore_file(root, context, dockerfile), root)


def unread_ignore_file(root: Path, context: str, dockerfile: str) -> str | None:
    """Return an ignore file that is a link to what BuildKit is not sent; None: there is none."""
    for place in (f"{dockerfile}.dockerignore", posixpath.join(context, ".dockerignore")):
        path = root / place
        if path.is_symlink() and find_sent_file(str(path.parent), path.name) is None:
            return posixpath.normpath(place)
    return None


def ignore_override(root: Path, context: str, dockerfile: str) -> bytes | None:
    """Return the .dockerignore that a build must be given in place of the one on disk.

    Where the context is the project's own folder, that leaves out ``.aksci``, which changes with
    each run. Where the Dockerfile is a link, a copy of what it leads to is built, since BuildKit
    follows none out of a folder that it is sent, and the ignore file must lie beside that. Anywhere
    else it is None: what is on disk holds.

    :raises ConfigError: a link leads out of the project.
    """
    if not (_is_root(context) or (root / dockerfile).is_symlink()):
        return None
    text = _ignore_text(Inside(root), context, _ignore_file(root, context, dockerfile))
    return text.encode("utf-8", "surrogateescape")


def _ignore_file(root: Path, context: str, dockerfile: str | None) -> Path:
    """Return the ignore file that counts: the Dockerfile's own beats that of the context.

    Where there is none, the path that one would have; it may be a link, which nothing follows.

    :raises ConfigError: it is a link that leads out of the project.
    """
    path = root / context / ".dockerignore"
    own = [root / f"{dockerfile}.dockerignore"] if dockerfile is not None else []
    for one in (*own, path):
        if (found := find_sent_file(str(one.parent), one.name)) is not None:
            return Path(found)
        if one.is_symlink():
            Inside(root).check(one)
    return path


def _ignore_text(inside: Inside, context: str, ignore_file: Path) -> str:
    text = ""
    if ignore_file.is_file() and not ignore_file.is_symlink():
        text = inside.read(ignore_file).decode("utf-8", "surrogateescape")
    return f"{text}\n{STATE}\n" if _is_root(context) else text


def _is_root(context: str) -> bool:
    return context in {"", "."}


_PIPE = 1 << 20
"""Bytes of results that may wait to be read; Linux lets everybody have so many."""


def _can_help() -> bool:
    """Tell whether a second process is possible and of use.

    A fork with several threads may copy a lock that nobody releases; on macOS, any may fail.
    """
    linux = sys.platform == "linux"
    return linux and threading.active_count() == 1 and len(os.sched_getaffinity(0)) > 1


class _Helper:
    """A fork of this process that does ``work`` on each item, in order: threads would take turns.

    Whatever happens to it, nothing is lost: what it did not do is the caller's to do.
    """

    def __init__(self, items: Sequence[Any], work: Callable[[Any], Any]) -> None:
        reading, writing = os.pipe()
        self._child = os.fork()
        if self._child == 0:  # pragma: no cover - another process
            _help(items, work, writing)
        with contextlib.suppress(OSError):  # more than is allowed: it waits for us now and then
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE)
        # Held open here as well, the pipe would never come to its end.
        os.close(writing)
        self._results = os.fdopen(reading, "rb")

    def result(self) -> Any:
        """Wait for the next result; None when there is none any more."""
        with contextlib.suppress(EOFError, OSError, ValueError, pickle.UnpicklingError):
            return pickle.load(self._results)  # noqa: S301 - from a fork of ourselves
        return None

    def end(self) -> None:
        """End the process, whatever it does."""
        if not self._results.closed:
            self._results.close()
            os.kill(self._child, signal.SIGKILL)
            os.waitpid(self._child, 0)


def _help(
    items: Sequence[Any], work: Callable[[Any], Any], writing: int
) -> None:  # pragma: no cover
    try:
        # Ctrl-C reaches this process, too. The handlers are the caller's: they would clean up after
        # a run that still goes on.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        with os.fdopen(writing, "wb", buffering=0) as stream:
            for item in items:
                stream.write(pickle.dumps(work(item)))
    finally:
        os._exit(0)  # nothing of the caller's is flushed, told or cleaned up here
