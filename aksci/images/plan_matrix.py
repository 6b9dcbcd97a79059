"""What is to be built as jobs of a CI matrix.

The jobs of one matrix run beside each other, in any order, and share nothing but the registry. So
one job must not need what another job of the same matrix builds: that comes in a later matrix, or
both are one job. Sources: GitHub Actions "Workflow syntax", ``strategy.matrix``; Azure Pipelines
"YAML schema: jobs.job.strategy".
"""

from __future__ import annotations

import hashlib
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from aksci.images.same_builds import same_as

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aksci.images.build_plan import BuildPlan

__all__ = [
    "MOST_JOBS",
    "Job",
    "Matrices",
    "Matrix",
    "make_matrices",
    "matrix_document",
    "matrix_value",
]

System = Literal["github", "azure"]

MOST_JOBS = 256
"""Of one matrix at GitHub, and of one stage in Azure Pipelines."""
_LONGEST_NAME = 100
"""Of a job in Azure Pipelines: letters, digits and underscores, a letter first."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job of a matrix."""

    name: str
    """For people; unique, never empty."""
    images: tuple[str, ...]
    """What it builds, in order."""
    arguments: str
    """Of ``nox -s build --``, quoted for a shell."""
    wave: int
    """0: it needs no other job; 1: it needs some of wave 0, and so on."""


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """Jobs that may run beside each other: 1 to 256. Matrices run one after another."""

    name: str
    """Of the output that hands it over: ``matrix``, then ``matrix_1``…"""
    wave: int
    jobs: tuple[Job, ...]

    @property
    def flag(self) -> str:
        """Name of the output that says ``true``: ``any``, then ``any_1`` and so on."""
        return self.name.replace("matrix", "any", 1)


@dataclass(frozen=True, kw_only=True)
class Matrices:
    """All matrices of a plan, as they are handed to a CI system."""

    system: System
    group: str
    matrices: tuple[Matrix, ...]
    """In the order in which they run; none where there is nothing to build."""


def make_matrices(plan: BuildPlan, *, group: str, force: Iterable[str] = ()) -> tuple[Matrix, ...]:
    """Divide what is to be built into matrices; none where there is nothing to build.

    :param group: ``image``: a job an image, in waves; ``component``: a job for images that need
        each other, all in wave 0.
    :param force: images that are built though they are published.
    """
    needs = {name: plan.graph.parents[name] & set(plan.to_build) for name in plan.to_build}
    groups = _groups(plan, needs, whole=group == "component")
    jobs = _jobs(groups, needs, frozenset(force))
    found: list[Matrix] = []
    for wave in sorted({job.wave for job in jobs}):
        same = [job for job in jobs if job.wave == wave]
        for start in range(0, len(same), MOST_JOBS):
            name = f"matrix_{len(found)}" if found else "matrix"
            found.append(Matrix(name=name, wave=wave, jobs=tuple(same[start : start + MOST_JOBS])))
    return tuple(found)


def matrix_value(matrix: Matrix, system: System) -> dict[str, Any]:
    """Return a matrix as its CI system reads it.

    It holds no registry's name: GitHub drops an output that contains masked text.
    """
    if system == "github":
        return {
            "include": [
                {"name": job.name, "arguments": job.arguments, "wave": job.wave}
                for job in matrix.jobs
            ]
        }
    names = _azure_names(job.name for job in matrix.jobs)
    return {
        name: {"aksci_name": job.name, "aksci_arguments": job.arguments}
        for name, job in zip(names, matrix.jobs, strict=True)
    }


def matrix_document(matrices: tuple[Matrix, ...], *, system: System, group: str) -> dict[str, Any]:
    """Return what ``plan --matrix`` prints, as report/schemas/matrix.schema.json describes it."""
    return {
        "schema": 1,
        "system": system,
        "group": group,
        "any": bool(matrices),
        "matrices": [
            {
                "name": matrix.name,
                "flag": matrix.flag,
                "wave": matrix.wave,
                "jobs": [
                    {"name": job.name, "images": list(job.images), "arguments": job.arguments}
                    for job in matrix.jobs
                ],
                "value": matrix_value(matrix, system),
            }
            for matrix in matrices
        ],
    }


def _groups(
    plan: BuildPlan, needs: Mapping[str, frozenset[str]], *, whole: bool
) -> list[tuple[str, ...]]:
    """Return which images are one job, all in the plan's order.

    Every job that needs an opaque image builds it, since nobody knows whether it is as before: so
    whatever is downstream of one is in the same job. So are images that are the same build.

    :param whole: images that need each other are one job.
    """
    rebuilt: set[str] = set()
    first: dict[str, str] = {}

    def find(name: str) -> str:
        while first[name] != name:
            # Halves the path, so that long chains stay cheap.
            first[name] = name = first[first[name]]
        return name

    for name, parents in needs.items():
        first[name] = name
        if not _reusable(plan, name) or parents & rebuilt:
            rebuilt.add(name)
        # Beside each other, two jobs would both build what is built once.
        same = first.keys() & {same_as(plan.by_name[name].reasons)}
        for other in sorted({*(parents if whole else parents & rebuilt), *same}):
            first[find(name)] = find(other)
    found: dict[str, list[str]] = {}
    for name in needs:
        found.setdefault(find(name), []).append(name)
    return [tuple(names) for names in found.values()]


def _reusable(plan: BuildPlan, name: str) -> bool:
    inputs = plan.by_name[name].inputs
    return inputs.reusable if inputs else not plan.graph.images[name].recipe.opaque


def _jobs(
    groups: list[tuple[str, ...]], needs: Mapping[str, frozenset[str]], force: frozenset[str]
) -> list[Job]:
    at = {name: number for number, names in enumerate(groups) for name in names}
    wave: dict[str, int] = {}
    for name, parents in needs.items():  # parents before children
        # A parent in the same job needs no wave of its own.
        wave[name] = max((wave[each] + (at[each] != at[name]) for each in parents), default=0)
    return [
        Job(
            name=names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more",
            images=names,
            arguments=_arguments(names, needs, force),
            wave=max(wave[name] for name in names),
        )
        for names in groups
    ]


def _arguments(
    names: tuple[str, ...], needs: Mapping[str, frozenset[str]], force: frozenset[str]
) -> str:
    """Name the images that no other of the job needs: ``--only`` brings what they need."""
    inner = frozenset().union(*(needs[name] for name in names))
    words = [word for name in names if name not in inner for word in ("--only", name)]
    words += [word for name in names if name in force for word in ("--force", name)]
    return shlex.join(words)


def _azure_names(names: Iterable[str]) -> list[str]:
    """Return names of letters, digits and underscores, a letter first, no two the same."""
    found: dict[str, None] = {}
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
        plain = plain if plain[:1].isalpha() else f"image_{plain}"
        if plain in found or len(plain) > _LONGEST_NAME:
            digest = hashlib.sha256(name.encode()).hexdigest()[:8]
            plain = f"{plain[: _LONGEST_NAME - 9]}_{digest}"
        found[plain] = None
    return list(found)
