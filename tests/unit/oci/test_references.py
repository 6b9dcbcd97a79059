"""References are brought into one form."""

from __future__ import annotations

import pytest

from aksci.core.errors import ConfigError
from aksci.oci.references import ImageRef, parse_reference

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("debian", "docker.io/library/debian:latest", "debian"),
        ("debian:12", "docker.io/library/debian:12", "debian:12"),
        ("index.docker.io/debian", "docker.io/library/debian:latest", "debian"),
        ("docker.io/library/debian:latest", "docker.io/library/debian:latest", "debian"),
        ("shop/base", "docker.io/shop/base:latest", "shop/base"),
        ("localhost/x", "localhost/x:latest", "localhost/x"),
        ("localhost:5000/x:1", "localhost:5000/x:1", "localhost:5000/x:1"),
        ("r.io/a/b:1", "r.io/a/b:1", "r.io/a/b:1"),
        ("MyHost/x", "MyHost/x:latest", "MyHost/x"),
        ("[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x"),
        ("registry-1.docker.io/a/b", "registry-1.docker.io/a/b:latest", "registry-1.docker.io/a/b"),
        (f"a:1@{DIGEST}", f"docker.io/library/a@{DIGEST}", "a:1"),
    ],
)
def test_each_way_to_write_a_reference_has_one_form(text, full, familiar):
    reference = parse_reference(text)
    assert (str(reference), reference.familiar) == (full, familiar)


@pytest.mark.parametrize(
    "text", ["Debian", "a:", "a@sha256:1", "a b", "", "r.io/", "a:ü", "r..!/x", "a-", "-.io/x"]
)
def test_what_is_no_reference_is_an_error(text):
    with pytest.raises(ConfigError, match="not the name of an image"):
        parse_reference(text)


def test_a_written_reference_is_pinned_only_by_a_digest_that_is_checked_here():
    assert str(parse_reference(f"shop/a:1@{DIGEST}").pinned) == f"docker.io/shop/a@{DIGEST}"
    assert parse_reference("shop/a:1").pinned is None
    assert parse_reference("shop/a@sha512:" + "a" * 128).pinned is None
    ref = parse_reference("r.io/shop/a:1").at(DIGEST)
    assert ref == ImageRef.parse(f"r.io/shop/a@{DIGEST}")
    assert ref.beside("sha256:" + "b" * 64).name == ref.name
    with pytest.raises(ConfigError, match="not a valid image reference"):
        ref.beside("latest")
