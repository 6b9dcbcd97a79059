"""The pipelines of docs/library.md, in memory, by public names alone.

tests/integration/test_wheel runs this file in a team's repository, too, with the installed wheel.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module

import pytest

from aksci import Environment, steps
from aksci.errors import BuildError, GateError
from aksci.parts import Parts
from aksci.testing import CannedFinding, MemoryWorld, open_environment


@pytest.fixture
def team(team_repository, monkeypatch):
    """Import a module of the repository, whose ``pipelines`` are not ours."""

    def forget():
        ours = [name for name in sys.modules if name.partition(".")[0] in {"pipelines", "scripts"}]
        return {name: sys.modules.pop(name) for name in ours}

    monkeypatch.syspath_prepend(team_repository / "acme-scanner")
    monkeypatch.syspath_prepend(team_repository)
    others = forget()
    yield import_module
    forget()
    sys.modules.update(others)


def test_the_first_pipeline_deploys_what_it_built_and_of_a_part_nothing(team, team_repository):
    release = team("pipelines.release").release
    with open_environment(team_repository) as env:
        release(env, only=("gateway",))
        assert "deploy" not in env.notes
        release(env)
        gateway = env.last_build().images["gateway"].ref
        assert env.world.cluster().images("shop") == {"gateway/image": str(gateway)}


def test_a_script_does_what_the_session_does(team, team_repository, monkeypatch):
    world = MemoryWorld()

    def open_in_memory(name):
        return open_environment(team_repository, name, world=world)

    monkeypatch.setattr(Environment, "open", open_in_memory)
    team("scripts.release").main()
    assert list(world.cluster("staging").images("shop")) == ["gateway/image"]


def test_no_image_is_built_on_one_that_the_gate_refuses(team, team_repository):
    (team_repository / "worker/Dockerfile").write_text("FROM shop/gateway:latest\n")
    strict = team("pipelines.strict").strict
    with open_environment(team_repository) as env:
        env.world.scanner.find("gateway", CannedFinding(id="CVE-2026-0001"))
        with pytest.raises(GateError, match="CVE-2026-0001"):
            strict(env)
        assert env.world.builder.built == ["gateway"]
        env.world.scanner.find("gateway")  # nothing any more
        strict(env)
        assert env.notes["deploy"]


def test_a_preview_tells_of_work_and_changes_nothing(team, team_repository, capsys):
    preview, release = team("pipelines.preview").preview, team("pipelines.release").release
    world = MemoryWorld()
    with open_environment(team_repository, world=world) as env:
        release(env)
        assert preview(env) is None
        (team_repository / "worker/Dockerfile").write_text('FROM debian:bookworm-slim\nCMD ["x"]\n')
        built = list(world.builder.built)
        assert preview(env) == 20
        assert world.builder.built == built
    assert "worker" in capsys.readouterr().out


def test_production_gets_what_runs_in_staging(team, team_repository):
    release, promotion = team("pipelines.release").release, team("pipelines.promotion").promotion
    with open_environment(team_repository, "staging") as env:
        release(env)
        promotion(env, plan=True)
        assert env.world.cluster("production").images("shop") == {}
        promotion(env)
        (staged,) = env.world.cluster("staging").images("shop").values()
        (live,) = env.world.cluster("production").images("shop").values()
        assert live.partition("@")[2] == staged.partition("@")[2]
        assert live.startswith("shopproduction.azurecr.io/")


def test_a_patch_day_takes_up_a_base_that_moved(team, team_repository):
    release, patch_day = team("pipelines.release").release, team("pipelines.patch_day").patch_day
    world = MemoryWorld()
    with open_environment(team_repository, world=world) as env:
        release(env)
    world.bases.move("debian:bookworm-slim")
    with open_environment(team_repository, world=world) as env:
        patch_day(env)
        assert sorted(world.builder.built) == ["gateway", "gateway", "worker", "worker"]


def test_a_pull_request_signs_and_publishes_nothing(team, team_repository):
    pull_request = team("pipelines.pull_request").pull_request
    with open_environment(team_repository) as env:
        pull_request(env, only=("gateway",))
        assert env.world.builder.built == ["gateway"]
        assert env.world.signer.signed == []
        env.world.scanner.find("gateway", CannedFinding(id="CVE-2026-0001"))
        with pytest.raises(GateError, match="CVE-2026-0001"):
            pull_request(env, only=("gateway",))


def test_the_nightly_build_signs_what_there_is_and_fails_for_the_rest(team, team_repository):
    nightly = team("pipelines.nightly").nightly
    with open_environment(team_repository) as env:
        env.world.builder.fail("worker", "no such package")
        with pytest.raises(BuildError, match="no such package"):
            nightly(env)
        assert [ref.repository for ref in env.world.signer.signed] == ["shop/gateway"]
        assert env.reporter.warnings[-1].startswith("worker: ")


def test_jobs_hand_on_what_was_built(team, team_repository, tmp_path):
    jobs, world, work = team("pipelines.jobs"), MemoryWorld(), tmp_path / "work"
    for job in (jobs.make, jobs.check, jobs.seal, jobs.roll_out):
        with open_environment(team_repository, world=world, work=work) as env:
            job(env)
    assert sorted(world.builder.built) == ["gateway", "worker"]
    assert env.last_release().repository == "shop/release"


def test_what_does_not_serve_its_page_is_not_signed(team, team_repository):
    smoke = team("pipelines.smoke")
    with open_environment(team_repository) as env:
        env.world.image_runner.answer("gateway", "/", status=500, text="out of memory")
        with pytest.raises(smoke.SmokeError, match="100 of 100 requests: out of memory"):
            smoke.checked(env)
        assert env.world.signer.signed == []
        env.world.image_runner.recover()
        smoke.checked(env)
        assert env.notes["smoke"] == {"requests": 100, "failed": 0}
        assert env.world.signer.signed


def test_the_gate_decides_by_what_a_scanner_of_ones_own_reports(team, team_repository):
    bad = {
        "id": "ACME-7",
        "package": "zlib",
        "version": "1.2",
        "severity": "CRITICAL",
        "fixed": "2",
    }
    good = {"package": "zlib", "version": "1.3"}
    listed = {"shop/gateway": [good], "shop/worker": [bad]}
    scanner = team("acme_scanner").AcmeScanner(json.dumps(listed).encode())
    with open_environment(team_repository, parts=Parts(scanner=scanner)) as env:
        verdicts = steps.scan(env, steps.build(env))
    assert {name: each.passed for name, each in verdicts.items()} == {
        "gateway": True,
        "worker": False,
    }
    assert [one.id for one in verdicts["worker"].failing] == ["ACME-7"]
