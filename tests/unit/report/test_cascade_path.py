"""The critical path is the longest chain of images that were made, whatever the graph."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aksci.cascade.cascade_report import ImageOutcome, Spent
from aksci.report.critical_path import critical_path, earliest_starts


def image(name, seconds, *needs, action="rebuilt"):
    spent = Spent(make=float(seconds), gate=0.0)
    return ImageOutcome(image=name, action=action, needs=needs, spent=spent)


@st.composite
def graphs(draw):
    """Draw up to seven images, parents first; whole seconds, so that sums are exact."""
    images = []
    for number in range(draw(st.integers(0, 7))):
        needs = draw(st.sets(st.sampled_from([one.image for one in images] or ["outside"])))
        action = draw(st.sampled_from(("kept", "reused", "failed", "blocked", *["rebuilt"] * 4)))
        name = draw(st.sampled_from("abcdefg")) + str(number)
        images.append(image(name, draw(st.integers(0, 3)), *sorted(needs), action=action))
    return images


def every_chain(images):
    """Yield each way through the graph, ending anywhere, by walking all of them."""
    by_name = {one.image: one for one in images}

    def ending_at(one):
        yield (one,)
        for need in one.needs:
            for way in ending_at(by_name[need]) if need in by_name else ():
                yield (*way, one)

    for one in images:
        yield from ending_at(one)


@given(graphs())
def test_the_critical_path_is_the_first_of_the_longest_of_all_chains(images):
    costly = {one.image for one in images if one.action == "rebuilt" and one.spent.total}
    ways = [tuple(one for one in way if one.image in costly) for way in every_chain(images)]
    ranked = sorted(
        (-sum(one.spent.total for one in way), len(way), tuple(one.image for one in way))
        for way in [(), *ways]
    )
    seconds, _, names = ranked[0]
    assert critical_path(images) == (names, -seconds)


@given(graphs())
def test_nothing_that_starts_as_soon_as_it_can_ends_after_the_critical_path(images):
    starts = earliest_starts(images)
    ends = [starts[one.image] + one.spent.total for one in images if one.action == "rebuilt"]
    assert max(ends, default=0.0) == critical_path(images)[1]


def test_scans_and_signatures_count():
    gated = ImageOutcome(image="a", action="rebuilt", spent=Spent(make=1.0, gate=2.5))
    assert critical_path([gated]) == (("a",), 3.5)


def test_of_equal_chains_it_is_the_shorter_then_the_first_by_name():
    images = [image("z", 2), image("b", 1), image("c", 1, "b"), image("a", 2)]
    assert critical_path(images) == (("a",), 2.0)


def test_a_chain_leads_through_images_that_were_kept_without_naming_them():
    images = [image("a", 2), image("b", 9, "a", action="reused"), image("c", 3, "b")]
    assert critical_path(images) == (("a", "c"), 5.0)


def test_a_chain_of_a_thousand_images_is_no_trouble():
    images = [image(f"i{n}", 1, *([f"i{n - 1}"] if n else [])) for n in range(1000)]
    names, seconds = critical_path(images)
    assert (len(names), seconds) == (1000, 1000.0)
