"""Platforms that images are built for: ``os/arch[/variant]``, by the names that Go has for them."""

from __future__ import annotations

from functools import lru_cache

__all__ = ["normalise_platform", "platform_args", "this_platform"]

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
