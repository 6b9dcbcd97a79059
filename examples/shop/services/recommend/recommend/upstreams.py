"""The services that recommendations are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError, ReadTimeoutError


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


class Retry(urllib3.Retry):
    """Ask again when a connection failed, but not after a time-out: whoever waits has waited long enough."""

    def increment(self, *args: Any, error: Exception | None = None, **others: Any) -> urllib3.Retry:
        """Return what is left of the retries, or raise."""
        if isinstance(error, ReadTimeoutError):
            raise error
        return super().increment(*args, error=error, **others)


def new_pool(*, answer_within: float = 18) -> urllib3.PoolManager:
    """Return connections whose retries (after 0, 0.4 and 0.8 s) cover a pod that was just replaced.

    An answer may take as long as the services wait for a database that is being replaced (15 s).
    """
    return urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=1, read=answer_within),
        retries=Retry(total=3, read=1, backoff_factor=0.2, allowed_methods={"GET"}),
        maxsize=32,
    )
