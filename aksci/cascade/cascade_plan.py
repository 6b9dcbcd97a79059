"""What a cascade would do now, without doing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.cascade.choose import Choice, Chooser
    from aksci.cascade.rebasing import Rebasing
    from aksci.images.lookup import Lookup
    from aksci.images.rebase.model import Condition
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
    rebase: tuple[Condition, ...] = ()
    """As far as they can be told before its parents are there."""

    @property
    def waits(self) -> bool:
        """Whether a parent is to be made first."""
        return any(reason.get("waiting") for reason in self.choice.reasons)


def plan_cascade(
    lookup: Lookup, chooser: Chooser, rebasing: Rebasing | None, *, explain: bool = False
) -> Outcome[Planned]:
    """Look at every image. The registry is read, nothing is written.

    What stands on an image that is to be made counts as to be made, too; the cascade itself may
    find that the parent came out the same, and then keep the child.

    :param explain: check whether images could be rebased that need not be made, too.
    """

    def one(name: str, parents: Mapping[str, Planned]) -> Planned:
        choice = chooser.choose(name, {parent: it.identity for parent, it in parents.items()})
        digests = {parent: it.digest for parent, it in parents.items()}
        wanted = rebasing is not None and (explain or not choice.kept)
        conditions = rebasing.foresee(choice, digests) if rebasing and wanted else ()
        published = choice.published
        if published is None or not choice.kept:
            return Planned(choice=choice, rebase=conditions)
        return Planned(
            choice=choice,
            digest=published.ref.digest,
            identity=published.identity,
            rebase=conditions,
        )

    return lookup.run(one, selected=None, workers=_LOOKUPS, stop=lambda: None)
