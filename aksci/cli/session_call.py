"""From a session to its function: found when it runs, called with what was given, and no more."""

from __future__ import annotations

import contextlib
import reprlib
import sys
from importlib import import_module
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any

from aksci.cli.options import options_of
from aksci.core.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from aksci.cli.sessions import SessionSpec
    from aksci.environment import Environment

__all__ = ["call_session"]

_HIGHEST = 255
"""The highest exit status that a process can have."""
_NAMED = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
"""Parameters that can be given by name."""


def call_session(session: SessionSpec, env: Environment, given: Mapping[str, Any]) -> int:
    """Call a session's function with the options that were given, and return its exit status.

    :param given: by the options' names; the function's own defaults stand for all others.
    :raises ConfigError: a noxfile's session has no such function, or one that can't be called so.
    :raises UsageError: the function can't do without an option that was not given.
    """
    with _importable(session):
        function = _find(session)
        done = function(env, **_arguments(session, _parameters(session, function), given))
    if done is None:
        return 0
    if isinstance(done, bool) or not isinstance(done, int) or not 0 <= done <= _HIGHEST:
        raise _wrong(
            session,
            f"returned {reprlib.repr(done)}; it must return None, or an exit status from 0 to "
            f"{_HIGHEST}",
        )
    return done


def _find(session: SessionSpec) -> Callable[..., Any]:
    module_name, _, name = session.target.partition(":")
    if not module_name or not name:
        raise _wrong(session, "is not written as module:function")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        # What their module fails to import is theirs to see, with its traceback.
        if session.noxfile is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise _wrong(
            session, f"can't be imported: there is no module {error.name!r} in {_folder(session)}"
        ) from None
    function = getattr(module, name, None)
    if function is None:
        raise _wrong(session, f"is not there: {module.__file__ or module_name} has no {name!r}")
    if not callable(function):
        raise _wrong(session, f"is no function, but {type(function).__name__!r}")
    return function  # type: ignore[no-any-return] # it may be anything


def _parameters(session: SessionSpec, function: Callable[..., Any]) -> list[Parameter]:
    try:
        return list(signature(function).parameters.values())
    except (TypeError, ValueError):  # some functions written in C have none
        raise _wrong(session, "has no signature to read: wrap it in a function") from None


def _arguments(
    session: SessionSpec, parameters: Sequence[Parameter], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the keyword arguments of the call, once it is sure that the function takes them."""
    if not parameters or parameters[0].kind in {Parameter.KEYWORD_ONLY, Parameter.VAR_KEYWORD}:
        raise _wrong(session, "takes no Environment as its first argument")
    others = parameters[1:]
    named = {each.name: each for each in others if each.kind in _NAMED}
    everything = any(each.kind is Parameter.VAR_KEYWORD for each in others)
    declared = options_of(session)
    del declared["env"]  # the first argument is of that environment
    for name, option in declared.items():
        if name not in named and not everything:
            raise _wrong(session, f"takes no {name!r}, which {option.written} would be")
    for name, parameter in named.items():
        if parameter.default is not Parameter.empty or name in given:
            continue
        if name not in declared:
            raise _wrong(session, f"needs {name!r}, which is none of its options")
        raise UsageError(
            f"{session.name} needs {declared[name].written}.",
            hint=f"nox -s {session.name} -- --help",
        )
    return {name: value for name, value in given.items() if name in declared}


def _wrong(session: SessionSpec, why: str) -> ConfigError:
    where = f"{session.noxfile}: " if session.noxfile else ""
    return ConfigError(f"{where}session {session.name!r}: {session.target} {why}.")


def _folder(session: SessionSpec) -> str:
    return str(session.noxfile.parent) if session.noxfile else ""


@contextlib.contextmanager
def _importable(session: SessionSpec) -> Iterator[None]:
    """Let a team's session import what is beside its noxfile, before all else, while it runs.

    Afterwards no longer: their ``secrets.py`` would be found by what our next session imports.
    """
    if session.noxfile is None:
        yield
        return
    before = list(sys.path)
    sys.path.insert(0, str(session.noxfile.parent))
    try:
        yield
    finally:
        sys.path[:] = before
