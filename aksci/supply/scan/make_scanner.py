"""Trivy with a database that is fresh enough: ``make_scanner``."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Literal

from aksci.oci.references import parse_reference
from aksci.supply.scan.database import DatabaseSource, ensure_database
from aksci.supply.scan.trivy import TrivyScanner

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aksci.config.supply_models import ScanConfig
    from aksci.core.process import Runner
    from aksci.core.reporting import Reporter
    from aksci.oci.references import Reference
    from aksci.oci.registry import Registry
    from aksci.tools.toolbox import Toolbox

__all__ = ["make_scanner"]

Kind = Literal["public", "small", "auto", "mirror"]
_KINDS: dict[object, Kind] = {"public": "public", "small": "small", "auto": "auto"}


def make_scanner(
    config: ScanConfig,
    *,
    toolbox: Toolbox,
    registry: Registry,
    cache: Path,
    local: bool,
    now: dt.datetime,
    runner: Runner,
    reporter: Reporter,
    registries: Callable[[str], Registry],
) -> TrivyScanner:
    """Return the scanner of a registry's images; its database is fetched or made where it is old.

    :param cache: the per-user cache folder.
    :param registries: returns the client of another host, for a mirror of the database.
    :param local: the environment is on this machine: there, the database may be made.
    """
    trivy = toolbox.ensure("trivy")
    database = ensure_database(
        cache / "trivy",
        source=DatabaseSource(
            kind=_kind(config.database),
            maker=lambda: toolbox.ensure("trivydb"),
            trivy=trivy,
            local=local,
            java=config.java,
            mirrors=_references(config.database),
            java_mirrors=_references(config.java_database),
            registries=registries,
        ),
        max_age=dt.timedelta(hours=config.database_max_age),
        now=now,
        runner=runner,
        reporter=reporter,
    )
    return TrivyScanner(
        trivy=trivy,
        cache=cache / "trivy" / "blobs",
        registry=registry,
        runner=runner,
        database=database,
        release=toolbox.pins["trivy"].version,
    )


def _kind(database: str | tuple[str, ...]) -> Kind:
    return _KINDS.get(database, "mirror")


def _references(database: str | tuple[str, ...]) -> tuple[Reference, ...]:
    """Return the mirrors that aksci.toml names: one, or several in order."""
    if database in _KINDS:
        return ()
    given = (database,) if isinstance(database, str) else database
    return tuple(parse_reference(each) for each in given)
