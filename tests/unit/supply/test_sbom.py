"""A bill of materials is the same for the same image, and costs what its size makes credible."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from aksci.supply.scan.sbom import _identifier, _uuid, make_reproducible

REFERENCE = st.uuids().map(str)
PART = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | REFERENCE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@given(PART, PART, st.integers(0, 1000))
def test_an_identifier_is_that_of_all_its_parts(first, second, number):
    assert str(_identifier(first)(second, number)) == _uuid(first, second, number)


def test_random_identifiers_and_times_are_left_out():
    def sbom():
        return {
            "serialNumber": f"urn:uuid:{uuid.uuid4()}",
            "metadata": {"timestamp": str(uuid.uuid4()), "component": {"name": "x"}},
            "components": [
                {"bom-ref": str(uuid.uuid4()), "name": "b"},
                {"bom-ref": str(uuid.uuid4()), "name": "a"},
            ],
        }

    assert make_reproducible(sbom(), "cyclonedx") == make_reproducible(sbom(), "cyclonedx")


def test_a_label_of_megabytes_is_read_once_and_not_for_each_package(limited):
    limited(
        """
        import uuid
        from aksci.supply.scan.sbom import make_reproducible
        label = {"name": "label", "value": "a" * 4_000_000}
        make_reproducible(
            {
                "metadata": {"component": {"name": "x", "properties": [label]}},
                "components": [
                    {"bom-ref": str(uuid.uuid4()), "name": f"p{n}"} for n in range(3000)
                ],
            },
            "cyclonedx",
        )
        """
    )
