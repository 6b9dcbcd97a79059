from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksci.core.wide_text import wide_encoding

DOCKERFILE = "# Größe\nFROM debian:bookworm-slim\nRUN echo ä\n"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
@pytest.mark.parametrize("text", [DOCKERFILE, "*", "FROM scratch"])
def test_it_is_told_with_a_mark_and_without(encoding, text):
    assert wide_encoding(text.encode(encoding)) == encoding[:6].upper()
    assert wide_encoding(f"\ufeff{text}".encode(encoding)) == encoding[:6].upper()


@pytest.mark.parametrize("content", [b"", b"\0", b"\0\0\0\0", b"FROM scratch\n# \0\n"])
def test_a_byte_of_zero_alone_makes_no_wide_text(content):
    assert wide_encoding(content) == ""


@given(st.text(st.characters(exclude_characters="\0")))
def test_utf_8_is_never_taken_for_it(text):
    assert wide_encoding(text.encode("utf-8", "surrogatepass")) == ""
