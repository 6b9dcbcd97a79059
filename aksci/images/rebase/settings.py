"""Image configurations, in the form that BuildKit brings a base's into.

OCI image specification 1.1, "Image Configuration"; Docker image specification v1.3 for Healthcheck,
OnBuild and Shell. BuildKit reads a base's configuration into these fields, drops others, and writes
no empty ones (``frontend/dockerfile/dockerfile2llb`` and ``exporter/containerimage/writer.go``).
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aksci.images.rebase.texts import DamagedError, strict_json
from aksci.oci.answers import is_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DEFAULT_SHELL", "SETTINGS", "Settings", "env_names", "env_of", "read_settings"]

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_SHELL = ["/bin/sh", "-c"]
_TEXT, _LIST, _SET, _MAP, _BOOL = "text", "list", "set", "map", "bool"
_NUMBER, _HEALTH = "number", "health"
SETTINGS = {
    "User": _TEXT,
    "ExposedPorts": _SET,
    "Env": _LIST,
    "Entrypoint": _LIST,
    "Cmd": _LIST,
    "Volumes": _SET,
    "WorkingDir": _TEXT,
    "Labels": _MAP,
    "StopSignal": _TEXT,
    "ArgsEscaped": _BOOL,
    "Healthcheck": _HEALTH,
    "OnBuild": _LIST,
    "Shell": _LIST,
}
"""The fields of ``config`` in the order in which BuildKit writes them."""
_HEALTH_FIELDS = {
    "Test": _LIST,
    "Interval": _NUMBER,
    "Timeout": _NUMBER,
    "StartPeriod": _NUMBER,
    "StartInterval": _NUMBER,
    "Retries": _NUMBER,
}
_PLATFORM = {
    "architecture": _TEXT,
    "os": _TEXT,
    "os.version": _TEXT,
    "os.features": _LIST,
    "variant": _TEXT,
}
_HISTORY = {
    "created": _TEXT,
    "created_by": _TEXT,
    "author": _TEXT,
    "comment": _TEXT,
    "empty_layer": _BOOL,
}
_TOP = frozenset({*_PLATFORM, "author", "config", "created", "history", "rootfs"})
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One platform's configuration."""

    platform: Mapping[str, Any]
    """``architecture``, ``os`` and what else it says of itself."""
    author: str
    config: Mapping[str, Any]
    """What is not empty of ``SETTINGS``, in that order; PATH is always set."""
    history: tuple[Mapping[str, Any], ...]
    diff_ids: tuple[str, ...]
    unknown: tuple[str, ...] = field(default=())
    """Keys that BuildKit does not write; of a base it drops them."""

    @property
    def layers_told(self) -> int:
        """How many layers its history tells of."""
        return sum(not one.get("empty_layer") for one in self.history)


def read_settings(content: bytes) -> Settings:
    """Read a configuration.

    :raises DamagedError: it is no image's, or BuildKit might read it in another way.
    """
    found = strict_json(content)
    unknown = _unknown(found, _TOP, "")
    config = _object(found.get("config"), "config")
    unknown += _unknown(config, SETTINGS.keys(), "config.")
    history = found.get("history")
    rootfs = _object(found.get("rootfs"), "rootfs")
    diff_ids = rootfs.get("diff_ids") or []
    if not isinstance(diff_ids, list) or not all(
        isinstance(one, str) and is_digest(one) for one in diff_ids
    ):
        raise DamagedError("its diff_ids are no digests")
    if not isinstance(history, list | None):
        raise DamagedError("its history is no list")
    return Settings(
        platform=_fields(found, _PLATFORM, ""),
        author=_fields(found, {"author": _TEXT}, "").get("author", ""),
        config=_config(config),
        history=tuple(_entry(one) for one in history or ()),
        diff_ids=tuple(diff_ids),
        unknown=tuple(unknown),
    )


def env_names(config: Mapping[str, Any]) -> list[str]:
    """Return the names of all variables, in order."""
    return [one.partition("=")[0] for one in config.get("Env", ())]


def env_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Return all variables, in order."""
    pairs = (one.partition("=") for one in config.get("Env", ()))
    return {name: value for name, _, value in pairs}


def _object(value: object, name: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DamagedError(f"its {name} is no object")
    return value


def _unknown(found: Mapping[str, Any], known: Any, prefix: str) -> list[str]:
    """Return keys that are not known. Go would read one in other letters as the known one."""
    lower = {one.lower() for one in known}
    unknown = sorted(set(found) - set(known))
    for key in unknown:
        if key.lower() in lower or not key.isascii():
            raise DamagedError(f"it spells a key as {prefix}{key}"[:200])
    return [f"{prefix}{key}" for key in unknown]


def _config(found: Mapping[str, Any]) -> dict[str, Any]:
    config = _fields(found, SETTINGS, "config.")
    env = config.get("Env", [])
    names = [one.partition("=")[0] for one in env]
    if len(set(names)) != len(names) or not all("=" in one and one[0] != "=" for one in env):
        raise DamagedError("its Env names a variable twice, or none")
    folder = config.get("WorkingDir", "/")
    if folder != posixpath.normpath("/" + folder.lstrip("/")):
        raise DamagedError(f"its WorkingDir is {folder!r}"[:200])
    if "PATH" not in names:
        config["Env"] = [*env, _PATH]
    return {key: config[key] for key in SETTINGS if key in config}


def _entry(value: object) -> dict[str, Any]:
    entry = _fields(_object(value, "history"), _HISTORY, "history.")
    if not _TIME.fullmatch(entry.get("created", "1970-01-01T00:00:00Z")):
        raise DamagedError("its history holds a time that is none")
    return entry


def _fields(found: Mapping[str, Any], kinds: Mapping[str, str], prefix: str) -> dict[str, Any]:
    """Return the fields that are not empty."""
    kept = {}
    for key, kind in kinds.items():
        value = found.get(key)
        if value is None:
            continue
        if not _is(value, kind):
            raise DamagedError(f"its {prefix}{key} is of the wrong type")
        if kind == _HEALTH:
            kept[key] = _fields(value, _HEALTH_FIELDS, f"{prefix}{key}.")
        elif kind == _SET:
            kept[key] = {one: {} for one in sorted(value)}
        elif kind == _MAP:
            kept[key] = dict(sorted(value.items()))
        else:
            kept[key] = value
        if not kept[key] and kind != _HEALTH:
            del kept[key]
    return kept


def _is(value: object, kind: str) -> bool:
    if kind == _NUMBER:
        return type(value) is int and 0 <= value < 1 << 63
    if kind == _LIST:
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    if kind in {_TEXT, _BOOL}:
        return isinstance(value, str if kind == _TEXT else bool)
    if not isinstance(value, dict):
        return False
    if kind == _HEALTH:
        return value.keys() <= _HEALTH_FIELDS.keys()
    return all(isinstance(one, str if kind == _MAP else dict) for one in value.values())
