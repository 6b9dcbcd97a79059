"""Where images are validated: what is asked of whom, and what is said when nobody answers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from aksci.config.loader import load_config
from aksci.config.models import EnvironmentConfig
from aksci.context import Context
from aksci.core.errors import ConfigError, DockerError
from pipelines import validate

TOML = """\
schema = 1
[project]
name = "shop"
[environments.ci]
registry = "r.example"
namespace = "shop"
"""


@pytest.fixture
def context(tmp_path):
    def make(toml=TOML, **environment):
        (tmp_path / "aksci.toml").write_text(toml)
        config = load_config(tmp_path / "aksci.toml")
        return Context(
            root=tmp_path,
            config=config,
            environment_name="ci",
            environment=EnvironmentConfig(
                **{**config.environments["ci"].model_dump(), **environment}
            ),
            variables={"DOCKER_HOST": f"unix://{tmp_path}/no.sock"},
            now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
            runner=None,
            reporter=None,
            cache=tmp_path,
            state=tmp_path,
            run_id="r",
        )

    return make


def test_nobody_validates_where_the_project_says_so(context):
    off = context(TOML + "[build]\nvalidate = false\n")
    assert validate.make_validator(off, None, None) is None


def test_making_a_validator_asks_nobody(context):
    made = validate.make_validator(context(), None, None)
    made.stop()
    made.close()


def test_an_external_environment_uses_docker_and_says_what_else_there_is(context):
    with pytest.raises(DockerError, match=r"Images can't be validated: .*no\.sock") as caught:
        validate._engine(context(), None)
    assert 'validate_in = "cluster" in [environments.ci]' in caught.value.hint
    assert "validate = false in [build]" in caught.value.hint


def test_the_cluster_is_used_where_the_environment_says_so(context):
    elsewhere = context(validate_in="cluster", kubeconfig="nowhere")
    with pytest.raises(ConfigError, match=r"The kubeconfig .*nowhere does not exist"):
        validate._engine(elsewhere, None)
