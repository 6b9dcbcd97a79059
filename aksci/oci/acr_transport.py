"""azure-containerregistry's client over our own transport, for what is ACR's alone.

It brings a transport, retries and a way to log in of its own; docs/adr/0002-registry-client.md says
why none of them is used. azure.core is imported here, and so is only what an ACR needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from azure.containerregistry import ContainerRegistryClient
from azure.core.pipeline import Pipeline
from azure.core.pipeline.policies import ContentDecodePolicy
from azure.core.pipeline.transport import HttpResponse, HttpTransport

from aksci.oci.transport import Request, Response

if TYPE_CHECKING:
    from types import TracebackType

    from azure.core.pipeline.policies import SansIOHTTPPolicy

    from aksci.oci.connection import Session

__all__ = ["acr_client"]


def acr_client(session: Session, endpoint: str) -> ContainerRegistryClient:
    """Return a client that asks by a session: with its tokens, retries, proxies and certificates.

    What the session raises comes through: ``RegistryError``, ``TransportError``.

    :param endpoint: ``https://shop.azurecr.io``.
    """
    # The client passes keywords that it does not know on to PipelineClient, and that takes a whole
    # pipeline: so the policies that would log in anew for each request are not in the way.
    decode: SansIOHTTPPolicy[Any, Any] = ContentDecodePolicy()
    pipeline: Pipeline[Any, Any] = Pipeline(SessionTransport(session), [decode])
    return ContainerRegistryClient(endpoint, None, pipeline=pipeline)


class SessionTransport(HttpTransport[Any, Any]):
    """azure.core's interface of a transport, over one of our sessions, which it does not close."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        """Do nothing: whoever has the session closes it."""

    def open(self) -> None:
        """Do nothing: connections are made when they are needed."""

    def close(self) -> None:
        """Do nothing, as ``__exit__``."""

    def send(self, request: Any, **_options: Any) -> Any:
        """Send a request of azure.core: of its old interface, or of the one in azure.core.rest."""
        content = getattr(request, "content", None) or getattr(request, "body", None)
        answer = self._session.send(
            Request(
                method=request.method,
                url=request.url,
                headers=dict(request.headers),
                content=content.encode() if isinstance(content, str) else content,
            )
        )
        return _Answer(request, answer)


class _Answer(HttpResponse):
    """An answer as azure.core has them; ``internal_response`` is ours."""

    def __init__(self, request: Any, answer: Response) -> None:
        super().__init__(request, answer)
        self.status_code = answer.status_code
        self.headers: Any = answer.headers  # whatever the case of a name: proxies write "link"
        self.reason = str(answer.status_code)
        self.content_type = answer.headers.get("Content-Type")

    def body(self) -> bytes:
        """Return the content, which has been read."""
        content: bytes = self.internal_response.content
        return content
