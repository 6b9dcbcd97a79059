"""Choose what to recommend."""

from __future__ import annotations

from typing import Any


def rank(
    products: list[dict[str, Any]], bestsellers: list[dict[str, Any]], *, limit: int = 3
) -> list[dict[str, Any]]:
    """Return at most ``limit`` products: the best-selling first, then the cheapest; none that the catalog lacks."""
    sold = {entry["sku"]: entry["quantity"] for entry in bestsellers}
    ordered = sorted(products, key=lambda p: (-sold.get(p["sku"], 0), p["price_cents"], p["sku"]))
    return ordered[:limit]
