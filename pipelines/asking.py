"""Asking the owners of other repositories to run their own cascades: each once for a change."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aksci.dispatch import Ask, make_dispatcher
from aksci.errors import AksciError
from aksci.images.cascade.report.model import Dependent
from aksci.images.wide import Asked, asked_lately, asking_key, extended, may_ask

if TYPE_CHECKING:
    from aksci.config import AzurePipelinesTarget, GithubTarget
    from aksci.images.cascade.report.model import DependentAction
    from aksci.images.wide import Found
    from aksci.registry import ImageRef
    from pipelines.cascading import Cascading

__all__ = ["Asking", "dependent_of"]


@dataclass(kw_only=True)
class Asking:
    """Collects what is to be asked, then asks."""

    work: Cascading
    chain: tuple[str, ...]
    """The projects that have asked each other for this cascade."""
    error: AksciError | None = None
    _noted: dict[str, list[tuple[Found, str]]] = field(default_factory=lambda: defaultdict(list))
    _told: dict[ImageRef, Dependent] = field(default_factory=dict)

    def note(self, found: Found, target: str, why: str) -> None:
        """Note that the owner of an image is to be asked.

        :param why: why it could not be rebased; empty: nobody tried.
        """
        host, me = self.work.registry.host, self._me
        owner = f"{host}/{found.ref.repository.partition('/')[0]}"
        refusal = may_ask(self.chain, me, owner, self.work.context.config.cascade.depth)
        if refusal:
            self._tell(found, "loop", target, refusal)
        else:
            self._noted[target].append((found, why))

    def ask(self) -> None:
        """Ask each target once, unless it was asked lately for the very same."""
        for target in sorted(self._noted):
            try:
                action, detail = self._ask(target, self._moved(target))
            except AksciError as error:
                action, detail = "failed", error.message.splitlines()[0]
                self.error = self.error or error
            for found, why in self._noted[target]:
                said = "; ".join(filter(None, [detail, why and f"not rebased: {why}"]))
                self._tell(found, action, target, said)

    def outcome(self, found: Found) -> Dependent:
        """Return what became of an image that was noted."""
        return self._told[found.ref]

    def _ask(self, name: str, moved: dict[str, str]) -> tuple[DependentAction, str]:
        context = self.work.context
        config = context.config.cascade
        if not moved:
            return "ask", "once what it needs is there"
        key = asking_key(identity_of(config.targets[name]), moved)
        asked = Asked(self.work.registry, f"{context.config.project.name}/cascade")
        when = asked.when(key)
        if asked_lately(when, now=context.now(), hours=config.ask_again) and when:
            return "known", f"asked at {when:%Y-%m-%d %H:%M} UTC"
        if self.work.planning:
            return "ask", ""
        dispatcher = make_dispatcher(config.targets[name], variables=context.variables)
        request = Ask(
            bases=tuple(sorted(moved.items())),
            chain=extended(self.chain, self._me),
            key=key,
        )
        where = dispatcher.ask(request)
        # Only now: who dies in between asks twice, which costs the owner a run that does nothing.
        detail = {"target": identity_of(config.targets[name]), "run": context.run_id}
        asked.remember(key, now=context.now(), detail=detail)
        context.reporter.line(f"asked {name} to follow {request.words}: {where}")
        return "asked", where

    def _moved(self, target: str) -> dict[str, str]:
        """Return what the images of a target are built on that has moved already."""
        return {
            move.reference: move.current
            for found, _ in self._noted[target]
            for move in found.moves
            if move.parent is None
        }

    @property
    def _me(self) -> str:
        return f"{self.work.registry.host}/{self.work.context.config.project.name}"

    def _tell(self, found: Found, action: DependentAction, target: str, detail: str) -> None:
        self._told[found.ref] = dependent_of(found, action, target=target, detail=detail)


def identity_of(target: GithubTarget | AzurePipelinesTarget) -> str:
    """Return what stands for a target, whatever it is called here."""
    if target.kind == "github":
        return f"github:{target.api}:{target.repository}:{target.event}"
    place = f"{target.organization}/{target.project}/{target.pipeline}"
    return f"azure-pipelines:{target.api}:{place}:{target.branch}"


def dependent_of(
    found: Found, action: DependentAction, *, target: str = "", detail: str = ""
) -> Dependent:
    """Return what a report says of an image."""
    return Dependent(
        repository=found.ref.repository,
        tag=found.tags[0] if found.tags else "",
        digest=found.ref.digest,
        reference=found.reference,
        recorded=found.recorded,
        current=found.current,
        action=action,
        target=target,
        detail=detail,
    )
