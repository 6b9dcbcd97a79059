"""What counts as a push, in the words of two kinds of registry and of those who forge them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aksci.cascade.receiver.push_filter import PushFilter
from aksci.cascade.receiver.webhook_events import (
    PayloadError,
    Push,
    parse_acr,
    parse_distribution,
    read_payload,
    shown,
)

DIGEST = "sha256:" + "a" * 64


def push(name, *, host="shop.azurecr.io"):
    repository, _, tag = name.partition(":")
    return Push(
        source="acr",
        id="1",
        at=datetime(2026, 1, 1, tzinfo=UTC),
        host=host,
        repository=repository,
        tag=tag,
        digest=DIGEST,
    )


def test_a_push_to_an_acr_is_read_with_its_nine_decimals(event, clock):
    found = parse_acr(event())
    assert (found.host, found.repository, found.tag) == ("shop.azurecr.io", "bases/python", "3.12")
    assert found.digest == DIGEST
    assert abs(found.at - clock()) < timedelta(seconds=1)


@pytest.mark.parametrize(
    "changes",
    [
        {"action": "ping", "target": None},
        {"action": "delete"},
        {"action": "quarantine"},
        {"action": "chart_push"},
        {"tag": None},
        {"tag": ""},
        {"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip"},
    ],
)
def test_what_is_no_push_of_a_tagged_image_is_passed_over(event, notification, changes):
    assert parse_acr(event(**changes)) is None
    assert parse_distribution({"events": [notification(**changes)]}) == ((), ())


@pytest.mark.parametrize(
    "changes",
    [
        {"repository": "a/../b"},
        {"repository": "A"},
        {"repository": "-a --registry-wide"},
        {"repository": "a:5000/b"},
        {"repository": "x" * 256},
        {"tag": "a b"},
        {"tag": "a@sha256:x"},
        {"tag": "x" * 129},
        {"tag": 7},
        {"digest": "sha256:short"},
        {"digest": "sha512:" + "a" * 128},
        {"host": "evil.example/docker.io"},
        {"host": "index.docker.io"},
        {"host": "a\nb.example"},
        {"host": ""},
        {"id": ""},
        {"id": "x" * 129},
        {"id": ["a"]},
        {"timestamp": "yesterday"},
        {"timestamp": 1.5e9},
        {"timestamp": "9999-12-31T23:59:59-23:00"},
        {"target": []},
        {"request": None},
    ],
)
def test_a_push_with_names_that_no_registry_has_is_refused(event, changes):
    with pytest.raises(PayloadError):
        parse_acr(event(**changes))


def test_one_wrong_event_does_not_spoil_the_others_of_its_envelope(notification):
    events = [notification("1", repository="A"), "nonsense", notification("2")]
    pushes, problems = parse_distribution({"events": events})
    assert [each.id[-1] for each in pushes] == ["2"]
    assert len(problems) == 2


@pytest.mark.parametrize(
    ("said", "host"),
    [
        ("localhost", "localhost"),
        ("Shop.AzureCR.io:443", "shop.azurecr.io"),
        ("[::1]:5000", "[::1]:5000"),
    ],
)
def test_a_registry_has_one_name_however_its_client_writes_it(event, said, host):
    assert parse_acr(event(host=said)).host == host


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b"1" * 10_000])
def test_a_body_that_is_no_json_is_refused(body):
    with pytest.raises(PayloadError, match="not JSON"):
        read_payload(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["events", "action", "target", "request", "id", "timestamp", "tag"])
            | st.text(max_size=4),
            st.sampled_from(["push"]) | inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(JSON)
def test_whatever_json_comes_it_is_read_or_refused(document):
    for parse in (parse_acr, parse_distribution):
        try:
            parse(json.loads(json.dumps(document)))
        except PayloadError:
            continue


def test_text_from_the_network_stands_in_one_short_line():
    assert shown("a\n::error::b\x1b[2J\u2028") == "a?::error::b?[2J?"
    assert len(shown("x" * 10_000)) == 121


WANTED = PushFilter(
    bases=frozenset({"docker.io/library/debian:12", "shop.azurecr.io/bases/python:3.12"}),
    ranges={"shop.azurecr.io/bases/node": ("shop.azurecr.io/bases/node:20",)},
    project="shop",
    own=frozenset({"shop/web", "bases/own"}),
    registries=frozenset({"shop.azurecr.io", "localhost:5000"}),
    mirror="localhost:5000",
)


@pytest.mark.parametrize(
    ("name", "host", "changed"),
    [
        ("bases/python:3.12", "shop.azurecr.io", ["shop.azurecr.io/bases/python:3.12"]),
        ("bases/python:3.13", "shop.azurecr.io", []),
        ("bases/python:3.12", "other.azurecr.io", []),
        ("bases/node:20.11.1", "shop.azurecr.io", ["shop.azurecr.io/bases/node:20"]),
        ("library/debian:12", "localhost:5000", ["docker.io/library/debian:12"]),
        ("library/debian:12", "127.0.0.1:5000", ["docker.io/library/debian:12"]),
        ("library/debian:12", "shop.azurecr.io", []),
        ("shop/web:latest", "[::1]:5000", []),
        ("shop/web:latest", "shop.azurecr.io", []),
        ("bases/python:in-" + "0" * 64, "shop.azurecr.io", []),
        ("bases/python:unchecked-" + "0" * 64, "shop.azurecr.io", []),
    ],
)
def test_a_push_counts_where_it_changes_what_the_project_stands_on(name, host, changed):
    assert list(WANTED.changed(push(name, host=host))) == changed


@pytest.mark.parametrize(
    ("name", "host", "counts"),
    [
        ("library/python:3.12", "localhost:5000", True),
        ("bases/go:1", "shop.azurecr.io", True),
        ("library/debian:12", "localhost:5000", False),
        ("shop/web:latest", "shop.azurecr.io", False),
        ("shop/release:r-1", "shop.azurecr.io", False),
        ("bases/own:1", "shop.azurecr.io", False),
        ("bases/go:in-1", "shop.azurecr.io", False),
    ],
)
def test_globs_decide_where_there_are_any_but_never_for_what_is_our_own(name, host, counts):
    wanted = PushFilter(
        globs=("python:*", "shop.azurecr.io/*"),
        project="shop",
        own=WANTED.own,
        registries=WANTED.registries,
        mirror=WANTED.mirror,
    )
    assert bool(wanted.changed(push(name, host=host))) is counts


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("bases/python:3.12", ["shop.azurecr.io/bases/python:3.12"]),
        ("bases/node:20.11.1", ["shop.azurecr.io/bases/node:20"]),
        ("bases/python:3.13", []),
        ("bases/other:1", []),
    ],
)
def test_what_fits_a_glob_and_is_no_base_starts_no_cascade_which_would_refuse_it(name, changed):
    wanted = replace(WANTED, globs=("shop.azurecr.io/bases/*",))
    assert list(wanted.changed(push(name, host="shop.azurecr.io"))) == changed


def test_a_base_that_no_glob_fits_does_not_count():
    wanted = replace(WANTED, globs=("shop.azurecr.io/bases/*",))
    assert WANTED.changed(push("library/debian:12", host="localhost:5000"))
    assert not wanted.changed(push("library/debian:12", host="localhost:5000"))


@pytest.mark.parametrize("odd", [[], {}, 1, None, True, "x" * 300, "\ud800", "\u202e", "a\n"])
@pytest.mark.parametrize(
    "key", ["mediaType", "repository", "tag", "digest", "host", "id", "action"]
)
def test_a_value_of_any_shape_is_refused_or_passed_over(intake, event, store, key, odd):
    document = event(**{key: odd})
    for source, body in (("acr", document), ("distribution", {"events": [document]})):
        reply = intake.receive(source, json.dumps(body).encode())
        assert reply.status in {200, 400}
        assert reply.text.isprintable()
    assert store.take(0) is None


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"id": ' + b"9" * 1_000_000 + b"}",
        b'{"id": 1e999999999}',
        b'{"events": {"events": []}}',
        b'{"action": "push", "action": "ping"}',
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b'{"action": NaN}',
        b"null",
        b'"' + b"\\" * 1_000_001,
    ],
)
def test_a_body_of_any_kind_is_refused(body):
    for parse in (parse_acr, parse_distribution):
        with pytest.raises(PayloadError):
            parse(read_payload(body))


def test_what_is_wrong_with_many_events_of_one_envelope_is_told_in_few_lines(intake, log):
    body = json.dumps({"events": [1] * 100_000}).encode()
    assert intake.receive("distribution", body).status == 200
    assert len(log.warnings) == 11
    assert log.warnings[-1] == "/distribution: 99990 more events are passed over."
