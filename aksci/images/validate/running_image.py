"""Keep one built image running where images are validated, and send it requests."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aksci.config.models import ValidateConfig
from aksci.core.errors import PlatformError, UsageError, ValidationError
from aksci.images.validate.checks import plan_check
from aksci.images.validate.image_facts import configurations
from aksci.images.validate.image_runner import (
    CheckTask,
    HttpAnswer,
    ImageServer,
    choose_platform,
)
from aksci.images.validate.result import how_it_ended, shown_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from http.client import HTTPResponse

    from aksci.images.validate.image_runner import CheckOutcome, ImageRunner, ServedImage
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry

__all__ = ["RunningImage", "ask_loopback", "keep_running"]

_POLL = 0.2
_BRIEF = 5.0
"""Seconds for one answer while it is waited for."""
_LONGEST = 16 * 2**20
"""Bytes of one answer that are read."""
_BROKEN = 500
"""From this status on, a service is not ready, or a proxy answers in its place."""


@dataclass(frozen=True, kw_only=True)
class RunningImage:
    """A built image that runs, and answers on its port."""

    name: str
    ref: ImageRef
    port: int
    ask: Callable[[str, float], HttpAnswer]
    """What ``get`` calls."""

    def get(self, path: str = "/", *, timeout: float = 10.0) -> HttpAnswer:
        """Send GET to the port, and return what came back. Safe in several threads.

        A redirect is an answer, and followed nowhere.

        :param path: begins with ``/``; a query may follow.
        :param timeout: in seconds.
        :raises UsageError: the path begins otherwise.
        """
        _require_path(path)
        return self.ask(path, timeout)


@contextmanager
def keep_running(
    runner: ImageRunner,
    registry: Registry,
    name: str,
    ref: ImageRef,
    *,
    variables: Mapping[str, str],
    port: int,
    ready: str,
    timeout: float,
    limit: float,
    run: str,
) -> Iterator[RunningImage]:
    """Run an image until the block ends; it begins when the image answers.

    :param variables: its environment variables.
    :param ready: path that must be answered below 500 first.
    :param timeout: seconds for that, once the process has started.
    :param limit: seconds that it may run where nobody is left to remove it.
    :param run: the run's id, for labels.
    :raises UsageError: ``ready`` is no path.
    :raises ValidationError: it does not start, or does not answer; the message ends with its log.
    :raises PlatformError: what runs images here can't keep one running.
    """
    _require_path(ready)
    if not isinstance(runner, ImageServer):
        raise PlatformError(f"{type(runner).__name__} can't keep {name} running: it only checks.")
    task = _task(runner, registry, name, ref, ValidateConfig(env=dict(variables)), limit, run)
    with runner.serve(task, port, threading.Event()) as served:
        _await(served, name, port, ready, timeout)
        yield RunningImage(name=name, ref=ref, port=port, ask=served.ask)


def ask_loopback(address: str, timeout: float) -> HttpAnswer:
    """Send GET to this machine itself, past any proxy, and return what came back.

    A redirect is followed nowhere: we reach more than an image does.

    :param timeout: seconds for all of it: an image may send its answer byte by byte.
    """
    from http.client import HTTPConnection, HTTPException

    place, _, path = address.removeprefix("http://").partition("/")
    connection = HTTPConnection(place, timeout=timeout)
    late = threading.Event()
    try:
        connection.connect()
        with _ended_after(timeout, connection.sock, late):
            connection.request("GET", f"/{path}", headers={"Connection": "close"})
            response = connection.getresponse()
            answer = HttpAnswer(response.status, _text(response))
    except (OSError, HTTPException) as error:
        answer = HttpAnswer(0, str(error) or type(error).__name__)
    finally:
        connection.close()
    return HttpAnswer(0, f"no whole answer in {timeout:g} s") if late.is_set() else answer


@contextmanager
def _ended_after(
    seconds: float, connection: socket.socket, late: threading.Event
) -> Iterator[None]:
    """End a connection when its time is up; a socket's own limit begins anew with each byte."""

    def end() -> None:
        late.set()
        with suppress(OSError):  # it has ended already
            connection.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _text(response: HTTPResponse) -> str:
    """Read to a limit: it is whatever the image sends.

    In pieces: a chunk of one byte, kept as an object, takes fifty times its size.
    """
    content = bytearray()
    while len(content) < _LONGEST and (piece := response.read1(_LONGEST - len(content))):
        content += piece
    return content.decode("utf-8", "replace")


def _require_path(path: str) -> None:
    """Refuse what would be read as another port or host, behind an address."""
    if not path.startswith("/"):
        raise UsageError(f"{path!r} is no path that an image can be asked for: it begins with '/'.")


def _task(
    runner: ImageRunner,
    registry: Registry,
    name: str,
    ref: ImageRef,
    config: ValidateConfig,
    limit: float,
    run: str,
) -> CheckTask:
    images = configurations(registry, name, ref)
    platform = choose_platform(tuple(images), runner.platforms())
    if platform is None:
        raise ValidationError(
            f"{name} can't be run here: it is for {', '.join(images)}, and what would run it is "
            f"{', '.join(runner.platforms())}."
        )
    image = images[platform] if platform else next(iter(images.values()))
    check = plan_check(name, config, image)
    if check.kind == "nothing":
        raise ValidationError(f"{name} has neither ENTRYPOINT nor CMD: there is nothing to run.")
    # No probe: whether it is ready, its port says.
    check = replace(check, kind="start", probe=(), timeout=limit)
    return CheckTask(image=name, ref=ref, platform=platform, check=check, run=run)


def _await(served: ServedImage, name: str, port: int, ready: str, timeout: float) -> None:
    """Wait for an answer that is not the failure of a service or of a proxy before it."""
    deadline = time.monotonic() + timeout
    while True:
        answer = served.ask(ready, _BRIEF)
        if 0 < answer.status < _BROKEN:
            return
        outcome = served.ended()
        if outcome is not None:
            raise ValidationError(f"{name} {_end(outcome)}{shown_log(outcome)}")
        if time.monotonic() > deadline:
            last = answer.text.strip()[:300] if not answer.status else f"HTTP {answer.status}"
            raise ValidationError(
                f"{name} runs, and port {port} does not answer GET {ready} within {timeout:g} s: "
                f"{last}."
            )
        time.sleep(_POLL)


def _end(outcome: CheckOutcome) -> str:
    if not outcome.started:
        return f"can't be started: {outcome.refusal}."
    return f"{how_it_ended(outcome)} before it answered."
