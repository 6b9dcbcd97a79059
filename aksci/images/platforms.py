"""Platforms that images are built for: ``os/arch[/variant]``, by the names that Go has for them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError
from aksci.core.spelling import did_you_mean
from aksci.core.text import short_line

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["is_served", "normalise_platform", "parse_platforms", "platform_args", "this_platform"]

_GO_NAMES = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "aarch64": "arm64",
    "arm64": "arm64",
    "armv7l": "arm/v7",
    "armv6l": "arm/v6",
    "i386": "386",
    "i686": "386",
}
_ALIASES = {
    "x86-64": "amd64",
    "armhf": "arm/v7",
    "armel": "arm/v6",
    "arm": "arm/v7",
    "amd64/v1": "amd64",
    "arm64/v8": "arm64",
    "aarch64/v8": "arm64",
}
_SYSTEMS = {"macos": "darwin"}
# Those of Go (``go tool dist list``) that images are made for.
_KNOWN_SYSTEMS = frozenset({"darwin", "freebsd", "linux", "netbsd", "openbsd", "wasip1", "windows"})
_KNOWN_MACHINES = frozenset(
    {*("386", "amd64", "arm", "arm64", "loong64", "mips", "mipsle", "mips64", "mips64le")}
    | {*("ppc64", "ppc64le", "riscv64", "s390x", "wasm")}
)
_LOCAL = "local"


def this_platform() -> str:
    """Return the Linux platform of this machine's processor, such as ``linux/amd64``."""
    import platform

    machine = platform.machine().lower()
    return f"linux/{_GO_NAMES.get(machine, machine)}"


@lru_cache(maxsize=64)
def normalise_platform(platform: str) -> str:
    """Return a platform as BuildKit tells it to a Dockerfile, such as ``linux/arm64``.

    containerd's ``platforms`` package, as BuildKit 0.34 was seen to apply it: what goes without
    saying (``v8`` of arm64) is left out, what does not (``v7`` of arm) is added.
    """
    system, _, rest = platform.lower().partition("/")
    machine, _, variant = rest.partition("/")
    if variant.isdecimal():
        variant = f"v{variant}"
    machine = f"{machine}/{variant}" if variant else machine
    machine = _ALIASES.get(machine) or _GO_NAMES.get(machine, machine)
    return "/".join(part for part in (_SYSTEMS.get(system, system), machine) if part)


def parse_platforms(written: Iterable[str], where: str, *, builder: str) -> tuple[str, ...]:
    """Return platforms in one form, each once, whatever file they were written in.

    As buildx takes them: one text may name several, between commas; ``local``, or a system alone,
    has the builder's architecture; an architecture alone is Linux's.

    :param where: what messages call the place.
    :param builder: the builder's platform.
    :raises ConfigError: BuildKit has no such platform.
    """
    each = [word.strip() for text in written for word in text.split(",")]
    return tuple(dict.fromkeys(_parse(word, where, builder) for word in each))


def _parse(word: str, where: str, builder: str) -> str:
    if word.lower() == _LOCAL:
        return normalise_platform(builder)
    first, _, rest = word.lower().partition("/")
    system = _SYSTEMS.get(first, first)
    if not rest and system in _KNOWN_SYSTEMS:
        rest = builder.partition("/")[2]
    elif not rest:
        system, rest = "linux", first
    platform = normalise_platform(f"{system}/{rest}")
    parts = platform.split("/")
    if system not in _KNOWN_SYSTEMS:
        raise _unknown(word, where, system, _KNOWN_SYSTEMS)
    if len(parts) not in (2, 3) or not all(parts) or parts[1] not in _KNOWN_MACHINES:
        raise _unknown(word, where, parts[1] if len(parts) > 1 else "", _KNOWN_MACHINES)
    return platform


def _unknown(word: str, where: str, part: str, known: Iterable[str]) -> ConfigError:
    return ConfigError(
        f"{where}: {short_line(repr(word))} is no platform.{did_you_mean(part, known)}",
        hint="a platform is os/architecture, such as linux/amd64 or linux/arm64.",
    )


def is_served(wanted: str, built: Iterable[str]) -> bool:
    """Tell whether one of some platforms will do where another one is asked for.

    As containerd's ``platforms.Only``, by which BuildKit takes an image from an index: an earlier
    variant of the same machine, and what that machine runs as well (386 on amd64, arm on arm64).

    :param wanted: in one form, as ``normalise_platform`` gives it; so are ``built``.
    """
    return not _serving(wanted).isdisjoint(built)


@lru_cache(maxsize=64)
def _serving(platform: str) -> frozenset[str]:
    system, _, rest = platform.partition("/")
    machine, _, variant = rest.partition("/")
    level = int(variant[1:]) if variant[1:].isdecimal() else 0
    also: list[str] = []
    if machine == "amd64":
        also = [f"amd64/v{each}" for each in range(2, level)] + ["amd64", "386"]
    elif machine == "arm64":
        also = [f"arm64/v{each}" for each in range(9, level)]
        also += ["arm64", "arm/v8", "arm/v7", "arm/v6", "arm/v5"]
    elif machine == "arm":
        also = [f"arm/v{each}" for each in range(5, level)]
    return frozenset({platform, *(f"{system}/{one}" for one in also)})


def platform_args(*, build: str, target: str) -> dict[str, str]:
    """Return the platform ARGs (Dockerfile reference: "Automatic platform ARGs").

    :param build: the builder's platform.
    :param target: the platform of the image.
    """
    values: dict[str, str] = {}
    for prefix, platform in (("BUILD", build), ("TARGET", target)):
        normal = normalise_platform(platform)
        system, _, rest = normal.partition("/")
        machine, _, variant = rest.partition("/")
        values |= {
            f"{prefix}PLATFORM": normal,
            f"{prefix}OS": system,
            f"{prefix}OSVERSION": "",
            f"{prefix}ARCH": machine,
            f"{prefix}VARIANT": variant,
        }
    return values
