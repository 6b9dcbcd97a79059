"""The session ``migrate-trust``: from Docker Content Trust to the signers that stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aksci.core.errors import ConfigError

if TYPE_CHECKING:
    from aksci.cli.options import Options
    from aksci.environment import Environment
    from aksci.supply.sign.dct.migrate import TrustMigration

__all__ = ["migrate_trust"]


def migrate_trust(env: Environment, options: Options) -> dict[str, Any]:
    """Sign by today's signers what Docker Content Trust has signed; ``--plan`` only shows it.

    Words name repositories; without any, those of the project's images, charts and releases are
    looked through.
    """
    from aksci.supply.sign.dct.migrate import migrate_repository

    others = tuple(name for name in env.config.sign.signers if name != "dct")
    if not others:
        raise ConfigError(
            "There is nobody to sign instead of Docker Content Trust: it is all of sign.signers.",
            hint='add another one in aksci.toml: signers = ["dct", "notation"] under [sign].',
        )
    repositories = options.words or _repositories(env)
    host = env.prepare(notary=True).registry
    signer, reader = env.signers.make(others), env.signers.dct()
    done: list[TrustMigration] = []
    for each in repositories:
        name = each.removeprefix(f"{host}/")
        moved = migrate_repository(
            name, reader=reader, registry=env.registry, signer=signer, plan=options.plan
        )
        _tell(env, name, moved)
        done += moved
    return {"plan": options.plan, "migrations": [_entry(each) for each in done]}


def _repositories(env: Environment) -> tuple[str, ...]:
    """Return all that a deployment verifies signatures in."""
    from aksci.steps.graph_step import graph as project_graph
    from aksci.supply.release.chart import read_chart
    from aksci.supply.release.release import chart_repository, release_repository

    project = env.config.project.name
    images = {image.spec.repository for image in project_graph(env).images.values()}
    folders = {env.root / service.chart for service in env.config.services.values()}
    charts = {chart_repository(project, read_chart(folder).name) for folder in folders}
    return tuple(sorted({*images, *charts, release_repository(project)}))


def _tell(env: Environment, repository: str, moved: tuple[TrustMigration, ...]) -> None:
    if not moved:
        env.reporter.line(f"{repository}: nothing is signed with Docker Content Trust")
    for each in moved:
        tags = f" ({', '.join(each.names)})" if each.names else ""
        env.reporter.line(f"{each.ref}{tags}: {each.state}")


def _entry(each: TrustMigration) -> dict[str, Any]:
    return {
        "ref": str(each.ref),
        "tags": list(each.names),
        "claims": dict(each.claims),
        "state": each.state,
    }
