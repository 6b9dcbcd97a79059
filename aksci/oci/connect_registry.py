"""Registries as this machine reaches them: through its proxy, by its certificates."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from aksci.core.http import ca_bundle, proxy_for
from aksci.oci.client import RegistryClient

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from azure.core.credentials import TokenCredential

__all__ = ["connect_registry"]


def connect_registry(
    host: str,
    *,
    variables: Mapping[str, str],
    plain_http: bool = False,
    credential: TokenCredential | None = None,
    hint: str | None = None,
    say: Callable[[str], None] | None = None,
) -> RegistryClient:
    """Return the client of a registry.

    The usual variables tell the proxy (``HTTPS_PROXY``, ``NO_PROXY``) and the certificates to
    trust (``REQUESTS_CA_BUNDLE``, ``SSL_CERT_FILE``).

    :param credential: an identity of Azure, for its registries.
    :param hint: what a user should do when the registry is unreachable.
    :param say: is told of each wait that a person would notice.
    """
    # Neither proxy, certificates nor identity: they could only leave the machine from here.
    if plain_http:  # loopback only
        return RegistryClient(host, plain_http=True, hint=hint, say=say)
    return RegistryClient(
        host,
        credential=credential,
        verify=ca_bundle(variables) or True,
        proxy=partial(proxy_for, variables=variables),
        hint=hint,
        say=say,
    )
