"""One POST with a token: where it may go, what is tried again, and what never is."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aksci.cascade.dispatch.dispatch_request import MaybeAskedError
from aksci.core.concurrency import backoff, import_first, retry
from aksci.core.errors import ConfigError, DispatchError
from aksci.core.http import LOOPBACK
from aksci.core.strict_json import parse_json
from aksci.core.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import requests

    from aksci.core.secret import Secret

__all__ = ["Answer", "Poster"]

_ATTEMPTS = 4
_FIRST_WAIT = 1.0  # seconds; doubled for each further attempt
_LONGEST_WAIT = 60.0  # seconds; who asks for more has refused
_TIMEOUT = (10.0, 60.0)  # seconds to connect, and without a byte
_LARGEST = 1 << 16  # bytes of an answer that are read
_AGAIN = frozenset({429, 500, 502, 503})
_GATEWAY_TIMEOUT = 504
_FORBIDDEN = 403
_SHOWN = 200  # characters of a server's own words


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a server answered."""

    status: int
    document: Any
    """Its JSON; None where it sent none."""

    @property
    def words(self) -> str:
        """What it says of itself (``message`` in both APIs), as a clause, harmless and short."""
        message = self.document.get("message") if isinstance(self.document, dict) else None
        if not isinstance(message, str) or not message.strip():
            return ""
        return f": {one_line(message)[:_SHOWN]}"


@dataclass(frozen=True, kw_only=True)
class Poster:
    """Send POST requests to one server. Redirects are not followed: they would take the token."""

    authorization: Secret
    """The header of that name, whole."""
    proxies: Mapping[str, str] = field(default_factory=dict)
    verify: bool | str = True
    """Or the path of a bundle of certificates to trust."""
    sleep: Callable[[float], None] = time.sleep

    def post(self, url: str, headers: Mapping[str, str], body: Any) -> Answer:
        """Send JSON, again when it surely was refused or never left, and return the answer.

        A POST is not idempotent (RFC 9110, section 9.2.2): one that was sent and not answered is
        not sent again.

        :raises MaybeAskedError: it was sent, and no answer came.
        :raises DispatchError: the server can't be reached, or asks for too much patience.
        """
        require_safe(url)
        try:
            return retry(
                lambda: self._post_once(url, headers, body),
                again=lambda error: (
                    isinstance(error, _BusyError | _NeverSentError) and error.passing
                ),
                waits=backoff(_FIRST_WAIT, attempts=_ATTEMPTS),
                longest=_LONGEST_WAIT,
                sleep=self.sleep,
            )
        except _NeverSentError as error:
            raise error.told(url) from None
        except _BusyError as error:
            # Out of attempts: whoever asked tells what this answer means.
            if (error.retry_after or 0) <= _LONGEST_WAIT:
                return error.answer
            raise DispatchError(
                f"{_host(url)} answered {error.answer.status} and wants to be left alone "
                f"for {error.retry_after:g} s.",
                hint="wait that long, and run again.",
            ) from None

    def _post_once(self, url: str, headers: Mapping[str, str], body: Any) -> Answer:
        response, content = self._send(url, headers, body)
        answer = self._answer(url, response.status_code, content)
        if _is_limited(response) or answer.status in _AGAIN:
            raise _BusyError(answer, _retry_after(response))
        return answer

    def _send(
        self, url: str, headers: Mapping[str, str], body: Any
    ) -> tuple[requests.Response, bytes]:
        import_first("requests")
        import requests
        from urllib3.exceptions import HTTPError

        with requests.Session() as session:
            session.trust_env = False  # the edge hands in what counts; ~/.netrc never does
            session.proxies.update(self.proxies)
            # Even unfollowed, a redirect would be read to its end.
            session.get_redirect_target = _nowhere  # type: ignore[method-assign,assignment]
            own = {"Authorization": self.authorization.reveal(), "Accept-Encoding": "identity"}
            try:
                with session.post(
                    url,
                    data=json.dumps(body).encode(),
                    headers={"Content-Type": "application/json", **headers, **own},
                    timeout=_TIMEOUT,
                    allow_redirects=False,
                    stream=True,
                    verify=self.verify,
                ) as response:
                    # To a limit, and as it came: what is packed could grow without end.
                    content = response.raw.read(_LARGEST)
            except requests.RequestException as error:
                raise _meaning(url, error) from None
            except OSError as error:  # a bundle of certificates that is not there
                raise DispatchError(f"{_host(url)} can't be asked: {error}.") from None
            except HTTPError:
                raise _maybe(url, "the answer broke off") from None
        return response, content

    def _answer(self, url: str, status: int, content: bytes) -> Answer:
        if status == _GATEWAY_TIMEOUT:  # RFC 9110, section 15.6.5: somebody behind has it
            raise _maybe(url, "it answered 504, Gateway Timeout")
        # A server may repeat what it was sent.
        secret = re.sub(r"^\w+ ", "", self.authorization.reveal())
        try:
            document = parse_json(content.decode().replace(secret, "***"))
        except ValueError:
            document = None
        return Answer(status=status, document=document)


def require_safe(url: str) -> None:
    """Refuse to send a token where others could read it.

    :raises ConfigError: the address is neither https nor on this machine.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise ConfigError(
            f"The token is not sent to {parts.scheme}://{parts.netloc}: only https is safe.",
            hint="correct 'api' in [cascade.targets].",
        )


class _BusyError(Exception):
    """The server has refused the request for now."""

    passing = True

    def __init__(self, answer: Answer, retry_after: float | None) -> None:
        super().__init__(answer.status)
        self.answer = answer
        self.retry_after = retry_after


class _NeverSentError(Exception):
    """The request did not leave this machine."""

    def __init__(self, reason: str, hint: str, *, passing: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
        self.passing = passing

    def told(self, url: str) -> DispatchError:
        return DispatchError(f"{_host(url)} can't be reached: {self.reason}.", hint=self.hint)


def _nowhere(_response: requests.Response) -> None:
    """Say that an answer leads nowhere."""


def _meaning(url: str, error: requests.RequestException) -> Exception:
    """Tell whether a request has left before its connection failed."""
    import ssl

    import requests
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, SSLError

    network = "check the network, the proxy (HTTPS_PROXY) and 'api' in [cascade.targets]."
    cause = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(cause, SSLError) and isinstance(
        cause.args[0] if cause.args else None, ssl.SSLCertVerificationError
    ):
        trust = "let REQUESTS_CA_BUNDLE name the certificates to trust."
        return _NeverSentError("its certificate is not trusted", trust, passing=False)
    # It has passed nothing on: for https, a proxy opens a tunnel first.
    if isinstance(error, requests.exceptions.ProxyError):
        return _NeverSentError("the proxy refused or can't be reached", network, passing=True)
    if isinstance(cause, ConnectTimeoutError | NewConnectionError):
        return _NeverSentError("nothing answers there", network, passing=True)
    if isinstance(error, requests.exceptions.ConnectionError | requests.exceptions.Timeout):
        return _maybe(url, "the connection broke before it answered")
    return DispatchError(f"{_host(url)} can't be asked: {type(error).__name__}.")


def _maybe(url: str, reason: str) -> MaybeAskedError:
    return MaybeAskedError(
        f"{_host(url)} may have been asked: the request was sent, and {reason}.",
        hint="look there whether a run has started before you ask again.",
    )


def _is_limited(response: requests.Response) -> bool:
    """Tell a rate limit that GitHub answers with 403.

    Source: GitHub, "Rate limits for the REST API", "Exceeding the rate limit".
    """
    headers = response.headers
    return response.status_code == _FORBIDDEN and (
        "Retry-After" in headers or headers.get("X-RateLimit-Remaining") == "0"
    )


def _retry_after(response: requests.Response) -> float | None:
    """Return the seconds that an answer asks for: Retry-After, or GitHub's X-RateLimit-Reset."""
    import email.utils

    headers = response.headers
    value = headers.get("Retry-After", "")
    if value.isascii() and value.isdecimal():
        return float(value)
    # By the server's own clock: ours may differ, and would wait too long, or not at all.
    served = email.utils.parsedate_tz(headers.get("Date", ""))
    reset = headers.get("X-RateLimit-Reset", "")
    if headers.get("X-RateLimit-Remaining") != "0" or not served or not reset.isdecimal():
        return None
    return max(float(reset) - email.utils.mktime_tz(served), 0.0)


def _host(url: str) -> str:
    return urlsplit(url).netloc
