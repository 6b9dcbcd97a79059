"""What of a target's stages has an effect on its image, in a form without what has none.

As BuildKit 0.34 (``dockerfile2llb``) was seen to do it: of a stage that only gives files, neither
metadata nor the environment of commands that it does not have gets anywhere, but the user of a
WORKDIR, whose folder it owns; names of stages are in no step and in no history.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import replace
from operator import itemgetter
from typing import TYPE_CHECKING

from aksci.images.dockerfile.instruction_reads import copied_words
from aksci.images.dockerfile.variables import quoted_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aksci.images.dockerfile.parser import Instruction
    from aksci.images.dockerfile.resolved_stage import ResolvedStage

__all__ = ["OBEYED", "OBEYED_PREFIX", "kept_instructions", "meaning_of"]

OBEYED = "SOURCE_DATE_EPOCH"
OBEYED_PREFIX = "BUILDKIT_"
"""Build arguments that BuildKit obeys though nobody declares them."""
_METADATA = frozenset(
    {"CMD", "ENTRYPOINT", "EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER", "STOPSIGNAL", "VOLUME"}
)
_ENVIRONMENT = frozenset({"ARG", "ENV", "SHELL", "USER"})
_OWNER = frozenset({"USER"})
_SPACE = re.compile(r"\s")
_BLANKS = frozenset(" \t")
"""Other white space parts words for some programs, and for others not."""


def kept_instructions(
    used: Sequence[ResolvedStage], final: ResolvedStage
) -> dict[int, list[Instruction]]:
    """Return what has an effect of each stage that a target needs, by the stage's index.

    :param used: in order.
    """
    by_index = {stage.index: stage for stage in used}
    # The image has the history of these, and all that it says of itself.
    chain = {final.index}
    while (stage := by_index[min(chain)]).base_stage is not None:
        chain.add(stage.base_stage)
    asked: dict[int, frozenset[str]] = defaultdict(frozenset)
    found: dict[int, list[Instruction]] = {}
    for stage in reversed(used):  # what is based on a stage stands below it
        kept = stage.counting
        if stage.index not in chain:
            kept, asks = _giving_files(kept, asked=asked[stage.index])
            if stage.base_stage is not None:
                asked[stage.base_stage] |= asks
        found[stage.index] = kept
    return dict(reversed(found.items()))


def _giving_files(
    instructions: Sequence[Instruction], *, asked: frozenset[str]
) -> tuple[list[Instruction], frozenset[str]]:
    """Return what makes the files of a stage, and what its beginning is asked for.

    :param asked: keywords of the environment that what follows asks for.
    """
    kept = []
    for one in reversed(instructions):
        if one.keyword in _METADATA:
            continue
        if one.keyword in _ENVIRONMENT and one.keyword not in asked and not _is_obeyed(one):
            continue
        # A FROM sees the global ARGs only.
        if one.keyword != "FROM":
            asked |= _asks(one)
        kept.append(one)
    return kept[::-1], asked


def _asks(one: Instruction) -> frozenset[str]:
    """Return the keywords of the environment that an instruction asks for."""
    texts = (one.text, *one.heredocs, *(value for _, value in one.flags))
    if one.keyword == "RUN" or any("$" in text for text in texts):
        return _ENVIRONMENT
    # Its folder belongs to the user (BuildKit 0.34, ``dispatchWorkdir``).
    return _OWNER if one.keyword == "WORKDIR" else frozenset()


def _is_obeyed(one: Instruction) -> bool:
    return one.keyword == "ARG" and (OBEYED in one.text or OBEYED_PREFIX in one.text)


def meaning_of(
    head: Sequence[Instruction],
    used: Sequence[ResolvedStage],
    kept: Mapping[int, Sequence[Instruction]],
    *,
    args: Mapping[str, str],
    escape: str,
) -> tuple[Instruction, ...]:
    """Return the instructions that have an effect, without what has none in them.

    :param kept: as ``kept_instructions`` returns them.
    :param args: build arguments: the default of one that has a value means nothing.
    """
    # No image can be called so.
    places = {stage.index: f"#{place}" for place, stage in enumerate(used)}
    found = [_shortened(one, args, escape) for one in head]
    for stage in used:
        names = {
            (source.name.lower(), source.mount): places[index]
            for source, index in stage.copied
            if index is not None and not source.unclear
        }
        for one in kept[stage.index]:
            if one.keyword == "FROM":
                base = None if stage.base_stage is None else places[stage.base_stage]
                found.append(_nameless(one, stage, base))
            else:
                found.append(_shortened(_with_places(one, names), args, escape))
    return tuple(found)


def _nameless(one: Instruction, stage: ResolvedStage, base: str | None) -> Instruction:
    if stage.context is not None:
        return one  # its name says which context it is
    return replace(one, text=base or stage.written.base)


def _with_places(one: Instruction, names: Mapping[tuple[str, bool], str]) -> Instruction:
    """Name the stages that files come from by their places."""
    if not names or one.keyword not in {"ADD", "COPY", "RUN"}:
        return one
    flags = []
    for key, value in one.flags:
        if key == "from":
            flags.append((key, names.get((value.lower(), False), value)))
        else:
            flags.append((key, _mount(value, names) if key == "mount" else value))
    return replace(one, flags=tuple(flags))


def _mount(value: str, names: Mapping[tuple[str, bool], str]) -> str:
    if '"' in value:  # fields that may hold commas
        return value
    fields = []
    for name, equals, text in (field.partition("=") for field in value.split(",")):
        place = names.get((text.lower(), True)) if name.lower() == "from" else None
        fields.append(f"{name}{equals}{place or text}")
    return ",".join(fields)


def _shortened(one: Instruction, args: Mapping[str, str], escape: str) -> Instruction:
    """Return an instruction with its words in one form."""
    if one.keyword in {"ADD", "COPY"} and not one.heredocs:
        flags = tuple(sorted(one.flags, key=itemgetter(0)))
        return replace(one, flags=flags, text=json.dumps(copied_words(one)))
    if one.keyword not in {"ARG", "ENV", "LABEL"} or not _BLANKS.issuperset(
        _SPACE.findall(one.text)
    ):
        return one
    words = quoted_words(one.text, escape)
    if one.keyword == "ARG":
        words = [name if (name := word.partition("=")[0]) in args else word for word in words]
    elif not words or "=" not in words[0]:  # ``ENV name value`` keeps its blanks
        return one
    return replace(one, text=" ".join(words))
