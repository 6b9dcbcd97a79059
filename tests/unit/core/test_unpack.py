"""gzip of others is unpacked to a limit that its own size makes credible."""

from __future__ import annotations

import contextlib
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksci.core.unpack import unpack_gzip

LARGEST = 256 << 20


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=3))
def test_what_was_packed_is_unpacked_of_one_member_or_several(parts):
    packed = b"".join(map(gzip.compress, parts))
    assert unpack_gzip(packed, largest=LARGEST) == b"".join(parts)


def test_content_that_packs_well_is_unpacked():
    report = b"".join(
        b'{"Name": "lib%d", "Version": "3.%d"},' % (n, n % 97) for n in range(200_000)
    )
    assert unpack_gzip(gzip.compress(report), largest=LARGEST) == report


def test_a_few_bytes_that_unpack_to_very_many_are_refused():
    with pytest.raises(ValueError, match="unpacks to more than 4 MiB"):
        unpack_gzip(gzip.compress(bytes(60 << 20), 9), largest=LARGEST)


def test_the_callers_own_limit_counts_too():
    with pytest.raises(ValueError, match="unpacks to more than 1 MiB"):
        unpack_gzip(gzip.compress(bytes((1 << 20) + 1)), largest=1 << 20)


GOOD = gzip.compress(b"content" * 20)


@pytest.mark.parametrize("cut", range(1, len(GOOD)))
def test_what_is_cut_off_anywhere_is_refused(cut):
    with pytest.raises(ValueError, match="cut off"):
        unpack_gzip(GOOD[:cut], largest=LARGEST)


@given(st.binary(min_size=1, max_size=60))
def test_any_bytes_are_unpacked_or_refused(content):
    for packed in (content, GOOD + content, GOOD[:12] + content):
        with contextlib.suppress(ValueError):
            assert unpack_gzip(packed, largest=LARGEST)
