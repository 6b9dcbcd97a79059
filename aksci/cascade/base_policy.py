"""What aksci.toml says of an image from outside: which rule fits, and what it means."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal, get_args

from aksci.cascade.tag_versions import check_range
from aksci.core.errors import ConfigError
from aksci.images.dockerfile.recipe import EdgeType
from aksci.oci.references import parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aksci.config.cascade_models import CascadeConfig
    from aksci.oci.references import Reference

__all__ = ["EdgePolicy", "check_policy", "policy_of"]


@dataclass(frozen=True, kw_only=True)
class EdgePolicy:
    """What aksci.toml says of one edge to an image from outside."""

    update: Literal["now", "batch", "ignore"] = "now"
    digest: str | None = None
    """This digest is meant, whatever the tag means."""
    tags: str | None = None
    """The newest tag in this range of versions is meant."""
    rule: str = "default"
    """Where that stands, for people: ``cascade.bases[0]``, ``cascade.edges.syntax``."""


_HUB = "docker.io"
_HUB_FORMS = ("docker.io/", "index.docker.io/", "")
_LIBRARY = "library/"
_SOONEST_FIRST = ("now", "batch", "ignore")


def check_policy(config: CascadeConfig) -> None:
    """Refuse a range of versions that is none, before anything is asked of a registry.

    :raises ConfigError: it names the rule.
    """
    for number, rule in enumerate(config.bases):
        if rule.tags:
            try:
                check_range(rule.tags)
            except ConfigError as error:
                where = f"aksci.toml: cascade.bases[{number}].tags"
                raise ConfigError(f"{where}: {error.message}", hint=error.hint) from None


def policy_of(config: CascadeConfig, reference: str, kind: EdgeType | None) -> EdgePolicy:
    """Return what a change of an image from outside means for those that need it so.

    The first rule of ``cascade.bases`` that fits; else ``cascade.edges``; else ``now``. A glob
    stands for an image by any of the names that Docker takes for it (``python:3.12`` is
    ``docker.io/library/python:3.12``), in any version if it names no tag.

    :param reference: in full.
    :param kind: of the edge, by the sources. None: they do not name the image; of what it could
        mean, that counts which takes a change the soonest.
    """
    if kind is None:
        kinds = [each for each in get_args(EdgeType) if each != "requires"]  # that is one of ours
        policies = [policy_of(config, reference, each) for each in kinds]
        return min(policies, key=lambda policy: _SOONEST_FIRST.index(policy.update))
    parsed = parse_reference(reference)
    for number, rule in enumerate(config.bases):
        if _fits(rule.base, parsed) and (not rule.edges or kind in rule.edges):
            where = f"cascade.bases[{number}]"
            return EdgePolicy(update=rule.update, digest=rule.digest, tags=rule.tags, rule=where)
    update = None if kind == "requires" else config.edges.get(kind)  # always an image of ours
    return EdgePolicy(update=update, rule=f"cascade.edges.{kind}") if update else EdgePolicy()


def _fits(glob: str, reference: Reference) -> bool:
    version = str(reference).removeprefix(reference.name)
    versioned = ":" in glob.rpartition("/")[2]  # before the last slash, it is a registry's port
    return any(
        fnmatchcase(name + version if versioned else name, glob) for name in _names(reference)
    )


def _names(reference: Reference) -> Iterator[str]:
    if reference.registry != _HUB:
        yield reference.name
        return
    for host in _HUB_FORMS:
        yield host + reference.repository
        if reference.repository.startswith(_LIBRARY):
            yield host + reference.repository.removeprefix(_LIBRARY)
