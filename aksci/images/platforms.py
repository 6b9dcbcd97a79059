"""Platforms that images are built for: ``os/arch[/variant]``, by the names that Go has for them."""

from __future__ import annotations

__all__ = ["platform_args", "this_platform"]

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


def this_platform() -> str:
    """Return the Linux platform of this machine's processor, such as ``linux/amd64``."""
    import platform

    machine = platform.machine().lower()
    return f"linux/{_GO_NAMES.get(machine, machine)}"


def platform_args(*, build: str, target: str) -> dict[str, str]:
    """Return the platform ARGs (Dockerfile reference: "Automatic platform ARGs").

    :param build: the builder's platform.
    :param target: the platform of the image.
    """
    values: dict[str, str] = {}
    for prefix, platform in (("BUILD", build), ("TARGET", target)):
        system, _, rest = platform.partition("/")
        machine, _, variant = rest.partition("/")
        values |= {
            f"{prefix}PLATFORM": platform,
            f"{prefix}OS": system,
            f"{prefix}ARCH": machine,
            f"{prefix}VARIANT": variant,
        }
    return values
