"""Which bases ACR Tasks sees in a Dockerfile.

It does not ask Docker: before a build, its runner (github.com/Azure/acr-builder, "scan") reads the
file line by line. What that refuses does not build; what it does not see is never followed. So
this is no second parser of ours: where it differs from BuildKit, it has to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError
from aksci.oci.references import parse_reference

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ScanError", "SeenBases", "scan_bases"]

_VARIABLE = re.compile(r"\$(?:\{([^}]*)\}|([A-Za-z0-9_]+))")
_BARE = re.compile(r"\$([A-Za-z0-9_]+)")
_NAMED = 4  # words of FROM image AS name


class ScanError(Exception):
    """ACR Tasks would refuse the Dockerfile. The message is a clause that says why."""


@dataclass(frozen=True, kw_only=True)
class SeenBases:
    """The images that ACR Tasks sees, in full."""

    runtime: str
    """What the final stage is based on; ``scratch`` is an image to it."""
    others: tuple[str, ...]
    """What other stages are based on, whether they are needed or not."""


def scan_bases(text: str, args: Mapping[str, str], target: str | None) -> SeenBases:
    """Find bases as ACR Tasks does: only FROM counts, variables are ``$X`` or ``${X}``.

    :raises ScanError: it would refuse the Dockerfile.
    """
    values = dict(args)
    origins: dict[str, str] = {}  # stage -> the image that it is based on
    images: dict[str, None] = {}
    runtime = ""
    # By lines: it knows no continuations and no heredocs.
    for line in text.removeprefix("\ufeff").split("\n"):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        keyword = words[0].upper()
        if keyword == "ARG":
            _declare(words, values)
        if keyword != "FROM":
            continue
        written = _from(words)
        # An unknown variable is nothing, and no error.
        image = _filled(written, values)
        if image not in origins:
            images[_full(image, written)] = None
        runtime = origins.get(image) or _full(image, written)
        if len(words) >= _NAMED:
            origins[words[3]] = runtime
            # It reads no further than the target.
            if target == words[3]:
                break
    if not runtime:
        raise ScanError("it finds no FROM")
    return SeenBases(runtime=runtime, others=tuple(sorted(images.keys() - {runtime})))


def _declare(words: list[str], values: dict[str, str]) -> None:
    """Read ARG: its first name only, and the first value holds."""
    if len(words) > 1 and "=" in words[1]:
        name, _, value = words[1].partition("=")
        # Build arguments came first, so they win over what the Dockerfile says.
        values.setdefault(name, _unquoted(value))


def _filled(text: str, values: Mapping[str, str]) -> str:
    # Behind the last brace none ends, and each ``${`` would look for one in all the rest.
    end = text.rfind("}") + 1
    closed = _VARIABLE.sub(lambda one: values.get(one[1] or one[2] or "", ""), text[:end])
    return closed + _BARE.sub(lambda one: values.get(one[1], ""), text[end:])


def _from(words: list[str]) -> str:
    """Return the image that FROM names, as it is written."""
    line = " ".join(words)
    if len(words) == 1 or words[1].startswith("--"):
        raise ScanError(f"it knows no options of FROM ({line})")
    if len(words) > 2 and (len(words) < _NAMED or words[2].lower() != "as"):  # noqa: PLR2004 - FROM x
        raise ScanError(f"it can't read {line}")
    return _unquoted(words[1])


def _full(image: str, written: str) -> str:
    if image == "scratch":
        return image
    try:
        return str(parse_reference(image))
    except ConfigError:
        raise ScanError(
            f"it reads FROM {written} as {image or 'nothing'}: it knows $X and ${{X}}, and of ARG "
            "the first name of a line"
        ) from None


def _unquoted(text: str) -> str:
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if quoted else text
