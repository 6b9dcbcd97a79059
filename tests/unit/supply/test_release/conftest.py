"""Schemas that releases are held to."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest


@pytest.fixture(scope="session")
def schema():
    """Read one of the committed schemas."""

    def read(name):
        path = files("aksci.report").joinpath(f"schemas/{name}.schema.json")
        return json.loads(path.read_text(encoding="utf-8"))

    return read
