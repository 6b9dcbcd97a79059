"""Parts that aksci.toml names and that installed packages offer: found, made and checked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aksci.config.supply_models import BUILT_IN_SCANNERS, BUILT_IN_SIGNERS
from aksci.core.offered import find_offer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from aksci.config.deploy_models import EnvironmentConfig, ServiceConfig
    from aksci.deploy.targets.deploy_target import Target
    from aksci.images.engines.builder import Builder
    from aksci.parts import PartContext, TargetContext
    from aksci.supply.scan.scanner import Scanner
    from aksci.supply.sign.signer import Signer

__all__ = ["own_builder", "own_scanner", "own_signer", "own_targets", "require_offered"]


def own_builder(given: PartContext) -> Builder:
    """Return a build engine that an installed package offers.

    :raises ConfigError: none does; :raises PartError: it can't be made.
    """
    from aksci.images.engines.builder import Builder

    offer = find_offer("aksci.builders", given.name, where=given.where, built_in=())
    made: Builder = offer.make(given, Builder)
    return made


def own_scanner(given: PartContext) -> Scanner:
    """Return a scanner that an installed package offers, bound to its name.

    :raises ConfigError: none does; :raises PartError: it can't be made.
    """
    from aksci.supply.scan.own_scanner import OwnScanner
    from aksci.supply.scan.scanner import Scanner

    where = given.where
    offer = find_offer("aksci.scanners", given.name, where=where, built_in=BUILT_IN_SCANNERS)
    return OwnScanner(
        scanner=offer.make(given, Scanner),
        name=given.name,
        package=offer.package,
        options=given.options,
    )


def own_signer(given: PartContext) -> Signer:
    """Return a signer that an installed package offers, bound to its name.

    :raises ConfigError: none does; :raises PartError: it can't be made.
    """
    from aksci.supply.sign.own_signer import OwnSigner
    from aksci.supply.sign.signer import Signer

    where = given.where
    offer = find_offer("aksci.signers", given.name, where=where, built_in=BUILT_IN_SIGNERS)
    return OwnSigner(signer=offer.make(given, Signer), name=given.name)


def require_offered(scanner: str | None, signers: Iterable[str], *, where: str) -> None:
    """Refuse names of parts that nobody offers, before anything is done for them.

    :param scanner: the one that will scan; None: it needs no name.
    :param where: the file that names them.
    :raises ConfigError: there is no such scanner, or no such signer.
    """
    if scanner is not None and scanner not in BUILT_IN_SCANNERS:
        place = f"{where}: scan.scanner"
        find_offer("aksci.scanners", scanner, where=place, built_in=BUILT_IN_SCANNERS)
    for name in signers:
        if name not in BUILT_IN_SIGNERS:
            place = f"{where}: sign.signers"
            find_offer("aksci.signers", name, where=place, built_in=BUILT_IN_SIGNERS)


def own_targets(
    settings: EnvironmentConfig,
    services: Mapping[str, ServiceConfig],
    environment: str,
    given: Callable[[str, str, Mapping[str, Any]], TargetContext],
) -> dict[str, Target]:
    """Return service -> target, of the services that Helm does not apply.

    :param given: returns what a factory gets, from name, key in aksci.toml and options.
    :raises ConfigError: nobody offers one; :raises PartError: it can't be made.
    """
    made: dict[str, Target] = {}
    own = {}
    for service, config in services.items():
        name, options = settings.target_of(config)
        if name == "helm":
            continue
        # One for all services that ask for the same.
        key = json.dumps([name, options], sort_keys=True)
        if key not in made:
            table = f"services.{service}" if config.target else f"environments.{environment}"
            made[key] = _own_target(given(name, f"{table}.target", options))
        own[service] = made[key]
    return own


def _own_target(given: TargetContext) -> Target:
    from aksci.deploy.targets.deploy_target import Target

    offer = find_offer("aksci.targets", given.name, where=given.where, built_in=("helm",))
    made: Target = offer.make(given, Target)
    return made
