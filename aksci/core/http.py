"""What the environment's variables say about the way to a server: its proxy, whom to trust."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aksci.core.errors import ConfigError

if TYPE_CHECKING:
    import ipaddress
    import ssl
    import urllib.request
    from collections.abc import Mapping

__all__ = ["LOOPBACK", "ca_bundle", "opener_for", "proxies_for", "proxy_for"]

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_PORTS = {"http": 80, "https": 443}


def proxy_for(url: str, variables: Mapping[str, str]) -> str | None:
    """Return the address of the proxy that leads to a URL; None where none does.

    As curl's manual says of ``https_proxy`` and ``no_proxy``: lower case counts before upper case,
    and ``HTTP_PROXY`` does not count at all (a web server sets it for a CGI program to a header of
    its client's). An entry of ``no_proxy`` is a name, which spares its subdomains too, with or
    without a dot before it; an address; a network (``10.0.0.0/8``); or ``*``. As for the Go
    programs that we start (golang.org/x/net/http/httpproxy), an entry with a port spares that port
    only, this machine is never asked through a proxy, and ``ALL_PROXY`` does not count.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:  # no address: whoever sends the request says so
        return None
    name = f"{parts.scheme}_proxy"
    proxy = variables.get(name) or ("" if parts.scheme == "http" else variables.get(name.upper()))
    # A dot at the end only says that the name is complete: an entry spares it all the same.
    host = (parts.hostname or "").rstrip(".")
    if not proxy or _is_here(host):
        return None
    spared = variables.get("no_proxy") or variables.get("NO_PROXY") or ""
    if any(_spares(entry, host, port) for entry in re.split(r"[,\s]+", spared.lower())):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def proxies_for(url: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Return ``proxy_for`` by the URL's scheme, as HTTP libraries take it; empty without one."""
    proxy = proxy_for(url, variables)
    return {urlsplit(url).scheme: proxy} if proxy else {}


def ca_bundle(variables: Mapping[str, str]) -> str | None:
    """Return the file or folder of the certificates to trust in place of the usual ones."""
    return variables.get("REQUESTS_CA_BUNDLE") or variables.get("SSL_CERT_FILE") or None


def opener_for(url: str, variables: Mapping[str, str]) -> urllib.request.OpenerDirector:
    """Return what opens a URL by urllib, with the proxy and the certificates of the variables."""
    import urllib.request

    return urllib.request.build_opener(
        urllib.request.ProxyHandler(proxies_for(url, variables)),
        urllib.request.HTTPSHandler(context=_trusting(ca_bundle(variables))),
    )


def _trusting(bundle: str | None) -> ssl.SSLContext:
    import ssl
    from pathlib import Path

    try:
        # OpenSSL takes a folder of hashed names by another parameter than a file.
        if bundle and Path(bundle).is_dir():
            return ssl.create_default_context(capath=bundle)
        return ssl.create_default_context(cafile=bundle)
    except OSError as error:  # ssl.SSLError among them
        raise ConfigError(
            f"The certificates to trust, {bundle}, can't be read: {error}.",
            hint="correct REQUESTS_CA_BUNDLE or SSL_CERT_FILE.",
        ) from None


def _is_here(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _spares(entry: str, host: str, port: int | None) -> bool:
    """Tell whether an entry of ``no_proxy``, in lower case, names a host."""
    if "/" in entry:
        return _in_network(entry, host)
    name, only = _name_and_port(entry)
    if only not in {None, port}:
        return False
    if name == "*":
        return True
    address = _address(host)
    # Compared as addresses: by its text, "0.0.1" would spare 10.0.0.1 as a subdomain.
    if address is not None:
        return address == _address(name)
    # With the dot before both: "example.com" must not spare "notexample.com".
    name = name.removeprefix("*").strip(".")
    return bool(name) and f".{host}".endswith(f".{name}")


def _name_and_port(entry: str) -> tuple[str, int | None]:
    name, _, port = entry.rpartition(":")
    if name and port.isdecimal() and _address(entry) is None:  # "::1" has colons of its own
        return name.strip("[]"), int(port)
    return entry.strip("[]"), None


def _in_network(entry: str, host: str) -> bool:
    import ipaddress

    address = _address(host)
    try:
        return address is not None and address in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    import ipaddress  # only where there is a proxy

    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
