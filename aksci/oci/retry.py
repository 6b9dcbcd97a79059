"""When a request is sent again, and after which wait: urllib3's ``Retry``, with our own numbers.

This module imports urllib3; ``aksci.oci.transport`` imports it when the first request is made.
"""

from __future__ import annotations

import email.utils
import ssl
from typing import TYPE_CHECKING, Any, Self

from urllib3.exceptions import MaxRetryError, ProtocolError, ResponseError, SSLError
from urllib3.util import Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from urllib3.connectionpool import ConnectionPool
    from urllib3.response import BaseHTTPResponse

__all__ = ["RegistryRetry", "retry_after"]

_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_UNREAD = frozenset({429})
_ATTEMPTS = 5
_UNREACHABLE_ATTEMPTS = 3
_FIRST_WAIT = 0.2  # seconds; doubled for each further attempt
_LONGEST_WAIT = 60.0  # seconds; a registry that asks for more has refused


class RegistryRetry(Retry):
    """Try again after a transient failure, at most five times; obey Retry-After up to a minute.

    :param once: send again only what was refused unread (429): nobody knows whether the registry
        has acted on the rest.
    :param attempts: 1 for a body that is a file: its upload has to start afresh, by the caller.
    :param wait: is told of each wait, in seconds, and waits.
    """

    def __init__(
        self,
        *,
        once: bool = False,
        attempts: int = _ATTEMPTS,
        wait: Callable[[float], None],
        **options: Any,
    ) -> None:
        options = {
            "total": attempts - 1,
            "allowed_methods": None,
            "status_forcelist": _UNREAD if once else _AGAIN,
            "respect_retry_after_header": True,
            **options,
        }
        super().__init__(**options)
        self._once = once
        self._attempts = attempts
        self._wait = wait

    def new(self, **options: Any) -> Self:
        """Return what is left after an attempt; ``Retry`` makes a new one for each."""
        mine = {"once": self._once, "attempts": self._attempts, "wait": self._wait}
        return super().new(**{**mine, **options})

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        """Tell whether an answer is transient. Retry-After alone, on a 413 say, makes none so."""
        del method, has_retry_after
        return status_code in (self.status_forcelist or ())

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        """Count an attempt that failed.

        :raises MaxRetryError: the answer has to be taken as it is.
        :raises Exception: ``error``, where another attempt would be no use.
        """
        if error is not None:
            last = len(self.history) + 1 >= min(self._attempts, _UNREACHABLE_ATTEMPTS)
            if self._once or last or _is_refusal(error):
                raise error
        if response is not None and (retry_after(response.headers) or 0) > _LONGEST_WAIT:
            raise MaxRetryError(_pool, url or "", ResponseError("it asks for a long wait"))  # type: ignore[arg-type]
        return super().increment(method, url, response, error, _pool, _stacktrace)

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:
        """Wait as long as the answer asks for, or longer after each attempt."""
        if response is None and self._was_dropped():
            return
        told = retry_after(response.headers) if response is not None else None
        self._wait(told or _FIRST_WAIT * 2 ** (len(self.history) - 1))

    def _was_dropped(self) -> bool:
        """Tell whether all that happened is that a connection was closed.

        Servers do that with kept connections, without a word, and a new one helps at once.
        RFC 9112, section 9.3.1.
        """
        if len(self.history) != 1:
            return False
        error = self.history[0].error
        return isinstance(error, ProtocolError) or _is_cut(error)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that Retry-After (RFC 9110, section 10.2.3) asks for.

    A moment is compared with the server's own clock: ours may be another.
    """
    value = headers.get("Retry-After") or ""
    if value.isdecimal():
        return float(value)
    moment, served = _moment(value), _moment(headers.get("Date") or "")
    return None if moment is None or served is None else max(float(moment - served), 0.0)


def _moment(value: str) -> int | None:
    try:
        parts = email.utils.parsedate_tz(value)
        return email.utils.mktime_tz(parts) if parts else None
    except (ValueError, OverflowError):  # a year that no calendar has
        return None


def _is_refusal(error: BaseException) -> bool:
    """Tell whether TLS has failed for good, as it does with a certificate nobody trusts."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, SSLError):
        found = getattr(found, "original_error", None)  # a proxy's
    return found is not None and not _is_cut(found)


def _is_cut(error: BaseException | None) -> bool:
    """Tell whether TLS broke off without a word: busy servers do that, and closed connections."""
    cause = error.args[0] if isinstance(error, SSLError) and error.args else None
    return isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError)
