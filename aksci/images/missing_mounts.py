"""Secrets and ssh agents that a RUN mounts, and that nothing in aksci.toml brings.

BuildKit goes on without them, with an empty variable or no file, unless they are required (moby/
buildkit issues 6498 and 3521): then it fails where it comes to that line, in the middle of a build.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError
from aksci.core.spelling import did_you_mean
from aksci.core.text import short_line
from aksci.images.dockerfile.instruction_reads import logins_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from aksci.config.models import Config
    from aksci.images.dockerfile.instruction_reads import Login
    from aksci.images.graph import Graph

__all__ = ["MissingMount", "missing_mounts", "require_mounts"]

_TABLES = {"secret": "build.secrets", "ssh": "build.ssh"}


@dataclass(frozen=True, kw_only=True)
class MissingMount:
    """One secret or ssh agent, with all that mounts it."""

    login: Login
    places: tuple[tuple[str, int], ...]
    """Dockerfile and line, sorted."""
    images: tuple[str, ...]
    suggestion: str
    """What ends a sentence that asks for another id; or nothing."""

    @property
    def what(self) -> str:
        """What aksci.toml lacks."""
        kind, name = self.login.kind, short_line(self.login.id)
        entry = f"[build.secrets.{name}]" if kind == "secret" else f"{name!r} under [build.ssh]"
        return f"aksci.toml has no {entry}"


def missing_mounts(
    graph: Graph, config: Config, images: Collection[str] | None = None
) -> list[MissingMount]:
    """Return what RUN mounts and no table brings, each once however many images mount it.

    :param images: only what these mount; None: what any does.
    """
    known: dict[str, Mapping[str, object]] = {
        "secret": config.build.secrets,
        "ssh": config.build.ssh,
    }
    places: dict[Login, set[tuple[str, int]]] = defaultdict(set)
    names: dict[Login, dict[str, None]] = defaultdict(dict)
    for name, image in graph.images.items():
        if images is not None and name not in images:
            continue
        for one in image.recipe.instructions:
            for login in logins_of(one):
                if login.id not in known[login.kind]:
                    places[login].add((image.spec.dockerfile, one.line))
                    names[login][name] = None
    return [
        MissingMount(
            login=login,
            places=tuple(sorted(places[login])),
            images=tuple(names[login]),
            suggestion=f".{asked}" if (asked := did_you_mean(login.id, known[login.kind])) else "",
        )
        for login in sorted(places)
    ]


def require_mounts(graph: Graph, config: Config, images: Collection[str]) -> None:
    """Require what a build of some images can't go on without, before anything is built.

    :raises ConfigError: no table of aksci.toml brings it.
    """
    missing = [one for one in missing_mounts(graph, config, images) if one.login.required]
    if not missing:
        return
    lines = [
        f"{path}, line {line}: {one.what}{one.suggestion}"
        for one in missing
        for path, line in one.places
    ]
    tables = sorted({_TABLES[one.login.kind] for one in missing})
    raise ConfigError(
        "BuildKit would refuse what a RUN requires and nothing brings:\n" + "\n".join(lines),
        hint=f"add it to aksci.toml ({' and '.join(f'[{table}]' for table in tables)}), or take "
        "required=true off the mount.",
    )
