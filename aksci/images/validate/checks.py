"""What must be true of an image: from its own configuration and aksci.toml, as a value."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from aksci.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.config.models import ValidateConfig

__all__ = ["Check", "Kind", "plan_check", "spec_hash"]

Kind = Literal["command", "health", "start", "nothing"]

_SCHEMA = 1
"""Raise it when the same configuration comes to mean another check: stored results then lapse."""
_SHELL = ("/bin/sh", "-c")
_PROBE_TIMEOUT = 30.0  # seconds: Docker's default for HEALTHCHECK
_NANO = 1e9


@dataclass(frozen=True, kw_only=True)
class Check:
    """One image's check."""

    kind: Kind
    """``command``: it must end with status 0. ``health``: the probe must pass while the image's own
    process runs. ``start``: that process must start. ``nothing``: there is nothing to run."""
    argv: tuple[str, ...] = ()
    """The process: the configured command, otherwise ENTRYPOINT and CMD."""
    probe: tuple[str, ...] = ()
    probe_timeout: float = _PROBE_TIMEOUT
    """For one attempt, in seconds."""
    env: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 60
    """For the whole check, in seconds, counted from the container's start."""
    unprivileged: bool = False
    """The image says by number that it does not run as root."""


def spec_hash(config: ValidateConfig) -> str:
    """Return what, beside the image's digest, decides about the result: 64 hexadecimal digits."""
    text = json.dumps([_SCHEMA, config.model_dump()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def plan_check(name: str, config: ValidateConfig, image: Mapping[str, Any]) -> Check:
    """Say how to check an image.

    Sources: OCI image specification, "Image Configuration"; its ``Healthcheck`` and ``Shell`` are
    those of the Docker Image Specification 1.2. A HEALTHCHECK's own interval, start period and
    retries are not used: we ask every second until it passes or our time is over.

    :param image: the image's configuration document.
    :raises ConfigError: ``health`` is configured, and the image has no process of its own.
    """
    runs = image.get("config")
    runs = runs if isinstance(runs, dict) else {}
    own = _words(runs.get("Entrypoint")) + _words(runs.get("Cmd"))
    common: dict[str, Any] = {
        "env": config.env,
        "timeout": float(config.timeout),
        "unprivileged": _is_unprivileged(runs.get("User")),
    }
    if config.command:
        return Check(kind="command", argv=config.command, **common)
    if not own:
        if config.health:
            raise ConfigError(
                f"images.{name}.validate.health: the image has neither ENTRYPOINT nor CMD, so "
                "nothing would run beside it.",
                hint="use 'command', or give the image an ENTRYPOINT.",
            )
        return Check(kind="nothing", **common)
    if config.health:
        return Check(kind="health", argv=own, probe=config.health, **common)
    healthcheck = runs.get("Healthcheck")
    probe = _probe(healthcheck, runs.get("Shell"))
    if not probe:
        return Check(kind="start", argv=own, **common)
    timeout = healthcheck.get("Timeout") if isinstance(healthcheck, dict) else None
    seconds = timeout / _NANO if isinstance(timeout, int) and timeout > 0 else _PROBE_TIMEOUT
    return Check(kind="health", argv=own, probe=probe, probe_timeout=seconds, **common)


def _probe(healthcheck: Any, shell: Any) -> tuple[str, ...]:
    """Return a HEALTHCHECK's argv; empty where there is none, or NONE."""
    test = _words(healthcheck.get("Test")) if isinstance(healthcheck, dict) else ()
    if test[:1] == ("CMD",):
        return test[1:]
    if test[:1] == ("CMD-SHELL",):
        return (_words(shell) or _SHELL) + test[1:]
    return ()


def _words(value: Any) -> tuple[str, ...]:
    return tuple(str(word) for word in value) if isinstance(value, list) else ()


def _is_unprivileged(user: Any) -> bool:
    """Tell whether USER is a number other than 0; a name's number is known only inside."""
    number = str(user or "").partition(":")[0]
    return number.isdecimal() and int(number) != 0
