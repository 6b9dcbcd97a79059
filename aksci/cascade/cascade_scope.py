"""What a cascade looks at: the graph, which changes count (``--base``), and who asked for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aksci.cascade.base_policy import policy_of
from aksci.core.errors import ConfigError, UsageError
from aksci.oci.references import parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from aksci.cascade.drift import PolicyDigests
    from aksci.config.cascade_models import CascadeConfig
    from aksci.images.graph import Graph

__all__ = ["CascadeScope", "NamedBases", "read_bases"]


@dataclass(frozen=True, kw_only=True)
class NamedBases:
    """The changes that count in a cascade. By default, all do."""

    only: frozenset[str] | None = None
    """Full references, or names of images: no other change counts. None: all count."""
    references: tuple[str, ...] = ()
    """What was named from outside, in full and by tag, whether anything here is built on it."""


@dataclass(frozen=True, kw_only=True)
class CascadeScope:
    """What a cascade looks at. Its later steps go on with the same answers."""

    graph: Graph
    policy_digests: PolicyDigests
    """What references mean now; each is looked up once."""
    chain: tuple[str, ...] = ()
    """The projects that have asked each other for it, ``registry/project``."""
    named: NamedBases = field(default_factory=NamedBases)


def read_bases(
    bases: Collection[str],
    graph: Graph,
    config: CascadeConfig,
    *,
    asked: bool,
    elsewhere: bool,
    warn: Callable[[str], None],
) -> NamedBases:
    """Let only what follows from some bases count.

    :param bases: images of the project by name, or images from outside in any form that Docker
        takes; a digest at the end is left out. Empty: all count.
    :param asked: another project asked for this: it can't know what is used here, and is only
        warned. Neither can who names a digest, and so has seen a push.
    :param elsewhere: a base may be one that only other repositories' images are built on.
    :raises UsageError: a base is no reference, or nothing of the project is built on it.
    """
    known = {one.reference for one in graph.external}
    found = {text for text in bases if text in graph.images}
    references = {text: _by_tag(text) for text in bases if text not in graph.images}
    for text, reference in references.items():
        meant = {reference} & known or _by_range(graph, config, reference)
        if not meant and not elsewhere:
            message = f"Nothing in this project is built on {reference}."
            if not asked and "@" not in text:
                its = ", ".join(sorted(known)) or "none"
                raise UsageError(message, hint=f"its bases from outside: {its}.")
            warn(message)
        found |= meant or {reference}
    if not bases:
        return NamedBases()
    return NamedBases(only=frozenset(found), references=tuple(references.values()))


def _by_tag(text: str) -> str:
    try:
        parsed = parse_reference(text)
    except ConfigError as error:
        raise UsageError(f"--base: {error.message}", hint=error.hint) from None
    return f"{parsed.name}:{parsed.tag}"


def _by_range(graph: Graph, config: CascadeConfig, reference: str) -> set[str]:
    """Return the bases that a policy lets follow other tags of their repository."""
    name = parse_reference(reference).name
    return {
        one.reference
        for one in graph.external
        if parse_reference(one.reference).name == name
        and policy_of(config, one.reference, one.type).tags
    }
