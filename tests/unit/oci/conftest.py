"""A small real HTTP server that answers as a test tells it to."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Scripted:
    """What was asked, and what to answer: ``answers["GET /v2/"] = [(status, headers, body), …]``.

    The last answer of a list is repeated.
    """

    host: str = ""
    answers: dict[str, list] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    def paths(self):
        return [line for line, _, _ in self.asked]


@pytest.fixture
def server():
    script = Scripted()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            line = f"{self.command} {self.path.replace('/v2/shop%2F', '/v2/shop/')}"
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            script.asked.append((line, dict(self.headers), body))
            queue = script.answers.get(line, [(404, {}, b"")])
            status, headers, content = queue.pop(0) if len(queue) > 1 else queue[0]
            if status < 0:  # say nothing for so long
                time.sleep(-status)
                status = 0
            if status == 0:  # hang up
                self.close_connection = True
                return
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815 - http.server's names

        def log_message(self, *args):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    httpd = Server(("127.0.0.1", 0), Handler)
    script.host = f"127.0.0.1:{httpd.server_port}"
    script.answers["GET /v2/"] = [(200, {}, b"{}")]
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield script
    httpd.shutdown()
    thread.join()
    httpd.server_close()
