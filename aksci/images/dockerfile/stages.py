"""Which stages of a Dockerfile a target needs, and which images those are based on.

Dockerfile reference: "FROM", "Understand how ARG and FROM interact", "COPY --from", "RUN --mount",
"ONBUILD".
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from aksci.core.allowance import Allowance
from aksci.core.errors import ConfigError
from aksci.images.dockerfile.contexts import (
    DOCKER_IMAGE,
    OUR_IMAGE,
    normalised_contexts,
    substitute,
)
from aksci.images.dockerfile.effects import OBEYED, OBEYED_PREFIX, kept_instructions, meaning_of
from aksci.images.dockerfile.expand import TOTAL, variables_in
from aksci.images.dockerfile.instruction_reads import (
    context_paths,
    copy_sources_of,
    unpinned_sources,
)
from aksci.images.dockerfile.parser import KEYWORDS, frontend_name, unwrap_onbuild
from aksci.images.dockerfile.recipe import Need, Recipe
from aksci.images.dockerfile.resolved_stage import ResolvedStage
from aksci.images.dockerfile.variables import GlobalArgs, Scope, arg_pairs
from aksci.images.platforms import normalise_platform, parse_platforms
from aksci.oci.references import parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from aksci.images.dockerfile.instruction_reads import CopySource
    from aksci.images.dockerfile.parser import Dockerfile, Instruction, Stage
    from aksci.images.dockerfile.recipe import PartOf, Sources

__all__ = ["resolve_stages"]

_TARGET_NAME = "TARGETSTAGE"
_MOST_TRIGGERED = 10_000
_SHOWN = 50
# Then the scanner that makes the SBOM reads all of the context (BuildKit, "SBOM attestations").
_SCANS_CONTEXT = "BUILDKIT_SBOM_SCAN_CONTEXT"
_SCANS = "BUILDKIT_SBOM_SCAN_"


def resolve_stages(
    dockerfile: Dockerfile,
    *,
    target: str | None,
    args: Mapping[str, str],
    platform: Mapping[str, str],
    contexts: Mapping[str, str] | None = None,
    triggers: Mapping[str, tuple[Instruction, ...]] | None = None,
) -> Recipe:
    """Find what a target needs.

    :param args: build arguments.
    :param platform: the platform ARGs (``TARGETARCH``…), which are global.
    :param contexts: named contexts -> what they stand for.
    :param triggers: base of a stage -> what its ONBUILD adds; others add nothing.
    :raises ConfigError: there is no such target, a base is empty, or an ARG in FROM has no value:
        BuildKit refuses it, too.
    """
    contexts = normalised_contexts(contexts or {})
    if not dockerfile.standard_frontend:
        return _opaque(dockerfile, contexts)
    return _Resolver(dockerfile, args, platform, contexts, triggers or {}).recipe(target)


def _opaque(dockerfile: Dockerfile, contexts: Mapping[str, str]) -> Recipe:
    frontend = dockerfile.frontend or ""
    why = (
        f"the frontend {frontend} may have a grammar of its own; where it is docker/dockerfile "
        f'from a mirror, [build] standard_frontends = ["{frontend_name(frontend)}"] says so'
    )
    return Recipe(
        needs=tuple(sorted({Need(frontend, "syntax"), *_context_needs(contexts)})),
        runtime=None,
        instructions=dockerfile.instructions,
        declared=frozenset(),
        stage_names=frozenset(),
        opaque=(why,),
    )


def _context_needs(contexts: Mapping[str, str]) -> list[Need]:
    """Return what named contexts need: all of them count, whether they are used or not."""
    return [
        Need(value, "context")
        for value in contexts.values()
        if value.startswith((OUR_IMAGE, DOCKER_IMAGE))
    ]


class _Resolver:
    """One Dockerfile with its arguments, contexts and triggers."""

    def __init__(
        self,
        dockerfile: Dockerfile,
        args: Mapping[str, str],
        platform: Mapping[str, str],
        contexts: Mapping[str, str],
        triggers: Mapping[str, tuple[Instruction, ...]],
    ) -> None:
        self._dockerfile = dockerfile
        self._args = args
        self._contexts = contexts
        self._triggers = triggers
        self._platform = platform

    def recipe(self, target: str | None) -> Recipe:
        """Resolve a target."""
        head, written = self._dockerfile.head, self._dockerfile.stages
        # BuildKit calls a target that has no name ``default``.
        own_name = target or written[-1].name or "default"
        self._allowance = Allowance(TOTAL)
        self._globals = GlobalArgs(
            self._dockerfile,
            self._args,
            {**self._platform, _TARGET_NAME: own_name},
            self._allowance,
        )
        stages = self._stages()
        # Later stages, too: COPY --from looks among all, FROM only among those above it.
        names = {one.name: one.index for one in written if one.name}
        # Before the sources are noted: what ONBUILD adds may copy from further stages.
        self._add_triggers(stages)
        for stage in stages:
            self._note_copy_sources(stage, stages, names)
        final = self._find_target(stages, target)
        used = [stages[index] for index in sorted(_reachable(stages, final))]
        for stage in used:
            self._check(stage, stages)
        kept = kept_instructions(used, stages[final])
        counting = [one for instructions in kept.values() for one in instructions]
        declared = self._declared((*head, *counting))
        in_stages = self._declared(counting)
        used_globals = self._used_globals(used, counting)
        used_args = self._used_args(in_stages | used_globals)
        sources, unpinned = self._sources(used, declared)
        head = tuple(one for one in head if self._counts(one, used_globals))
        named = _TARGET_NAME in used_args or _names_stages({*declared, *self._args})
        return Recipe(
            needs=self._needs(stages, used, final),
            runtime=self._runtime(stages, final),
            instructions=(*head, *counting),
            meaning=(*head, *counting)
            if named
            else meaning_of(head, used, kept, args=self._args, escape=self._dockerfile.escape),
            names_count=named,
            declared=declared,
            stage_names=frozenset(names),
            opaque=(*self._dockerfile.doubts, *self._doubts(used), *unpinned),
            sources=sources,
            used_args=used_args,
            onbuild=tuple(unwrap_onbuild(one) for one in stages[final].onbuild),
            bases=frozenset(
                base for stage in used if (base := self._base_image(stage)) is not None
            ),
            platforms=self._platforms(stages, used),
        )

    def _where(self, line: int) -> str:
        return f"{self._dockerfile.name}, line {line}"

    # Stages

    def _stages(self) -> list[ResolvedStage]:
        stages: list[ResolvedStage] = []
        names: dict[str, int] = {}
        for one in self._dockerfile.stages:
            context = substitute(self._contexts, one.name) if one.name else None
            base = self._globals.expand(one.instructions[0], one.base)
            # Only what stands above has a name yet: FROM debian AS debian means the image.
            earlier = names.get(base.lower())
            if earlier is None and context is None:
                self._check_base(one, base)
            stages.append(
                ResolvedStage(
                    written=one,
                    base=base,
                    base_stage=earlier if context is None else None,
                    context=context,
                    instructions=list(one.instructions),
                )
            )
            if one.name:
                names[one.name] = one.index
        return stages

    def _check_base(self, stage: Stage, base: str) -> None:
        try:
            parse_reference(base)
        except ConfigError as error:
            written = stage.base
            unset = sorted(variables_in(written) - self._globals.values.keys())
            if unset:
                why = "it has no value"
                raise self._globals.needs_arg(
                    stage.instructions[0], written, unset[0], why
                ) from None
            if not base:
                raise ConfigError(
                    f"{self._where(stage.line)}: FROM {written} is empty once its ARGs are filled "
                    "in."
                ) from None
            raise ConfigError(
                f"{self._where(stage.line)}: {error.message}", hint=error.hint
            ) from None

    def _add_triggers(self, stages: list[ResolvedStage]) -> None:
        """Add the ONBUILD instructions of each stage's base: they run once, in its child."""
        total = 0
        for stage in stages:
            if stage.base_stage is not None:
                added = [unwrap_onbuild(one) for one in stages[stage.base_stage].onbuild]
            else:
                added = list(self._triggers.get(self._base_image(stage) or "", ()))
            total += len(added)
            if total > _MOST_TRIGGERED:
                raise ConfigError(
                    f"{self._where(stage.written.line)}: ONBUILD adds more than {_MOST_TRIGGERED} "
                    "instructions to the stages of this file."
                )
            if added:
                line = stage.written.line
                here = [replace(one, line=line, end_line=line) for one in added]
                stage.instructions[1:1] = here

    def _base_image(self, stage: ResolvedStage) -> str | None:
        """Return the image that a stage is based on, or the context in its place."""
        if stage.context is not None or stage.base_stage is not None or stage.base == "scratch":
            return None
        instead = substitute(self._contexts, stage.base)
        if instead is None:
            return stage.base
        return instead if instead.startswith((OUR_IMAGE, DOCKER_IMAGE)) else None

    def _note_copy_sources(
        self, stage: ResolvedStage, stages: list[ResolvedStage], names: Mapping[str, int]
    ) -> None:
        """Note what a stage takes files from: a stage, by index or name, or else an image."""
        if stage.context is not None:
            return
        for one in stage.instructions:
            for source in copy_sources_of(one):
                index = None if source.unclear else names.get(source.name.lower())
                if not source.mount and source.name.isdecimal():
                    number = int(source.name[:9])  # int() refuses a text of 4,301 digits
                    index = number if number < len(stages) else None
                stage.copied.append((source, index))

    def _check(self, stage: ResolvedStage, stages: list[ResolvedStage]) -> None:
        """Refuse what BuildKit does: files of a stage that is not there yet, names of no image."""
        for source, index in stage.copied:
            if index is None:
                if not source.unclear and source.name != "scratch":
                    self._check_copy_source(source)
            elif index >= stage.index and stages[index].context is None:
                raise ConfigError(
                    f"{self._where(source.line)}: the stage {source.name} can't be used here: it "
                    "does not end before this line.",
                    hint="move it up, or give it another name than the image that is meant.",
                )

    def _check_copy_source(self, source: CopySource) -> None:
        try:
            parse_reference(source.name)
        except ConfigError as error:
            raise ConfigError(
                f"{self._where(source.line)}: {error.message}", hint=error.hint
            ) from None

    def _find_target(self, stages: list[ResolvedStage], target: str | None) -> int:
        if target is None:
            return len(stages) - 1
        # From the end: of several stages of one name, the last is meant.
        for stage in reversed(stages):
            if stage.written.name == target.lower():
                return stage.index
        if target.isdecimal() and int(target[:9]) < len(stages):
            return int(target)
        named = [one.written.name for one in stages if one.written.name]
        more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
        known = ", ".join(named[:_SHOWN]) + more or "none has a name"
        name = self._dockerfile.name
        raise ConfigError(f"{name} has no stage {target!r}. Its stages: {known}.")

    # What they mean

    def _runtime_stage(self, stages: list[ResolvedStage], final: int) -> ResolvedStage:
        stage = stages[final]
        while stage.base_stage is not None:
            stage = stages[stage.base_stage]
        return stage

    def _runtime(self, stages: list[ResolvedStage], final: int) -> str | None:
        stage = self._runtime_stage(stages, final)
        if stage.context is None:
            return self._base_image(stage)
        return stage.context if _context_needs({"": stage.context}) else None

    def _needs(
        self, stages: list[ResolvedStage], used: list[ResolvedStage], final: int
    ) -> tuple[Need, ...]:
        runtime = self._runtime_stage(stages, final)
        needs = set(_context_needs(self._contexts))
        for stage in used:
            images: list[Need] = []
            if stage.context is None and stage.base_stage is None:
                images.append(Need(stage.base, "runtime" if stage is runtime else "stage"))
            images += [
                Need(source.name, "mount" if source.mount else "copy")
                for source, index in stage.copied
                if index is None and not source.unclear
            ]
            # A context in the place of one of these is among the needs already, as what it is.
            needs.update(
                need
                for need in images
                if need.reference != "scratch"
                and substitute(self._contexts, need.reference) is None
            )
        if self._dockerfile.frontend:
            needs.add(Need(self._dockerfile.frontend, "syntax"))
        return tuple(sorted(needs))

    def _platforms(
        self, stages: list[ResolvedStage], used: list[ResolvedStage]
    ) -> frozenset[tuple[str, str]]:
        """Return the images that stages are based on or copy from, each with their platform.

        As in BuildKit's ``dockerfile2llb``: a stage based on another is for the same platform, and
        so is an image that it copies from.
        """
        found: set[tuple[str, str]] = set()
        for stage in used:
            first = stage
            while first.base_stage is not None:
                first = stages[first.base_stage]
            base = stage.context or self._base_image(stage)
            copied = [source.name for source, index in stage.copied if index is None]
            images = [*([base] if base else []),
                      *(substitute(self._contexts, name) or name for name in copied)]  # fmt: skip
            if images:
                platform = self._platform_of(first)
                found.update((image, platform) for image in images)
        return frozenset(found)

    def _platform_of(self, stage: ResolvedStage) -> str:
        """Return what a stage's FROM names, or the target's platform."""
        named = written = stage.written.platform
        if not named:
            return self._platform.get("TARGETPLATFORM", "")
        builder = self._platform.get("BUILDPLATFORM", "")
        with contextlib.suppress(ConfigError):  # BuildKit will refuse it, or knows more
            written = self._globals.expand(stage.written.instructions[0], named)
            return parse_platforms([written], "FROM", builder=builder)[0]
        return normalise_platform(written)

    def _declared(self, instructions: Sequence[Instruction]) -> frozenset[str]:
        return frozenset(
            name
            for one in instructions
            if one.keyword == "ARG"
            for name, _ in arg_pairs(one, self._dockerfile.escape)
        )

    def _used_globals(
        self, used: list[ResolvedStage], counting: Sequence[Instruction]
    ) -> frozenset[str]:
        """Return the ARGs before the first FROM that reach the stages.

        They are used in a FROM, or declared there without a default, which would hide them; or
        they are used in defaults of those.
        """
        waiting = {
            name
            for one in counting
            if one.keyword == "ARG"
            for name, default in arg_pairs(one, self._dockerfile.escape)
            if default is None
        }
        for stage in used:
            waiting |= variables_in(stage.written.base)
            waiting |= variables_in(stage.written.platform or "")
        return frozenset(self._globals.used_by(waiting))

    def _used_args(self, names: frozenset[str]) -> frozenset[str]:
        """Return the build arguments whose values count: those, and what BuildKit obeys anyway."""
        return names | {
            name for name in self._args if name.startswith(OBEYED_PREFIX) or name == OBEYED
        }

    def _counts(self, one: Instruction, used: frozenset[str]) -> bool:
        """Tell whether an ARG before the first FROM reaches the target, or BuildKit obeys it.

        What the stages of other targets alone use is in no step of this one.
        """
        names = (name for name, _ in arg_pairs(one, self._dockerfile.escape))
        return any(
            name in used or name.startswith(OBEYED_PREFIX) or name == OBEYED for name in names
        )

    def _sources(
        self, used: list[ResolvedStage], declared: frozenset[str]
    ) -> tuple[Sources, list[str]]:
        """Return what is read of the context, and doubts about what comes from the network."""
        first = Scope(
            args=self._args,
            defaults=self._globals.values,
            escape=self._dockerfile.escape,
            allowance=self._allowance,
        )
        scopes: dict[int, Scope] = {}
        found: set[str | PartOf] = set()
        doubts: dict[str, None] = {}
        everything = _SCANS_CONTEXT in declared or _SCANS_CONTEXT in self._args
        for stage in used:
            # A base stands above what is based on it, so its scope is there by now.
            base = None if stage.base_stage is None else scopes[stage.base_stage]
            empty = stage.context is None and stage.base == "scratch"
            scope = scopes[stage.index] = first.enter(base, empty=empty)
            # Line by line: a path means what the variables are worth there, not at the stage's end.
            for one in stage.counting:
                for word in unpinned_sources(one, scope):
                    what = f"line {one.line}: what ADD {word} brings may change at any time"
                    doubts[f"{what} (--checksum pins it)"] = None
                paths = context_paths(one, scope)
                everything = everything or paths is None
                found |= paths or set()
                scope.apply(one)
        return None if everything else frozenset(found), list(doubts)

    def _doubts(self, used: list[ResolvedStage]) -> list[str]:
        unknown = {
            one.line: f"line {one.line}: the instruction {one.keyword} is not known"
            # Unused stages too: BuildKit reads the whole file before it takes a part.
            for stage in self._dockerfile.stages
            for one in stage.instructions
            if one.keyword not in KEYWORDS
        }
        unclear = [
            f"line {source.line}: from={source.name} "
            + ("uses a variable" if source.unclear else "is the index of no stage")
            for stage in used
            for source, index in stage.copied
            if source.unclear or (index is None and not source.mount and source.name.isdecimal())
        ]
        epoch = self._args.get(OBEYED, "")
        # ``context``, say, is a time that BuildKit finds out by itself: it is in no key.
        if epoch and not epoch.lstrip("-").isdecimal():
            unclear.append(f"the time of {epoch!r} is its {OBEYED}")
        return [*unknown.values(), *dict.fromkeys(unclear)]


def _names_stages(args: Iterable[str]) -> bool:
    """Tell whether an argument may say which stages a scanner looks at, by their names."""
    return any(name.startswith(_SCANS) for name in args)


def _reachable(stages: list[ResolvedStage], final: int) -> set[int]:
    found: set[int] = set()
    waiting = [final]
    while waiting:
        index = waiting.pop()
        if index in found:
            continue
        found.add(index)
        stage = stages[index]
        sources = [stage.base_stage, *(at for _, at in stage.copied)]
        waiting.extend(at for at in sources if at is not None)
    return found
