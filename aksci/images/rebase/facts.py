"""What a Dockerfile says about a rebase: what stands in its way, and what of the image is its own.

How instructions become settings, history and layers is read in BuildKit's own sources, the package
``frontend/dockerfile/dockerfile2llb`` (v0.12 to v0.34 agree in all of this):

- ENV replaces a variable in its place, or appends it. LABEL, EXPOSE and VOLUME add to what the base
  has. USER, STOPSIGNAL, SHELL, HEALTHCHECK and MAINTAINER replace.
- ENTRYPOINT takes the base's CMD away, unless a CMD stands before it in the same stage. CMD sets
  ``ArgsEscaped``, and nothing ever takes that away.
- CMD and ENTRYPOINT in shell form hold the SHELL of that moment. HEALTHCHECK does not: it notes
  ``CMD-SHELL``, and whoever runs it chooses the shell.
- COPY --link makes its layer on an empty file system, where nothing of the base can be seen (also:
  Dockerfile reference, "COPY --link"). With --chmod it does not: such a COPY is an ordinary one,
  which follows the base's symbolic links. Names of users would be looked up; numbers are not.
- WORKDIR makes its folder in the base's file system. RUN and ADD may read anything.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from aksci.images.dockerfile.expand import variables_in
from aksci.images.dockerfile.parser import json_strings, split_blanks
from aksci.images.dockerfile.scopes import Scope, quoted_words
from aksci.images.rebase.chain import read_chain
from aksci.images.rebase.recorded import Blocker, RebaseFacts, facts_from

if TYPE_CHECKING:
    from aksci.images.dockerfile.parser import Instruction
    from aksci.images.graph import Image

__all__ = ["RebaseFacts", "facts_from", "facts_of", "masks_packages"]

_DATABASES = (
    "/lib/apk/db",
    "/usr/lib/apk/db",
    "/usr/lib/opkg",
    "/usr/lib/sysimage",
    "/var/lib/apt",
    "/var/lib/dnf",
    "/var/lib/dpkg",
    "/var/lib/pacman",
    "/var/lib/rpm",
    "/var/lib/yum",
)
"""Where package managers keep what is installed, from their manuals."""
_EXPANDED = frozenset({"ARG", "COPY", "ENV", "EXPOSE", "LABEL", "STOPSIGNAL", "USER", "VOLUME"})
"""Dockerfile reference, "Environment replacement"."""
_SINGLE = {
    "ENTRYPOINT": "Entrypoint",
    "HEALTHCHECK": "Healthcheck",
    "MAINTAINER": "author",
    "SHELL": "Shell",
    "STOPSIGNAL": "StopSignal",
    "USER": "User",
}
_NEVER = {
    "ADD": ("no-add", "ADD is never provably the same: COPY --link is, where it can do the work"),
    "ONBUILD": ("no-onbuild", "what stands on the image would run it"),
    "RUN": ("no-run", "it may read anything of the base"),
    "WORKDIR": ("no-workdir", "BuildKit makes the folder in the base's own file system"),
}
_OWNER = re.compile(r"[0-9]+(:[0-9]+)?")
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(tcp|udp|sctp))?", re.IGNORECASE)
_MOST_PORTS = 65_535


def facts_of(image: Image) -> RebaseFacts:
    """Read what a rebase of an image must know, of all its platforms together."""
    unclear = tuple(_unclear(image))
    if not image.dockerfile.standard_frontend:
        return RebaseFacts(blockers=unclear)
    first, *others = [_on_platform(image, platform) for platform in image.spec.platforms]
    if any(one != first for one in others):
        why = "the Dockerfile means different things for its platforms"
        unclear += (Blocker(condition="plain-recipe", line=0, instruction="FROM", why=why),)
    return replace(first, blockers=(*unclear, *first.blockers))


def masks_packages(destination: str) -> bool:
    """Tell whether a copy to an absolute path may hide a package manager's database."""
    path = _normal(destination)
    return any(
        path in {"/", one} or one.startswith(f"{path}/") or path.startswith(f"{one}/")
        for one in _DATABASES
    )


def _normal(path: str) -> str:
    return posixpath.normpath("/" + path.lstrip("/"))


def _unclear(image: Image) -> list[Blocker]:
    whys = list(image.recipe.opaque)
    if image.triggers:
        whys.append(f"the ONBUILD of {min(image.triggers)} is a part of it")
    return [Blocker(condition="plain-recipe", line=0, instruction="", why=why) for why in whys]


def _on_platform(image: Image, platform: str) -> RebaseFacts:
    chain = read_chain(image, platform)
    scope = Scope(args=image.spec.args, defaults=chain.values, escape=image.dockerfile.escape)
    reading = _Reading(image.dockerfile.escape)
    below: Scope | None = None
    for stage in chain.stages:
        below = scope.enter(below, empty=False)
        reading.stage(stage, below)
    return reading.facts(chain.blockers)


class _Reading:
    """Read stages, one instruction after the other."""

    def __init__(self, escape: str) -> None:
        self._escape = escape
        self._blockers: list[Blocker] = []
        self._steps: list[str] = []
        self._names: dict[str, dict[str, None]] = {}
        self._variables: set[str] = set()
        self._relative: list[str] = []
        self._owned: set[str] = set()
        self._cmd = "base"
        self._has_cmd = False
        self._cmd_in_stage = False
        self._base_shell = False

    def stage(self, instructions: tuple[Instruction, ...], scope: Scope) -> None:
        """Read one stage, with the variables that it begins with."""
        self._cmd_in_stage = False
        self._scope = scope
        for one in instructions:
            self._instruction(one)
            scope.apply(one)

    def facts(self, more: tuple[Blocker, ...]) -> RebaseFacts:
        """Return what was read."""
        return RebaseFacts(
            blockers=(*more, *self._blockers),
            steps=tuple(self._steps),
            layers=self._steps.count("COPY"),
            env=tuple(self._names.get("ENV", ())),
            labels=tuple(self._names.get("LABEL", ())),
            ports=tuple(self._names.get("EXPOSE", ())),
            volumes=tuple(self._names.get("VOLUME", ())),
            cmd=self._cmd,
            args_escaped=self._has_cmd,
            owned=tuple(sorted(self._owned)),
            base_variables=tuple(sorted(self._variables)),
            base_shell=self._base_shell,
            relative=tuple(dict.fromkeys(self._relative)),
        )

    def _instruction(self, one: Instruction) -> None:
        if one.keyword in _NEVER:
            self._block(one, *_NEVER[one.keyword])
            return
        self._steps.append(one.keyword)
        if one.keyword in _EXPANDED:
            texts = (one.text, *(value for _, value in one.flags), *one.heredocs)
            used = set().union(*map(variables_in, texts))
            self._variables |= used - (self._scope.values.keys() - self._scope.inherited)
        if one.keyword in {"ENV", "LABEL", "EXPOSE", "VOLUME"}:
            self._note_names(one)
        elif one.keyword in {"CMD", "ENTRYPOINT"}:
            self._command(one)
        elif one.keyword == "COPY":
            self._copy(one)
        if one.keyword in _SINGLE:
            self._owned.add(_SINGLE[one.keyword])

    def _block(self, one: Instruction, condition: str, why: str) -> None:
        self._blockers.append(
            Blocker(condition=condition, line=one.line, instruction=one.keyword, why=why)
        )

    def _command(self, one: Instruction) -> None:
        if json_strings(one.text) is None and "Shell" not in self._owned:
            self._base_shell = True
        if one.keyword == "CMD":
            self._cmd, self._has_cmd, self._cmd_in_stage = "own", True, True
        elif not self._cmd_in_stage:
            self._cmd = "none"

    def _note_names(self, one: Instruction) -> None:
        words = self._words(one)
        if one.keyword == "EXPOSE":
            found = _ports(words)
        elif one.keyword == "VOLUME":
            found = None if words is None else [word.strip() for word in words]
        else:
            found = words
        if found is None:
            self._block(one, "known-names", "nobody can tell which names it sets")
            return
        self._names.setdefault(one.keyword, {}).update(dict.fromkeys(found))

    def _words(self, one: Instruction) -> list[str] | None:
        """Return names, ports or paths, expanded; None: only a build can tell them."""
        if one.keyword in {"ENV", "LABEL"}:
            words = quoted_words(one.text, self._escape)
            if words and "=" not in words[0]:
                words = split_blanks(one.text)[:1]
            words = [word.partition("=")[0] for word in words]
        elif one.keyword == "VOLUME" and (strings := json_strings(one.text)) is not None:
            words = strings
        else:
            words = split_blanks(one.text)
        expanded = [self._scope.expand(word) for word in words]
        known = [word for word in expanded if word]
        return known if len(known) == len(words) else None

    def _copy(self, one: Instruction) -> None:
        if (one.flag("link") or "").lower() != "true":
            self._block(one, "only-linked-copies", "without --link, it may read the base's files")
        elif one.flag("chmod"):
            why = "BuildKit does not link a COPY with --chmod: it may follow the base's links"
            self._block(one, "only-linked-copies", why)
        owner = one.flag("chown")
        if owner and not _OWNER.fullmatch(self._scope.expand(owner) or ""):
            self._block(one, "numeric-owner", f"--chown={owner} is not a number, or two")
        words = json_strings(one.text) or split_blanks(one.text)
        destination = self._scope.expand(words[-1])
        if destination is None or "\\" in destination:
            why = f"nobody can tell whether {words[-1]} holds a package manager's database"
            self._block(one, "package-database", why)
        elif not destination.startswith("/"):
            self._relative.append(destination)
        elif masks_packages(destination):
            why = f"what it puts at {destination} may hide the base's package database"
            self._block(one, "package-database", why)


def _ports(words: list[str] | None) -> list[str] | None:
    """Return ``8080/tcp`` of each port; None: a form that only BuildKit reads.

    Dockerfile reference, "EXPOSE"; addresses and ports of the host are no part of it.
    """
    if words is None:
        return None
    found: list[str] = []
    for port in " ".join(words).split():
        match = _PORTS.fullmatch(port)
        if match is None:
            return None
        first, last = int(match.group(1)), int(match.group(2) or match.group(1))
        if not first <= last <= _MOST_PORTS:
            return None
        protocol = (match.group(3) or "tcp").lower()
        found += [f"{number}/{protocol}" for number in range(first, last + 1)]
    return found
