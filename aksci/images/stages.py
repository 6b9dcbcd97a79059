"""Which stages of a Dockerfile a target needs, and which images those stand on.

Dockerfile reference: "FROM", "Understand how ARG and FROM interact", "COPY --from", "RUN --mount".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from aksci.errors import ConfigError
from aksci.images.expand import UnresolvedError, expand

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aksci.images.dockerfile import Dockerfile, Instruction

__all__ = ["EdgeType", "Need", "Recipe", "resolve_stages", "unite"]

EdgeType = Literal["runtime", "stage", "copy", "mount", "syntax", "context", "requires"]
"""``requires``: aksci.toml says so, without a reference in the Dockerfile."""
_FROM = re.compile(r"(\S+)(?:\s+[Aa][Ss]\s+(\S+))?\s*")
_ARG = re.compile(
    r"""([A-Za-z_][A-Za-z0-9_]*)(?:=((?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])*))?"""
)


@dataclass(frozen=True, order=True)
class Need:
    """One image that a Dockerfile's target needs, as its author wrote it, variables expanded."""

    reference: str
    type: EdgeType


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a Dockerfile means for one target."""

    needs: tuple[Need, ...]
    """Sorted, without duplicates; ``scratch`` is not an image."""
    runtime: str | None
    """The image that the final stage stands on, through other stages; None: scratch."""
    instructions: tuple[Instruction, ...]
    """Those that count: ARGs before the first FROM, and the reachable stages in order."""
    declared: frozenset[str]
    """ARGs that they declare: other build arguments change nothing."""
    stage_names: frozenset[str]
    """Lower case, of all stages."""
    opaque: tuple[str, ...]
    """Why the Dockerfile can't be read for sure; empty when it can."""
    sources: frozenset[str] | None = None
    """Paths and patterns of the build context that are read (COPY, ADD, bind mounts), relative to
    it, with slashes; None: nobody can be sure, so all of it counts."""
    used_args: frozenset[str] | None = None
    """Build arguments whose values count; None: nobody can be sure, so all of them do."""
    onbuild: tuple[Instruction, ...] = ()
    """What an image that stands on this one runs first (ONBUILD, unwrapped)."""


@dataclass(kw_only=True)
class _Stage:
    index: int
    name: str
    base: str
    base_stage: int | None
    instructions: list[Instruction]
    copies: list[tuple[str, int | None]] = field(default_factory=list)
    mounts: list[tuple[str, int | None]] = field(default_factory=list)


def resolve_stages(
    dockerfile: Dockerfile,
    *,
    target: str | None,
    args: Mapping[str, str],
    platform: Mapping[str, str],
) -> Recipe:
    """Find what a target needs.

    :param args: build arguments.
    :param platform: the platform ARGs (``TARGETARCH``…), which are global.
    :raises ConfigError: there is no such target, a base is empty, or an ARG in FROM has no value.
    """
    if not dockerfile.standard_frontend:
        return _opaque(dockerfile)
    first = next(
        (i for i, one in enumerate(dockerfile.instructions) if one.keyword == "FROM"), None
    )
    if first is None:
        raise ConfigError(f"{dockerfile.name}: the Dockerfile has no FROM.")
    head = dockerfile.instructions[:first]
    values = _global_args(dockerfile, head, args, platform)
    stages = _stages(dockerfile, dockerfile.instructions[first:], values)
    final = _find_target(dockerfile, stages, target)
    reachable = _reachable(stages, final)
    used = [stages[index] for index in sorted(reachable)]
    doubts = tuple(
        f"line {one.line}: COPY --from={source} uses a variable"
        for stage in used
        for one in stage.instructions
        if one.keyword in {"COPY", "ADD"} and "$" in (source := one.flag("from") or "")
    )
    instructions = (*head, *(one for stage in used for one in stage.instructions))
    return Recipe(
        needs=_needs(dockerfile, stages, used, final),
        runtime=_runtime(stages, final),
        instructions=instructions,
        declared=frozenset(
            name for one in instructions if one.keyword == "ARG" for name, _ in _arg_pairs(one)
        ),
        stage_names=frozenset(stage.name for stage in stages if stage.name),
        opaque=doubts,
    )


def unite(recipes: Sequence[Recipe]) -> Recipe:
    """Unite what one Dockerfile and target mean for several platforms: all that any of them needs.

    The runtime base is None where they differ in it.
    """
    first, *others = recipes
    if not others:
        return first
    used = {one.line: one for recipe in recipes for one in recipe.instructions}
    same = all(recipe.runtime == first.runtime for recipe in others)
    return Recipe(
        needs=tuple(sorted({need for recipe in recipes for need in recipe.needs})),
        runtime=first.runtime if same else None,
        instructions=tuple(used[line] for line in sorted(used)),
        declared=frozenset().union(*(recipe.declared for recipe in recipes)),
        stage_names=frozenset().union(*(recipe.stage_names for recipe in recipes)),
        opaque=tuple(dict.fromkeys(why for recipe in recipes for why in recipe.opaque)),
    )


def _opaque(dockerfile: Dockerfile) -> Recipe:
    frontend = dockerfile.frontend or ""
    return Recipe(
        needs=(Need(frontend, "syntax"),),
        runtime=None,
        instructions=dockerfile.instructions,
        declared=frozenset(),
        stage_names=frozenset(),
        opaque=(f"the frontend {frontend} has a grammar of its own",),
    )


def _arg_pairs(one: Instruction) -> list[tuple[str, str | None]]:
    return [(match.group(1), match.group(2)) for match in _ARG.finditer(one.text)]


def _global_args(
    dockerfile: Dockerfile,
    head: tuple[Instruction, ...],
    args: Mapping[str, str],
    platform: Mapping[str, str],
) -> dict[str, str]:
    values = {name: args.get(name, value) for name, value in platform.items()}
    for one in head:
        if one.keyword != "ARG":
            raise ConfigError(
                f"{dockerfile.name}, line {one.line}: {one.keyword} before the first FROM; only "
                "ARG may stand there."
            )
        for name, default in _arg_pairs(one):
            if name in args:
                values[name] = args[name]
            elif default is not None:
                values[name] = _expand(dockerfile, one, default, values)
    return values


def _expand(dockerfile: Dockerfile, one: Instruction, text: str, values: Mapping[str, str]) -> str:
    try:
        return expand(text, values, escape=dockerfile.escape)
    except UnresolvedError as error:
        raise ConfigError(
            f"{dockerfile.name}, line {one.line}: {one.keyword} {text} needs the ARG "
            f"{error.name}: {error.why}.",
            hint=f"give it a default before the first FROM (ARG {error.name}=…), or a value in "
            "aksci.toml ([images.NAME] args).",
        ) from None


def _stages(
    dockerfile: Dockerfile, instructions: tuple[Instruction, ...], values: Mapping[str, str]
) -> list[_Stage]:
    stages: list[_Stage] = []
    names: dict[str, int] = {}
    for one in instructions:
        if one.keyword == "FROM":
            match = _FROM.fullmatch(one.text)
            if match is None:
                raise ConfigError(
                    f"{dockerfile.name}, line {one.line}: FROM {one.text!r} is wrong."
                )
            base = _expand(dockerfile, one, match.group(1), values)
            if not base:
                raise ConfigError(
                    f"{dockerfile.name}, line {one.line}: FROM {match.group(1)} is empty once its "
                    "ARGs are filled in."
                )
            name = (match.group(2) or "").lower()
            earlier = names.get(base.lower())
            stages.append(
                _Stage(
                    index=len(stages),
                    name=name,
                    base=base,
                    base_stage=earlier,
                    instructions=[one],
                )
            )
            if name:
                names[name] = len(stages) - 1
            continue
        stage = stages[-1]
        stage.instructions.append(one)
        _note_sources(stage, one, names)
    return stages


def _note_sources(stage: _Stage, one: Instruction, names: Mapping[str, int]) -> None:
    """Note what COPY --from and RUN --mount=…,from= name: an earlier stage, or else an image."""
    if one.keyword in {"COPY", "ADD"} and (source := one.flag("from")) and "$" not in source:
        source = source.strip("\"'")
        index = names.get(source.lower())
        if index is None and source.isdigit() and int(source) < stage.index:
            index = int(source)
        stage.copies.append((source, index))
    if one.keyword == "RUN":
        for key, value in one.flags:
            if key == "mount":
                fields = dict(part.partition("=")[::2] for part in value.split(","))
                if source := fields.get("from", ""):
                    stage.mounts.append((source, names.get(source.lower())))


def _find_target(dockerfile: Dockerfile, stages: list[_Stage], target: str | None) -> int:
    if target is None:
        return len(stages) - 1
    for stage in reversed(stages):
        if stage.name == target.lower():
            return stage.index
    if target.isdigit() and int(target) < len(stages):
        return int(target)
    known = ", ".join(stage.name for stage in stages if stage.name) or "none has a name"
    raise ConfigError(f"{dockerfile.name} has no stage {target!r}. Its stages: {known}.")


def _reachable(stages: list[_Stage], final: int) -> set[int]:
    found: set[int] = set()
    waiting = [final]
    while waiting:
        index = waiting.pop()
        if index in found:
            continue
        found.add(index)
        stage = stages[index]
        sources = [stage.base_stage, *(at for _, at in (*stage.copies, *stage.mounts))]
        waiting.extend(at for at in sources if at is not None)
    return found


def _runtime_stage(stages: list[_Stage], final: int) -> _Stage:
    stage = stages[final]
    while stage.base_stage is not None:
        stage = stages[stage.base_stage]
    return stage


def _runtime(stages: list[_Stage], final: int) -> str | None:
    base = _runtime_stage(stages, final).base
    return None if base == "scratch" else base


def _needs(
    dockerfile: Dockerfile, stages: list[_Stage], used: list[_Stage], final: int
) -> tuple[Need, ...]:
    runtime = _runtime_stage(stages, final)
    needs: set[Need] = set()
    for stage in used:
        if stage.base_stage is None and stage.base != "scratch":
            needs.add(Need(stage.base, "runtime" if stage is runtime else "stage"))
        needs.update(Need(name, "copy") for name, at in stage.copies if at is None)
        needs.update(Need(name, "mount") for name, at in stage.mounts if at is None)
    if dockerfile.frontend:
        needs.add(Need(dockerfile.frontend, "syntax"))
    return tuple(sorted(needs))
