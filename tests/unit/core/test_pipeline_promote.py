"""Where a promotion comes from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from aksci.config import EnvironmentConfig
from aksci.errors import ConfigError, UsageError
from pipelines.promote import previous


@dataclass(frozen=True)
class Project:
    name: str = "shop"


@dataclass(frozen=True)
class Config:
    environments: dict
    project: Project = Project()


@dataclass(frozen=True)
class Context:
    """As much of a Context as is looked at."""

    environment_name: str
    environment: EnvironmentConfig
    config: Config


def environment(**more):
    return EnvironmentConfig(registry="r.example", namespace="shop", **more)


def context(promote_from, **others):
    here = environment(promote_from=promote_from)
    return Context("production", here, Config({"production": here, **others}))


def test_the_environment_before_takes_the_place_of_this_one_and_nothing_else_changes():
    staging = environment()
    here = context("staging", staging=staging)
    expected = replace(here, environment_name="staging", environment=staging)
    assert previous(here) == expected


def test_the_local_environment_need_not_be_in_the_file():
    found = previous(context("local"))
    assert (found.environment_name, found.environment.platform) == ("local", "embedded")
    assert found.environment.namespace == "shop"


def test_an_environment_that_names_none_is_an_error_that_says_what_to_write():
    with pytest.raises(UsageError) as caught:
        previous(context(None))
    assert 'promote_from = "…" under [environments.production]' in caught.value.hint


@pytest.mark.parametrize("name", ["production", "nowhere"])
def test_an_environment_can_be_promoted_from_another_that_there_is(name):
    with pytest.raises(ConfigError, match=r"environments\.production\.promote_from"):
        previous(context(name))
