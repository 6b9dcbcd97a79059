"""The variables of a Dockerfile: global ARGs, and what ARG and ENV are worth in a stage, by line.

Dockerfile reference: "ENV", "ARG", "Scope", "Environment replacement", "Understand how ARG and FROM
interact", "Automatic platform ARGs". A stage based on another one goes on with its variables.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aksci.core.allowance import Allowance
from aksci.core.errors import ConfigError
from aksci.core.text import short_line
from aksci.images.dockerfile.expand import (
    TOTAL,
    TooMuchError,
    UnresolvedError,
    expand,
    variables_in,
)
from aksci.images.dockerfile.parser import split_blanks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aksci.images.dockerfile.parser import Dockerfile, Instruction

__all__ = ["GlobalArgs", "Scope", "arg_pairs", "quoted_words"]

_ENTRY = 8
"""What a variable that a stage goes on with takes of the allowance, as characters."""

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_WORDS = {
    escape: re.compile(
        rf"""(?:{mark}.|"(?:{mark}.|[^"{mark}])*"?|'[^']*'?|[^\s"'{mark}])+""", re.DOTALL
    )
    for escape, mark in (("\\", r"\\"), ("`", "`"))
}


def quoted_words(text: str, escape: str) -> list[str]:
    """Split at blanks outside quotes; quotes and escapes stay."""
    if '"' not in text and "'" not in text and escape not in text:
        return text.split()
    return _WORDS[escape].findall(text)


def arg_pairs(one: Instruction, escape: str) -> list[tuple[str, str | None]]:
    """Return the names that an ARG declares, each with its default as it is written."""
    pairs: list[tuple[str, str | None]] = []
    for word in quoted_words(one.text, escape):
        name, equals, default = word.partition("=")
        pairs.append((name, default if equals else None))
    return pairs


class Scope:
    """The variables at one line of a stage.

    :param args: build arguments.
    :param defaults: the ARGs before the first FROM, and the platform's.
    :param allowance: of all stages. Once it is used up, all words are unknown.
    """

    def __init__(
        self,
        *,
        args: Mapping[str, str],
        defaults: Mapping[str, str],
        escape: str,
        allowance: Allowance | None = None,
    ) -> None:
        self._allowance = allowance or Allowance(TOTAL)
        self._args = args
        self._defaults = defaults
        self._escape = escape
        self.values: dict[str, str | None] = {}
        """None: it has a value that nobody knows."""
        self.complete = False
        """Whether a variable that is not in ``values`` has no value."""
        self.env: dict[str, str | None] = {}
        """What ENV has set here and in the stages below."""

    def enter(self, base: Scope | None, *, empty: bool) -> Scope:
        """Return the scope of a stage that goes on from another one's end, or from an image.

        BuildKit 0.34 sets each ENV again where a stage begins, the image's too, over the ARGs of
        the stages below: their values are then known only if the image is ``scratch``.

        :param empty: the image is ``scratch``: what is not set has no value. Otherwise it may have
            been set in the image.
        """
        scope = Scope(
            args=self._args,
            defaults=self._defaults,
            escape=self._escape,
            allowance=self._allowance,
        )
        if base is not None:
            if not self._allowance.take(_ENTRY * (len(base.values) + len(base.env))):
                return scope  # as if all of them were the image's
            scope.complete, scope.env = base.complete, dict(base.env)
            below = base.values if base.complete else {}
            scope.values = {**below, **base.env}
        elif empty:
            # BuildKit gives even an image FROM scratch a PATH.
            scope.env, scope.complete = {"PATH": _PATH}, True
            scope.values = dict(scope.env)
        return scope

    def expand(self, word: str) -> str | None:
        """Expand a word; None: nobody knows what it means."""
        try:
            return expand(
                word,
                self.values,
                escape=self._escape,
                complete=self.complete,
                allowance=self._allowance,
            )
        except UnresolvedError:
            return None

    def apply(self, one: Instruction) -> None:
        """Go on to the line after an instruction."""
        if one.keyword == "ARG":
            for name, default in arg_pairs(one, self._escape):
                # A build argument beats the default, but only where an ARG declares it.
                if name in self._args:
                    self.values[name] = self._args[name]
                elif default is not None:
                    self.values[name] = self.expand(default)
                # ``ARG NAME`` alone takes over what stands before the first FROM.
                elif name in self._defaults:
                    self.values[name] = self._defaults[name]
        elif one.keyword == "ENV":
            found = self._variables(one)
            self.env.update(found)
            self.values.update(found)

    def _variables(self, one: Instruction) -> dict[str, str | None]:
        """Read ``ENV a=b c=d`` or ``ENV a b``; each value sees the variables before the line."""
        words = quoted_words(one.text, self._escape)
        if words and "=" not in words[0]:
            name, *rest = split_blanks(one.text)
            value = one.text[len(name) :].strip() if rest else ""
            return {name: self.expand(value)}
        found: dict[str, str | None] = {}
        for word in words:
            key, _, value = word.partition("=")
            known = self.expand(key)
            if known is None:
                # Any variable may have been set: as if all of them were the image's.
                self.complete, self.values, self.env = False, {}, {}
            else:
                found[known] = self.expand(value)
        return found


class GlobalArgs:
    """The global ARGs of a Dockerfile and their values.

    :param args: build arguments: they take the place of defaults.
    :param automatic: what BuildKit sets itself.
    :param allowance: of this and of the stages.
    :raises ConfigError: another instruction stands there, or a default can't be read.
    """

    def __init__(
        self,
        dockerfile: Dockerfile,
        args: Mapping[str, str],
        automatic: Mapping[str, str],
        allowance: Allowance | None = None,
    ) -> None:
        self._allowance = allowance or Allowance(TOTAL)
        self._dockerfile = dockerfile
        self._uses: dict[str, set[str]] = {}
        self.values = {name: args.get(name, value) for name, value in automatic.items()}
        for one in dockerfile.head:
            if one.keyword != "ARG":
                keyword = short_line(one.keyword)
                raise ConfigError(
                    f"{dockerfile.name}, line {one.line}: {keyword} before the first FROM; "
                    "only ARG may stand there."
                )
            for name, default in arg_pairs(one, dockerfile.escape):
                used = self._uses.setdefault(name, set())
                if name in args:
                    self.values[name] = args[name]
                    continue
                used.update(variables_in(default or ""))
                if default is not None:
                    self.values[name] = self.expand(one, default)

    def expand(self, one: Instruction, text: str) -> str:
        """Fill a word of an instruction in; what has no value is empty, as in BuildKit.

        :raises ConfigError: BuildKit refuses it, too.
        """
        try:
            return expand(
                text,
                self.values,
                escape=self._dockerfile.escape,
                complete=True,
                allowance=self._allowance,
            )
        except TooMuchError as error:
            raise ConfigError(
                f"{self._dockerfile.name}, line {one.line}: {one.keyword} {short_line(one.text)} "
                f"can't be expanded: {error.why}.",
            ) from None
        except UnresolvedError as error:
            raise self.needs_arg(one, text, error.name, error.why) from None

    def needs_arg(self, one: Instruction, text: str, name: str, why: str) -> ConfigError:
        """Return the error that says which ARG a word needs."""
        name = short_line(name)
        return ConfigError(
            f"{self._dockerfile.name}, line {one.line}: {one.keyword} {short_line(text)} needs "
            f"the ARG {name}: {short_line(why)}.",
            hint=f"give it a default before the first FROM (ARG {name}=…), or a value in "
            "aksci.toml ([images.NAME] args).",
        )

    def used_by(self, names: Iterable[str]) -> set[str]:
        """Return some names, and those that their defaults use."""
        found: set[str] = set()
        waiting = set(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting |= self._uses.get(name, set())
        return found
