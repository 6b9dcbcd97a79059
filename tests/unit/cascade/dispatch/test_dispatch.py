"""Asking pipelines to run, against servers that refuse whatever is not of their API."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from aksci.cascade.dispatch.dispatch_request import DispatchRequest, MaybeAskedError
from aksci.cascade.dispatch.dispatchers import make_dispatcher
from aksci.config.cascade_models import AzurePipelinesTarget, GithubTarget
from aksci.core.errors import ConfigError, DispatchError

DIGEST = "sha256:" + "a" * 64
BASES = (
    ("docker.io/library/debian:bookworm-slim", DIGEST),
    ("shop.azurecr.io/base:1", "sha256:" + "b" * 64),
)
WORDS = " ".join(f"{reference}@{digest}" for reference, digest in BASES)
ASK = DispatchRequest(bases=BASES, chain="base,shop", key="k-1")


def github(server, **more):
    return GithubTarget(kind="github", repository="shop/web", api=server.api, **more)


def azure(server, **more):
    return AzurePipelinesTarget(
        kind="azure-pipelines",
        organization="contoso",
        project="Web shop",
        pipeline=42,
        api=server.api,
        **more,
    )


def asker(target, token, slept=None):
    """A dispatcher that notes how long it would have slept."""
    sleep = (slept if slept is not None else []).append
    return make_dispatcher(target, variables={target.token_env: token}, sleep=sleep)


@pytest.fixture
def hub(apis):
    with apis.GithubServer() as server:
        yield server


@pytest.fixture
def devops(apis):
    with apis.AzurePipelinesServer() as server:
        yield server


def test_github_is_sent_one_event_with_the_bases_the_chain_and_the_key(hub, apis):
    found = asker(github(hub, event="base-changed"), apis.TOKEN).ask(ASK)
    assert found == "shop/web"
    assert hub.accepted == [
        {
            "event_type": "base-changed",
            "client_payload": {"bases": WORDS, "chain": "base,shop", "key": "k-1"},
        }
    ]


@pytest.mark.parametrize(
    ("api", "address"),
    [
        ("https://api.github.com", "https://github.com/shop/web/actions"),
        ("https://git.example/api/v3/", "https://git.example/shop/web/actions"),
    ],
)
def test_people_are_told_where_githubs_runs_are(api, address):
    target = GithubTarget(kind="github", repository="shop/web", api=api)
    assert asker(target, "t")._address() == address


@pytest.mark.parametrize("kind", ["pat", "bearer"])
def test_azure_pipelines_is_asked_for_a_run_and_its_address_returned(apis, kind):
    with apis.AzurePipelinesServer(bearer=kind == "bearer") as devops:
        found = asker(azure(devops, token=kind), apis.TOKEN).ask(ASK)
    assert found == f"{devops.api}/contoso/_build/results?buildId=100"
    assert devops.accepted == [
        {
            "resources": {"repositories": {"self": {"refName": "refs/heads/main"}}},
            "templateParameters": {"bases": WORDS, "chain": "base,shop"},
        }
    ]


@pytest.mark.parametrize("value", ["", "  ", "two words", "line\nbreak", "späm"])
def test_a_token_that_is_none_is_told_by_its_variable_and_never_shown(hub, value):
    with pytest.raises(ConfigError, match="AKSCI_GITHUB_TOKEN") as caught:
        asker(github(hub), value)
    assert not value.strip() or value not in str(caught.value)
    assert hub.requests == []


def test_a_token_is_never_sent_over_plain_http_to_another_machine():
    target = GithubTarget(kind="github", repository="a/b", api="http://git.example")
    with pytest.raises(ConfigError, match="only https is safe"):
        asker(target, "t")


@pytest.mark.parametrize("status", [401, 403, 404, 422, 301])
def test_what_github_refuses_is_asked_once_and_told_with_its_words(hub, apis, status):
    body = json.dumps({"message": "No \x1b[31m##[error]way"}).encode()
    elsewhere = {"Location": f"{hub.api}/elsewhere"} if status == 301 else {}
    hub.faults.append(apis.Fault(status, elsewhere, body))
    slept = []
    with pytest.raises(DispatchError, match=str(status)) as caught:
        asker(github(hub), apis.TOKEN, slept).ask(ASK)
    assert not isinstance(caught.value, MaybeAskedError)
    assert "No # #[error]way" in caught.value.message
    assert "\x1b" not in caught.value.message
    assert (len(hub.requests), slept) == (1, [])
    assert caught.value.exit_status == 21


def test_a_wrong_token_is_refused_and_appears_in_no_message(hub, devops):
    with pytest.raises(DispatchError, match="401") as caught:
        asker(github(hub), "another-token-4711").ask(ASK)
    assert "contents: write" in caught.value.hint
    with pytest.raises(DispatchError, match="203, the token is wrong") as other:
        asker(azure(devops), "another-token-4711").ask(ASK)
    assert "another-token-4711" not in str(caught.value) + str(other.value)


def test_a_server_that_repeats_the_token_does_not_bring_it_into_a_message(hub, apis):
    body = json.dumps({"message": f"bad: Bearer {apis.TOKEN}"}).encode()
    hub.faults.append(apis.Fault(422, {}, body))
    with pytest.raises(DispatchError, match=r"Bearer \*\*\*") as caught:
        asker(github(hub), apis.TOKEN).ask(ASK)
    assert apis.TOKEN not in str(caught.value)


def test_a_redirect_to_sign_in_is_a_wrong_token_and_the_token_stays(devops, apis):
    with apis.GithubServer() as thief:
        devops.faults.append(apis.Fault(302, {"Location": f"{thief.api}/_signin"}))
        with pytest.raises(DispatchError, match="the token is wrong or has expired"):
            asker(azure(devops), apis.TOKEN).ask(ASK)
        assert thief.requests == []


def test_parameters_that_the_pipeline_does_not_declare_are_told(apis):
    with apis.AzurePipelinesServer(parameters=["bases"]) as devops:
        with pytest.raises(DispatchError, match="Unexpected parameter 'chain'") as caught:
            asker(azure(devops), apis.TOKEN).ask(ASK)
        assert "declare" in caught.value.hint
        assert len(devops.requests) == 1


def test_rate_limits_are_waited_for_as_asked_and_then_granted(hub, apis):
    hub.faults += [
        apis.Fault(429, {"Retry-After": "7"}),
        apis.Fault(403, {"Retry-After": "11"}),
        apis.Fault(503),
    ]
    slept = []
    asker(github(hub), apis.TOKEN, slept).ask(ASK)
    assert slept == [7, 11, 4]
    assert len(hub.accepted) == 1


def test_a_limit_that_is_used_up_until_later_is_an_error_that_says_how_long(hub, apis):
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "99999999999"}
    hub.faults.append(apis.Fault(403, headers))
    slept = []
    with pytest.raises(DispatchError, match="left alone for"):
        asker(github(hub), apis.TOKEN, slept).ask(ASK)
    assert (len(hub.requests), slept) == (1, [])


def test_a_server_that_fails_for_good_is_given_up_after_four_attempts(hub, apis):
    hub.faults += [apis.Fault(500)] * 9
    with pytest.raises(DispatchError, match="500"):
        asker(github(hub), apis.TOKEN).ask(ASK)
    assert len(hub.requests) == 4


@pytest.mark.parametrize("how", ["hang up", "gateway time-out"])
def test_what_was_sent_and_not_answered_is_not_sent_again(hub, apis, how):
    hub.faults.append(apis.Fault(hang_up=True) if how == "hang up" else apis.Fault(504))
    with pytest.raises(MaybeAskedError, match="may have been asked") as caught:
        asker(github(hub), apis.TOKEN).ask(ASK)
    assert len(hub.requests) == 1
    assert caught.value.exit_status == 21


def test_where_nothing_listens_it_is_tried_again_and_surely_not_asked():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    slept = []
    target = GithubTarget(kind="github", repository="a/b", api=f"http://127.0.0.1:{port}")
    with pytest.raises(DispatchError, match="can't be reached") as caught:
        asker(target, "t", slept).ask(ASK)
    assert not isinstance(caught.value, MaybeAskedError)
    assert slept == [1, 2, 4]


def test_only_the_proxy_is_spoken_to_where_one_is_named():
    """The proxy is told the host, and refuses: the token never leaves."""
    told = []
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def serve():
            for _ in range(4):
                connection, _ = proxy.accept()
                with connection:
                    told.append(connection.recv(4096))
                    connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        target = GithubTarget(kind="github", repository="a/b", api="https://git.invalid/api/v3")
        variables = {"AKSCI_GITHUB_TOKEN": "made-up", "HTTPS_PROXY": address}
        with pytest.raises(DispatchError, match="the proxy refused"):
            make_dispatcher(target, variables=variables, sleep=lambda _: None).ask(ASK)
        thread.join()
    assert told[0].startswith(b"CONNECT git.invalid:443 ")
    assert not any(b"made-up" in each for each in told)


def test_no_proxy_spares_hosts_and_loopback_never_goes_through_one(hub, apis):
    variables = {"AKSCI_GITHUB_TOKEN": apis.TOKEN, "HTTPS_PROXY": "http://127.0.0.1:1"}
    make_dispatcher(github(hub), variables=variables).ask(ASK)
    target = GithubTarget(kind="github", repository="a/b", api="https://git.corp.example")
    variables["NO_PROXY"] = "other.example, .corp.example"
    assert make_dispatcher(target, variables=variables).poster.proxies == {}


@pytest.mark.parametrize(
    "reference", ["debian:12 --registry-wide", "a b", "$(id)", "--force", "debian:12\nx"]
)
def test_a_base_that_is_no_image_never_becomes_a_word_of_a_command(reference):
    with pytest.raises(ConfigError, match="not the name of an image"):
        DispatchRequest(bases=((reference, DIGEST),))


def test_an_answer_that_is_no_run_is_an_error(devops, apis):
    devops.faults.append(apis.Fault(200, {}, b"<html>welcome</html>"))
    with pytest.raises(DispatchError, match="no answer to it"):
        asker(azure(devops), apis.TOKEN).ask(ASK)


@pytest.mark.parametrize(
    "links",
    [
        {},
        [],
        {"web": None},
        {"web": {"href": "javascript:alert(1)"}},
        {"web": {"href": "http://["}},
        {"web": {"href": "https://x\ud800"}},
        {"web": {"href": ["https://x"]}},
    ],
)
def test_a_run_without_an_address_is_told_by_its_number(devops, apis, links):
    devops.faults.append(apis.Fault(200, {}, json.dumps({"id": 7, "_links": links}).encode()))
    assert asker(azure(devops), apis.TOKEN).ask(ASK) == "run 7"


@pytest.mark.parametrize(
    "href", ["https://x\u202ey", "https://x\n::error::y", "https://x ##vso[y]"]
)
def test_a_runs_address_is_one_harmless_line(devops, apis, href):
    body = json.dumps({"id": 7, "_links": {"web": {"href": href}}}).encode()
    devops.faults.append(apis.Fault(200, {}, body))
    told = asker(azure(devops), apis.TOKEN).ask(ASK)
    assert told == "run 7" or (told.isprintable() and "##vso[" not in told)


ODD = [
    b"[" * 60_000,
    b'{"message": ' + b"9" * 60_000 + b"}",
    b'{"message": "' + b"x" * 60_000 + b'"}',
    b'{"message": "\\u202e\\ud800##vso[task.complete]"}',
    b'{"message": {"message": []}}',
    b'{"id": 1e999}',
    b'{"id": true}',
    b'{"id": "7"}',
    b"\xff\xfe",
    b"null",
    b"",
]


@pytest.mark.parametrize("body", ODD)
@pytest.mark.parametrize("status", [200, 422])
def test_an_answer_of_any_shape_is_an_error_of_one_line(devops, hub, apis, body, status):
    for server, target in ((devops, azure), (hub, github)):
        server.faults.append(apis.Fault(status, {}, body))
        with pytest.raises(DispatchError) as caught:
            asker(target(server), apis.TOKEN).ask(ASK)
        assert caught.value.message.isprintable()
        assert len(caught.value.message) < 500
        assert "##vso[" not in caught.value.message


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "9" * 5000},
        {"Retry-After": "-1"},
        {"Retry-After": "nan"},
        {"Retry-After": "\xb2"},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9" * 5000},
        {
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": "9",
            "Date": "Mon, 99 Jan 99999 99:99:99 GMT",
        },
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9", "Date": "1 Jan 0 0:0:0 +99999999"},
    ],
)
def test_a_wait_of_any_shape_ends_in_time(hub, apis, headers):
    hub.faults += [apis.Fault(429, headers)] * 9
    slept = []
    with pytest.raises(DispatchError) as caught:
        asker(github(hub), apis.TOKEN, slept).ask(ASK)
    assert sum(slept) < 100
    assert len(caught.value.message) < 500
