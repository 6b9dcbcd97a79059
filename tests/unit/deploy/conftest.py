"""A small API server on loopback that keeps objects, for what needs a cluster's memory only."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from aksci.deploy.kubernetes.cluster import connect

NAMESPACE = "/api/v1/namespaces/shop"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/shop/leases"


class Api:
    """Objects by path; ``writes`` are the paths that were written to, in order."""

    def __init__(self):
        self.objects = {
            "/version": {"major": "1", "minor": "34", "gitVersion": "v1.34.4"},
            NAMESPACE: {"status": {"phase": "Active"}},
        }
        self.writes = []
        self.slow_writes = 0.0

    def handle(self, method, path, body):
        if method != "GET":
            time.sleep(self.slow_writes)
            path = f"{path}/{body['metadata']['name']}" if method == "POST" else path
            body["metadata"].setdefault("resourceVersion", "1")
            self.writes.append(path)
            self.objects[path] = body
            return 200, body
        if path in self.objects:
            return 200, self.objects[path]
        below = [each for key, each in self.objects.items() if key.rpartition("/")[0] == path]
        plural = path.rpartition("/")[2].endswith("s")
        return (200, {"items": below}) if plural else (404, {"message": f"no {path}"})


@pytest.fixture
def api(tmp_path):
    state = Api()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = self.path.partition("?")[0]
            status, document = state.handle(self.command, path, json.loads(raw) if raw else None)
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PUT = do_GET  # noqa: N815 - http.server's names

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    document = {
        "clusters": [
            {"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
        ],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "here",
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(document))
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cluster(api, tmp_path):
    with connect(tmp_path / "kubeconfig", None, "shop") as cluster:
        yield cluster
