"""Trivy with a database that is fresh enough: ``make_scanner``."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from aksci.supply.scan.database import DatabaseSource, ensure_database
from aksci.supply.scan.trivy import TrivyScanner

if TYPE_CHECKING:
    from pathlib import Path

    from aksci.config.supply_models import ScanConfig
    from aksci.core.process import Runner
    from aksci.core.reporting import Reporter
    from aksci.oci.registry import Registry
    from aksci.tools.toolbox import Toolbox

__all__ = ["make_scanner"]


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
) -> TrivyScanner:
    """Return the scanner of a registry's images; its database is fetched or made where it is old.

    :param cache: the per-user cache folder.
    :param local: the environment is on this machine: there, the database may be made.
    """
    trivy = toolbox.ensure("trivy")
    database = ensure_database(
        cache / "trivy",
        source=DatabaseSource(
            kind=config.database,
            maker=lambda: toolbox.ensure("trivydb"),
            trivy=trivy,
            local=local,
            java=config.java,
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
