"""buildx builders: declare one, make it, find it, ask it how it is.

What buildx does with a driver's options, endpoints and configuration is told by Docker's manual
("Build drivers") and, where that is silent, by buildx's own sources.
"""

from __future__ import annotations

import hashlib
import json
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import urlsplit

from aksci.core.errors import EngineError, ProcessError, ProcessTimeout
from aksci.core.strict_json import MALFORMED, parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from aksci.core.process import Runner

__all__ = [
    "BuilderSpec",
    "BuilderStore",
    "Driver",
    "boot_argv",
    "create_argv",
    "csv_field",
    "own_name",
]

Driver = Literal["docker", "docker-container", "kubernetes", "remote"]

_PROBE = 3.0  # seconds for one connection
_LIST = 5  # seconds that buildx may ask each builder how it is
_SOON = 10.0  # seconds; no pod that does not start is told as quickly
_BOOT = 900.0  # seconds; the kubernetes driver has a time-out of its own, 120 s unless set


@dataclass(frozen=True, kw_only=True)
class BuilderSpec:
    """One buildx builder, declared."""

    name: str
    driver: Driver
    ours: bool = True
    """Made by us and kept in our folder; else it is the user's, and only used."""
    node: str | None = None
    """The node's name, after which the container or the Deployment is named."""
    endpoint: str | None = None
    """Where a running BuildKit answers, such as ``unix:///…``; driver ``remote`` only."""
    options: Mapping[str, str] = field(default_factory=dict)
    """``--driver-opt``."""
    config: Path | None = None
    """A buildkitd.toml, read when the builder is made."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added for each call of buildx, such as KUBECONFIG."""

    @property
    def boots(self) -> bool:
        """Tell whether buildx starts the BuildKit itself."""
        return self.driver in ("docker-container", "kubernetes")


def own_name(label: str, content: Mapping[str, Any]) -> str:
    """Name a builder of ours after all that decides what it is.

    Another configuration is another builder: nobody changes one that a parallel run works with. At
    most 53 characters of letters, digits and ``-``: it becomes a Deployment's name, and its pods'.

    :param label: for people: the environment's name.
    """
    text = json.dumps(content, sort_keys=True)
    return f"aksci-{label[:34].rstrip('-')}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def create_argv(buildx: Path, spec: BuilderSpec) -> list[str]:
    """Return the command line that makes a builder. It starts nothing yet."""
    argv = [str(buildx), "create", "--name", spec.name, "--driver", spec.driver]
    if spec.node:
        argv += ["--node", spec.node]
    for name, value in sorted(spec.options.items()):
        argv += ["--driver-opt", csv_field(f"{name}={value}")]
    if spec.config:
        argv += ["--buildkitd-config", str(spec.config)]
    return [*argv, spec.endpoint] if spec.endpoint else argv


def boot_argv(buildx: Path, spec: BuilderSpec) -> list[str]:
    """Return the command line that starts a builder's BuildKit and waits until it answers."""
    return [str(buildx), "inspect", "--bootstrap", spec.name]


@dataclass(frozen=True, kw_only=True)
class BuilderStore:
    """buildx, and the folder (BUILDX_CONFIG) where builders of ours are kept."""

    buildx: Path
    """The program, or the CLI plugin: it works alone, too."""
    runner: Runner
    folder: Path
    hint: str | None = None
    """What to do when an engine can't be reached."""

    def environment(self, spec: BuilderSpec) -> dict[str, str]:
        """Return the variables that each call of buildx for this builder needs."""
        place = {"BUILDX_CONFIG": str(self.folder)} if spec.ours else {}
        return {**place, **spec.environment}

    def ensure(self, spec: BuilderSpec) -> None:
        """Make sure that a builder is there and can be used.

        A lock keeps parallel runs apart: two that start a Deployment at once would fail.

        :raises EngineError: it can't be reached, made or started.
        """
        if not spec.ours:
            return
        from filelock import FileLock

        if spec.endpoint and (why := connection_error(spec.endpoint)):
            raise EngineError(
                f"BuildKit does not answer at {spec.endpoint}: {why}.", hint=self.hint
            )
        # Kubeconfigs with credentials lie here, too.
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(self.folder / f"{spec.name}.lock"):
            if not self._is_made(spec):
                self._create(spec)
            if spec.boots:
                self._boot(spec)
            elif spec.endpoint and urlsplit(spec.endpoint).scheme not in _DIALLED:
                self._require_running(spec)

    def find(self, name: str) -> BuilderSpec:
        """Return a builder of the user's as it is.

        :raises EngineError: there is none of that name, or it can't be used.
        """
        record = self._listed({}).get(name)
        if record is None:
            raise EngineError(
                f"There is no buildx builder {name!r}.",
                hint="docker buildx ls lists those that there are; docker buildx create makes one.",
            )
        driver: Any = record.get("Driver")
        why = trouble(record)
        if why is None and driver not in get_args(Driver):
            why = f"its driver {driver!r} is unknown here"
        if why:
            raise EngineError(
                f"The buildx builder {name!r} can't be used: {why}.",
                hint=self.hint or f"docker buildx inspect --bootstrap {name}",
            )
        return BuilderSpec(name=name, driver=driver, ours=False)

    def lost(self, spec: BuilderSpec) -> str | None:
        """Say why a running BuildKit no longer answers; None when it does, or nobody can tell."""
        if spec.endpoint is None:
            return None
        if urlsplit(spec.endpoint).scheme in _DIALLED:
            return connection_error(spec.endpoint)
        return trouble(self._listed(self.environment(spec)).get(spec.name, {}))

    def _is_made(self, spec: BuilderSpec) -> bool:
        """Tell whether a run before has made it: from buildx's own record, which asks nobody."""
        try:
            path = self.folder / "instances" / spec.name
            record = parse_json(path.read_bytes())
            there = str(record["Nodes"][0]["Endpoint"])
            return record["Driver"] == spec.driver and there == (spec.endpoint or there)
        except (OSError, *MALFORMED):
            return False

    def _create(self, spec: BuilderSpec) -> None:
        # What a killed run has left half made stands in its way. Its BuildKit stays: other machines
        # may work with it.
        remove = [str(self.buildx), "rm", "--keep-daemon", "--force", spec.name]
        self.runner.run(remove, env=self.environment(spec), check=False, quiet=True)
        self._call(create_argv(self.buildx, spec), spec, "make")

    def _boot(self, spec: BuilderSpec) -> None:
        """Start a builder's BuildKit, unless it runs.

        To buildx it is an error when another machine makes the same Deployment at the same moment;
        the next time it is there.
        """
        argv, what = boot_argv(self.buildx, spec), "start the BuildKit of"
        began = time.monotonic()
        try:
            self._call(argv, spec, what)
        except EngineError:
            if spec.driver != "kubernetes" or time.monotonic() - began > _SOON:
                raise
            self._call(argv, spec, what)

    def _call(self, argv: list[str], spec: BuilderSpec, what: str) -> None:
        try:
            self.runner.run(argv, env=self.environment(spec), timeout=_BOOT)
        except (ProcessError, ProcessTimeout) as error:
            where = f" at {spec.endpoint}" if spec.endpoint else ""
            raise EngineError(
                f"buildx can't {what} the {spec.driver} builder {spec.name}{where}: "
                f"{error.message}",
                hint=self.hint,
            ) from None

    def _require_running(self, spec: BuilderSpec) -> None:
        why = self.lost(spec)
        if why:
            raise EngineError(
                f"BuildKit does not answer at {spec.endpoint}: {why}.", hint=self.hint
            )

    def _listed(self, environment: Mapping[str, str]) -> dict[str, dict[str, Any]]:
        """Ask buildx which builders there are, and how they are; by name."""
        argv = [str(self.buildx), "ls", "--format", "json", "--timeout", f"{_LIST}s"]
        try:
            answer = self.runner.run(argv, env=environment, timeout=10.0 * _LIST, quiet=True)
        except ProcessError as error:
            raise EngineError(f"buildx can't tell its builders: {error.message}") from None
        try:
            records = [parse_json(line) for line in answer.stdout.split("\n") if line.strip()]
            return {record["Name"]: record for record in records}
        except MALFORMED as error:
            raise EngineError(f"buildx does not tell its builders as JSON ({error!r}).") from None


_DIALLED = ("tcp", "unix")
"""Schemes of endpoints that are connected to here; buildx reaches the others through programs."""


def connection_error(endpoint: str) -> str | None:
    """Say why nobody accepts connections at ``unix:///…`` or ``tcp://…``; None when one does.

    buildx would wait for half a minute for a BuildKit that does not run.
    """
    parts = urlsplit(endpoint)
    try:
        if parts.scheme == "unix":
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                probe.settimeout(_PROBE)
                probe.connect(endpoint.removeprefix("unix://"))
        elif parts.scheme == "tcp":
            if parts.hostname is None or parts.port is None:
                return "its address needs a host and a port"
            socket.create_connection((parts.hostname, parts.port), timeout=_PROBE).close()
    except ValueError as error:
        return str(error)
    except OSError as error:
        return error.strerror or str(error) or type(error).__name__
    return None


def trouble(record: Mapping[str, Any]) -> str | None:
    """Say why a builder that ``buildx ls`` lists can't be used, or None.

    One whose BuildKit buildx starts itself may well not run yet; a remote one must.
    """
    nodes = record.get("Nodes") or []
    errors = [record.get("Err"), *(node.get("Err") for node in nodes)]
    why = next((str(error) for error in errors if error), None)
    if why or record.get("Driver") != "remote":
        return why
    down = [str(node.get("Endpoint")) for node in nodes if node.get("Status") != "running"]
    return f"nobody answers at {', '.join(down)}" if down and len(down) == len(nodes) else None


def csv_field(text: str) -> str:
    """Quote one field of a comma-separated value where it must be (RFC 4180)."""
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\n') else text
