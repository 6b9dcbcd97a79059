"""What a cascade would do now, without doing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.cascade.choose import Choice, Chooser
    from aksci.images.lookup import Lookup
    from aksci.images.schedule import Outcome

__all__ = ["Planned", "plan_cascade"]

_LOOKUPS = 16


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One image of a plan."""

    choice: Choice
    digest: str | None = None
    """Of what is kept; None: it is to be made."""
    identity: str | None = None
    """What it counts as in the keys of what needs it; None: it is to be made."""


def plan_cascade(lookup: Lookup, chooser: Chooser) -> Outcome[Planned]:
    """Look at every image. The registry is read, nothing is written.

    What is based on an image that is to be made counts as to be made, too; the cascade itself may
    find that the parent came out the same, and then keep the child.
    """

    def one(name: str, parents: Mapping[str, Planned]) -> Planned:
        choice = chooser.choose(name, {parent: it.identity for parent, it in parents.items()})
        published = choice.published
        if published is None or not choice.kept:
            return Planned(choice=choice)
        return Planned(choice=choice, digest=published.ref.digest, identity=published.identity)

    return lookup.run(one, selected=None, workers=_LOOKUPS, stop=lambda: None)
