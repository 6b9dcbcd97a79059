"""What a Dockerfile says about a rebase, as a value that is stored beside the image."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, fields
from typing import Any

from aksci.oci.artifact import canonical_json

__all__ = ["SEAL", "Blocker", "RebaseFacts", "facts_from"]

SEAL = "dev.aksci.rebase"
"""The annotation with ``RebaseFacts.seal``."""
_SCHEMA = 1
_CMD = frozenset({"base", "own", "none"})


@dataclass(frozen=True, kw_only=True)
class Blocker:
    """Something in the Dockerfile that a rebase can't stand in for."""

    condition: str
    """The name of the condition that it fails."""
    line: int
    """From 1; 0: it is no line's."""
    instruction: str
    why: str
    """A clause without a full stop."""


@dataclass(frozen=True, kw_only=True)
class RebaseFacts:
    """What the stages from the runtime base to the target make of that base.

    They count as one: a rebase puts all their layers and settings on another base.
    """

    blockers: tuple[Blocker, ...] = ()
    steps: tuple[str, ...] = ()
    """The instructions that make an entry of the image's history, in order: ``COPY``, ``ENV``…"""
    layers: int = 0
    """How many of them make a layer."""
    env: tuple[str, ...] = ()
    """Names that ENV sets, in the order of their first mention."""
    labels: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    """As in the configuration: ``8080/tcp``."""
    volumes: tuple[str, ...] = ()
    cmd: str = "base"
    """Whose CMD holds: ``base``, ``own``, or ``none``: an ENTRYPOINT has taken the base's away."""
    args_escaped: bool = False
    """A CMD stands there: BuildKit notes ``ArgsEscaped`` then."""
    owned: tuple[str, ...] = ()
    """Sorted: ``Entrypoint``, ``User``, ``StopSignal``, ``Healthcheck``, ``Shell``, ``author``."""
    base_variables: tuple[str, ...] = ()
    """Sorted: variables that the instructions use and don't set themselves before."""
    base_shell: bool = False
    """A CMD or ENTRYPOINT in shell form holds the base's SHELL."""
    relative: tuple[str, ...] = ()
    """Destinations of COPY that lie in the base's WORKDIR."""

    def document(self) -> dict[str, Any]:
        """Return the facts as JSON can hold them."""
        return {"schema": _SCHEMA, **asdict(self)}

    @property
    def seal(self) -> str:
        """Return a hash of the facts, for the image's own manifest; empty: something is in the way.

        What is stored beside an image could be anybody's. Its manifest is covered by its digest,
        and so by its signature.
        """
        if self.blockers:
            return ""
        return "sha256:" + hashlib.sha256(canonical_json(self.document())).hexdigest()


def facts_from(document: object) -> RebaseFacts | None:
    """Read what ``document`` returned; None: it is anything else, so that nothing is known.

    Whoever may write beside the image chooses what stands there.
    """
    if not isinstance(document, dict) or document.get("schema") != _SCHEMA:
        return None
    names = {one.name for one in fields(RebaseFacts)}
    if set(document) != {"schema", *names}:
        return None
    found = {name: document[name] for name in names}
    blockers = _blockers(found.pop("blockers"))
    if blockers is None or not _typed(found):
        return None
    lists = {name: tuple(value) for name, value in found.items() if isinstance(value, list | tuple)}
    return RebaseFacts(**{**found, **lists, "blockers": blockers})


def _typed(found: dict[str, Any]) -> bool:
    for name, value in found.items():
        if name == "layers":
            good = type(value) is int and value >= 0
        elif name == "cmd":
            good = isinstance(value, str) and value in _CMD
        elif name in {"args_escaped", "base_shell"}:
            good = isinstance(value, bool)
        else:
            good = isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
        if not good:
            return False
    return True


def _blockers(found: object) -> tuple[Blocker, ...] | None:
    if not isinstance(found, list | tuple):
        return None
    names = {one.name for one in fields(Blocker)}
    for one in found:
        if not isinstance(one, dict) or set(one) != names or type(one["line"]) is not int:
            return None
        if not all(isinstance(one[name], str) for name in names - {"line"}):
            return None
    return tuple(Blocker(**one) for one in found)
