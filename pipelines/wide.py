"""``cascade --registry-wide``: what other repositories have built on it follows, or is asked to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, cast

from aksci.cascade.chosen_bases import types_of
from aksci.cascade.dependents.find import find_dependents
from aksci.cascade.dependents.lineage_cache import LineageCache
from aksci.cascade.dependents.remake import Remaker
from aksci.cascade.edge_drift import EdgePolicy
from aksci.core.errors import AksciError, RegistryError
from aksci.oci.names import parse_reference
from pipelines.asking import TO_COME, Asking, dependent_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aksci.cascade.cascade_report import Dependent, DependentAction
    from aksci.cascade.dependents.survey_result import Found, Survey
    from aksci.config.cascade_models import OwnerRule
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import TransferRegistry
    from pipelines.cascading import Cascading, Done

__all__ = ["look_wide"]

_LAST = "new-base-readable"
"""The condition of a rebase that is looked at after all that need no new base."""


def look_wide(work: Cascading, done: Done, bases: Sequence[str], *, chain: tuple[str, ...]) -> Done:
    """Find the dependents in other repositories, and see to each as [[cascade.owners]] says.

    :param bases: what ``--base`` names: looked for even if nothing here is built on it.
    :param chain: the projects that have asked each other for this cascade.
    :raises RegistryError: there is no list of repositories, or the registry failed.
    """
    context = work.context
    with work.timed("registry"), context.reporter.group("registry"):
        repositories = work.registry.repositories()
        survey = find_dependents(
            work.registry,
            moved=_moved(work, done, bases),
            own=_own_repositories(work, repositories),
            cache=LineageCache(context.cache / "lineage"),
            repositories=repositories,
        )
        problem = _problems(work, survey)
        visit = _Visit(work=work, asking=Asking(work=work, chain=chain))
        for found in survey.found:
            visit.see_to(found)
        visit.move_tags(survey.found)
        visit.asking.ask(visit.remade)
    dependents = tuple(one for found in survey.found for one in visit.outcomes(found))
    return replace(
        done,
        dependents=dependents,
        error=done.error or visit.error or visit.asking.error or problem,
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
                found[reference] = work.meanings.meaning(reference, EdgePolicy())[0]
    for text in bases:
        if text not in work.graph.images:
            parsed = parse_reference(text)
            reference = f"{parsed.name}:{parsed.tag}"
            found.setdefault(reference, work.resolver(reference))
    for outcome in done.images:
        spec = work.graph.images[outcome.image].spec
        stays = outcome.withheld or outcome.action in {"failed", "blocked"}
        digest = outcome.before if stays else outcome.after
        if work.planning and outcome.action in {"rebuild", "rebase", "make"}:
            digest = TO_COME
        if digest:
            for tag in spec.tags:
                found[f"{work.registry.host}/{spec.repository}:{tag}"] = digest
    return found


def _own_repositories(work: Cascading, every: Sequence[str]) -> frozenset[str]:
    """Return the project's own repositories: its images, charts, releases and notes."""
    project = work.context.config.project.name
    images = {image.spec.repository for image in work.graph.images.values()}
    return frozenset(images | {one for one in every if one.startswith(f"{project}/")})


def _problems(work: Cascading, survey: Survey) -> AksciError | None:
    """Tell what could not be looked at; an error, where dependents may have been missed."""
    for problem in survey.problems:
        work.context.reporter.warning(f"{problem.where}: {problem.text}.")
    if survey.complete:
        return None
    errors = [one for one in survey.problems if one.error]
    return RegistryError(
        f"{len(errors)} places of {work.registry.host} could not be looked at, so there may be "
        f"more dependents: {', '.join(one.where for one in errors[:5])}.",
        hint=next((one.hint for one in errors if one.hint), None),
    )


@dataclass(kw_only=True)
class _Visit:
    """One round through what was found, parents before children."""

    work: Cascading
    asking: Asking
    remade: dict[ImageRef, ImageRef] = field(default_factory=dict)
    """Image -> what it was rebased to."""
    told: dict[ImageRef, Dependent] = field(default_factory=dict)
    error: AksciError | None = None
    _passed: list[Found] = field(default_factory=list)
    """Rebased and through the gate; their tags are still to move."""

    def __post_init__(self) -> None:
        self._remaker = Remaker(
            registry=self.work.registry,
            where=self._where,
            vouched=self.work.bench.vouches,
            now=self.work.context.now,
            run=self.work.context.run_id,
        )

    def outcomes(self, found: Found) -> tuple[Dependent, ...]:
        """Return what became of an image: rebased, or its owner asked."""
        return (self.told.get(found.ref) or self.asking.outcome(found),)

    def see_to(self, found: Found) -> None:
        """Rebase one image, or note that its owner is to be asked."""
        rule = self._rule(found)
        if rule is None:
            self._tell(found, "none", "no entry of [[cascade.owners]] sees to it")
            return
        why = self._rebase(found) if rule.rebase else ""
        if found.ref in self.told:
            return
        if rule.target is None:
            self._tell(found, "none", why)
        else:
            self.asking.note(found, rule.target, why)

    def move_tags(self, every: Sequence[Found]) -> None:
        """Move the tags of what passed, children first, unless something that stands on it failed.

        What is up to date is never found again, and its dependents only with it. So they all wait
        for the next cascade, which finds what is finished and goes on from there.
        """
        held = self._ancestors({one.ref for one in every if self._failed(one)}, every)
        strange: set[ImageRef] = set()
        for found in self._passed:
            if self._moved_meanwhile(found) or strange & set(found.parents):
                strange.add(found.ref)  # what stands on it would stand on what no tag means
        for found in reversed(self._passed):
            if found.ref in strange | held:
                why = "somebody else has moved its tags, or its base's, meanwhile"
                if found.ref in held:
                    why = "its tags stay, as something that stands on it failed"
                self._tell(found, "failed", f"{why}: the next cascade sees to it")
                del self.remade[found.ref]
            else:
                self._move(found, self.remade[found.ref])

    def _moved_meanwhile(self, found: Found) -> bool:
        registry, repository = self.work.registry, found.ref.repository
        return any(registry.resolve(repository, tag) != found.ref.digest for tag in found.tags)

    def _failed(self, found: Found) -> bool:
        return found.ref in self.told and self.told[found.ref].action == "failed"

    def _ancestors(self, refs: set[ImageRef], every: Sequence[Found]) -> set[ImageRef]:
        held: set[ImageRef] = set()
        for found in reversed(every):  # children come after their parents
            if found.ref in refs | held:
                held |= set(found.parents)
        return held

    def _rule(self, found: Found) -> OwnerRule | None:
        rules = self.work.context.config.cascade.owners
        repository = found.ref.repository
        return next(
            (
                rule
                for rule in rules
                if any(fnmatchcase(repository, glob) for glob in rule.repositories)
            ),
            None,
        )

    def _rebase(self, found: Found) -> str:
        """Rebase an image where that is provably a rebuild; return why not, or nothing."""
        moves = {}
        for move in found.moves:
            if move.parent is None:
                moves[move.reference] = move.current
            elif move.parent in self.remade:
                moves[move.reference] = self.remade[move.parent].digest
            else:
                return f"{move.reference}, which it needs, is not there yet"
        recorded = found.lineage.parents if found.lineage else {}
        if all(recorded.get(reference) == digest for reference, digest in moves.items()):
            self.remade[found.ref] = found.ref  # a run died after its tags had moved
            self._tell(found, "rebased", "it stood there already")
            return ""
        try:
            return self._rebase_with(found, moves)
        except AksciError as error:
            self.error = self.error or error
            self._tell(found, "failed", error.message.splitlines()[0])
            return ""

    def _rebase_with(self, found: Found, moves: Mapping[str, str]) -> str:
        check = self._remaker.check(found, moves)
        failing = [one for one in check.conditions if not one.holds]
        to_come = TO_COME in moves.values() or found.parents  # its base is in the plan, too
        if self.work.planning and to_come and [one.name for one in failing] == [_LAST]:
            self.remade[found.ref] = replace(found.ref, digest=TO_COME)
            self._tell(found, "rebase", "")
            return ""
        if check.plan is None:
            return f"{failing[0].name}: {failing[0].detail}"
        if self.work.planning:
            self.remade[found.ref] = replace(found.ref, digest=check.plan.digest)
            self._tell(found, "rebase", "")
            return ""
        remade = self._remaker.remake(found, moves, check.plan)
        name = f"{found.ref.repository}:{found.tags[0]}"
        self.work.gatekeeper.check(name, remade.ref, remade.input_key, remade.base)
        self.remade[found.ref] = remade.ref
        self._passed.append(found)
        self._tell(found, "rebased", "")
        return ""

    def _move(self, found: Found, new: ImageRef) -> None:
        registry = self.work.registry
        manifest = registry.manifest(new.repository, new.digest)
        for tag in found.tags:
            registry.put_manifest(new.repository, manifest.content, manifest.media_type, tag=tag)
            self.work.context.reporter.line(f"{new.repository}:{tag} is now {new.digest}")

    def _where(self, reference: str) -> tuple[TransferRegistry, str]:
        """Return where a base is; names without a registry may be this one's repositories."""
        parsed = parse_reference(reference)
        registry = self.work.registry
        if parsed.registry == registry.host:
            return registry, parsed.repository
        if parsed.registry == "docker.io" and registry.tags(parsed.repository):
            return registry, parsed.repository
        found, repository = self.work.resolver.where(reference)
        return cast("TransferRegistry", found), repository

    def _tell(self, found: Found, action: DependentAction, detail: str) -> None:
        self.told[found.ref] = dependent_of(found, action, detail=detail)
