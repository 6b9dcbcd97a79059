"""The stages from an image's runtime base to its target, and who else uses that base.

Dockerfile reference: "FROM", "COPY --from", "RUN --mount".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.images.dockerfile.contexts import (
    DOCKER_IMAGE,
    OUR_IMAGE,
    normalised_contexts,
    substitute,
)
from aksci.images.dockerfile.copying import origins_of
from aksci.images.dockerfile.globalargs import GlobalArgs
from aksci.images.dockerfile.parser import split_blanks
from aksci.images.platforms import platform_args
from aksci.images.rebase.recorded import Blocker
from aksci.oci.names import parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aksci.images.dockerfile.parser import Instruction
    from aksci.images.graph import Image

__all__ = ["Chain", "read_chain"]

_NAMED = 3  # words of FROM x AS y
_OWN_PLATFORM = frozenset({"", "$TARGETPLATFORM", "${TARGETPLATFORM}"})


@dataclass(frozen=True, kw_only=True)
class Chain:
    """The stages that make an image out of its base, the base's own first."""

    stages: tuple[tuple[Instruction, ...], ...]
    """Without their FROM."""
    values: Mapping[str, str]
    """The global ARGs."""
    blockers: tuple[Blocker, ...]


@dataclass(frozen=True, kw_only=True)
class _Stage:
    index: int
    name: str
    base: str
    base_stage: int | None
    context: str | None
    instructions: list[Instruction]


def read_chain(image: Image, platform: str) -> Chain:
    """Read the stages that a rebase counts as one.

    :param image: one whose recipe could be resolved, so that its FROM lines are right.
    """
    stages = _Stages(image, platform)
    chain = stages.chain()
    return Chain(
        stages=tuple(tuple(one.instructions[1:]) for one in chain),
        values=stages.args.values,
        blockers=(*stages.about_the_base(chain), *stages.other_uses(chain)),
    )


class _Stages:
    """All stages of a Dockerfile, on one platform."""

    def __init__(self, image: Image, platform: str) -> None:
        everything = image.dockerfile.instructions
        first = next(i for i, one in enumerate(everything) if one.keyword == "FROM")
        last = next(one for one in reversed(everything) if one.keyword == "FROM")
        self._target = image.spec.target
        automatic = platform_args(build=image.spec.builder_platform, target=platform)
        automatic["TARGETSTAGE"] = self._target or _name(last) or "default"
        self.args = GlobalArgs(image.dockerfile, everything[:first], image.spec.args, automatic)
        self._contexts = normalised_contexts(image.spec.contexts)
        self._names: dict[str, int] = {}
        self._stages: list[_Stage] = []
        for one in everything[first:]:
            if one.keyword == "FROM":
                self._add(one)
            else:
                self._stages[-1].instructions.append(one)

    def _add(self, one: Instruction) -> None:
        name = _name(one)
        base = self.args.expand(one, split_blanks(one.text)[0])
        context = substitute(self._contexts, name) if name else None
        stage = _Stage(
            index=len(self._stages),
            name=name,
            base=base,
            base_stage=self._names.get(base.lower()) if context is None else None,
            context=context,
            instructions=[one],
        )
        self._stages.append(stage)
        if name:
            self._names[name] = stage.index

    def _final(self) -> _Stage:
        target = self._target
        if target is None:
            return self._stages[-1]
        for stage in reversed(self._stages):
            if stage.name == target.lower():
                return stage
        return self._stages[int(target)]

    def chain(self) -> list[_Stage]:
        """Return the stages from the one that stands on an image to the target."""
        found = [self._final()]
        while found[0].base_stage is not None:
            found.insert(0, self._stages[found[0].base_stage])
        return found

    def about_the_base(self, chain: list[_Stage]) -> Iterator[Blocker]:
        """Yield why it is not sure which image all of it stands on."""
        first = chain[0].instructions[0]

        def blocker(condition: str, why: str) -> Blocker:
            return Blocker(condition=condition, line=first.line, instruction="FROM", why=why)

        if chain[0].context is not None or substitute(self._contexts, chain[0].base) is not None:
            yield blocker("plain-recipe", "a named context stands in for its base")
        elif chain[0].base == "scratch":
            yield blocker("stands-on-an-image", "it stands on scratch, which never changes")
        for stage in chain:
            one = stage.instructions[0]
            if (one.flag("platform") or "") not in _OWN_PLATFORM:
                yield Blocker(
                    condition="plain-recipe",
                    line=one.line,
                    instruction="FROM",
                    why="it chooses a platform by --platform",
                )

    def other_uses(self, chain: list[_Stage]) -> Iterator[Blocker]:
        """Yield where files of the base, which moves, reach the image in another way, too."""
        if chain[0].context is not None:
            return  # it is blocked already
        within = {stage.index for stage in chain}
        base = self._meaning(chain[0].base)
        for stage in self._reachable(chain[-1].index):
            if stage.context is not None:
                continue
            if stage.index not in within and (
                stage.base_stage in within
                or (stage.base_stage is None and self._meaning(stage.base) in {base, None})
            ):
                why = "another stage that is needed stands on the base, too"
                yield _other_use(stage.instructions[0], why)
            for one in stage.instructions:
                for origin in origins_of(one):
                    index = self._index(origin.name, mount=origin.mount)
                    image = index is None and self._meaning(origin.name) in {base, None}
                    if index in within or image:
                        yield _other_use(one, f"from={origin.name} may hold files of the base")

    def _meaning(self, name: str) -> str | None:
        """Return the image that a name means, in full; None: it may be any image of this project.

        A folder, or ``scratch``, is as good as an image: it is not the base.
        """
        instead = substitute(self._contexts, name)
        if instead is None:
            return name if name == "scratch" or "$" in name else str(parse_reference(name))
        if instead.startswith(OUR_IMAGE):
            return None
        if instead.startswith(DOCKER_IMAGE):
            return str(parse_reference(instead.removeprefix(DOCKER_IMAGE)))
        return f"folder {instead}"

    def _index(self, name: str, *, mount: bool) -> int | None:
        """Return the stage that ``from=`` means; None: it is an image, or a context."""
        if not mount and name.isdecimal() and int(name[:9]) < len(self._stages):
            return int(name[:9])
        return self._names.get(name.lower())

    def _reachable(self, final: int) -> list[_Stage]:
        found: set[int] = set()
        waiting: list[int | None] = [final]
        while waiting:
            index = waiting.pop()
            if index is None or index in found:
                continue
            found.add(index)
            stage = self._stages[index]
            if stage.context is not None:
                continue
            waiting.append(stage.base_stage)
            for one in stage.instructions:
                waiting += [self._index(of.name, mount=of.mount) for of in origins_of(one)]
        return [self._stages[index] for index in sorted(found)]


def _name(one: Instruction) -> str:
    words = split_blanks(one.text)
    return words[2].lower() if len(words) == _NAMED else ""


def _other_use(one: Instruction, why: str) -> Blocker:
    return Blocker(condition="base-used-once", line=one.line, instruction=one.keyword, why=why)
