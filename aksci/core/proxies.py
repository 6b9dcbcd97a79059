"""Which proxy leads to a host, by the usual variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["proxies_for"]


def proxies_for(host: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the proxy for a host, as curl's manual describes the variables."""
    proxy = variables.get("https_proxy") or variables.get("HTTPS_PROXY")
    spared = variables.get("no_proxy") or variables.get("NO_PROXY") or ""
    name = host.partition(":")[0]
    for each in filter(None, (word.strip().lstrip(".") for word in spared.split(","))):
        if each in {"*", name} or name.endswith(f".{each}"):
            return {}
    return {"https": proxy} if proxy else {}
