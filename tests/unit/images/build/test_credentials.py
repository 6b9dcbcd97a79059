"""Build secrets are found, or missed with a clear error."""

from __future__ import annotations

import pytest

from aksci.config.loader import load_config
from aksci.core.errors import ConfigError
from aksci.images.build.build_secrets import load_secrets

HEAD = 'schema = 1\n[project]\nname = "shop"\n'


def load(tmp_path, toml, **variables):
    (tmp_path / "aksci.toml").write_text(HEAD + toml)
    config = load_config(tmp_path / "aksci.toml")
    return load_secrets(config, root=tmp_path, variables=variables)


def test_files_are_relative_to_the_project_and_variables_stay_secret(tmp_path):
    (tmp_path / "ca.pem").write_text("x")
    toml = '[build.secrets.ca]\nfile = "ca.pem"\n[build.secrets.token]\nenv = "TOKEN"\n'
    ca, token = load(tmp_path, toml, TOKEN="hunter2")
    assert ca.file == tmp_path / "ca.pem"
    assert "hunter2" not in repr(token)


@pytest.mark.parametrize("source", ['file = "no.pem"', 'env = "NOPE"'])
def test_a_missing_secret_is_an_error_unless_it_is_optional(tmp_path, source):
    with pytest.raises(ConfigError, match="build secret ca is missing"):
        load(tmp_path, f"[build.secrets.ca]\n{source}\n")
    assert load(tmp_path, f"[build.secrets.ca]\n{source}\noptional = true\n") == ()
