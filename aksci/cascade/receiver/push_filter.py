"""Which pushes make a cascade start."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aksci.cascade.base_policy import EdgePolicy, policy_of
from aksci.config.cascade_models import BaseRule, CascadeConfig
from aksci.oci.references import parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aksci.cascade.receiver.webhook_events import Push
    from aksci.config.models import Config
    from aksci.images.graph import Graph

__all__ = ["PushFilter", "push_filter_for"]

_OURS = ("in-", "unchecked-")
"""Tags that only aksci's builds set: see ``aksci.images.keys``."""
_HUB = "docker.io"
_LOOPBACK = frozenset({"127.0.0.1", "[::1]"})


@dataclass(frozen=True, kw_only=True)
class PushFilter:
    """Tell what a push changes for this project.

    What the project itself pushes never counts: its cascades would start cascades.
    """

    bases: frozenset[str] | None = None
    """Full references of the images from outside; None: nobody has read the Dockerfiles."""
    ranges: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """``registry/repository`` -> the bases that may follow any of its tags."""
    globs: tuple[str, ...] = ()
    """Where there are any, only what fits one counts. Alone, without ``bases``, they decide."""
    project: str
    """Its name: the first part of its repositories, where nothing else is configured."""
    own: frozenset[str] = frozenset()
    """The repositories of its images, without the registry."""
    registries: frozenset[str] = frozenset()
    """Those that its environments have."""
    mirror: str = ""
    """The registry that stands for docker.io; empty: none does."""

    def changed(self, push: Push) -> tuple[str, ...]:
        """Return the full references for which a cascade is to look; none: it does not matter."""
        if push.tag.startswith(_OURS):
            return ()
        host = _plain(push.host)
        ours = host in map(_plain, self.registries)
        if ours and push.repository in self.own:
            return ()
        names = dict.fromkeys(self._names(push, host))
        if self.globs:
            # A glob may well fit what our own cascades push: each would start the next.
            if ours and push.repository.startswith(f"{self.project}/"):
                return ()
            fitting = tuple(name for name in names if self._fits(name))
            if self.bases is None or not fitting:
                return fitting[:1]
        found = [name for name in names if name in (self.bases or ())]
        for name in names:
            found += self.ranges.get(name.rpartition(":")[0], ())
        return tuple(dict.fromkeys(found))

    def _names(self, push: Push, host: str) -> Iterator[str]:
        """Yield what Dockerfiles may call it: docker.io's name first, for a mirror."""
        if self.mirror and host == _plain(self.mirror):
            yield str(parse_reference(f"{_HUB}/{push.repository}:{push.tag}"))
        for each in (push.host, host):
            yield str(parse_reference(f"{each}/{push.repository}:{push.tag}"))

    def _fits(self, name: str) -> bool:
        """Tell whether a glob fits a reference, as those of ``cascade.bases`` do."""
        rules = CascadeConfig(bases=tuple(BaseRule(base=glob) for glob in self.globs))
        return policy_of(rules, name, "runtime").rule != EdgePolicy.rule


def _plain(host: str) -> str:
    """Return a registry's host with one name for this machine, whatever its client called it."""
    name, colon, port = host.rpartition(":")
    return f"localhost:{port}" if colon and name in _LOOPBACK else host


def push_filter_for(
    config: Config, graph: Graph | None, *, registry: str, mirror: str
) -> PushFilter:
    """Return which pushes count for a project.

    :param graph: its images; None: nobody has read the Dockerfiles, as where there is no checkout.
    :param registry: of the environment that receives, ``host[:port]``.
    :param mirror: the registry that stands for docker.io; empty: none does.
    """
    if graph is not None:
        own = {image.spec.repository for image in graph.images.values()}
    else:
        own = {image.repository for image in config.images.values() if image.repository}
        own |= {f"{config.project.name}/{name}" for name in config.images}
    registries = {each.registry for each in config.environments.values() if each.registry}
    bases, ranges = _followed(config.cascade, graph) if graph is not None else (None, {})
    return PushFilter(
        bases=bases,
        ranges=ranges,
        globs=config.cascade.receiver.bases,
        project=config.project.name,
        own=frozenset(own),
        registries=frozenset({*registries, registry}),
        mirror=mirror,
    )


def _followed(
    config: CascadeConfig, graph: Graph
) -> tuple[frozenset[str], dict[str, tuple[str, ...]]]:
    """Return the bases that cascades take; and by repository those that follow its tags."""
    bases, ranges = set(), dict[str, tuple[str, ...]]()
    for one in graph.external:
        policy = policy_of(config, one.reference, one.type)
        if one.previous or "@" in one.reference or policy.digest or policy.update != "now":
            continue
        bases.add(one.reference)
        if policy.tags:
            name = parse_reference(one.reference).name
            ranges[name] = tuple({*ranges.get(name, ()), one.reference})
    return frozenset(bases), ranges
