"""Which environment variables aksci.toml names as holders of secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aksci.core.secret_variables import is_identity, is_own_secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aksci.config.models import Config

__all__ = ["secret_names", "withheld_names"]

_ADDRESS = "env://"
"""Prefix of a key reference of cosign's: the rest names the variable that holds the key."""


def secret_names(config: Config) -> frozenset[str]:
    """Return every variable that holds a password, a token, a key or a build secret."""
    names = {secret.env for secret in config.build.secrets.values() if secret.env}
    # Not [images]: a project may have hundreds, and no key of theirs names a variable.
    for table in (config.scan, config.sign, config.cascade):
        names |= {*_named(table.model_dump())}
    for each in (*config.environments.values(), *config.services.values()):
        names |= {*_named(each.model_dump())}
    return frozenset(names)


def withheld_names(named: Iterable[str], variables: Iterable[str]) -> frozenset[str]:
    """Return the variables that programs get only where a call hands them over.

    :param named: ``secret_names``.

    Those that say who asks a cloud or a CI system are not among them: the helpers by which Helm and
    buildx log in need them.
    """
    ours = {name for name in variables if is_own_secret(name)}
    return frozenset(name for name in {*named, *ours} if not is_identity(name))


def _named(table: Any) -> Iterator[str]:
    """Yield what keys called ``…_env`` name, those of parts of one's own, too."""
    if isinstance(table, dict):
        for key, value in table.items():
            if isinstance(value, str) and str(key).endswith("_env"):
                yield value
            else:
                yield from _named(value)
    elif isinstance(table, list | tuple):
        for value in table:
            yield from _named(value)
    elif isinstance(table, str) and table.startswith(_ADDRESS):
        yield table.removeprefix(_ADDRESS)
