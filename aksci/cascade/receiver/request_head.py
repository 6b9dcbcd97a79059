"""A request's line and headers: parsed by the standard library, once they are here."""

from __future__ import annotations

import io
from http.server import BaseHTTPRequestHandler

__all__ = ["LARGEST_HEAD", "RequestHead"]

LARGEST_HEAD = 1 << 14
"""Bytes. The standard library alone would take a hundred lines of 64 KiB each."""
_KNOWN = frozenset({"GET", "POST"})


class RequestHead(BaseHTTPRequestHandler):
    """The parser of ``http.server`` without its connection: it reads bytes, and answers nothing."""

    protocol_version = "HTTP/1.1"

    def __init__(self, data: bytes) -> None:
        self.rfile = io.BytesIO(data)
        self.raw_requestline = self.rfile.readline(LARGEST_HEAD)
        self.command = self.path = ""
        self.refused = 0
        """The status of the answer to what can't be understood; 0: it can be."""
        if not self.parse_request():
            self.refused = self.refused or 400
        elif self.command not in _KNOWN:
            self.refused = 501

    @property
    def place(self) -> str:
        """The path, without a query."""
        return self.path.partition("?")[0]

    @property
    def waits(self) -> bool:
        """Whether the client waits for "100 Continue" before the body (RFC 9110, 10.1.1)."""
        return self.headers.get("Expect", "").lower() == "100-continue"

    def handle_expect_100(self) -> bool:
        """Go on: whether the body is wanted is decided later."""
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Remember the status: what is wrong with a request is not repeated to its client."""
        del message, explain
        self.refused = int(code)
