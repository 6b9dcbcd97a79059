"""The chain of images whose validations are measured."""

from __future__ import annotations

from benchmarks.validation_chain import build_chain


def test_a_chain_takes_no_less_than_its_builds_and_one_validation():
    """Each image is built on the one before, and all of them are validated."""
    assert build_chain(3, build=0.05, validation=0.1) >= 3 * 0.05 + 0.1
