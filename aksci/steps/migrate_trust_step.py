"""The step ``migrate_trust``: from Docker Content Trust to the signers that stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError
from aksci.steps.graph_step import graph
from aksci.supply.sign.dct.migrate import migrate_repository, signed_repositories

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aksci.environment import Environment
    from aksci.supply.sign.dct.migrate import TrustMigration

__all__ = ["migrate_trust"]


def migrate_trust(
    env: Environment, repositories: Sequence[str] = (), *, plan: bool = False
) -> tuple[TrustMigration, ...]:
    """Sign by the other ``sign.signers`` what Docker Content Trust has signed, and report each.

    >>> [each.state for each in migrate_trust(env, plan=True)]  # doctest: +SKIP
    ['due', 'already']

    :param repositories: default: those of the project's images, charts and releases.
    :param plan: sign nothing, and only report what would be signed.
    :raises ConfigError: there is no other signer, or a name is not a repository's.
    :raises TrustError: the data of Docker Content Trust can't be fetched or is not trusted, or
        signing fails.
    """
    others = tuple(name for name in env.config.sign.signers if name != "dct")
    if not others:
        raise ConfigError(
            "There is nobody to sign instead of Docker Content Trust: it is all of sign.signers.",
            hint='add another one in aksci.toml: signers = ["dct", "notation"] under [sign].',
        )
    named = repositories or signed_repositories(env.config, env.root, graph(env))
    host = env.prepare(notary=True).registry
    signer, reader = env.signers.make(others), env.signers.dct()
    done: list[TrustMigration] = []
    for each in named:
        name = each.removeprefix(f"{host}/")
        moved = migrate_repository(
            name, reader=reader, registry=env.registry, signer=signer, plan=plan
        )
        _tell(env, name, moved)
        done += moved
    env.note("migrate-trust", {"plan": plan, "migrations": [each.as_json() for each in done]})
    return tuple(done)


def _tell(env: Environment, repository: str, moved: tuple[TrustMigration, ...]) -> None:
    if not moved:
        env.reporter.line(f"{repository}: nothing is signed with Docker Content Trust")
    for each in moved:
        tags = f" ({', '.join(each.names)})" if each.names else ""
        env.reporter.line(f"{each.ref}{tags}: {each.state}")
