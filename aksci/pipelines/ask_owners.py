"""``cascade --registry-wide``: owners of dependents in other repositories are asked, each once."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from aksci.cascade.base_policy import EdgePolicy
from aksci.cascade.cascade_report import Dependent
from aksci.cascade.chosen_bases import types_of
from aksci.cascade.dependents.ask_memory import AskMemory, asked_lately, asking_key
from aksci.cascade.dependents.find_dependents import find_dependents
from aksci.cascade.dependents.image_records import LineageCache
from aksci.cascade.dependents.loop_guard import extended, may_ask
from aksci.cascade.dispatch.dispatch_request import DispatchRequest
from aksci.cascade.dispatch.dispatchers import make_dispatcher
from aksci.core.errors import AksciError, RegistryError
from aksci.oci.references import parse_reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aksci.cascade.cascade_report import DependentAction
    from aksci.cascade.dependents.find_dependents import FoundDependent, Survey
    from aksci.config.cascade_models import AzurePipelinesTarget, GithubTarget
    from aksci.oci.references import ImageRef
    from aksci.pipelines.cascade_images import Cascading, Done

__all__ = ["TO_COME", "Asking", "ask_owners"]


def ask_owners(
    work: Cascading, done: Done, bases: Sequence[str], *, chain: tuple[str, ...]
) -> Done:
    """Find the dependents in other repositories, and ask the owner whom [[cascade.owners]] names.

    We never make another project's image: only its owner's pipeline knows its sources and its gate.

    :param bases: what ``--base`` names: looked for even if nothing here is built on it.
    :param chain: the projects that have asked each other for this cascade.
    :raises RegistryError: there is no list of repositories, or the registry failed.
    """
    env = work.env
    with work.timed("registry"), env.reporter.group("registry"):
        repositories = work.env.registry.repositories()
        survey = find_dependents(
            work.env.registry,
            moved=_moved(work, done, bases),
            own=_own_repositories(work, repositories),
            cache=LineageCache(env.cache / "lineage"),
            repositories=repositories,
        )
        problem = _problems(work, survey)
        asking = Asking(work=work, chain=chain)
        for found in survey.found:
            asking.note(found, _owner(work, found))
        asking.ask()
    return replace(
        done,
        dependents=tuple(asking.outcome(found) for found in survey.found),
        error=done.error or asking.error or problem,
    )


def _moved(work: Cascading, done: Done, bases: Sequence[str]) -> dict[str, str]:
    """Return what references mean now: bases from outside, and the project's own images.

    What [[cascade.bases]] makes of them (a digest, the newest tag in a range) is this project's
    choice: a rebuild of others' images takes what the reference itself means.
    """
    found: dict[str, str] = {}
    for name in work.graph.images:
        for reference in types_of(work.graph, name):
            if work.only is None or reference in work.only:
                found[reference] = work.policy_digests.digest(reference, EdgePolicy())[0]
    for text in bases:
        if text not in work.graph.images:
            parsed = parse_reference(text)
            reference = f"{parsed.name}:{parsed.tag}"
            found.setdefault(reference, work.env.resolver.digest(reference))
    for outcome in done.images:
        spec = work.graph.images[outcome.image].spec
        stays = outcome.withheld or outcome.action in {"failed", "blocked"}
        digest = outcome.before if stays else outcome.after
        if work.planning and outcome.action == "rebuild":
            digest = TO_COME
        if digest:
            for tag in spec.tags:
                found[f"{work.env.registry.host}/{spec.repository}:{tag}"] = digest
    return found


def _own_repositories(work: Cascading, every: Sequence[str]) -> frozenset[str]:
    """Return the project's own repositories: its images, charts, releases and notes."""
    project = work.env.config.project.name
    images = {image.spec.repository for image in work.graph.images.values()}
    return frozenset(images | {one for one in every if one.startswith(f"{project}/")})


def _problems(work: Cascading, survey: Survey) -> AksciError | None:
    """Tell what could not be looked at; an error, where dependents may have been missed."""
    for problem in survey.problems:
        work.env.reporter.warning(f"{problem.where}: {problem.text}.")
    if survey.complete:
        return None
    errors = [one for one in survey.problems if one.error]
    return RegistryError(
        f"{len(errors)} places of {work.env.registry.host} could not be looked at, so there may be "
        f"more dependents: {', '.join(one.where for one in errors[:5])}.",
        hint=next((one.hint for one in errors if one.hint), None),
    )


def _owner(work: Cascading, found: FoundDependent) -> str | None:
    """Return the target of the first entry of [[cascade.owners]] that fits; None: there is none."""
    repository = found.ref.repository
    for rule in work.env.config.cascade.owners:
        if any(fnmatchcase(repository, glob) for glob in rule.repositories):
            return rule.target
    return None


TO_COME = f"sha256:{'0' * 64}"
"""In a plan, the digest of an image that is to be made: nobody knows it yet."""


@dataclass(kw_only=True)
class Asking:
    """Collects what is to be asked, then asks."""

    work: Cascading
    chain: tuple[str, ...]
    """The projects that have asked each other for this cascade."""
    error: AksciError | None = None
    _noted: dict[str, list[FoundDependent]] = field(default_factory=lambda: defaultdict(list))
    _told: dict[ImageRef, Dependent] = field(default_factory=dict)

    def note(self, found: FoundDependent, target: str | None) -> None:
        """Note that the owner of an image is to be asked.

        :param target: the entry of [cascade.targets]; None: nobody sees to the image.
        """
        if target is None:
            self._tell(found, "none", "", "no entry of [[cascade.owners]] sees to it")
            return
        host, me = self.work.env.registry.host, self._me
        owner = f"{host}/{found.ref.repository.partition('/')[0]}"
        refusal = may_ask(self.chain, me, owner, self.work.env.config.cascade.depth)
        if refusal:
            self._tell(found, "loop", target, refusal)
        else:
            self._noted[target].append(found)

    def ask(self) -> None:
        """Ask each target once, unless it was asked lately for the very same."""
        for target in sorted(self._noted):
            try:
                action, detail = self._ask(target, self._moved(target))
            except AksciError as error:
                action, detail = "failed", error.message.splitlines()[0]
                self.error = self.error or error
            for found in self._noted[target]:
                self._tell(found, action, target, detail)

    def outcome(self, found: FoundDependent) -> Dependent:
        """Return what became of an image that was noted."""
        return self._told[found.ref]

    def _ask(self, name: str, moved: dict[str, str]) -> tuple[DependentAction, str]:
        env = self.work.env
        config = env.config.cascade
        if not moved:
            return "ask", "once what it needs is there"
        identity = identity_of(config.targets[name])
        asked = AskMemory(self.work.env.registry, f"{env.config.project.name}/cascade")
        # One by one: the next run may find fewer of them, or more.
        keys = {one: asking_key(identity, {one: digest}) for one, digest in moved.items()}
        times = {one: asked.when(key) for one, key in keys.items()}
        fresh = {
            one: moved[one]
            for one, when in times.items()
            if not asked_lately(when, now=env.now(), hours=config.ask_again)
        }
        if not fresh:
            last = max(when for when in times.values() if when)
            return "known", f"asked at {last:%Y-%m-%d %H:%M} UTC"
        if self.work.planning:
            return "ask", ""
        dispatcher = make_dispatcher(config.targets[name], variables=env.variables)
        request = DispatchRequest(
            bases=tuple(sorted(fresh.items())),
            chain=extended(self.chain, self._me),
            key=asking_key(identity, fresh),
        )
        where = dispatcher.ask(request)
        # Only now: who dies in between asks twice, which costs the owner a run that does nothing.
        for one in fresh:
            detail = {"target": identity, "run": env.run_id}
            asked.remember(keys[one], now=env.now(), detail=detail)
        env.reporter.line(f"asked {name} to follow {request.words}: {where}")
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
        return f"{self.work.env.registry.host}/{self.work.env.config.project.name}"

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
