"""Small servers that speak the two APIs which make pipelines run, and refuse all that isn't theirs.

Sources: GitHub, "Create a repository dispatch event"; Azure DevOps Services REST API 7.1, "Runs -
Run Pipeline". ``GithubServer()`` and ``AzurePipelinesServer()`` are context managers.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

TOKEN = "made-up-token-0123456789"


@dataclass
class Fault:
    """What the next request meets instead of a proper answer."""

    status: int = 0
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    hang_up: bool = False
    """Read the request, count it, and close the connection without a word."""
    delay: float = 0.0
    """Seconds before whatever is answered."""


@dataclass
class Seen:
    """One request that came."""

    method: str
    path: str
    headers: dict
    body: object
    status: int


class _Server:
    """Common to both: a loopback server with recorded requests and faults to come."""

    def __init__(self, token=TOKEN):
        self.token = token
        self.requests: list[Seen] = []
        self.faults: deque[Fault] = deque()
        self.arrived = 0
        """Requests that have come, answered or not."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def api(self):
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def accepted(self):
        """The bodies of the requests that were granted."""
        return [seen.body for seen in self.requests if seen.status in {200, 204}]

    def wait_for(self, count, seconds=20):
        """Wait until so many requests have come."""
        deadline = time.monotonic() + seconds
        while len(self.requests) < count:
            assert time.monotonic() < deadline, f"only {len(self.requests)} requests have come"
            time.sleep(0.02)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def judge(self, method, path, headers, body):
        """Return status and document for a request."""
        raise NotImplementedError

    def _handler(self):
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self):
                self.close_connection = True
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                try:
                    body = json.loads(content)
                except ValueError:
                    body = None
                fault = api.faults.popleft() if api.faults else Fault()
                api.arrived += 1
                time.sleep(fault.delay)
                if fault.status or fault.hang_up:
                    status, answer = fault.status, fault.body
                else:
                    status, document = api.judge(self.command, self.path, headers, body)
                    answer = b"" if document is None else json.dumps(document).encode()
                api.requests.append(Seen(self.command, self.path, headers, body, status))
                if fault.hang_up:
                    return
                self.send_response(status)
                for name, value in fault.headers.items():
                    self.send_header(name, value)
                if answer or status != 204:
                    self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

            def log_message(self, *_):
                pass

        return Handler


class GithubServer(_Server):
    """GitHub, with one repository."""

    def __init__(self, repository="shop/web", token=TOKEN):
        super().__init__(token)
        self.repository = repository

    def judge(self, method, path, headers, body):
        if headers.get("authorization") != f"Bearer {self.token}":
            return 401, {"message": "Bad credentials"}
        if (method, path) != ("POST", f"/repos/{self.repository}/dispatches"):
            return 404, {"message": "Not Found"}
        if headers.get("accept") != "application/vnd.github+json":
            return 415, {"message": "Unsupported Accept"}
        if headers.get("x-github-api-version") != "2022-11-28":
            return 400, {"message": "Unsupported version"}
        problem = self._problem(body)
        return (422, {"message": f"Invalid request. {problem}"}) if problem else (204, None)

    @staticmethod
    def _problem(body):
        if not isinstance(body, dict) or not set(body) <= {"event_type", "client_payload"}:
            return "Unknown keys."
        event = body.get("event_type")
        if not isinstance(event, str) or not 1 <= len(event) <= 100:
            return "event_type must have 1 to 100 characters."
        payload = body.get("client_payload", {})
        if not isinstance(payload, dict) or len(payload) > 10:
            return "No more than 10 properties are allowed."
        return "client_payload is too large." if len(json.dumps(payload)) > 65_535 else ""


class AzurePipelinesServer(_Server):
    """Azure DevOps, with one organization, project and pipeline."""

    def __init__(
        self,
        organization="contoso",
        project="Web shop",
        pipeline=42,
        token=TOKEN,
        bearer=False,
        parameters=("bases", "chain"),
    ):
        super().__init__(token)
        self.organization = organization
        self.project = project
        self.pipeline = pipeline
        self.parameters = set(parameters)
        password = base64.b64encode(f":{token}".encode()).decode()
        self.authorization = f"Bearer {token}" if bearer else f"Basic {password}"

    def judge(self, method, path, headers, body):
        if headers.get("authorization") != self.authorization:
            return 203, None  # a page to sign in
        place, _, query = path.partition("?")
        right = f"/{self.organization}/{self.project}/_apis/pipelines/{self.pipeline}/runs"
        if unquote(place) != right:
            return 404, {"message": "TF200016: there is no such project or pipeline"}
        if method != "POST":
            return 405, {"message": "The method is not allowed"}
        if headers.get("content-type") != "application/json":
            return 415, {"message": "The media type is not supported"}
        problem = self._problem(body)
        if query != "api-version=7.1":
            problem = "No api-version was supplied"
        if problem:
            return 400, {"message": problem, "typeKey": "PipelineValidationException"}
        number = 100 + len(self.requests)
        href = f"{self.api}/{self.organization}/_build/results?buildId={number}"
        return 200, {"id": number, "state": "inProgress", "_links": {"web": {"href": href}}}

    def _problem(self, body):
        if not isinstance(body, dict) or not set(body) <= {"resources", "templateParameters"}:
            return "Unknown keys."
        name = body["resources"]["repositories"]["self"]["refName"]
        if not name.startswith("refs/"):
            return f"Could not get the latest source version for {name}."
        given = body.get("templateParameters", {})
        unknown = set(given) - self.parameters
        if unknown:
            return f"Unexpected parameter '{unknown.pop()}'"
        return "" if all(isinstance(value, str) for value in given.values()) else "Not a string."
