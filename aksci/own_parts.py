"""Parts that aksci.toml names and that installed packages offer: found, made and checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.config.supply_models import BUILT_IN_SCANNERS, BUILT_IN_SIGNERS
from aksci.core.offered import find_offer

if TYPE_CHECKING:
    from aksci.images.engines.builder import Builder
    from aksci.parts import PartContext
    from aksci.supply.scan.scanner import Scanner
    from aksci.supply.sign.signer import Signer

__all__ = ["own_builder", "own_scanner", "own_signer"]


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
