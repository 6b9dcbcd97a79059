"""External images: what is said where nobody has them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from aksci.errors import RegistryError
from aksci.images import BaseResolver

EMPTY = SimpleNamespace(resolve=lambda _repository, _reference: None)


@pytest.mark.parametrize(
    ("reference", "hint"),
    [
        ("docker.io/docker/dockerfile:1", "remove the Dockerfile's line # syntax="),
        ("docker.io/library/debian:12", '"debian:12" = []'),
    ],
)
def test_the_hint_fits_what_is_missing(reference, hint):
    """A frontend can't be made by ``up`` as a Debian base can; it is not needed either."""
    resolve = BaseResolver(mirror=EMPTY, connect=lambda _: EMPTY)
    with pytest.raises(RegistryError, match=f"{reference} does not exist") as caught:
        resolve(reference)
    assert hint in caught.value.hint
