"""The gates of a promotion: what can't be known is refused, and time is all that opens them."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aksci.config.deploy_models import GatesConfig
from aksci.supply.release.promotion_gates import (
    ReleaseFacts,
    RunningRelease,
    check_gates,
    database_time,
    running_since,
)

NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
HERE, THERE = (f"{host}/shop/release@sha256:" + "1" * 64 for host in ("a.example", "localhost:1"))
OTHER = "a.example/shop/release@sha256:" + "2" * 64


def check(gates, **facts):
    return check_gates(
        ReleaseFacts(**{"signed_at": [], **facts}), gates, now=NOW, previous="staging"
    )


def test_without_gates_nothing_is_asked():
    assert check(GatesConfig()) == ()


def test_a_release_that_is_too_young_is_told_how_long_to_wait():
    (refusal,) = check(GatesConfig(min_age=24), signed_at=[NOW - 3 * HOUR])
    assert "3 h 0 min ago" in refusal
    assert "21 h 0 min are left, until 2026-11-25 09:00 UTC" in refusal


@given(st.integers(1, 1000), st.integers(-100_000, 100_000))
def test_the_age_opens_the_gate_at_its_hour_and_never_before(hours, minutes):
    signed = NOW - dt.timedelta(minutes=minutes)
    refused = bool(check(GatesConfig(min_age=hours), signed_at=[signed]))
    assert refused == (minutes < hours * 60)


def test_the_oldest_valid_signature_counts():
    times = [None, NOW - HOUR, NOW - 30 * HOUR]
    assert check(GatesConfig(min_age=24), signed_at=times) == ()


@pytest.mark.parametrize("times", [[], [None], [NOW + HOUR]])
def test_an_unknown_or_future_time_of_signing_is_refused(times):
    (refusal,) = check(GatesConfig(min_age=1), signed_at=times)
    assert refusal.startswith("min_age: ")


@given(st.integers(1, 1000), st.integers(-100_000, 100_000))
def test_a_verdict_passes_until_its_database_is_too_old(hours, minutes):
    made = (NOW - dt.timedelta(minutes=minutes)).isoformat()
    refused = bool(check(GatesConfig(verdict_max_age=hours), databases={"web": f"public@{made}"}))
    assert refused == (not 0 <= minutes <= hours * 60)


@pytest.mark.parametrize(
    "identity", ["", "public", "public@", "public@yesterday", "public@2026-11-24T11:00:00"]
)
def test_a_database_of_unknown_age_is_refused_for_the_image_that_has_it(identity):
    databases = {"web": identity, "db": f"public@{(NOW - HOUR).isoformat()}"}
    (refusal,) = check(GatesConfig(verdict_max_age=24), databases=databases)
    assert "web's verdict" in refusal


def test_a_release_without_any_verdict_is_refused():
    (refusal,) = check(GatesConfig(verdict_max_age=24))
    assert refusal.startswith("verdict_max_age: ")


@given(st.integers(1, 1000), st.integers(-100_000, 100_000))
def test_soak_opens_the_gate_at_its_hour_and_never_before(hours, minutes):
    running = RunningRelease(since=NOW - dt.timedelta(minutes=minutes))
    assert bool(check(GatesConfig(soak=hours), running=running)) == (minutes < hours * 60)


def test_what_does_not_run_in_the_environment_before_is_refused():
    (refusal,) = check(GatesConfig(soak=1), running=RunningRelease())
    assert "'staging'" in refusal


def test_what_is_not_healthy_there_now_is_refused_whatever_its_time():
    running = RunningRelease(since=NOW - 100 * HOUR, problems=("the service 'web' is not healthy",))
    (refusal,) = check(GatesConfig(soak=1), running=running)
    assert refusal == "soak: in 'staging', the service 'web' is not healthy."


def test_each_closed_gate_says_so():
    gates = GatesConfig(min_age=24, soak=24, verdict_max_age=1)
    names = {refusal.partition(":")[0] for refusal in check(gates)}
    assert names == {"min_age", "soak", "verdict_max_age"}


@pytest.mark.parametrize(
    ("history", "since"),
    [
        ([], None),
        ([(OTHER, "2026-11-01T00:00:00+00:00")], None),
        ([(HERE, "2026-11-01T00:00:00+00:00")], dt.datetime(2026, 11, 1, tzinfo=dt.UTC)),
        ([(THERE, "2026-11-01T00:00:00+00:00")], dt.datetime(2026, 11, 1, tzinfo=dt.UTC)),
        ([(HERE, "2026-11-01T00:00:00+00:00"), (OTHER, "2026-11-02T00:00:00+00:00")], None),
        (
            [
                (HERE, "2026-11-01T00:00:00+00:00"),
                (OTHER, "2026-11-02T00:00:00+00:00"),
                (HERE, "2026-11-03T00:00:00+00:00"),
            ],
            dt.datetime(2026, 11, 3, tzinfo=dt.UTC),
        ),
        ([(HERE, "nonsense")], None),
    ],
)
def test_a_release_runs_since_it_was_deployed_last_and_by_its_digest(history, since):
    assert running_since(history, HERE) == since


@given(st.text(max_size=40))
def test_whatever_a_database_is_called_its_time_is_known_or_not(identity):
    time = database_time(identity)
    assert time is None or time.tzinfo is not None


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"])
def test_a_time_that_utc_has_no_name_for_is_not_known(time):
    """A verdict and a record of deployments may tell any."""
    gates = GatesConfig(verdict_max_age=72, soak=1)
    since = running_since([(HERE, time)], HERE)
    found = check(gates, databases={"web": f"public@{time}"}, running=RunningRelease(since=since))
    assert [refusal.partition(":")[0] for refusal in found] == ["verdict_max_age", "soak"]
    assert all("not known" in refusal for refusal in found)
