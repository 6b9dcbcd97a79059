"""Registries as this machine reaches them: its proxy, its certificates, its Azure identity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.concurrency import import_first
from aksci.core.http import ca_bundle, proxies_for
from aksci.oci.catalog import is_acr
from aksci.oci.client import RegistryClient

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from azure.core.credentials import TokenCredential

__all__ = ["connect_registry", "credential_for"]

_TIMEOUT = 60  # seconds; az itself needs several to start


def connect_registry(
    host: str,
    *,
    variables: Mapping[str, str],
    plain_http: bool = False,
    hint: str | None = None,
    say: Callable[[str], None] | None = None,
) -> RegistryClient:
    """Return a client; for ACR with the identity that the Azure CLI is logged in with.

    The usual variables tell the proxy (``HTTPS_PROXY``, ``NO_PROXY``) and the certificates to
    trust (``REQUESTS_CA_BUNDLE``, ``SSL_CERT_FILE``).

    :param hint: what a user should do when the registry is unreachable.
    :param say: is told of each wait that a person would notice.
    """
    # Neither proxy, certificates nor identity: they could only leave the machine from here.
    if plain_http:  # loopback only
        return RegistryClient(host, plain_http=True, hint=hint, say=say)
    return RegistryClient(
        host,
        credential=credential_for(host),
        verify=ca_bundle(variables) or True,
        proxies=proxies_for(f"https://{host}", variables),
        hint=hint,
        say=say,
    )


def credential_for(host: str) -> TokenCredential | None:
    """Return the identity for an Azure container registry; for any other, nothing."""
    # A token of Azure must be shown to nobody else.
    if not is_acr(host):
        return None
    # It takes long to import, and other threads may be importing azure.core.
    import_first("azure.identity")
    from azure.identity import AzureCliCredential

    return AzureCliCredential(process_timeout=_TIMEOUT)
