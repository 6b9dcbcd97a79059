"""The names of all repositories: by ACR's list, by that of other registries, and by neither."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from aksci.core.errors import RegistryError, UnreachableError
from aksci.oci.catalog import is_acr
from aksci.oci.client import RegistryClient

ACR = "GET /acr/v1/_catalog?n=1000"
OTHER = "GET /v2/_catalog"


class Credential:
    """An identity of Azure."""

    def get_token(self, *_scopes, **_options):
        return SimpleNamespace(token="identity", expires_on=0)


@pytest.fixture
def slept():
    return []


@pytest.fixture
def server(server):
    """A registry that has neither list."""
    server.answers[OTHER] = [(404, {}, b"")]
    return server


@pytest.fixture
def client(server, slept):
    client = RegistryClient(server.host, plain_http=True, sleep=slept.append)
    yield client
    client.close()


@pytest.fixture
def acr(server, slept):
    client = RegistryClient(
        server.host, plain_http=True, credential=Credential(), sleep=slept.append
    )
    yield client
    client.close()


def names(*found):
    return json.dumps({"repositories": list(found)}).encode()


def link(path):
    return {"Link": f'<{path}>; rel="next"', "Content-Type": "application/json"}


JSON = {"Content-Type": "application/json"}


def test_an_acr_is_asked_for_its_own_list_page_by_page(server, acr):
    more = "/acr/v1/_catalog?last=b&n=1000"
    server.answers[ACR] = [(200, link(more), names("a", "b"))]
    server.answers[f"GET {more}"] = [(200, JSON, names("c/d"))]
    assert acr.repositories() == ["a", "b", "c/d"]
    assert server.lines() == [ACR, f"GET {more}"]


def test_the_name_of_the_link_to_the_next_page_may_be_in_lower_case(server, acr):
    more = "/acr/v1/_catalog?last=b&n=1000"
    page = {"link": f'<{more}>; rel="next"', "content-type": "application/json"}
    server.answers[ACR] = [(200, page, names("a", "b"))]
    server.answers[f"GET {more}"] = [(200, JSON, names("c"))]
    assert acr.repositories() == ["a", "b", "c"]


def test_acr_gets_the_token_that_its_challenge_asks_for(server, acr):
    scope = "registry:catalog:*"
    challenge = f'Bearer realm="http://{server.host}/oauth2/token",service="s",scope="{scope}"'
    server.answers[ACR] = [(401, {"WWW-Authenticate": challenge}, b""), (200, JSON, names("a"))]
    server.answers["POST /oauth2/exchange"] = [(200, JSON, b'{"refresh_token":"R"}')]
    server.answers["POST /oauth2/token"] = [(200, JSON, b'{"access_token":"A"}')]
    assert acr.repositories() == ["a"]
    (sent,) = [body for line, _, body in server.asked if line == "POST /oauth2/token"]
    assert b"scope=registry%3Acatalog%3A%2A" in sent
    assert server.asked[-1][1]["Authorization"] == "Bearer A"


def test_another_registry_is_asked_for_the_distributions_list_page_by_page(server, client):
    more = "/v2/_catalog?last=b&n=2"
    server.answers[OTHER] = [(200, link(more), names("a", "b"))]
    server.answers[f"GET {more}"] = [(200, JSON, names("c"))]
    assert client.repositories() == ["a", "b", "c"]
    assert ACR not in server.lines()


def test_where_one_list_is_not_there_the_other_is_asked_for(server, client, acr):
    server.answers[ACR] = [(200, JSON, names("by/acr"))]
    assert client.repositories() == ["by/acr"]
    server.answers = {"GET /v2/": [(200, {}, b"{}")], OTHER: [(200, JSON, names("by/other"))]}
    assert acr.repositories() == ["by/other"]


def test_a_registry_without_a_list_is_an_error_and_not_an_empty_registry(client, acr):
    for one in (client, acr):
        with pytest.raises(RegistryError, match="no list of its repositories"):
            one.repositories()


def test_an_empty_registry_has_no_repositories(server, client, acr):
    server.answers[OTHER] = [(200, JSON, b'{"repositories":null}')]
    server.answers[ACR] = [(200, JSON, b'{"repositories":null}')]
    assert client.repositories() == acr.repositories() == []


@pytest.mark.parametrize("status", [401, 403])
def test_who_may_not_list_is_told_which_permission_is_missing(server, client, acr, status):
    body = b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}'
    server.answers[ACR] = server.answers[OTHER] = [(status, JSON, body)]
    for one in (client, acr):
        with pytest.raises(RegistryError, match=f"{status}.*UNAUTHORIZED") as caught:
            one.repositories()
        assert "registry:catalog:*" in caught.value.hint
        assert "Container Registry Repository Catalog Lister" in caught.value.hint


@pytest.mark.parametrize("status", [400, 418, 500, 503])
def test_a_registry_that_fails_is_not_asked_for_its_other_list(server, client, acr, status):
    server.answers[ACR] = server.answers[OTHER] = [(status, {}, b"")]
    for one, line, other in ((client, OTHER, ACR), (acr, ACR, OTHER)):
        server.asked.clear()
        with pytest.raises(RegistryError, match=str(status)):
            one.repositories()
        assert line in server.lines()
        assert other not in server.lines()


def test_a_registry_that_throttles_is_waited_for(server, client, acr, slept):
    for one, line in ((client, OTHER), (acr, ACR)):
        server.answers[line] = [(429, {"Retry-After": "7"}, b""), (200, JSON, names("a"))]
        assert one.repositories() == ["a"]
    assert slept == [7.0, 7.0]


def test_a_list_that_breaks_off_is_an_error_even_where_there_is_another_list(server, client, acr):
    lists = ((client, OTHER, ACR), (acr, ACR, OTHER))
    for one, line, other in lists:
        page = f"{line.removeprefix('GET ').partition('?')[0]}?last=a"
        server.answers[line] = [(200, link(page), names("a"))]
        server.answers[f"GET {page}"] = [(404, {}, b"")]
        server.answers[other] = [(200, JSON, names("b"))]
        with pytest.raises(RegistryError, match="404"):
            one.repositories()


def test_a_list_that_goes_on_at_another_host_is_refused_before_it_is_asked(server, client, acr):
    for address in ("https://elsewhere.example/x", "//elsewhere.example/x"):
        server.answers[ACR] = server.answers[OTHER] = [(200, link(address), names("a"))]
        for one in (client, acr):
            with pytest.raises(RegistryError, match=r"elsewhere\.example"):
                one.repositories()


def test_a_list_that_goes_round_in_a_circle_ends(server, client, acr):
    circle = ACR.removeprefix("GET ")
    server.answers[ACR] = [(200, link(circle), names("a"))]
    server.answers[OTHER] = [(200, link("/v2/_catalog"), names("a"))]
    assert client.repositories() == acr.repositories() == ["a"]


def test_a_list_without_an_end_is_given_up(server, acr, monkeypatch):
    monkeypatch.setattr("aksci.oci.catalog._PAGES", 3)
    server.answers[ACR] = [(200, link("/acr/v1/_catalog?p=0"), names("a"))]
    for number in range(5):
        following = link(f"/acr/v1/_catalog?p={number + 1}")
        server.answers[f"GET /acr/v1/_catalog?p={number}"] = [(200, following, names("a"))]
    with pytest.raises(RegistryError, match="without an end"):
        acr.repositories()
    assert len(server.lines()) == 3


@pytest.mark.parametrize(
    "body",
    [
        b"<html></html>",
        b'{"repositories":"abc"}',
        b'{"repositories":{"a":1}}',
        b'{"repositories":[1,null]}',
        b"[" * 100_000,
        b"\xff",
        b"3",
    ],
)
def test_a_damaged_list_is_refused_and_nothing_of_it_is_believed(server, client, acr, body):
    server.answers[ACR] = server.answers[OTHER] = [(200, JSON, body)]
    for one in (client, acr):
        with pytest.raises(RegistryError, match=r"no list|damaged"):
            one.repositories()


def test_what_is_no_text_is_no_name(server, client):
    server.answers[OTHER] = [(200, JSON, b'{"repositories":[{"a":1}]}')]
    with pytest.raises(RegistryError, match="damaged"):
        client.repositories()


def test_a_registry_that_is_not_there_can_not_be_reached(server, client, acr):
    server.answers[ACR] = server.answers[OTHER] = [(0, {}, b"")]
    for one in (client, acr):
        with pytest.raises(UnreachableError):
            one.repositories()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("shop.azurecr.io", True),
        ("SHOP.azurecr.io:443", True),
        ("shop.azurecr.cn", True),
        ("shop.azurecr.us", True),
        ("azurecr.io.example", False),
        ("evil.example\\.azurecr.io", False),
        ("evil.example#.azurecr.io", False),
        ("evil.example/.azurecr.io", False),
        ("me@shop.azurecr.io", False),
        ("shop.azurecr.io\n", False),
        ("localhost:5000", False),
    ],
)
def test_an_acr_is_known_by_its_name(host, expected):
    assert is_acr(host) is expected
