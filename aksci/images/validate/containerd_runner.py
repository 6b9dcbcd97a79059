"""Run images on the embedded platform without Kubernetes: containerd has them, runc runs them.

containerd pulls and unpacks. The container is runc's, in the foreground: its exit status is the
process's, its output is a pipe of ours, and why it could not start a process it says in a log of
its own, apart from what the image writes.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform as machine
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aksci.core.errors import AksciError, Interrupted, PlatformError
from aksci.core.files import write_atomically
from aksci.core.process import Runner
from aksci.core.text import sanitise
from aksci.images.validate.container_spec import Confinement, container_spec, probe_process
from aksci.images.validate.containerd_images import ContainerdImages, SpecificationError
from aksci.images.validate.image_runner import SETTLE, CheckOutcome, HttpAnswer, end_of
from aksci.images.validate.running_image import ask_loopback
from aksci.local.container_folder import abandoned_folders, hold_folder
from aksci.local.container_network import join_network, leave_network
from aksci.local.host import daemon_environment, look_at_host
from aksci.local.teardown import end_group, unmount_below

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from aksci.core.process import Result
    from aksci.images.validate.image_runner import CheckTask
    from aksci.local.layout import Layout

__all__ = ["ContainerdRunner"]

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_ARRIVAL = 60.0  # seconds for runc to start a process
_POLL = 0.05
_EACH = 1.0  # seconds between two attempts of a health check
_KEPT = 2**16  # characters of output
_TIMEOUT = 30.0  # seconds for one call of runc
_CGROUPS = Path("/sys/fs/cgroup")
_HOSTNAME = "validate"


class ContainerdRunner:
    """Containers with loopback alone, no mount of the machine, no privileges, and limits.

    Each has a folder that its process holds; so the next run knows, and removes, what a killed one
    has left. The images stay in containerd, where pods find them.

    :param layout: of the embedded platform, whose part ``containerd`` must be there.
    :param variables: of the process, for the search path.
    :param make_network: makes sure that the platform's part ``network`` is there.
    :raises PlatformError: containerd does not answer.
    """

    def __init__(
        self, layout: Layout, *, variables: Mapping[str, str], make_network: Callable[[], object]
    ) -> None:
        self._layout = layout
        self._make_network = make_network
        # Its own: a run that was stopped starts no program any more, and what runs must go.
        self._runner = Runner(environment=daemon_environment(variables), log=lambda _line: None)
        self._images = ContainerdImages(
            layout=layout, runner=self._runner, apparmor=_has_apparmor()
        )
        self.name = f"containerd {self._images.version()}"
        self._sweep()

    def platforms(self) -> tuple[str, ...]:
        """Return this machine's platform."""
        name = machine.machine()
        return (f"linux/{_ARCHITECTURES.get(name, name)}",)

    def run(self, task: CheckTask, halt: threading.Event) -> CheckOutcome:
        """Run an image until its check is decided, and remove the container in any case."""
        with self._container(task, halt, network=False) as container:
            return container.run()

    @contextlib.contextmanager
    def serve(self, task: CheckTask, port: int, halt: threading.Event) -> Iterator[_ServedProcess]:
        """Start an image in the pods' network, where this machine reaches it; remove it."""
        self._make_network()
        with self._container(task, halt, network=True) as container:
            yield _ServedProcess(container, port)

    def close(self) -> None:
        """Do nothing: what ran is removed, and images stay."""

    @contextlib.contextmanager
    def _container(
        self, task: CheckTask, halt: threading.Event, *, network: bool
    ) -> Iterator[_Container]:
        for step in ("pulled", "run"):
            if halt.is_set():
                raise Interrupted(f"Stopped before {task.image} was {step}.")
            if step == "pulled":
                self._images.pull(task.ref)
        with hold_folder(self._layout.containers) as folder:
            container = _Container(self, task, folder, halt)
            try:
                self._images.mount(task.ref, folder / "rootfs")
                container.start(network=network)
                yield container
            finally:
                # Where that fails, the next run tries again.
                with contextlib.suppress(AksciError, OSError):
                    container.end()
                    self._remove(folder)

    def specify(self, task: CheckTask, folder: Path, *, network: bool) -> dict[str, Any]:
        """Write down what runc is to run for a task, in its folder; return it.

        :raises SpecificationError: the image allows of no container.
        """
        made = self._images.specification(task.ref, folder.name)
        address, servers = "127.0.0.1", look_at_host().nameservers if network else ()
        if network:
            address = join_network(folder, self._layout, self._runner)
        files = {
            "hostname": f"{_HOSTNAME}\n",
            # With no server, a name that is not there fails at once.
            "resolv.conf": "".join(f"nameserver {server}\n" for server in servers),
            "hosts": f"127.0.0.1 localhost\n::1 localhost\n{address} {_HOSTNAME}\n",
        }
        for name, text in files.items():
            # The image's user reads them.
            write_atomically(folder / name, text, mode=0o644)
            (folder / name).chmod(0o644)
        place = Confinement(
            hostname=_HOSTNAME,
            rootfs=folder / "rootfs",
            cgroup=self.group(folder),
            files={f"/etc/{name}": folder / name for name in files},
            network=folder / "netns" if network else None,
            limits_swap=_limits_swap(self._layout),
        )
        spec = container_spec(made, task.check, place)
        write_atomically(folder / "config.json", json.dumps(spec))
        if task.check.probe:
            process = probe_process(spec, task.check.probe)
            write_atomically(folder / "probe.json", json.dumps(process))
        return spec

    def group(self, folder: Path) -> str:
        """Return the control group of the container in a folder."""
        return f"{self._layout.cgroup}/containers/{folder.name}"

    def runc(self, folder: Path, *words: str | Path, timeout: float | None = _TIMEOUT) -> Result:
        """Call runc for the container in a folder; any status will do."""
        state, log = self._layout.run / "runc-containers", folder / f"{words[0]}.log"
        options: list[str | Path] = ["--root", state, "--log", log, "--log-format", "json"]
        return self._runner.run(
            ["runc", *options, *words, folder.name],
            check=False,
            quiet=True,
            timeout=timeout,
            last=_KEPT,
        )

    def _remove(self, folder: Path) -> None:
        self.runc(folder, "delete", "--force")
        # What a run that was killed in the middle has started before runc knew of it.
        end_group(self.group(folder))
        leave_network(folder, self._layout, self._runner)
        self._images.unmount(folder / "rootfs")
        unmount_below(folder)
        self._images.forget(folder.name)
        # rmtree into a mount would delete what is mounted.
        if not os.path.ismount(folder / "rootfs"):
            shutil.rmtree(folder)

    def _sweep(self) -> None:
        """Remove what runs that were killed have left, and nothing that another run still holds."""
        parent = self._layout.containers
        with abandoned_folders(parent) as left:
            for folder in left:
                with contextlib.suppress(AksciError, OSError):
                    self._remove(folder)
        # `down` takes folders away; what was mounted there is still leased.
        for target in self._images.leases(parent):
            if not target.parent.exists():
                self._images.unmount(target)


class _Container:
    """One container, from its start to its end."""

    def __init__(
        self, runner: ContainerdRunner, task: CheckTask, folder: Path, halt: threading.Event
    ) -> None:
        self._runner = runner
        self._task = task
        self._folder = folder
        self._halt = halt
        self._program: _Program | None = None
        self._refusal: str | None = None
        self._attempts: list[_Program] = []
        """The last one: it writes into the folder."""
        self._begun = 0.0

    def start(self, *, network: bool) -> None:
        """Start it, and wait until its process runs, has ended, or never will."""
        try:
            self._runner.specify(self._task, self._folder, network=network)
        except SpecificationError as error:
            self._refusal = str(error)
            return
        words = ("--keep", "--bundle", self._folder, "--pid-file", self._folder / "pid")
        self._program = _Program(self._runner, self._folder, "run", *words)
        deadline = time.monotonic() + _ARRIVAL
        while not (self._folder / "pid").exists():
            if self._program.ended:
                # It may have ended between the two looks.
                if not (self._folder / "pid").exists():
                    self._refusal = _last_error(self._folder / "run.log") or self._program.output
                break
            if time.monotonic() > deadline:
                raise PlatformError(
                    f"{self._task.image} could not be run: runc did not start its process within "
                    f"{_ARRIVAL:g} s."
                )
            self._wait(_POLL)
        self._begun = time.monotonic()

    def run(self) -> CheckOutcome:
        check = self._task.check
        limit = min(SETTLE, check.timeout) if check.kind == "start" else check.timeout
        attempt, due, said = None, 0.0, ""
        while True:
            seconds = time.monotonic() - self._begun
            if attempt and attempt.ended:
                said, healthy = attempt.output, attempt.status == 0
                if healthy and not self.has_ended:
                    return self.outcome(healthy=True)
                attempt = None
            if self.has_ended or seconds >= limit:
                return self.outcome(said=said or (attempt.output if attempt else ""))
            if check.probe and not attempt and seconds >= due:
                attempt, due = self._probe(check.probe_timeout), seconds + _EACH
            self._wait(min(_POLL, limit - seconds))

    @property
    def has_ended(self) -> bool:
        """Whether its process has ended, or could not be started."""
        return self._program is None or self._program.ended

    def outcome(self, *, healthy: bool = False, said: str = "") -> CheckOutcome:
        """Return what has become of it, and end it; only then its last output is there."""
        seconds = time.monotonic() - self._begun
        if self._program is None or self._refusal is not None:
            refusal = sanitise(self._refusal or "").strip()
            return CheckOutcome(engine=self._runner.name, started=False, refusal=refusal)
        ended = self._program.ended
        memory = _was_out_of_memory(self._runner.group(self._folder))
        self.end()
        return CheckOutcome(
            engine=self._runner.name,
            started=True,
            exit_code=self._program.status if ended else None,
            healthy=healthy,
            out_of_memory=memory,
            probe_output=end_of(said),
            log=end_of(self._program.output),
            seconds=seconds,
        )

    def end(self) -> None:
        """End it at once, and wait until runc has seen it."""
        if self._program is None:
            return
        deadline = time.monotonic() + _TIMEOUT
        # More than once: where it is only being started, runc does not know it yet.
        while not self._program.ended and time.monotonic() < deadline:
            self._runner.runc(self._folder, "delete", "--force")
            self._program.join(_POLL)
        for attempt in self._attempts:
            attempt.join(_TIMEOUT)

    @property
    def address(self) -> str:
        """Its IPv4 address in the network; empty where it was not started."""
        with contextlib.suppress(OSError, ValueError):
            found = json.loads((self._folder / "network.json").read_text())
            return str(found["ips"][0]["address"]).partition("/")[0]
        return ""

    def _probe(self, timeout: float) -> _Program:
        number = self._folder / "probe.pid"
        number.unlink(missing_ok=True)
        words = ("--process", self._folder / "probe.json", "--pid-file", number)
        attempt = _Program(self._runner, self._folder, "exec", *words)
        self._attempts = [attempt]
        timer = threading.Timer(timeout, self._end_probe, (number, attempt))
        timer.daemon = True
        timer.start()
        attempt.timer = timer
        return attempt

    def _end_probe(self, number: Path, attempt: _Program) -> None:
        """End an attempt that takes too long: it may ignore whatever can be ignored."""
        with contextlib.suppress(OSError, ValueError):
            process = int(number.read_text())
            group = Path(f"/proc/{process}/cgroup").read_text()
            # The number may be another process's by now.
            if not attempt.ended and f"/{self._folder.name}" in group:
                os.kill(process, signal.SIGKILL)

    def _wait(self, seconds: float) -> None:
        if self._halt.wait(max(0.0, seconds)):
            raise Interrupted(f"Stopped while {self._task.image} was validated.")


class _Program(threading.Thread):
    """One call of runc that lasts, in a thread of its own."""

    timer: threading.Timer | None = None

    def __init__(self, runner: ContainerdRunner, folder: Path, *words: str | Path) -> None:
        super().__init__(name=f"runc {words[0]}", daemon=True)
        self._call: Callable[[], Result] = lambda: runner.runc(folder, *words, timeout=None)
        self._result: Result | AksciError | None = None
        self.start()

    def run(self) -> None:
        try:
            self._result = self._call()
        except AksciError as error:
            self._result = error
        finally:
            if self.timer:
                self.timer.cancel()

    @property
    def ended(self) -> bool:
        return self._result is not None

    @property
    def status(self) -> int:
        """Of the program; only once it has ended.

        :raises AksciError: runc itself could not be run.
        """
        if isinstance(self._result, AksciError):
            raise self._result
        return self._result.status if self._result else 0

    @property
    def output(self) -> str:
        """The end of what it has written; empty while it runs."""
        found = self._result
        return "" if found is None or isinstance(found, AksciError) else found.stdout


class _ServedProcess:
    """A container that is asked at its own address."""

    def __init__(self, container: _Container, port: int) -> None:
        self._container = container
        self._port = port
        self._outcome: CheckOutcome | None = None

    def ask(self, path: str, timeout: float) -> HttpAnswer:
        """Send GET to the port."""
        if self._container.has_ended:
            return HttpAnswer(0, "its process has ended")
        return ask_loopback(f"http://{self._container.address}:{self._port}{path}", timeout)

    def ended(self) -> CheckOutcome | None:
        """Return what has become of its process, or None while it runs."""
        if not self._outcome and self._container.has_ended:
            self._outcome = self._container.outcome()
        return self._outcome


def _last_error(log: Path) -> str:
    """Return why runc gave up: the last entry of its log, one JSON document a line."""
    found = ""
    with contextlib.suppress(OSError, ValueError):
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            entry = json.loads(line)
            if entry.get("level") in {"error", "fatal"}:
                found = str(entry.get("msg", ""))
    return found


def _was_out_of_memory(group: str) -> bool:
    """Tell whether the kernel has ended a process of a control group for want of memory."""
    name = group.lstrip("/")
    # Version 2 of control groups, and version 1.
    for file in (
        _CGROUPS / name / "memory.events",
        _CGROUPS / "memory" / name / "memory.oom_control",
    ):
        with contextlib.suppress(OSError):
            pairs = (line.split() for line in file.read_text().splitlines())
            return any(key == "oom_kill" and value != "0" for key, value in pairs)
    return False


def _limits_swap(layout: Layout) -> bool:
    name = layout.cgroup.lstrip("/")
    files = (
        _CGROUPS / "memory" / name / "memory.memsw.limit_in_bytes",
        _CGROUPS / name / "memory.swap.max",
    )
    return any(file.exists() for file in files)


def _has_apparmor() -> bool:
    """Tell what containerd asks before it confines a pod: the kernel can, and there is a loader."""
    with contextlib.suppress(OSError):
        enabled = Path("/sys/module/apparmor/parameters/enabled").read_text().startswith("Y")
        loader = any(Path(f"/{folder}/apparmor_parser").exists() for folder in ("sbin", "usr/sbin"))
        return enabled and loader and Path("/sys/kernel/security/apparmor").exists()
    return False
