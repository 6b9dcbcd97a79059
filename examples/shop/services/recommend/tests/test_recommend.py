"""Recommendations over two small real HTTP servers."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from recommend.app import create_app
from recommend.ranking import rank
from recommend.upstreams import UpstreamError, Upstreams, new_pool

MUG = {"sku": "mug", "price_cents": 1250}
POT = {"sku": "pot", "price_cents": 3900}
ROPE = {"sku": "rope", "price_cents": 2400}


@pytest.fixture
def serve():
    """Start a server on loopback that answers each path with a status and a document.

    It cuts the first requests off.
    """
    servers = []

    def start(answers, *, cut_off=0):
        ahead = iter(range(cut_off))

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                if next(ahead, None) is not None:
                    return
                status, document = answers[self.path]
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(document).encode())

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def ask(catalog, orders):
    pool = new_pool()
    client = create_app(Upstreams(catalog=catalog, orders=orders, pool=pool)).test_client()
    answer = client.get("/recommendations")
    pool.clear()
    return answer


def test_what_sells_best_comes_first_and_then_the_cheapest():
    assert rank([MUG, POT, ROPE], [{"sku": "pot", "quantity": 2}]) == [POT, MUG, ROPE]


def test_a_bestseller_that_left_the_catalog_is_not_recommended():
    assert rank([MUG], [{"sku": "gone", "quantity": 9}]) == [MUG]


def test_both_services_are_asked(serve):
    catalog = serve({"/products": (200, {"products": [MUG, ROPE]})})
    orders = serve(
        {"/orders/bestsellers": (200, {"bestsellers": [{"sku": "rope", "quantity": 1}]})}
    )
    assert ask(catalog, orders).json == {"recommendations": [ROPE, MUG]}


def test_a_service_that_cut_a_request_off_is_asked_once_more(serve):
    answers = {
        "/products": (200, {"products": [MUG]}),
        "/orders/bestsellers": (200, {"bestsellers": []}),
    }
    assert ask(serve(answers, cut_off=1), serve(answers)).status_code == 200
    assert ask(serve(answers, cut_off=2), serve(answers)).status_code == 502


def test_a_service_that_does_not_answer_in_time_is_not_asked_again():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        pool = new_pool(answer_within=0.1)
        with pytest.raises(UpstreamError, match="ReadTimeoutError"):
            Upstreams(catalog=address, orders=address, pool=pool).products()
        pool.clear()
        silent.setblocking(False)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()


@pytest.mark.parametrize("answer", [(503, {}), (200, {"other": 1}), (200, [])])
def test_a_failing_service_is_named_in_a_502(serve, answer):
    catalog = serve({"/products": answer})
    reply = ask(catalog, "http://127.0.0.1:1")
    assert reply.status_code == 502
    assert catalog in reply.json["error"]


def test_probes_answer_though_the_others_are_away():
    upstreams = Upstreams(
        catalog="http://127.0.0.1:1", orders="http://127.0.0.1:1", pool=new_pool()
    )
    client = create_app(upstreams).test_client()
    assert [client.get(path).status_code for path in ("/healthz", "/readyz")] == [200, 200]
