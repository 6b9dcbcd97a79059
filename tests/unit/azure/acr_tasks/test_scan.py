"""What ACR Tasks sees in a Dockerfile."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksci.azure.acr_tasks.seen_bases import ScanError, SeenBases, _filled, scan_bases

HUB = "docker.io/library"


@pytest.mark.parametrize(
    ("text", "target", "runtime", "others"),
    [
        ("FROM debian", None, f"{HUB}/debian:latest", ()),
        ("\ufefffrom 'debian'\n", None, f"{HUB}/debian:latest", ()),
        ("# FROM x\n\n  FROM debian AS a\nFROM a AS b\n", None, f"{HUB}/debian:latest", ()),
        (
            "FROM golang as a\nFROM debian\n",
            None,
            f"{HUB}/debian:latest",
            (f"{HUB}/golang:latest",),
        ),
        ("FROM golang as a\nFROM debian\n", "a", f"{HUB}/golang:latest", ()),
        ("FROM golang as A\nFROM debian\n", "a", f"{HUB}/debian:latest", (f"{HUB}/golang:latest",)),
        ("ARG T=1\nFROM debian:$T\n", None, f"{HUB}/debian:1", ()),
        ("ARG T='1'\nFROM debian:${T}\n", None, f"{HUB}/debian:1", ()),
        ("ARG T=1\nARG T=2\nFROM debian:$T\n", None, f"{HUB}/debian:1", ()),
        ("ARG G=1\nFROM debian:$G\n", None, f"{HUB}/debian:given", ()),
        ("FROM scratch", None, "scratch", ()),
    ],
)
def test_the_bases_are(text, target, runtime, others):
    seen = scan_bases(text, {"G": "given"}, target)
    assert seen == SeenBases(runtime=runtime, others=others)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ARG A=1\n",
        "FROM\n",
        "FROM --platform=linux/amd64 debian\n",
        "FROM debian stage\n",
        "FROM debian to stage\n",
        "FROM $UNSET\n",
        "ARG A=1 B=2\nFROM debian:$B\n",
        "ARG T\nFROM debian:${T:-1}\n",
    ],
)
def test_it_refuses(text):
    with pytest.raises(ScanError):
        scan_bases(text, {}, None)


@given(st.text(st.sampled_from("${}Ab :\n"), max_size=20))
def test_variables_are_filled_in_as_by_one_pattern(text):
    pattern = re.compile(r"\$(?:\{([^}]*)\}|([A-Za-z0-9_]+))")
    values = {"A": "x", "Ab": "yy"}
    whole = pattern.sub(lambda one: values.get(one[1] or one[2] or "", ""), text)
    assert _filled(text, values) == whole


def test_a_brace_that_nothing_ends_is_looked_for_once(limited):
    limited(
        """
        from aksci.azure.acr_tasks.seen_bases import _filled
        _filled("${" * 1_000_000 + "$A", {"A": "x"})
        """
    )
