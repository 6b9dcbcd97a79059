"""The pipeline that requests to a registry take: redirects, retries, tokens, connections."""

from __future__ import annotations

import contextlib
import email.utils
import io
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from azure.core.exceptions import ServiceRequestError, ServiceResponseError
from azure.core.pipeline import Pipeline, PipelineResponse
from azure.core.pipeline.policies import (
    ContentDecodePolicy,
    HTTPPolicy,
    RedirectPolicy,
    SansIOHTTPPolicy,
)
from azure.core.pipeline.transport import RequestsTransport

from aksci.oci.answers import require_size
from aksci.oci.auth import Authenticator, TokenPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from azure.core.credentials import TokenCredential
    from azure.core.pipeline import PipelineRequest
    from azure.core.rest import HttpRequest

    from aksci.core.secret import Secret

__all__ = ["Pipelines", "RetryPolicy", "build_pipelines"]

_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_UNREAD = frozenset({429})
_ATTEMPTS = 5
_UNREACHABLE_ATTEMPTS = 3
_FIRST_WAIT = 0.2  # seconds; doubled for each further attempt
_LONGEST_WAIT = 60.0  # seconds; a registry that asks for more has refused
_CONNECTIONS = 32
_TIMEOUT = 60.0  # seconds without a byte
_PIECE = 1 << 16  # bytes of a streamed answer that are read at a time


class RetryPolicy(HTTPPolicy["HttpRequest", Any]):
    """Try again after a transient failure, at most five times; obey Retry-After up to a minute."""

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__()
        self._sleep = sleep

    def send(self, request: PipelineRequest[HttpRequest]) -> PipelineResponse[HttpRequest, Any]:
        """Send a request until it is answered for good.

        A body that is a file is sent once: its upload has to start afresh, by the caller. What is
        to be sent ``once`` is sent again only when it was refused unread (429).
        """
        content = request.http_request.content
        in_memory = isinstance(content, io.BytesIO)  # azure-containerregistry's way with manifests
        attempts = 1 if hasattr(content, "fileno") and not in_memory else _ATTEMPTS
        once = request.context.options.pop("once", False)
        again = _UNREAD if once else _AGAIN
        for attempt in range(1, attempts + 1):
            wait = _FIRST_WAIT * 2 ** (attempt - 1)
            try:
                response = self.next.send(request)
            except (ServiceRequestError, ServiceResponseError) as error:
                last = attempt >= min(attempts, _UNREACHABLE_ATTEMPTS)
                if once or last or _is_certificate(error):
                    raise
            else:
                if attempt == attempts or response.http_response.status_code not in again:
                    return response
                wait = _retry_after(response.http_response.headers) or wait
                if wait > _LONGEST_WAIT:
                    return response
                _discard(response)
            if in_memory:
                content.seek(0)
            self._sleep(wait)
        raise AssertionError  # pragma: no cover - the last attempt returns or raises


class EarlierAttempt(HTTPPolicy["HttpRequest", Any]):
    """Let what the quick lane was told, if anything, be the answer to the first attempt."""

    def send(self, request: PipelineRequest[HttpRequest]) -> PipelineResponse[HttpRequest, Any]:
        """Answer with it once; send the request from then on."""
        earlier = request.context.options.pop("earlier", None)
        if earlier is None:
            return self.next.send(request)
        if earlier.failure is not None:
            raise ServiceRequestError(str(earlier.failure), error=earlier.failure)
        return PipelineResponse(request.http_request, earlier, request.context)


def _discard(response: PipelineResponse[HttpRequest, Any]) -> None:
    """Give up an answer that was not read, and with it its connection."""
    close = getattr(response.http_response, "close", None)
    if close is not None:
        close()


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that Retry-After (RFC 9110, section 10.2.3) asks for."""
    value = headers.get("Retry-After", "")
    if value.isdecimal():
        return float(value)
    moment = email.utils.parsedate_tz(value)
    served = email.utils.parsedate_tz(headers.get("Date", ""))
    if moment is None or served is None:
        return None
    return max(float(email.utils.mktime_tz(moment) - email.utils.mktime_tz(served)), 0.0)


def _is_certificate(error: ServiceRequestError | ServiceResponseError) -> bool:
    from requests.exceptions import SSLError

    return isinstance(error.inner_exception, SSLError)


@dataclass(frozen=True, kw_only=True)
class Pipelines:
    """Two entries to the same tokens and connections."""

    raw: Pipeline[HttpRequest, Any]
    """Hands out each answer as it came."""
    decoding: Pipeline[HttpRequest, Any]
    """Parses each answer, as azure-containerregistry expects of its pipeline."""
    tokens: TokenPolicy


def build_pipelines(
    host: str,
    scheme: str,
    *,
    credential: TokenCredential | None,
    login: tuple[str, Secret] | None,
    verify: bool | str,
    proxies: Mapping[str, str],
    sleep: Callable[[float], None],
) -> Pipelines:
    """Build the pipelines of one registry; several threads may use them."""
    transport = _transport(verify, proxies)
    plain: Pipeline[HttpRequest, Any] = Pipeline(transport, [RetryPolicy(sleep)])
    authenticator = Authenticator(
        host=host,
        scheme=scheme,
        fetch=lambda request: plain.run(request, stream=False).http_response,
        credential=credential,
        login=login,
    )
    tokens = TokenPolicy(authenticator)
    shared = [RedirectPolicy(redirect_max=5), RetryPolicy(sleep), tokens, EarlierAttempt()]
    decode: SansIOHTTPPolicy[Any, Any] = ContentDecodePolicy()
    # Each policy knows only the one after it, so both pipelines can end in the same ones.
    return Pipelines(
        raw=Pipeline(transport, shared),
        decoding=Pipeline(transport, [decode, *shared]),
        tokens=tokens,
    )


def _transport(verify: bool | str, proxies: Mapping[str, str]) -> RequestsTransport:
    import requests
    from requests.adapters import HTTPAdapter

    session = requests.Session()
    session.trust_env = False  # proxies, certificates and ~/.netrc: the edge hands in what counts
    session.proxies.update(proxies)
    adapter = HTTPAdapter(pool_connections=4, pool_maxsize=_CONNECTIONS, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.hooks["response"].append(_read_bounded)
    session.headers["Accept-Encoding"] = "identity"  # digests are of the bytes as stored
    return RequestsTransport(
        session=session,
        session_owner=True,
        use_env_settings=False,
        connection_timeout=10,
        read_timeout=_TIMEOUT,
        connection_verify=verify,
        connection_data_block_size=_PIECE,
    )


def _read_bounded(response: Any, *_args: Any, stream: bool = False, **_options: Any) -> None:
    """Read an answer that is to be held in memory as requests does, and no further than allowed."""
    if stream:
        return
    content = bytearray()
    with contextlib.ExitStack() as stack:
        stack.callback(response.close)
        for piece in response.iter_content(_PIECE):
            content += piece
            require_size(len(content), urlsplit(response.url).netloc)
        stack.pop_all()
    response._content = bytes(content)  # noqa: SLF001 - requests has no other way
    response._content_consumed = True  # noqa: SLF001
