"""Which files in a project's tree decide what passes the gate, and whose signature counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aksci.config.models import Config

__all__ = ["policy_files"]


def policy_files(config: Config) -> tuple[str, ...]:
    """Return aksci.toml and what it names and trusts, sorted; folders end with ``/``.

    A pull request that changes one of them changes the policy: they need code owners. Paths are
    relative to aksci.toml; what is outside of the project is none of its tree's.
    """
    scan, sign = config.scan, config.sign
    store = sign.notation.trust_store
    named = [
        *(scan.kev, scan.epss, *scan.vex),
        f"{store.rstrip('/')}/" if store else None,
        *(sign.cosign.public_key, sign.dct.server_ca),
    ]
    return ("aksci.toml", *sorted({each for each in named if each and _is_inside(each)}))


def _is_inside(path: str) -> bool:
    # A key service's address, such as azurekms://…, is no file.
    return "://" not in path and not path.startswith(("/", "~"))
