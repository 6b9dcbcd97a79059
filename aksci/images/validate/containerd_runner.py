"""Run images on the embedded platform without Kubernetes: containerd has them, runc runs them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from aksci.core.errors import AksciError, Interrupted
from aksci.core.files import write_atomically
from aksci.core.process import Runner
from aksci.images.platforms import this_platform
from aksci.images.validate.container_spec import Confinement, container_spec, probe_process
from aksci.images.validate.containerd_images import ContainerdImages, SpecificationError
from aksci.images.validate.image_runner import HOSTNAME, HttpAnswer
from aksci.images.validate.runc import Runc
from aksci.images.validate.runc_container import RuncContainer
from aksci.images.validate.running_image import ask_loopback
from aksci.local.container_folder import abandoned_folders, hold_folder
from aksci.local.container_network import join_network, leave_network
from aksci.local.host import daemon_environment, look_at_host
from aksci.local.teardown import end_group, unmount_below

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Mapping

    from aksci.images.validate.image_runner import CheckOutcome, CheckTask
    from aksci.local.layout import Layout

__all__ = ["ContainerdRunner"]

_CGROUPS = Path("/sys/fs/cgroup")


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
        self._runc = Runc(layout=layout, runner=self._runner)
        self._images = ContainerdImages(
            layout=layout, runner=self._runner, apparmor=_has_apparmor()
        )
        self.name = f"containerd {self._images.version()}"
        self._sweep()

    def platforms(self) -> tuple[str, ...]:
        """Return this machine's platform."""
        return (this_platform(),)

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
    ) -> Iterator[RuncContainer]:
        for step in ("pulled", "run"):
            if halt.is_set():
                raise Interrupted(f"Stopped before {task.image} was {step}.")
            if step == "pulled":
                self._images.pull(task.ref)
        with hold_folder(self._layout.containers) as folder:
            container = RuncContainer(
                self._runc, engine=self.name, task=task, folder=folder, halt=halt
            )
            try:
                self._images.mount(task.ref, folder / "rootfs")
                try:
                    self._specify(task, folder, network=network)
                except SpecificationError as error:
                    container.refuse(str(error))
                else:
                    container.start()
                yield container
            finally:
                # Where that fails, the next run tries again.
                with contextlib.suppress(AksciError, OSError):
                    container.end()
                    self._clear(folder)

    def _specify(self, task: CheckTask, folder: Path, *, network: bool) -> None:
        """Write down what runc is to run for a task, in its folder.

        :raises SpecificationError: the image allows of no container.
        """
        made = self._images.specification(task.ref, folder.name)
        address, servers = "127.0.0.1", look_at_host().nameservers if network else ()
        if network:
            address = join_network(folder, self._layout, self._runner)
        files = {
            "hostname": f"{HOSTNAME}\n",
            # With no server, a name that is not there fails at once.
            "resolv.conf": "".join(f"nameserver {server}\n" for server in servers),
            "hosts": f"127.0.0.1 localhost\n::1 localhost\n{address} {HOSTNAME}\n",
        }
        for name, text in files.items():
            # The image's user reads them.
            write_atomically(folder / name, text, mode=0o644)
            (folder / name).chmod(0o644)
        place = Confinement(
            hostname=HOSTNAME,
            rootfs=folder / "rootfs",
            cgroup=self._runc.group(folder),
            files={f"/etc/{name}": folder / name for name in files},
            network=folder / "netns" if network else None,
            limits_swap=_limits_swap(self._layout),
        )
        spec = container_spec(made, task.check, place)
        write_atomically(folder / "config.json", json.dumps(spec))
        if task.check.probe:
            process = probe_process(spec, task.check.probe)
            write_atomically(folder / "probe.json", json.dumps(process))

    def _clear(self, folder: Path) -> None:
        """Remove all that there is of a container that has ended."""
        end_group(self._runc.group(folder))
        leave_network(folder, self._layout, self._runner)
        self._images.unmount(folder / "rootfs")
        unmount_below(folder)
        # rmtree into a mount would delete what is mounted.
        if not os.path.ismount(folder / "rootfs"):
            shutil.rmtree(folder)

    def _sweep(self) -> None:
        """Remove what runs that were killed have left, and nothing that another run still holds."""
        parent = self._layout.containers
        with abandoned_folders(parent) as left:
            for folder in left:
                with contextlib.suppress(AksciError, OSError):
                    # Both may have made something of which they have kept no note.
                    self._runc.call(folder, "delete", "--force")
                    self._images.forget(folder.name)
                    self._clear(folder)
        # `down` takes folders away; what was mounted there is still leased.
        for target in self._images.leases(parent):
            if not target.parent.exists():
                self._images.unmount(target)


class _ServedProcess:
    """A container that is asked at its own address."""

    def __init__(self, container: RuncContainer, port: int) -> None:
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
