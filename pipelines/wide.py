"""``cascade --registry-wide``: the owners of what other repositories have built on it are asked."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from aksci.cascade.base_policy import EdgePolicy
from aksci.cascade.chosen_bases import types_of
from aksci.cascade.dependents.find_dependents import find_dependents
from aksci.cascade.dependents.image_records import LineageCache
from aksci.core.errors import AksciError, RegistryError
from aksci.oci.references import parse_reference
from pipelines.asking import TO_COME, Asking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aksci.cascade.dependents.find_dependents import FoundDependent, Survey
    from pipelines.cascading import Cascading, Done

__all__ = ["ask_owners"]


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
