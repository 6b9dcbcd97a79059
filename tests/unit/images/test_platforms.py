"""Platforms are told to a Dockerfile as BuildKit tells them."""

from __future__ import annotations

import pytest

from aksci.core.errors import ConfigError
from aksci.images.platforms import (
    normalise_platform,
    parse_platforms,
    platform_args,
    this_platform,
)

# What BuildKit 0.34.2 put into TARGETPLATFORM.
SEEN = {
    "linux/arm64/v8": "linux/arm64",
    "linux/arm64": "linux/arm64",
    "linux/arm64/v9": "linux/arm64/v9",
    "linux/aarch64": "linux/arm64",
    "linux/arm": "linux/arm/v7",
    "linux/arm/6": "linux/arm/v6",
    "linux/armhf": "linux/arm/v7",
    "linux/armel": "linux/arm/v6",
    "linux/x86_64": "linux/amd64",
    "linux/amd64/v1": "linux/amd64",
    "linux/amd64/v3": "linux/amd64/v3",
    "linux/i386": "linux/386",
    "LINUX/AMD64": "linux/amd64",
    "macos/arm64": "darwin/arm64",
    "linux/riscv64": "linux/riscv64",
}


@pytest.mark.parametrize(("platform", "told"), SEEN.items())
def test_a_platform_has_one_form(platform, told):
    assert normalise_platform(platform) == told


def test_the_platforms_arguments_are_of_that_form():
    values = platform_args(build="linux/x86_64", target="linux/arm64/v8")
    assert values == {
        "BUILDPLATFORM": "linux/amd64",
        "BUILDOS": "linux",
        "BUILDOSVERSION": "",
        "BUILDARCH": "amd64",
        "BUILDVARIANT": "",
        "TARGETPLATFORM": "linux/arm64",
        "TARGETOS": "linux",
        "TARGETOSVERSION": "",
        "TARGETARCH": "arm64",
        "TARGETVARIANT": "",
    }


def test_this_platform_is_of_that_form_already():
    assert normalise_platform(this_platform()) == this_platform()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (["linux/amd64,linux/arm64"], ("linux/amd64", "linux/arm64")),
        ([" linux/arm64/v8 , linux/x86_64 "], ("linux/arm64", "linux/amd64")),
        (["linux/amd64", "linux/x86_64", "local"], ("linux/amd64", "linux/riscv64")),
        (["LOCAL"], ("linux/riscv64",)),
        (["arm64", "linux", "arm"], ("linux/arm64", "linux/riscv64", "linux/arm/v7")),
        ([], ()),
    ],
)
def test_a_text_may_name_several_platforms_as_buildx_takes_them(written, meant):
    assert parse_platforms(written, "here", builder="linux/riscv64") == meant


@pytest.mark.parametrize(
    ("written", "suggestion"),
    [
        ("linux/amd46", "'amd64'"),
        ("linx/amd64", "'linux'"),
        ("amd46", "'amd64'"),
        ("linux/amd64,", ""),
        ("", ""),
        ("linux//v7", ""),
        ("linux/arm/v7/x", ""),
        ("linux/amd64;linux/arm64", ""),
        ("a/b", ""),
    ],
)
def test_what_is_no_platform_is_refused_and_the_place_named(written, suggestion):
    with pytest.raises(ConfigError, match=f"here: .* is no platform.*{suggestion}"):
        parse_platforms([written], "here", builder="linux/amd64")
