"""How a cluster's answers, and its silence, become errors. The API server is a small real one on
loopback.
"""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from aksci.core.errors import ClusterError, ConfigError, DeployError, Interrupted
from aksci.deploy.kubernetes import cluster as module
from aksci.deploy.kubernetes.cluster import Conflict, connect

VERSION = {"major": "1", "minor": "34", "gitVersion": "v1.34.4+aks"}
NAMESPACE = {"status": {"phase": "Active"}}


@contextmanager
def serving(answers, tmp_path):
    """Serve ``{"GET /path": [(status, document), …]}``; the last answer of a path is repeated."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            key = f"{self.command} {self.path.partition('?')[0]}"
            left = answers.get(key) or [(404, {"message": f"no {key}"})]
            status, document = left.pop(0) if len(left) > 1 else left[0]
            content = (
                document.encode() if isinstance(document, str) else json.dumps(document).encode()
            )
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - http.server's names

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield kubeconfig(tmp_path, f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def kubeconfig(folder, server):
    path = folder / "kubeconfig"
    document = {
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "here",
    }
    path.write_text(json.dumps(document))
    return path


def api(**more):
    paths = {
        "GET /version": [(200, dict(VERSION))],
        "GET /api/v1/namespaces/shop": [(200, NAMESPACE)],
    }
    return {**paths, **{key.replace("__", " "): value for key, value in more.items()}}


def test_an_unreachable_cluster_is_named_with_its_address_and_the_way_out(tmp_path):
    path = kubeconfig(tmp_path, "http://127.0.0.1:1")
    with pytest.raises(ClusterError, match=r"127\.0\.0\.1:1 can't be reached: .*refused") as caught:
        connect(path, None, "shop", embedded=True)
    assert caught.value.hint == "nox -s up"


def test_a_cluster_behind_a_proxy_is_asked_through_it(tmp_path):
    """The proxy is told the host, and refuses: the token never leaves."""
    told = []
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def serve():
            connection, _ = proxy.accept()
            with connection:
                told.append(connection.recv(4096))
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        path = kubeconfig(tmp_path, "https://cluster.invalid")
        variables = {"HTTPS_PROXY": f"http://127.0.0.1:{proxy.getsockname()[1]}"}
        with pytest.raises(ClusterError, match="can't be reached: 403 Forbidden"):
            connect(path, None, "shop", variables=variables)
        thread.join()
    assert told[0].startswith(b"CONNECT cluster.invalid:443 ")
    assert b"Bearer" not in told[0]


def test_a_local_cluster_that_was_never_up_says_how_to_start_it(tmp_path):
    with pytest.raises(ClusterError, match="not up") as caught:
        connect(tmp_path / "absent", None, "shop", embedded=True)
    assert caught.value.hint == "nox -s up"


def test_an_unknown_context_lists_the_known_ones(tmp_path):
    path = kubeconfig(tmp_path, "http://127.0.0.1:1")
    with pytest.raises(ConfigError, match="no context 'there'") as caught:
        connect(path, "there", "shop")
    assert caught.value.hint == "contexts: here."


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "clusters: 7",
        "{{",
        "clusters: [{name: c, cluster: 7}]",
        "contexts: []\nclusters: []",
    ],
)
def test_a_broken_kubeconfig_is_a_config_error(tmp_path, content):
    (tmp_path / "kubeconfig").write_text(content)
    with pytest.raises(ConfigError, match="kubeconfig can't be used"):
        connect(tmp_path / "kubeconfig", None, "shop")


def test_no_kubeconfig_at_all_says_where_to_name_one(tmp_path):
    with pytest.raises(ConfigError, match="No kubeconfig"):
        connect(None, None, "shop")


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (401, ClusterError, "refuses the kubeconfig's credentials"),
        (403, DeployError, r"forbids GET /api/v1/namespaces/shop/pods \(403\): no role"),
        (422, DeployError, "no role"),
    ],
)
def test_refusals_are_told_apart(tmp_path, status, error, words):
    answers = {**api(), "GET /api/v1/namespaces/shop/pods": [(status, {"message": "no role"})]}
    with (
        serving(answers, tmp_path) as path,
        connect(path, None, "shop") as cluster,
        pytest.raises(error, match=words) as caught,
    ):
        cluster.list("Pod")
    assert caught.type is error


def test_a_user_who_may_not_look_at_namespaces_may_still_work_in_one(tmp_path):
    answers = {**api(), "GET /api/v1/namespaces/shop": [(403, {"message": "no"})]}
    with serving(answers, tmp_path) as path, connect(path, None, "shop") as cluster:
        assert cluster.kube_version == "1.34.4"


def test_a_namespace_that_is_being_deleted_is_refused(tmp_path):
    answers = {
        **api(),
        "GET /api/v1/namespaces/shop": [(200, {"status": {"phase": "Terminating"}})],
    }
    with serving(answers, tmp_path) as path, pytest.raises(ConfigError, match="being deleted"):
        connect(path, None, "shop")


def test_a_restarting_api_server_is_waited_for(tmp_path):
    pods = [(503, "x"), (503, "x"), (200, {"items": [{"metadata": {"name": "p"}}]})]
    answers = {**api(), "GET /api/v1/namespaces/shop/pods": pods}
    with serving(answers, tmp_path) as path, connect(path, None, "shop") as cluster:
        assert [each["metadata"]["name"] for each in cluster.list("Pod")] == ["p"]


def test_one_that_stays_away_is_not_waited_for_longer_than_promised(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.5)
    answers = {**api(), "GET /api/v1/namespaces/shop/pods": [(503, {"message": "starting"})]}
    with (
        serving(answers, tmp_path) as path,
        connect(path, None, "shop") as cluster,
        pytest.raises(ClusterError, match="answers 503: starting"),
    ):
        cluster.list("Pod")


def test_a_write_that_may_have_arrived_is_not_repeated(tmp_path):
    jobs = [(500, {"message": "etcd"}), (201, {})]
    answers = {**api(), "POST /apis/batch/v1/namespaces/shop/jobs": jobs}
    with (
        serving(answers, tmp_path) as path,
        connect(path, None, "shop") as cluster,
        pytest.raises(ClusterError, match="etcd"),
    ):
        cluster.create("Job", {})


def test_ctrl_c_ends_the_wait_for_what_is_being_deleted(tmp_path):
    job = "/apis/batch/v1/namespaces/shop/jobs/old"
    answers = {**api(), f"DELETE {job}": [(200, {})], f"GET {job}": [(200, {"metadata": {}})]}
    with serving(answers, tmp_path) as path, connect(path, None, "shop") as cluster:
        cluster.halt.set()
        with pytest.raises(Interrupted, match="Job old is being deleted"):
            cluster.delete("Job", "old", wait=2)


def test_long_lists_are_read_to_their_end(tmp_path):
    pages = [
        (200, {"items": [{"a": 1}], "metadata": {"continue": "next"}}),
        (200, {"items": [{"a": 2}], "metadata": {}}),
    ]
    answers = {**api(), "GET /api/v1/namespaces/shop/pods": pages}
    with serving(answers, tmp_path) as path, connect(path, None, "shop") as cluster:
        assert cluster.list("Pod") == [{"a": 1}, {"a": 2}]


def test_a_conflict_has_a_type_of_its_own(tmp_path):
    answers = {
        **api(),
        "POST /apis/batch/v1/namespaces/shop/jobs": [(409, {"message": "exists"})],
    }
    with (
        serving(answers, tmp_path) as path,
        connect(path, None, "shop") as cluster,
        pytest.raises(Conflict, match="exists"),
    ):
        cluster.create("Job", {})


def test_something_else_than_an_api_server_is_recognised(tmp_path):
    answers = {**api(), "GET /version": [(200, "<html>captive portal</html>")]}
    with (
        serving(answers, tmp_path) as path,
        pytest.raises(ClusterError, match="does not answer as"),
    ):
        connect(path, None, "shop")


ODD = ["[" * 100_000, "[]", '{"items": [], "items": [1]}', '{"items": 1e999}', "<html>"]


@pytest.mark.parametrize("content", ODD)
@pytest.mark.parametrize("asked", ["/api/v1/namespaces/shop", "/api/v1/namespaces/shop/pods"])
def test_an_answer_that_is_no_api_servers_is_an_error_that_says_so(tmp_path, asked, content):
    answers = {**api(), f"GET {asked}": [(200, content)]}
    with (
        serving(answers, tmp_path) as path,
        pytest.raises(ClusterError, match="does not answer as a Kubernetes API server"),
        connect(path, None, "shop") as cluster,
    ):
        cluster.list("Pod")


@pytest.mark.parametrize("content", ["[" * 100_000, '{"message": "' + "\\n" * 600_000 + '"}'])
def test_a_refusal_is_told_in_few_words(tmp_path, content):
    answers = {**api(), "GET /api/v1/namespaces/shop/pods": [(422, content)]}
    with (
        serving(answers, tmp_path) as path,
        connect(path, None, "shop") as cluster,
        pytest.raises(DeployError) as caught,
    ):
        cluster.list("Pod")
    assert len(caught.value.message) < 5000
