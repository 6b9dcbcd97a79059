"""Say of each image why it can, or can't, be rebased: ``--explain-rebase``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.reporting import sanitise

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aksci.images.rebase.model import Condition

__all__ = ["explain_text"]


def explain_text(checks: Mapping[str, tuple[Condition, ...]]) -> str:
    """Return one block for each image, by name, separated by empty lines."""
    return "\n\n".join("\n".join(_block(name, checks[name])) for name in sorted(checks))


def _block(name: str, conditions: tuple[Condition, ...]) -> Iterator[str]:
    failing = [one for one in conditions if not one.holds]
    if not conditions:
        yield f"{name}: was not checked"
    elif failing:
        yield f"{name}: can't be rebased, so it is rebuilt"
    else:
        yield f"{name}: can be rebased ({len(conditions)} conditions hold)"
    for one in failing:
        # What a registry or a Dockerfile said is in it.
        yield f"  {one.name}: {sanitise(one.detail)}"
