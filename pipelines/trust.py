"""The session ``migrate-trust``: from Docker Content Trust to the signers that stay."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aksci.core.errors import ConfigError

if TYPE_CHECKING:
    from aksci.cli.options import Options
    from aksci.context import Context
    from aksci.supply.sign.dct.migrate import TrustMigration

__all__ = ["migrate_trust"]


def migrate_trust(context: Context, options: Options) -> dict[str, Any]:
    """Sign by today's signers what Docker Content Trust has signed; ``--plan`` only shows it.

    Words name repositories; without any, those of the project's images, charts and releases are
    looked through.
    """
    from aksci.supply.sign.dct.migrate import migrate_repository
    from pipelines.platform import make_toolbox, prepare
    from pipelines.signers import make_dct, make_signer
    from pipelines.supplies import reach_registry

    others = tuple(name for name in context.config.sign.signers if name != "dct")
    if not others:
        raise ConfigError(
            "There is nobody to sign instead of Docker Content Trust: it is all of sign.signers.",
            hint='add another one in aksci.toml: signers = ["dct", "notation"] under [sign].',
        )
    repositories = options.words or _repositories(context)
    toolbox = make_toolbox(context)
    found = prepare(_signed_by(context, ("dct", *others)), toolbox, cluster=False)
    with closing(reach_registry(context, found)) as registry:
        signer = make_signer(_signed_by(context, others), toolbox, found, registry)
        reader = make_dct(context, toolbox, found, registry)
        done: list[TrustMigration] = []
        for each in repositories:
            name = each.removeprefix(f"{found.registry}/")
            moved = migrate_repository(
                name, reader=reader, registry=registry, signer=signer, plan=options.plan
            )
            _tell(context, name, moved)
            done += moved
    return {"plan": options.plan, "migrations": [_entry(each) for each in done]}


def _signed_by(context: Context, signers: tuple[str, ...]) -> Context:
    sign = context.config.sign.model_copy(update={"signers": signers})
    return replace(context, config=context.config.model_copy(update={"sign": sign}))


def _repositories(context: Context) -> tuple[str, ...]:
    """Return all that a deployment verifies signatures in."""
    from aksci.supply.release.chart import read_chart
    from aksci.supply.release.release import chart_repository, release_repository
    from pipelines.graph import project_graph

    project = context.config.project.name
    images = {image.spec.repository for image in project_graph(context).images.values()}
    folders = {context.root / service.chart for service in context.config.services.values()}
    charts = {chart_repository(project, read_chart(folder).name) for folder in folders}
    return tuple(sorted({*images, *charts, release_repository(project)}))


def _tell(context: Context, repository: str, moved: tuple[TrustMigration, ...]) -> None:
    if not moved:
        context.reporter.line(f"{repository}: nothing is signed with Docker Content Trust")
    for each in moved:
        tags = f" ({', '.join(each.names)})" if each.names else ""
        context.reporter.line(f"{each.ref}{tags}: {each.state}")


def _entry(each: TrustMigration) -> dict[str, Any]:
    return {
        "ref": str(each.ref),
        "tags": list(each.names),
        "claims": dict(each.claims),
        "state": each.state,
    }
