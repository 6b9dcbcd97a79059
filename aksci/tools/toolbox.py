"""Find each command-line tool on PATH or in the cache; otherwise install it as pinned.

A long installation shows that it is alive: its start, a heartbeat, and its end.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from aksci.core.errors import AksciError, DownloadError, ProcessError, ToolError
from aksci.core.process import Runner
from aksci.tools.download import download
from aksci.tools.golang import Go
from aksci.tools.pins import load_pins
from aksci.tools.tool_cache import CacheEntry
from aksci.tools.tool_versions import matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from aksci.core.reporting import Reporter
    from aksci.tools.pins import GoSource, Pin, ReleaseFile

__all__ = ["Activity", "Toolbox", "unpack", "watch"]

_PROBE_TIMEOUT = 60.0  # seconds; a cold disk needs some to read 125 MB


@dataclass
class Toolbox:
    """Give the path of each pinned tool, installing it first where needed.

    A tool is looked for on PATH (its pin says which versions suit), then in the cache, then made:
    from its pinned release where there is one, otherwise from its pinned Go module. Several
    processes may do so at once.
    """

    cache: Path
    runner: Runner
    reporter: Reporter
    variables: Mapping[str, str] = field(repr=False)
    """The process's environment variables: PATH, HOME, GOPROXY…"""
    pins: Mapping[str, Pin] = field(default_factory=load_pins)
    platform: str = field(default_factory=lambda: _platform())  # noqa: PLW0108 - defined below
    """As linux/amd64."""
    heartbeat: float = 15.0
    """Seconds between two lines of progress."""
    _found: dict[str, Path] = field(default_factory=dict, init=False, repr=False)
    _go: Go | None = field(default=None, init=False, repr=False)
    _guard: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def ensure(self, name: str) -> Path:
        """Return the tool's program.

        :raises ToolError: there is no such tool, or it could not be built (Go is missing, say).
        :raises DownloadError: something could not be fetched, or is not what is pinned.
        :raises DiskFullError: no space is left.
        """
        return self.ensure_all([name])[name]

    def ensure_all(self, names: Iterable[str]) -> dict[str, Path]:
        """Return each tool's program by name. While one is built, the next ones' modules arrive."""
        requested = list(dict.fromkeys(names))
        # All names first: a mistake in the last one must not show after minutes of building.
        for name in requested:
            self._pin(name)
        missing = [name for name in requested if self._find(name) is None]
        if missing:
            # One order for every process: who waits for a tool waits for one that is being made.
            self._install_all([name for name in self.pins if name in missing])
        return {name: self._found[name] for name in requested}

    def go(self) -> Go:
        """Return this machine's Go, found once.

        :raises ToolError: there is none.
        """
        with self._guard:
            if self._go is None:
                self._go = Go.find(self.runner, self.variables, self.cache / "go")
            return self._go

    def _pin(self, name: str) -> Pin:
        try:
            return self.pins[name]
        except KeyError:
            raise ToolError(
                f"{name!r} is not in the toolbox; it has {', '.join(sorted(self.pins))}."
            ) from None

    def _entry(self, pin: Pin) -> CacheEntry:
        key = f"{pin.version}-{pin.recipe(self.platform)}"
        return CacheEntry(root=self.cache / "tools", name=pin.name, key=key)

    def _find(self, name: str) -> Path | None:
        if name not in self._found:
            pin = self._pin(name)
            entry = self._entry(pin)
            path = self._on_path(pin) or (entry.binary if entry.installed else None)
            if path is None:
                return None
            self._found[name] = path
        return self._found[name]

    def _on_path(self, pin: Pin) -> Path | None:
        if pin.accept is None:
            return None
        for called in pin.names:
            # Absolute, for PATH may have relative folders, and programs run in others.
            found = shutil.which(called, path=self.variables.get("PATH", ""))
            if found and self._suits(pin, Path(found).absolute(), pin.accept):
                return Path(found).absolute()
        return None

    def _suits(self, pin: Pin, program: Path, accept: str) -> bool:
        version = self._version(pin, program)
        # Before ``accept``: a compromised version may lie inside the range.
        denial = pin.denial(version) if version else None
        if denial:
            self.reporter.warning(
                f"{program} is {pin.name} {version}, which is never used: {denial.reason}. "
                f"aksci uses {pin.version} instead."
            )
            return False
        if version and matches(version, accept):
            return True
        self.reporter.line(
            f"{program} is {pin.name} {version or 'of an unknown version'}; "
            f"{accept} is needed, so aksci uses its own {pin.version}"
        )
        return False

    def _version(self, pin: Pin, program: Path) -> str | None:
        """Ask a program for its version; None when it does not tell."""
        try:
            result = self.runner.run(
                [program, *pin.probe],
                env=self.variables,
                only_env=True,
                timeout=_PROBE_TIMEOUT,
                check=False,
                quiet=True,
            )
        except (ToolError, ProcessError):
            # A broken program on PATH is passed over like one of another version.
            return None
        return pin.parse_version(result.stdout) or pin.parse_version(result.stderr)

    def _install_all(self, names: list[str]) -> None:
        # A runner of its own: one that has ended its programs starts no more.
        ahead = Runner(environment=self.runner.environment, log=self.runner.log)
        fetching = ThreadPoolExecutor(1, thread_name_prefix="aksci-fetch")
        try:
            for following in names[1:]:
                fetching.submit(self._fetch_ahead, self._pin(following), ahead)
            for step, name in enumerate(names, 1):
                self._found[name] = self._install(self._pin(name), step, len(names))
        finally:  # all have been fetched, or nobody needs them any more
            # In this order: what has not begun never does, what runs is ended, and then waiting is
            # short.
            fetching.shutdown(wait=False, cancel_futures=True)
            ahead.terminate_all()
            fetching.shutdown()

    def _fetch_ahead(self, pin: Pin, runner: Runner) -> None:
        """Fill Go's module cache for a later tool. A failure is reported when its turn comes."""
        if self.platform in pin.release or not pin.go:
            return
        # A lock of its own: the tool's would keep another process from building it meanwhile.
        entry = CacheEntry(root=self.cache / "tools" / ".ahead", name=pin.name, key="")
        try:
            with entry.locked(None), entry.workspace() as work:
                replace(self.go(), runner=runner).prepare(pin.go, work, lambda _: None)
        except (AksciError, OSError):
            return

    def _install(self, pin: Pin, step: int, steps: int) -> Path:
        entry = self._entry(pin)
        with entry.locked(self.reporter), ExitStack() as stack:
            if entry.installed:  # another process has made it meanwhile
                return entry.binary
            work = stack.enter_context(entry.workspace())
            activity = stack.enter_context(
                watch(
                    self.reporter,
                    what=f"{pin.name} {pin.version}",
                    doing=pin.purpose or "installing",
                    step=step,
                    steps=steps,
                    every=self.heartbeat,
                )
            )
            built = work / pin.name
            release = self.release(pin)
            if release:
                self._from_release(release, entry, built, activity)
            elif pin.go:
                self._from_source(pin.go, work, built, activity)
            else:
                raise ToolError(f"{pin.name} {pin.version} has no release for {self.platform}.")
            # Before it is published: what is in the cache is never looked at again.
            self._require_version(pin, built)
            entry.publish(built)
            # Only now: a kill before this would mean to download it again.
            entry.part.unlink(missing_ok=True)
        return entry.binary

    def release(self, pin: Pin) -> ReleaseFile | None:
        """Return the pinned release for this platform, if there is one."""
        return pin.release.get(self.platform)

    def _from_release(
        self, release: ReleaseFile, entry: CacheEntry, built: Path, activity: Activity
    ) -> None:
        activity.begin("downloading")
        download(
            release.url,
            release.sha256,
            entry.part,
            variables=self.variables,
            received=activity.received,
        )
        unpack(entry.part, release.url, release.member, built)
        built.chmod(0o755)

    def _from_source(self, source: GoSource, work: Path, built: Path, activity: Activity) -> None:
        activity.begin("fetching modules")
        module = work / "module"
        module.mkdir()
        activity.packages = self.go().prepare(source, module, activity.fetched)
        activity.begin("building")
        self.go().build(source, module, built, activity.compiled)

    def _require_version(self, pin: Pin, built: Path) -> None:
        """Run what was made once: what does not start, or is another version, is not installed."""
        version = self._version(pin, built)
        if version != pin.version:
            raise ToolError(
                f"{pin.name} was made from its pin, {pin.version}, but says that it is "
                f"{version or 'nothing that we understand'}; it was not installed.",
                hint=f"check the entry of {pin.name} in aksci/tools/pins.toml",
            )


def _platform() -> str:
    machine = os.uname().machine
    names = {"x86_64": "amd64", "aarch64": "arm64"}
    return f"{os.uname().sysname.lower()}/{names.get(machine, machine)}"


_DOWNLOADING = "go: downloading "


class Activity:
    """What one installation does at the moment; the heartbeat reads it."""

    def __init__(self, doing: str) -> None:
        self.doing = doing
        self.packages = 0
        """How many packages there are to compile, at most: Go's cache may hold some."""
        self._modules = 0
        self._compiled = 0
        self._received = ""

    def begin(self, doing: str) -> None:
        """Name the next phase."""
        self.doing = doing

    def fetched(self, line: str) -> None:
        """Count the modules that Go says it downloads."""
        if line.startswith(_DOWNLOADING):
            self._modules += 1

    def compiled(self, line: str) -> None:
        """Count the packages that Go says it compiles."""
        if " " not in line:
            self._compiled += 1

    def received(self, done: int, total: int | None) -> None:
        """Note how many bytes of a download have arrived."""
        whole = f" of {total / 1e6:.1f}" if total else ""
        self._received = f"{done / 1e6:.1f}{whole} MB"

    @property
    def detail(self) -> str:
        """Say how much has been done so far."""
        parts = [self.doing]
        if self._modules:
            parts.append(f"{self._modules} modules downloaded")
        if self._compiled:
            parts.append(f"{self._compiled} of {self.packages} packages compiled")
        if self._received:
            parts.append(self._received)
        return ", ".join(parts)


@dataclass(frozen=True, kw_only=True)
class _Label:
    what: str
    step: int
    steps: int

    def __str__(self) -> str:
        return f"[{self.step}/{self.steps}] {self.what}" if self.steps > 1 else self.what


@contextmanager
def watch(
    reporter: Reporter, *, what: str, doing: str, step: int = 1, steps: int = 1, every: float = 15
) -> Iterator[Activity]:
    """Report one installation: its start, a line each ``every`` seconds, and how long it took."""
    label = _Label(what=what, step=step, steps=steps)
    activity = Activity(doing)
    reporter.line(f"{label}: {doing}")
    started = time.monotonic()
    done = threading.Event()
    beat = threading.Thread(
        target=_beat, args=(reporter, label, activity, started, done, every), daemon=True
    )
    beat.start()
    try:
        yield activity
    except BaseException:
        # Silent then: the error is what is told.
        _stop(beat, done)
        raise
    _stop(beat, done)
    reporter.line(f"{label}: ready after {time.monotonic() - started:.0f} s")


def _beat(
    reporter: Reporter,
    label: _Label,
    activity: Activity,
    started: float,
    done: threading.Event,
    every: float,
) -> None:
    while not done.wait(every):
        reporter.line(f"{label}: {time.monotonic() - started:.0f} s, {activity.detail}")


def _stop(beat: threading.Thread, done: threading.Event) -> None:
    done.set()
    beat.join()


def unpack(file: Path, url: str, member: str | None, target: Path) -> None:
    """Write the archive's member, or the file itself where no member is named, to ``target``.

    Only that member is read: what else the archive holds, and where it would go, does not matter.

    :param url: where the file came from; its ending names the format.
    :raises DownloadError: the archive is broken, or has no such file.
    """
    try:
        with _opened(file, url, member) as source, target.open("wb") as output:
            shutil.copyfileobj(source, output)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, KeyError) as error:
        raise DownloadError(f"{url} holds no readable file {member!r}: {error}") from None


@contextmanager
def _opened(file: Path, url: str, member: str | None) -> Iterator[IO[bytes]]:
    if member is None:
        with file.open("rb") as plain:
            yield plain
    elif url.endswith(".zip"):
        with zipfile.ZipFile(file) as archive, archive.open(member) as inside:
            yield inside
    else:
        with tarfile.open(file) as tar:
            # Read, never unpacked: a path or a link in an archive can't lead out of the target.
            extracted = tar.extractfile(member)
            if extracted is None:
                raise KeyError(f"{member} is no file")
            yield extracted
