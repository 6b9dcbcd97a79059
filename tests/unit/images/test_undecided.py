"""A plan where images from outside can't be resolved: all that is known is told."""

from __future__ import annotations

import pytest

from aksci.core.errors import RegistryError, UndecidedError, UnreachableError
from aksci.images.bases import BaseImageError, RegistryBases
from aksci.images.build_plan import plan_build
from aksci.report.plan_report import undecided_text
from aksci.testing.memory_registry import MemoryRegistry

FILES = {
    "base/Dockerfile": "FROM gone.example/os:1\nCOPY --from=lost.example/tool:2 /x /x\n",
    "app/Dockerfile": "FROM shop/base\n",
    "web/Dockerfile": "FROM gone.example/os:1\n",
    "fine/Dockerfile": "FROM scratch\nCOPY x /\n",
    "fine/x": "x",
}
EMPTY = MemoryRegistry("r:1")


def unreachable(host):
    """Return a registry that nobody answers for."""
    registry = MemoryRegistry(host)
    error = UnreachableError(f"The registry {host} can't be reached: no.", hint="look.")
    registry.fail("resolve", error)
    return registry


@pytest.fixture
def undecided(project):
    graph = project(FILES)
    bases = RegistryBases(mirror=None, connect=unreachable, brief=True)
    with pytest.raises(UndecidedError) as caught:
        plan_build(graph, registry=EMPTY, bases=bases)
    return caught.value


def test_every_base_is_named_at_once_with_its_cause_and_the_images_that_need_it(undecided):
    assert undecided.message.splitlines() == [
        "2 base images can't be resolved, so 3 of 4 images can't be planned.",
        "The registry gone.example can't be reached: no.",
        "  gone.example/os:1, needed by base, web",
        "The registry lost.example can't be reached: no.",
        "  lost.example/tool:2, needed by base",
    ]
    assert undecided.exit_status == RegistryError.exit_status
    assert undecided.hint.startswith("look.\n")


def test_what_can_be_told_is_shown_and_nothing_else_counts_as_planned(undecided):
    assert [one.image for one in undecided.plan.work] == ["fine"]
    assert undecided_text(undecided).splitlines() == [
        "  build  fine  no build of it was published yet",
        "  ?      base  needs gone.example/os:1, lost.example/tool:2",
        "  ?      web   needs gone.example/os:1",
        "  ?      app   ← base",
        "1 to build, 0 to reuse, 3 that can't be planned: bases can't be resolved.",
        "No build of them was published yet.",
    ]


def test_a_registry_of_the_project_that_fails_is_no_matter_of_bases(project):
    """Else a plan would be shown as if only bases were missing."""

    failing = MemoryRegistry("r:1")
    failing.fail("resolve", RegistryError("The registry r:1 answered 503."))
    with pytest.raises(RegistryError, match="503") as caught:
        plan_build(project(FILES), registry=failing, bases=project.outside(lambda _: ""))
    assert not isinstance(caught.value, UndecidedError)


@pytest.mark.parametrize(("brief", "asked"), [(True, ["1"]), (False, ["1", "1", "2"])])
def test_only_a_brief_look_gives_up_on_a_registry_for_good(brief, asked):
    """A build of an hour must not fail for what was out of reach at its beginning."""
    lost = unreachable("lost.example")
    bases = RegistryBases(mirror=None, connect=lambda _: lost, brief=brief)
    for reference in ("lost.example/a:1", "lost.example/a:1", "lost.example/b:2"):
        with pytest.raises(BaseImageError, match="can't be reached"):
            bases.digest(reference)
    assert lost.asked() == asked


def test_a_base_that_nobody_can_make_gets_no_hint_to_make_it():
    bases = RegistryBases(mirror=EMPTY, connect=lambda _: EMPTY)
    with pytest.raises(BaseImageError, match="node:14 does not exist") as caught:
        bases.digest("docker.io/library/node:14")
    assert caught.value.hint is None
