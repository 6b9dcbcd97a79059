"""Parts that installed packages offer by entry points, found by name: ``find_offer``.

Python packaging, "Entry points specification". Installed packages are looked through only when a
name is asked for that is not built in: an ordinary run pays nothing.
"""

from __future__ import annotations

import difflib
import inspect
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.core.errors import AksciError, ConfigError, PartError
from aksci.core.text import short_line

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from importlib.metadata import EntryPoint

__all__ = ["Offer", "find_offer"]


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One part that an installed package offers under a name."""

    kind: str
    """``scanner``, ``signer``…"""
    name: str
    place: str
    """What its entry point names: ``module:attribute``."""
    package: str
    """The distribution and its version, such as ``acme-aksci 0.3``."""
    load: Callable[[], Any]

    @property
    def origin(self) -> str:
        """Who offers it, for messages."""
        return f"{self.kind} {self.name!r}, {self.place} of {self.package}"

    def make(self, given: Any, protocol: type) -> Any:
        """Load its factory, call it with what it is given, and return the part.

        :param protocol: what the part must have all members of.
        :raises PartError: it can't be imported, is no factory, failed, or made something else. What
            failed is the error's cause.
        :raises AksciError: the factory's own, such as for its options.
        """
        try:
            factory = self.load()
        except Exception as error:
            raise PartError(f"The {self.origin}, can't be imported: {_told(error)}.") from error
        if not callable(factory):
            raise PartError(f"The {self.origin}, is no function but a {type(factory).__name__}.")
        try:
            part = factory(given)
        except AksciError as error:
            # The same error, for its type is the exit status.
            error.message += f"\n\nThis is what the {self.origin}, says."
            raise
        except Exception as error:
            raise PartError(f"The {self.origin}, could not be made: {_told(error)}.") from error
        missing = [name for name in vars(protocol) if name[0] != "_" and not _has(part, name)]
        if missing:
            raise PartError(
                f"The {self.origin}, made a {type(part).__name__} that lacks {', '.join(missing)}.",
                hint=f"help(aksci.parts.{protocol.__name__}) shows what it must have.",
            )
        return part


def find_offer(group: str, name: str, *, where: str, built_in: Collection[str]) -> Offer:
    """Return what the installed packages offer under a name.

    :param group: the entry points' group, such as ``aksci.scanners``.
    :param where: the key that names the part, with its file, for messages.
    :raises ConfigError: no package offers it, or more than one does.
    """
    from importlib.metadata import entry_points

    kind = group.removeprefix("aksci.").removesuffix("s")
    # Sorted: in what order Python finds packages, depends on the machine.
    offered = sorted(entry_points(group=group), key=lambda each: (each.name, _package(each)))
    found = [each for each in offered if each.name == name]
    if not found:
        raise _unknown(group, kind, name, where, built_in, offered)
    if len(found) > 1:
        packages = ", ".join(map(_package, found))
        raise ConfigError(
            f"{where}: more than one package offers the {kind} {name!r}: {packages}.",
            hint="uninstall all but one of them.",
        )
    return Offer(
        kind=kind,
        name=name,
        place=short_line(found[0].value),
        package=_package(found[0]),
        load=found[0].load,
    )


def _has(part: Any, name: str) -> bool:
    # Looked up, not read: a property may open what it tells of. A stub that was inherited from the
    # protocol is nothing.
    found = inspect.getattr_static(part, name, None)
    owner = next((each for each in type(part).__mro__ if name in vars(each)), None)
    return found is not None and not getattr(owner, "_is_protocol", False)


def _unknown(
    group: str,
    kind: str,
    name: str,
    where: str,
    built_in: Collection[str],
    offered: Iterable[EntryPoint],
) -> ConfigError:
    installed = {each.name: _package(each) for each in offered}
    close = difflib.get_close_matches(name, [*built_in, *installed], n=1)
    suggestion = f" Did you mean {close[0]!r}?" if close else ""
    own = ", ".join(f"{each} ({package})" for each, package in installed.items())
    known = f"Built in: {', '.join(sorted(built_in)) or 'none'}; installed: {own or 'none'}."
    return ConfigError(
        f"{where}: there is no {kind} {name!r}.{suggestion} {known}",
        hint=f"install the package that offers it (entry point group {group}) where aksci is.",
    )


def _package(entry: EntryPoint) -> str:
    # ``dist`` is None only for entry points that were made by hand.
    return short_line(f"{entry.dist.name} {entry.dist.version}") if entry.dist else "a package"


def _told(error: Exception) -> str:
    """Say what failed and where: the last file of those that it went through."""
    frames = [
        each
        for each in traceback.extract_tb(error.__traceback__)
        # Python's own have no file that anybody could open.
        if not each.filename.startswith("<")
    ]
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return short_line(f"{type(error).__name__}: {error}", 500) + place
