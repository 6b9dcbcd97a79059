"""The loopback servers of ``tests/pipelines_apis.py``: tests are no package to import from."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def apis():
    path = Path(__file__).parents[3] / "pipelines_apis.py"
    spec = importlib.util.spec_from_file_location("pipelines_apis", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["pipelines_apis"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
