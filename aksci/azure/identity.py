"""Who we are to Azure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.concurrency import import_first
from aksci.oci.catalog import is_acr

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

__all__ = ["credential_for"]

_TIMEOUT = 60  # seconds; az itself needs several to start


def credential_for(host: str) -> TokenCredential | None:
    """Return the identity for an Azure container registry; for any other, nothing."""
    # A token of Azure must be shown to nobody else.
    if not is_acr(host):
        return None
    # It takes long to import, and other threads may be importing azure.core.
    import_first("azure.identity")
    from azure.identity import AzureCliCredential

    return AzureCliCredential(process_timeout=_TIMEOUT)
