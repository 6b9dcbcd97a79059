"""What ``pins.toml`` says about each tool, as frozen values."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aksci.tools.tool_versions import matches

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SOURCES", "Denial", "Edit", "GoSource", "Pin", "ReleaseFile", "load_pins"]

SOURCES = Path(__file__).parent / "sources"
_RECIPE = 1  # raise it when the way of building changes what comes out
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Edit:
    """A change to one file of a module, made for the build alone."""

    file: str
    """``<module path>/<path inside the module>``."""
    find: str
    """A text that is there exactly once."""
    replace: str


@dataclass(frozen=True, kw_only=True)
class GoSource:
    """How a tool is built from Go modules."""

    modules: Mapping[str, str] = field(default_factory=dict)
    """Exact version by module path. Their replace, exclude and godebug directives are copied."""
    package: str = "."
    """The package to build; ``.`` is our own source."""
    source: str | None = None
    """Our own main package: a folder of ``aksci/tools/sources``."""
    staging: str | None = None
    """The version that stands for a replacement by a folder inside the module (Kubernetes)."""
    set: Mapping[str, str] = field(default_factory=dict)
    """String variables that the linker sets (``-X``)."""
    environment: Mapping[str, str] = field(default_factory=dict)
    edits: tuple[Edit, ...] = ()
    """Mended before it is compiled, where a module no longer works with today's Go."""


@dataclass(frozen=True, kw_only=True)
class ReleaseFile:
    """A file that the publisher released for one platform."""

    url: str
    sha256: str
    member: str | None = None
    """The path of the binary inside, where the file is an archive."""


@dataclass(frozen=True, kw_only=True)
class Denial:
    """Versions that are never used, wherever they are found."""

    range: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Pin:
    """One tool."""

    name: str
    version: str
    purpose: str = ""
    names: tuple[str, ...] = ()
    """What the tool may be called on PATH."""
    probe: tuple[str, ...] = ()
    """Arguments that make it print its version."""
    pattern: str = ""
    """Finds the version (group 1) in what the probe prints; ``^`` is a line's start."""
    accept: str | None = None
    """The versions that suit when found on PATH; without it PATH is never asked."""
    deny: tuple[Denial, ...] = ()
    go: GoSource | None = None
    release: Mapping[str, ReleaseFile] = field(default_factory=dict)
    """By platform, ``linux/amd64``."""

    def denial(self, version: str) -> Denial | None:
        """Return why a version is never used, or None."""
        return next((deny for deny in self.deny if matches(version, deny.range)), None)

    def parse_version(self, text: str) -> str | None:
        """Find the version in what the tool printed, without a leading ``v``."""
        match = re.search(self.pattern, text, re.MULTILINE)
        return match[1].removeprefix("v") if match else None

    def recipe(self, platform: str, sources: Path = SOURCES) -> str:
        """Return 12 hex digits that change with everything that decides what the binary is."""
        digest = hashlib.sha256()
        release = self.release.get(platform)
        content = {
            "recipe": _RECIPE,
            "platform": platform,
            "version": self.version,
            "go": _described(self.go) if self.go and not release else None,
            "release": asdict(release) if release else None,
        }
        digest.update(json.dumps(content, sort_keys=True).encode())
        # Our own source is no pinned version: its files say whether it is another program.
        if self.go and self.go.source and not release:
            for path in sorted((sources / self.go.source).iterdir()):
                # Zero bytes between: the end of one file must not be the begin of the next.
                digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
        return digest.hexdigest()[:12]


def load_pins(path: Path = Path(__file__).parent / "pins.toml") -> Mapping[str, Pin]:
    """Read the pin file.

    :raises ValueError: a pin is wrong. The file is our own: no user can mend it.
    """
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    return {name: _pin(name, table) for name, table in tables.items()}


def _described(source: GoSource) -> dict[str, Any]:
    """Return what is built from; a source without edits is described as before there were any."""
    described = asdict(source)
    # An empty list in the hash would build all tools of today's caches again.
    if not source.edits:
        del described["edits"]
    return described


def _go(values: Mapping[str, Any]) -> GoSource:
    edits = tuple(Edit(**edit) for edit in values.get("edits", ()))
    return GoSource(**{**values, "edits": edits})


def _pin(name: str, table: Mapping[str, Any]) -> Pin:
    values = _filled(table, table["version"])
    try:
        pin = Pin(
            **{
                **values,
                "name": name,
                "names": tuple(values.get("names", [name])),
                "probe": tuple(values.get("probe", ())),
                "deny": tuple(Denial(**deny) for deny in values.get("deny", ())),
                "go": _go(values["go"]) if "go" in values else None,
                "release": {
                    platform: ReleaseFile(**release)
                    for platform, release in values.get("release", {}).items()
                },
            }
        )
    except TypeError as error:
        # What a dataclass says of a key that it does not know.
        raise ValueError(f"pins.toml: {name}: {error}") from None
    _check(pin)
    return pin


def _filled(value: Any, version: str) -> Any:
    """Put the version where ``{version}`` stands, at any depth."""
    if isinstance(value, str):
        return value.replace("{version}", version)
    if isinstance(value, dict):
        return {key: _filled(item, version) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, version) for item in value]
    return value


def _check(pin: Pin) -> None:
    # A denied version was compromised: a pin must not bring it back by a slip.
    if pin.denial(pin.version):
        raise ValueError(f"pins.toml: {pin.name}: {pin.version} is denied by its own pin")
    if not pin.go and not pin.release:
        raise ValueError(f"pins.toml: {pin.name}: neither a Go module nor a release")
    if pin.accept and not matches(pin.version, pin.accept):
        raise ValueError(f"pins.toml: {pin.name}: {pin.version} is outside {pin.accept}")
    modules = pin.go.modules if pin.go else {}
    for edit in pin.go.edits if pin.go else ():
        if not any(edit.file.startswith(f"{path}/") for path in modules):
            raise ValueError(f"pins.toml: {pin.name}: {edit.file} is in none of its modules")
    for platform, release in pin.release.items():
        if not _SHA256.fullmatch(release.sha256):
            raise ValueError(f"pins.toml: {pin.name}: {platform}: sha256 is not 64 hex digits")
