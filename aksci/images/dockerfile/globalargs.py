"""ARGs before the first FROM: only they, and the platform's, are filled in in FROM lines.

Dockerfile reference: "Understand how ARG and FROM interact", "Automatic platform ARGs".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError
from aksci.images.dockerfile.expand import UnresolvedError, expand, variables_in
from aksci.images.dockerfile.variables import arg_pairs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aksci.images.dockerfile.parser import Dockerfile, Instruction

__all__ = ["GlobalArgs"]


class GlobalArgs:
    """The global ARGs of a Dockerfile and their values.

    :param args: build arguments: they take the place of defaults.
    :param automatic: what BuildKit sets itself.
    :raises ConfigError: another instruction stands there, or a default can't be read.
    """

    def __init__(
        self,
        dockerfile: Dockerfile,
        args: Mapping[str, str],
        automatic: Mapping[str, str],
    ) -> None:
        self._dockerfile = dockerfile
        self._uses: dict[str, set[str]] = {}
        self.values = {name: args.get(name, value) for name, value in automatic.items()}
        for one in dockerfile.head:
            if one.keyword != "ARG":
                raise ConfigError(
                    f"{dockerfile.name}, line {one.line}: {one.keyword} before the first FROM; "
                    "only ARG may stand there."
                )
            for name, default in arg_pairs(one, dockerfile.escape):
                self._uses.setdefault(name, set()).update(variables_in(default or ""))
                if name in args:
                    self.values[name] = args[name]
                elif default is not None:
                    self.values[name] = self.expand(one, default)

    def expand(self, one: Instruction, text: str) -> str:
        """Fill a word of an instruction in; what has no value is empty, as in BuildKit.

        :raises ConfigError: BuildKit refuses it, too.
        """
        try:
            return expand(text, self.values, escape=self._dockerfile.escape, complete=True)
        except UnresolvedError as error:
            raise self.needs_arg(one, text, error.name, error.why) from None
        except RecursionError:
            where = f"{self._dockerfile.name}, line {one.line}"
            raise ConfigError(f"{where}: it is nested too deep.") from None

    def needs_arg(self, one: Instruction, text: str, name: str, why: str) -> ConfigError:
        """Return the error that says which ARG a word needs."""
        return ConfigError(
            f"{self._dockerfile.name}, line {one.line}: {one.keyword} {text} needs the ARG "
            f"{name}: {why}.",
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
