"""The names of all repositories of a registry.

ACR's list is read by azure-containerregistry, which speaks ``/acr/v1/_catalog``. Others have that
of the Docker Registry HTTP API V2, "Catalog", whose name the OCI distribution specification leaves
reserved.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aksci.core.concurrency import import_first
from aksci.core.errors import RegistryError
from aksci.core.strict_json import MALFORMED
from aksci.oci.answers import require_size
from aksci.oci.transport import TransportError

if TYPE_CHECKING:
    from aksci.oci.connection import Connection

__all__ = ["PERMISSION", "acr_names", "is_acr", "require_names"]

PERMISSION = (
    "listing all repositories needs a permission of its own (scope registry:catalog:*). ACR: the "
    "role AcrPull, or Container Registry Repository Catalog Lister where the registry has ABAC "
    "permissions; a token's scope map must be for all repositories (*)."
)
"""Sources: Microsoft Learn, "Azure Container Registry roles"; Azure/acr, issues 675 and 751."""
_ACR = re.compile(r"[a-z0-9.-]+\.azurecr\.(?:io|cn|us)(?::[0-9]+)?")
_PAGE = 1000
_PAGES = 2000
_REFUSED = frozenset({401, 403})
_OK = 200


def is_acr(host: str) -> bool:
    """Tell whether a host is Azure Container Registry's, in any of its clouds."""
    # Of "evil.example\\.azurecr.io", not all who read addresses take the same for the host.
    return bool(_ACR.fullmatch(host.lower()))


def require_names(entries: list[Any], host: str) -> list[str]:
    """Refuse a list with anything but texts in it, and return each once."""
    if not all(isinstance(entry, str) for entry in entries):
        raise RegistryError(f"The list of the repositories of {host} is damaged.")
    return list(dict.fromkeys(entries))


def acr_names(connection: Connection) -> list[Any] | None:
    """Return the names of all repositories of an ACR; None where there is no such list."""
    import_first("azure.core.exceptions", "aksci.oci.acr_transport")
    from azure.core.exceptions import AzureError, HttpResponseError

    from aksci.oci.acr_transport import acr_client

    client = acr_client(connection.session, f"{connection.scheme}://{connection.host}")
    pages: Any = client.list_repository_names(results_per_page=_PAGE).by_page()
    try:
        return _read(connection, pages)
    except TransportError as error:
        raise connection.broken(error) from None
    except HttpResponseError as error:
        answer = getattr(error.response, "internal_response", None)
        if answer is None or answer.status_code == _OK:  # what can't be decoded comes here, too
            raise _no_list(connection) from None
        if pages.continuation_token is None and connection.is_missing(answer):
            return None
        refusal = connection.refusal(answer)
        hint = PERMISSION if answer.status_code in _REFUSED else refusal.hint
        raise RegistryError(refusal.message, hint=hint) from None
    except (AzureError, *MALFORMED):
        raise _no_list(connection) from None


def _read(connection: Connection, pages: Any) -> list[Any]:
    """Read page by page; where the next one is, is looked at before it is asked for."""
    found: list[Any] = []
    asked: set[str] = set()
    size = 0
    for page in pages:
        names = list(page)
        found += names
        size += sum(len(str(name)) for name in names)
        require_size(size, connection.host)
        link = pages.continuation_token
        if not link or link in asked:
            break
        asked.add(link)
        base = f"{connection.scheme}://{connection.host}/acr/v1/_catalog"
        following = urlsplit(connection.location(base, link)).netloc
        if following != connection.host:
            raise RegistryError(f"{connection.host} continues a list at {following}.")
        if len(asked) == _PAGES:
            raise RegistryError(f"{connection.host} sends a list without an end.")
    return found


def _no_list(connection: Connection) -> RegistryError:
    return RegistryError(
        f"{connection.host} does not answer as a registry: no list is at /acr/v1/_catalog.",
        hint="is it another server that listens there?",
    )
