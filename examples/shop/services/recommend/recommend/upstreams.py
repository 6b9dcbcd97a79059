"""The services that recommendations are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError


class UpstreamError(Exception):
    """A service that we ask failed, or answered something else than JSON."""


@dataclass(frozen=True, kw_only=True)
class Upstreams:
    """Where catalog and orders answer, such as ``http://catalog``."""

    catalog: str
    orders: str
    pool: urllib3.PoolManager

    def products(self) -> list[dict[str, Any]]:
        """Return every product of the catalog."""
        return self._get(f"{self.catalog}/products", "products")

    def bestsellers(self) -> list[dict[str, Any]]:
        """Return ``{"sku", "quantity"}``, the most often ordered first."""
        return self._get(f"{self.orders}/orders/bestsellers", "bestsellers")

    def _get(self, url: str, key: str) -> list[dict[str, Any]]:
        try:
            response = self.pool.request("GET", url)
            if response.status != 200:
                raise UpstreamError(f"{url} answered {response.status}")
            return list(response.json()[key])
        except (HTTPError, ValueError, KeyError, TypeError) as error:
            raise UpstreamError(f"{url}: {type(error).__name__}") from error


def new_pool() -> urllib3.PoolManager:
    """Return connections with short time-outs; one retry covers a pod that was just replaced."""
    return urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=1, read=3),
        retries=urllib3.Retry(total=1, backoff_factor=0.1, allowed_methods={"GET"}),
        maxsize=8,
    )
