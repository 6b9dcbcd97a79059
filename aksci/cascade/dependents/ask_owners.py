"""Dependents in other repositories: whom [[cascade.owners]] names is asked, each once.

We never make another project's image: only its owner's pipeline knows its sources and its gate.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from aksci.cascade.base_policy import EdgePolicy
from aksci.cascade.cascade_report import Dependent
from aksci.cascade.chosen_bases import types_of
from aksci.cascade.dependents.ask_memory import AskMemory, asked_lately, asking_key
from aksci.cascade.dependents.loop_guard import extended, may_ask
from aksci.cascade.dispatch.dispatch_request import DispatchRequest
from aksci.cascade.dispatch.dispatchers import make_dispatcher
from aksci.core.errors import AksciError, RegistryError
from aksci.oci.own_names import CASCADES, own_repository

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from aksci.cascade.cascade_report import Cascade, DependentAction
    from aksci.cascade.cascade_scope import CascadeScope
    from aksci.cascade.dependents.find_dependents import FoundDependent, Survey
    from aksci.config.cascade_models import AzurePipelinesTarget, GithubTarget
    from aksci.config.models import Config
    from aksci.core.reporting import Reporter
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry

__all__ = ["TO_COME", "Asking", "meant_now", "own_repositories", "problem_of"]


def meant_now(
    cascade: Cascade, scope: CascadeScope, *, host: str, digest: Callable[[str], str]
) -> dict[str, str]:
    """Return what references mean now: bases from outside, and the project's own images.

    What [[cascade.bases]] makes of them (a digest, the newest tag in a range) is this project's
    choice: a rebuild of others' images takes what the reference itself means.

    :param host: the registry of the project's images.
    :param digest: tells the digest that a full reference means.
    """
    graph = scope.graph
    found: dict[str, str] = {}
    for name in graph.images:
        for reference in types_of(graph, name):
            if scope.named.only is None or reference in scope.named.only:
                found[reference] = scope.policy_digests.digest(reference, EdgePolicy())[0]
    for reference in scope.named.references:
        if reference not in found:
            found[reference] = digest(reference)
    for outcome in cascade.images:
        spec = graph.images[outcome.image].spec
        stays = outcome.withheld or outcome.action in {"failed", "blocked"}
        now = outcome.before if stays else outcome.after
        if cascade.planned and outcome.action == "rebuild":
            now = TO_COME
        if now:
            for tag in spec.tags:
                found[f"{host}/{spec.repository}:{tag}"] = now
    return found


def own_repositories(scope: CascadeScope, project: str, every: Sequence[str]) -> frozenset[str]:
    """Return the project's own repositories: its images, charts, releases and notes."""
    images = {image.spec.repository for image in scope.graph.images.values()}
    return frozenset(images | {one for one in every if one.startswith(f"{project}/")})


def problem_of(survey: Survey, host: str, warn: Callable[[str], None]) -> AksciError | None:
    """Tell what could not be looked at; an error, where dependents may have been missed."""
    for problem in survey.problems:
        warn(f"{problem.where}: {problem.text}.")
    if survey.complete:
        return None
    errors = [one for one in survey.problems if one.error]
    return RegistryError(
        f"{len(errors)} places of {host} could not be looked at, so there may be "
        f"more dependents: {', '.join(one.where for one in errors[:5])}.",
        hint=next((one.hint for one in errors if one.hint), None),
    )


TO_COME = f"sha256:{'0' * 64}"
"""In a plan, the digest of an image that is to be made: nobody knows it yet."""


@dataclass(kw_only=True)
class Asking:
    """Collects what is to be asked, then asks."""

    config: Config
    registry: Registry
    """It remembers who was asked for what."""
    variables: Mapping[str, str] = field(repr=False)
    """With the tokens of the targets."""
    now: Callable[[], datetime]
    run_id: str
    reporter: Reporter
    chain: tuple[str, ...]
    """The projects that have asked each other for this cascade."""
    planned: bool
    """Nobody is asked; it is only told who would be."""
    error: AksciError | None = None
    """The first one."""
    _noted: dict[str, list[FoundDependent]] = field(default_factory=lambda: defaultdict(list))
    _told: dict[ImageRef, Dependent] = field(default_factory=dict)

    def ask(self, dependents: Sequence[FoundDependent]) -> tuple[Dependent, ...]:
        """Ask the owners of images that are to be made again; return what became of each."""
        for found in dependents:
            self._note(found, self._owner(found))
        self._ask_each()
        return tuple(self._told[found.ref] for found in dependents)

    def _owner(self, found: FoundDependent) -> str | None:
        """Return the target of the first entry of [[cascade.owners]] that fits; None: none does."""
        for rule in self.config.cascade.owners:
            if any(fnmatchcase(found.ref.repository, glob) for glob in rule.repositories):
                return rule.target
        return None

    def _note(self, found: FoundDependent, target: str | None) -> None:
        """Note that the owner of an image is to be asked.

        :param target: the entry of [cascade.targets]; None: nobody sees to the image.
        """
        if target is None:
            self._tell(found, "none", "", "no entry of [[cascade.owners]] sees to it")
            return
        owner = f"{self.registry.host}/{found.ref.repository.partition('/')[0]}"
        refusal = may_ask(self.chain, self._me, owner, self.config.cascade.depth)
        if refusal:
            self._tell(found, "loop", target, refusal)
        else:
            self._noted[target].append(found)

    def _ask_each(self) -> None:
        """Ask each target once, unless it was asked lately for the very same."""
        for target in sorted(self._noted):
            try:
                action, detail = self._ask(target, self._moved(target))
            except AksciError as error:
                action, detail = "failed", error.message.splitlines()[0]
                self.error = self.error or error
            for found in self._noted[target]:
                self._tell(found, action, target, detail)

    def _ask(self, name: str, moved: dict[str, str]) -> tuple[DependentAction, str]:
        config = self.config.cascade
        if not moved:
            return "ask", "once what it needs is there"
        identity = identity_of(config.targets[name])
        asked = AskMemory(self.registry, own_repository(self.config.project.name, CASCADES))
        # One by one: the next run may find fewer of them, or more.
        keys = {one: asking_key(identity, {one: digest}) for one, digest in moved.items()}
        times = {one: asked.when(key) for one, key in keys.items()}
        fresh = {
            one: moved[one]
            for one, when in times.items()
            if not asked_lately(when, now=self.now(), hours=config.ask_again)
        }
        if not fresh:
            last = max(when for when in times.values() if when)
            return "known", f"asked at {last:%Y-%m-%d %H:%M} UTC"
        if self.planned:
            return "ask", ""
        dispatcher = make_dispatcher(config.targets[name], variables=self.variables)
        request = DispatchRequest(
            bases=tuple(sorted(fresh.items())),
            chain=extended(self.chain, self._me),
            key=asking_key(identity, fresh),
        )
        where = dispatcher.ask(request)
        # Only now: who dies in between asks twice, which costs the owner a run that does nothing.
        for one in fresh:
            detail = {"target": identity, "run": self.run_id}
            asked.remember(keys[one], now=self.now(), detail=detail)
        self.reporter.line(f"asked {name} to follow {request.words}: {where}")
        return "asked", where

    def _moved(self, target: str) -> dict[str, str]:
        """Return what the images of a target are built on that has moved already.

        A parent that its owner is yet to rebuild is told of by the cascade that finds it rebuilt.
        """
        return {
            move.reference: move.current
            for found in self._noted[target]
            for move in found.moves
            if move.parent is None
        }

    @property
    def _me(self) -> str:
        return f"{self.registry.host}/{self.config.project.name}"

    def _tell(
        self, found: FoundDependent, action: DependentAction, target: str, detail: str
    ) -> None:
        self._told[found.ref] = Dependent(
            repository=found.ref.repository,
            tag=found.tags[0] if found.tags else "",
            digest=found.ref.digest,
            reference=found.reference,
            recorded=found.recorded,
            current="" if found.current == TO_COME else found.current,
            action=action,
            target=target,
            detail=detail,
        )


def identity_of(target: GithubTarget | AzurePipelinesTarget) -> str:
    """Return what stands for a target, whatever it is called here."""
    if target.kind == "github":
        return f"github:{target.api}:{target.repository}:{target.event}"
    place = f"{target.organization}/{target.project}/{target.pipeline}"
    return f"azure-pipelines:{target.api}:{place}:{target.branch}"
