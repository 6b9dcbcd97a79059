"""One rule for proxies, and one for certificates, whoever asks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import aksci
from aksci.core.errors import ConfigError
from aksci.core.http import ca_bundle, opener_for, proxies_for, proxy_for

PROXY = "http://proxy.test:3128"


@pytest.mark.parametrize(
    ("variables", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": PROXY}, PROXY),
        ({"https_proxy": PROXY}, PROXY),
        ({"https_proxy": PROXY, "HTTPS_PROXY": "http://other.test:1"}, PROXY),
        ({"https_proxy": "", "HTTPS_PROXY": PROXY}, PROXY),
        ({"HTTPS_PROXY": "proxy.test:3128"}, PROXY),
        ({"HTTP_PROXY": PROXY, "http_proxy": PROXY}, None),
        ({"ALL_PROXY": PROXY, "all_proxy": PROXY}, None),
    ],
)
def test_lower_case_counts_before_upper_case(variables, proxy):
    assert proxy_for("https://registry.example.com/v2/", variables) == proxy


def test_for_plain_http_only_lower_case_counts():
    assert proxy_for("http://registry.example.com", {"HTTP_PROXY": PROXY}) is None
    assert proxy_for("http://registry.example.com", {"http_proxy": PROXY}) == PROXY


@pytest.mark.parametrize(
    ("spared", "host", "direct"),
    [
        ("registry.example.com", "registry.example.com", True),
        ("registry.example.com", "eu.registry.example.com", True),
        ("example.com", "registry.example.com", True),
        (".example.com", "registry.example.com", True),
        (".example.com", "example.com", True),
        ("*.example.com", "registry.example.com", True),
        ("ample.com", "registry.example.com", False),
        ("registry.example.com", "example.com", False),
        ("EXAMPLE.com", "registry.Example.COM", True),
        ("example.com.", "registry.example.com", True),
        ("example.com", "registry.example.com.", True),
        ("other.test, example.com", "registry.example.com", True),
        ("other.test example.com", "registry.example.com", True),
        ("", "registry.example.com", False),
        (" , .", "registry.example.com", False),
        ("*", "registry.example.com", True),
        ("*", "10.0.0.7", True),
        ("registry.example.com:443", "registry.example.com", True),
        ("registry.example.com:443", "registry.example.com:443", True),
        ("registry.example.com:5000", "registry.example.com", False),
        ("registry.example.com:5000", "registry.example.com:5000", True),
        ("registry.example.com", "registry.example.com:5000", True),
        (".example.com:5000", "registry.example.com:5000", True),
        ("*:5000", "registry.example.com", False),
        ("10.0.0.7", "10.0.0.7", True),
        ("0.0.7", "10.0.0.7", False),
        ("10.0.0.7:5000", "10.0.0.7:5000", True),
        ("10.0.0.7:5000", "10.0.0.7", False),
        ("10.0.0.0/8", "10.9.8.7", True),
        ("10.0.0.0/8", "11.9.8.7", False),
        ("10.0.0.0/8", "registry.example.com", False),
        ("10.0.0.0/99", "10.0.0.7", False),
        ("fd00::7", "[fd00::7]", True),
        ("[fd00::7]", "[fd00::7]:5000", True),
        ("[fd00::7]:5000", "[fd00::7]:5000", True),
        ("[fd00::7]:5000", "[fd00::7]", False),
        ("fd00::/8", "[fd00::7]", True),
    ],
)
@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_no_proxy_spares_names_with_their_subdomains_addresses_networks_and_ports(
    spared, host, direct, name
):
    variables = {"HTTPS_PROXY": PROXY, name: spared}
    assert proxy_for(f"https://{host}/v2/", variables) == (None if direct else PROXY)


def test_lower_case_no_proxy_counts_before_upper_case():
    variables = {"HTTPS_PROXY": PROXY, "no_proxy": "other.test", "NO_PROXY": "example.com"}
    assert proxy_for("https://registry.example.com", variables) == PROXY


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000"])
def test_this_machine_is_never_asked_through_a_proxy(host):
    assert proxy_for(f"https://{host}", {"HTTPS_PROXY": PROXY}) is None


def test_what_is_no_address_has_no_proxy():
    for odd in ("", "registry", "https://[fd00", "https://example.com:port"):
        assert proxy_for(odd, {"HTTPS_PROXY": PROXY}) is None


def test_nobody_else_makes_a_rule_of_their_own():
    passed_on = {"core/http.py", "supply/sandbox.py", "local/host.py", "images/keys.py"}
    root = Path(aksci.__file__).parent
    sources = [*root.rglob("*.py"), *(root.parent / "pipelines").rglob("*.py")]
    variable = re.compile(
        r"""["'](no|https?)_proxy["']|\.get\("(REQUESTS_CA_BUNDLE|SSL_CERT_FILE)""", re.IGNORECASE
    )
    found = {
        str(each.relative_to(root.parent)) for each in sources if variable.search(each.read_text())
    }
    assert found <= {f"aksci/{name}" for name in passed_on}


def test_libraries_are_told_the_proxy_by_scheme():
    assert proxies_for("https://example.com", {"HTTPS_PROXY": PROXY}) == {"https": PROXY}
    assert proxies_for("https://example.com", {}) == {}


def test_the_certificates_to_trust_are_those_of_the_variables():
    both = {"REQUESTS_CA_BUNDLE": "/etc/corp.pem", "SSL_CERT_FILE": "/etc/other.pem"}
    assert ca_bundle(both) == "/etc/corp.pem"
    assert ca_bundle({"REQUESTS_CA_BUNDLE": "", "SSL_CERT_FILE": "/etc/o.pem"}) == "/etc/o.pem"
    assert ca_bundle({}) is None


def test_certificates_that_can_t_be_read_are_named(tmp_path):
    gone = str(tmp_path / "gone.pem")
    with pytest.raises(ConfigError, match=r"gone\.pem, can't be read"):
        opener_for("https://example.com", {"SSL_CERT_FILE": gone})
