"""How ``deploy_cascade`` looks at environments and changes them: by the steps that deploy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aksci.core.errors import ConfigError, UsageError
from aksci.steps.deploy_cascade_step import actions_in


def test_a_release_is_deployed_and_promoted_by_name_and_the_services_are_told(site):
    actions = actions_in(site.staging)
    release = site.release()
    site.lives(release, site.staging)
    assert actions.deploy("staging", release.ref) == ("web",)
    assert actions.look("staging").current == str(release.ref)
    assert actions.registry("live") == "live.example"
    assert actions.source("live") == "staging"
    assert actions.refusals("live", release.ref) == ()
    site.lives(release, site.live)
    assert actions.promote("live", release.ref) == ("web",)
    assert actions.look("live").current == str(replace(release.ref, registry="live.example"))


def test_what_is_up_to_date_already_is_not_told_as_rolled_out(site):
    release = site.release()
    site.deploy(release)
    assert actions_in(site.staging).deploy("staging", release.ref) == ()


def test_an_environment_that_promotes_from_none_or_from_itself_is_refused(site):
    with pytest.raises(UsageError, match="names no environment"):
        actions_in(site.staging).source("staging")
    itself = site.live.settings.model_copy(update={"promote_from": "live"})
    vars(site.live)["settings"] = itself
    with pytest.raises(ConfigError, match=r"environments\.live\.promote_from"):
        actions_in(site.staging).source("live")
