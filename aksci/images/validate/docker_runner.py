"""Run images with the Docker Engine, through the SDK for Python."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aksci.core.concurrency import import_first
from aksci.core.errors import DockerError, Interrupted, RegistryError
from aksci.core.text import sanitise
from aksci.images.validate.image_runner import (
    HOSTNAME,
    LOG_LINES,
    MEMORY,
    ROOT_CAPABILITIES,
    SETTLE,
    CheckOutcome,
    HttpAnswer,
    end_of,
)
from aksci.images.validate.running_image import ask_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from aksci.images.validate.image_runner import CheckTask

__all__ = ["DockerRunner"]

_TIMEOUT = 120  # seconds, for one answer of the Engine
_POLL = 0.2
_NANO = 10**9
_MILLISECOND = 10**6
_EXPIRES = "dev.aksci.expires"
"""Label: seconds since 1970 after which a container that a killed run left may be removed."""


class DockerRunner:
    """Containers without network, mounts, privileges or a name anybody knows.

    Images that it pulled are removed by ``close``, so that nothing is left and the images of one
    run share their layers until then.

    :param variables: ``DOCKER_HOST``, ``DOCKER_TLS_VERIFY``, ``DOCKER_CERT_PATH``.
    :param hint: what helps where the Engine does not answer.
    :raises DockerError: it does not answer.
    """

    def __init__(
        self, variables: Mapping[str, str], *, hint: str, now: Callable[[], datetime]
    ) -> None:
        import_first("docker")  # while other threads may be importing requests
        import docker

        self._hint = hint
        self._now = now
        self._pulled: set[str] = set()
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        with self.answers():
            self._client = docker.from_env(timeout=_TIMEOUT, environment=dict(variables))
            try:
                version = self._client.version()
                # A rootless Engine may not be allowed to limit the processor.
                self._limits = {"nano_cpus": _NANO} if self._client.info()["CpuCfsQuota"] else {}
                self._sweep()
            except BaseException:
                self._client.close()
                raise
        self.name = f"docker {str(version['Version']).partition('+')[0]}"
        self._platform = f"{version['Os']}/{version['Arch']}"

    def platforms(self) -> tuple[str, ...]:
        """Return the Engine's platform."""
        return (self._platform,)

    def run(self, task: CheckTask, halt: threading.Event) -> CheckOutcome:
        """Run an image until its check is decided, and remove the container in any case."""
        if halt.is_set():
            raise Interrupted(f"Stopped before {task.image} was pulled.")
        # By a name of ours: it can be removed even where the answer that has its id never came.
        name = f"aksci-validate-{uuid.uuid4().hex[:12]}"
        with self.answers():
            self._pull(task, halt)
            try:
                container = self._client.containers.create(**self._settings(task, name))
                return self._watch(container, task, halt)
            finally:
                self._remove(name)

    @contextlib.contextmanager
    def serve(
        self, task: CheckTask, port: int, halt: threading.Event
    ) -> Iterator[_ServedContainer]:
        """Start an image in a network of its own, with one port on loopback; remove both.

        :raises DockerError: the Engine is another machine's: its loopback is not ours.
        """
        address = urlsplit(self._client.api.base_url)
        if address.hostname not in {None, "localhost", "127.0.0.1", "localunixsocket"}:
            raise DockerError(
                f"{task.image} can't be reached: Docker Engine runs on {address.hostname}, and "
                "publishes ports on its own loopback.",
                hint='set validate_in = "cluster", or unset DOCKER_HOST.',
            )
        name = f"aksci-serve-{uuid.uuid4().hex[:12]}"
        settings = self._settings(task, name)
        del settings["network_mode"], settings["extra_hosts"]
        settings |= {"network": name, "ports": {f"{port}/tcp": ("127.0.0.1", None)}}
        try:
            with self.answers():
                self._pull(task, halt)
                # Its own: nothing that runs beside it is reached from it, nor it from there.
                kept = {_EXPIRES: settings["labels"][_EXPIRES]}
                self._client.networks.create(name, driver="bridge", labels=kept)
                container = self._client.containers.create(**settings)
                served = _ServedContainer(self, container, port, self._start(container))
            # Outside: what the block raises is not the Engine's.
            yield served
        finally:
            with self.answers():
                self._remove(name)
                for network in self._client.networks.list(names=[name]):
                    network.remove()

    def close(self) -> None:
        """Remove what was pulled, and close the connections."""
        from docker.errors import DockerException

        for image in self._pulled:
            with contextlib.suppress(DockerException, OSError):
                self._client.images.remove(image)
        self._client.close()

    def _settings(self, task: CheckTask, name: str) -> dict[str, Any]:
        from docker.types import LogConfig

        check = task.check
        # Asked every second, whatever the image says, and never given up before our own time.
        asked = {
            "test": ["CMD", *check.probe],
            "interval": _NANO,
            "timeout": max(_NANO, int(check.probe_timeout * _NANO)),
            "start_period": _MILLISECOND,  # 0 would mean the image's, which Engine 25 asks slower
            "retries": 1_000_000,
        }
        settings: dict[str, Any] = {
            "image": str(task.ref),
            "name": name,
            "environment": dict(check.env),
            "healthcheck": asked if check.probe else {"test": ["NONE"]},
            # Without a network, Docker writes no line for the container's own name.
            "hostname": HOSTNAME,
            "extra_hosts": {HOSTNAME: "127.0.0.1"},
            "network_mode": "none",
            "cap_drop": ["ALL"],
            "cap_add": [] if check.unprivileged else list(ROOT_CAPABILITIES),
            "security_opt": ["no-new-privileges"],
            "mem_limit": MEMORY,
            # Memory and swap together: the same number means no swap.
            "memswap_limit": MEMORY,
            "pids_limit": 512,
            # The proxies of the user's Docker CLI would be variables that no image has elsewhere.
            "use_config_proxy": False,
            **self._limits,
            "log_config": LogConfig(type="json-file", config={"max-size": "1m", "max-file": "1"}),
            "labels": {
                "app.kubernetes.io/managed-by": "aksci",
                "dev.aksci.image": task.image,
                "dev.aksci.run": task.run,
                _EXPIRES: str(int(self._now().timestamp() + check.timeout + 2 * _TIMEOUT)),
            },
        }
        if check.kind == "command":
            settings["entrypoint"] = list(check.argv)  # CMD does not count beside it
        return settings

    def _start(self, container: Any) -> CheckOutcome | None:
        """Start a container; return why the runtime refuses its process, where it does."""
        from docker.errors import APIError

        try:
            container.start()
        except APIError:
            container.reload()
            refusal = container.attrs["State"].get("Error")
            if not refusal:  # the Engine's own trouble, not the image's
                raise
            return CheckOutcome(
                engine=self.name, started=False, refusal=sanitise(str(refusal)).strip()
            )
        return None

    def _watch(self, container: Any, task: CheckTask, halt: threading.Event) -> CheckOutcome:
        refused = self._start(container)
        if refused:
            return refused
        check = task.check
        started = time.monotonic()
        limit = min(SETTLE, check.timeout) if check.kind == "start" else check.timeout
        while True:
            container.reload()
            state = container.attrs["State"]
            seconds = time.monotonic() - started
            if _has_ended(state) or _is_healthy(state) or seconds >= limit:
                return self.outcome(container, seconds)
            if halt.wait(min(_POLL, limit - seconds)):
                raise Interrupted(f"Stopped while {task.image} was validated.")

    def outcome(self, container: Any, seconds: float) -> CheckOutcome:
        """Return what has become of a container's process, as it was last read."""
        state = container.attrs["State"]
        ended = _has_ended(state)
        return CheckOutcome(
            engine=self.name,
            started=True,
            exit_code=int(state["ExitCode"]) if ended else None,
            healthy=_is_healthy(state) and not ended,
            out_of_memory=bool(state.get("OOMKilled")),
            probe_output=_last_attempt(state),
            log=end_of(container.logs(tail=LOG_LINES).decode("utf-8", "replace")),
            seconds=seconds,
        )

    def _pull(self, task: CheckTask, halt: threading.Event) -> None:
        """Pull by digest, unless the Engine has it. One at a time for each digest.

        :raises RegistryError: the Engine could not; it says so in the middle of a good answer.
        """
        from docker.errors import APIError, ImageNotFound

        ref = task.ref
        with self._lock:
            lock = self._locks.setdefault(str(ref), threading.Lock())
        with lock:
            try:
                self._client.images.get(str(ref))
            except ImageNotFound:
                pass
            else:
                return
            # Before: a pull that is interrupted may be finished all the same.
            self._pulled.add(str(ref))
            try:
                # The Engine takes a digest for a tag (API, "Create an image").
                answer = self._client.api.pull(ref.name, tag=ref.digest, stream=True, decode=True)
                failed = []
                for each in answer:
                    if halt.is_set():
                        answer.close()
                        raise Interrupted(f"Stopped while {task.image} was pulled.")
                    failed += [str(each["error"])] if "error" in each else []
            except APIError as error:
                failed = [str(error.explanation)]
            if failed:
                raise RegistryError(
                    f"Docker Engine can't pull {ref}: {sanitise(failed[0]).strip()}",
                    hint=f"docker login {ref.registry}; a registry without TLS must be on loopback "
                    "or among the Engine's insecure-registries.",
                )

    def _remove(self, name: str) -> None:
        from docker.errors import NotFound

        with contextlib.suppress(NotFound):
            self._client.api.remove_container(name, v=True, force=True)

    def _sweep(self) -> None:
        """Remove what runs that were killed have left, once their time is over."""
        from docker.errors import APIError

        def expired(labels: Mapping[str, str] | None) -> bool:
            expires = str((labels or {}).get(_EXPIRES, ""))
            return expires.isdecimal() and int(expires) < self._now().timestamp()

        for container in self._client.containers.list(all=True, filters={"label": _EXPIRES}):
            if expired(container.labels):
                with contextlib.suppress(APIError):
                    container.remove(v=True, force=True)
        for network in self._client.networks.list(filters={"label": _EXPIRES}):
            if expired(network.attrs.get("Labels")):
                with contextlib.suppress(APIError):
                    network.remove()

    @contextlib.contextmanager
    def answers(self) -> Iterator[None]:
        """Tell what the SDK raises as an error of Docker Engine."""
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        try:
            yield
        except (DockerException, RequestException, OSError) as error:
            words = sanitise(str(getattr(error, "explanation", None) or error)).strip()
            raise DockerError(f"Docker Engine failed: {words}", hint=self._hint) from None


class _ServedContainer:
    """A container with one port on loopback."""

    def __init__(
        self, runner: DockerRunner, container: Any, port: int, refusal: CheckOutcome | None
    ) -> None:
        self._runner = runner
        self._container = container
        self._port = port
        self._refusal = refusal
        self._began = time.monotonic()
        self._address = ""

    def ask(self, path: str, timeout: float) -> HttpAnswer:
        """Send GET to the port."""
        if self._refusal:
            return HttpAnswer(0, self._refusal.refusal)
        if not self._address:
            with self._runner.answers():
                self._container.reload()
            ports = self._container.attrs["NetworkSettings"]["Ports"].get(f"{self._port}/tcp")
            if not ports:  # its process has ended
                return HttpAnswer(0, "no port is published")
            self._address = f"http://127.0.0.1:{ports[0]['HostPort']}"
        return ask_loopback(f"{self._address}{path}", timeout)

    def ended(self) -> CheckOutcome | None:
        """Return what has become of its process, or None while it runs."""
        if self._refusal:
            return self._refusal
        with self._runner.answers():
            self._container.reload()
            if not _has_ended(self._container.attrs["State"]):
                return None
            return self._runner.outcome(self._container, time.monotonic() - self._began)


def _has_ended(state: Mapping[str, Any]) -> bool:
    return state["Status"] in {"exited", "dead"}


def _is_healthy(state: Mapping[str, Any]) -> bool:
    return (state.get("Health") or {}).get("Status") == "healthy"


def _last_attempt(state: Mapping[str, Any]) -> str:
    attempts = (state.get("Health") or {}).get("Log") or []
    return end_of(str(attempts[-1].get("Output", ""))) if attempts else ""
