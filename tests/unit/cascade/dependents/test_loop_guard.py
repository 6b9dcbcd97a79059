"""Projects that ask each other come to an end, and what says who asked is not trusted blindly."""

from __future__ import annotations

import pytest

from aksci.cascade.dependents.loop_guard import chain_of, extended, may_ask
from aksci.core.errors import UsageError

A, B, C = "r.example/a", "r.example/b", "localhost:5000/c"


def test_what_is_sent_is_what_is_read():
    assert chain_of("") == chain_of(" ") == ()
    assert chain_of(extended((), A)) == (A,)
    assert chain_of(extended((A, B), C)) == (A, B, C)
    assert chain_of(f"{A}, {B}") == (A, B)


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "/a",
        "r/",
        ",",
        f"{A},",
        "r/a/b",
        "r/a b",
        "r/../x",
        "r/..",
        "-r/a",
        "r/-a",
        "r:port/a",
        "r/a\n##vso[task.setvariable]x",
        "r/$(id)",
        "r/a;id",
        "r/ä",
        "x" * 300 + "/a",
        ",".join([A] * 1000),
    ],
)
def test_what_is_no_list_of_projects_is_refused(text):
    with pytest.raises(UsageError, match="is not one"):
        chain_of(text)


def test_a_project_may_be_asked_that_has_not_asked():
    assert may_ask((), A, B, 5) is None
    assert may_ask((C,), A, B, 5) is None


def test_nobody_is_asked_who_has_asked_already():
    assert "itself" in may_ask((), A, A, 5)
    assert f"{B} → {A} → {B}" in may_ask((B,), A, B, 5)


def test_who_is_reached_a_second_time_asks_nobody():
    """Else two circles that meet would keep each other going."""
    assert f"{A} → {B} → {A}" in may_ask((A, B), A, C, 5)


def test_only_so_many_ask_in_a_row():
    assert may_ask((), A, B, 1) is None
    assert "1 may" in may_ask((C,), A, B, 1)
    assert may_ask((C,), A, B, 2) is None
