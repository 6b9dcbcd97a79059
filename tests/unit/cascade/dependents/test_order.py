"""Images come after what they are built on, whatever they are built on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aksci.cascade.dependents.find_dependents import FoundDependent, Move, in_order
from aksci.oci.references import ImageRef

DIGEST = "sha256:" + "1" * 64


def ref(number):
    return ImageRef("r:1", f"pay/a{number}", DIGEST)


def graph(edges):
    """Make images of ``{child: parents}``; one without parents is based on what moved."""
    return {
        ref(child): FoundDependent(
            ref=ref(child),
            tags=("1",),
            moves=tuple(
                Move(
                    reference=f"r:1/pay/a{parent}",
                    type="runtime",
                    recorded=DIGEST,
                    current=DIGEST,
                    parent=None if parent is None else ref(parent),
                )
                for parent in parents or [None]
            ),
        )
        for child, parents in edges.items()
    }


def numbers(found):
    return [int(one.ref.repository.removeprefix("pay/a")) for one in found]


def test_parents_come_first_and_otherwise_names_decide():
    ordered, circular = in_order(graph({3: [], 1: [3], 0: [1, 2], 2: [3]}))
    assert numbers(ordered) == [3, 1, 2, 0]
    assert circular == ()


def test_one_of_a_circle_goes_first_and_who_only_stands_on_the_circle_does_not():
    ordered, circular = in_order(graph({0: [2], 1: [2], 2: [1]}))
    assert numbers(ordered) == [2, 0, 1]
    assert circular == (ref(2),)
    assert [one.parents for one in ordered] == [(), (ref(2),), (ref(2),)]
    assert len(ordered[0].moves) == 1


@given(st.dictionaries(st.integers(0, 8), st.sets(st.integers(0, 8), max_size=4), max_size=9))
def test_every_image_comes_once_and_after_the_parents_that_are_left_to_it(edges):
    edges = {child: [one for one in parents if one in edges and one != child]
             for child, parents in edges.items()}  # fmt: skip
    found = graph(edges)
    ordered, circular = in_order(found)
    assert sorted(one.ref for one in ordered) == sorted(found)
    seen = set()
    for one in ordered:
        assert set(one.parents) <= seen
        assert len(one.moves) == len(found[one.ref].moves)
        assert one.ref in circular or one.parents == found[one.ref].parents
        seen.add(one.ref)
