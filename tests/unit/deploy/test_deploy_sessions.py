"""Sessions and documented pipelines that are made of the steps that deploy and verify."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from inspect import isfunction
from pathlib import Path

import pytest

from aksci import steps
from aksci.core.errors import TrustError, UsageError
from aksci.pipelines.deploy import deploy, rollback, status
from aksci.pipelines.promote import promote
from aksci.pipelines.verify import verify
from aksci.supply.release.release_file import write_release_file


def test_a_session_that_only_plans_shows_it_and_does_nothing(site, capsys):
    first, second = site.release("1"), site.release("2")
    site.deploy(first)
    site.deploy(second)
    writes = len(site.api.writes)
    deploy(site.staging, release=str(first.ref), plan=True)
    assert capsys.readouterr().out.startswith("web  upgrade  IMAGE")
    rollback(site.staging, plan=True)
    assert capsys.readouterr().out.startswith("web  upgrade  IMAGE")
    promote(site.live, plan=True)
    assert capsys.readouterr().out.startswith(f"{second.tag}, staging → live")
    assert len(site.api.writes) == writes
    assert site.live.registry.tags("shop/release") == []


def test_the_sessions_deploy_go_back_and_promote(site, capsys):
    first, second = site.release("1"), site.release("2")
    for release in (first, second):
        site.lives(release, site.staging)
        deploy(site.staging, release=str(release.ref))
    site.lives(first, site.staging)
    rollback(site.staging, to=first.id)
    site.lives(first, site.live)
    promote(site.live)
    status(site.live, format="json")
    there = json.loads(capsys.readouterr().out)["environment"]["release"]
    assert there == str(replace(first.ref, registry="live.example"))
    assert list(site.live.notes) == ["deploy", "rollback", "plan_promote", "promote"]


def test_a_promotion_verifies_what_it_brings_once_where_it_comes_from(site):
    release = site.release()
    site.deploy(release)
    site.lives(release, site.live)
    asked, verify = [], site.keys.verify
    site.keys.verify = lambda ref, claims: (asked.append(ref), verify(ref, claims))[1]
    promote(site.live)
    assert asked.count(release.images["web"].ref) == 1


def test_the_session_verify_shows_what_it_found_and_then_fails(site, capsys):
    release = site.release()
    verify(site.staging, words=(str(release.ref),), output="audit")
    assert "3 verified" in (site.folder / "audit").read_text()
    site.keys.signed.clear()
    with pytest.raises(TrustError):
        verify(site.staging, words=(str(release.ref),))
    assert "1 UNSIGNED" in capsys.readouterr().out


# -- what the documents show --


def documented(name):
    """Return the pipeline that a page of docs/ shows."""
    text = (Path(__file__).parents[3] / "docs" / name).read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names = {}
    exec(compile(example, name, "exec"), names)  # noqa: S102 - our own text
    (found,) = [each for each in names.values() if isfunction(each)]
    return found


def test_the_documented_pipelines_run(site):
    first = site.release("1")
    site.deploy(first)
    site.lives(first, site.live)
    documented("promotion.md")(site.live)
    live = replace(first.ref, registry="live.example")
    assert steps.status(site.live).namespace.release == str(live)
    documented("verify.md")(site.live)
    assert json.loads((site.folder / "audit.json").read_text())["passed"] is True

    second = site.release("2")
    write_release_file(site.staging.work_folder, second, run="r")
    site.lives(second, site.staging)
    documented("releases.md")(site.staging)
    assert steps.status(site.staging).namespace.release == str(second.ref)


@pytest.mark.parametrize(("session", "step"), [(verify, "verify"), (status, "status")])
def test_a_format_that_there_is_not_is_refused_before_anything_is_asked(
    site, monkeypatch, session, step
):
    monkeypatch.setattr(steps, step, lambda *_: pytest.fail("it was asked"))
    with pytest.raises(UsageError, match="can't be shown as 'dot'"):
        session(site.staging, format="dot")
