"""Projects made of text, and what is exported of them."""

from __future__ import annotations

import pytest

from aksci.azure.acr_tasks.plan_tasks import plan_acr_tasks
from aksci.azure.acr_tasks.source_location import SourceLocation
from aksci.config.loader import load_config
from aksci.images.graph import build_graph

HEAD = 'schema = 1\n[project]\nname = "shop"\n'
PLATFORM = 'platforms = ["linux/amd64"]\n'
SOURCE = SourceLocation(repository="https://github.com/example/shop.git", folder="examples/shop")


@pytest.fixture
def export_of(tmp_path):
    """Write Dockerfiles and an aksci.toml; return what is exported."""

    def make(files, toml="", *, build="", login="shopstaging.azurecr.io", source=SOURCE):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        images = "".join(
            f'[images.{name.split("/")[-2]}]\ndockerfile = "{name}"\n'
            for name in files
            if f"[images.{name.split('/')[-2]}]" not in toml
        )
        (tmp_path / "aksci.toml").write_text(HEAD + "[build]\n" + PLATFORM + build + images + toml)
        config = load_config(tmp_path / "aksci.toml")
        return plan_acr_tasks(build_graph(tmp_path, config), config, login=login, source=source)

    return make
