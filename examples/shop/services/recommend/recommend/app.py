"""The HTTP interface of the recommendations."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from flask import Flask, Response, g, jsonify, request

from recommend.ranking import rank
from recommend.upstreams import UpstreamError

if TYPE_CHECKING:
    from recommend.upstreams import Upstreams

log = logging.getLogger("recommend")
PROBES = frozenset({"/healthz", "/readyz"})


def create_app(upstreams: Upstreams) -> Flask:
    """Return the WSGI application over two services."""
    app = Flask("recommend")

    @app.get("/healthz")
    @app.get("/readyz")
    def alive() -> dict[str, str]:
        """Be ready without the others: they have their own probes, and a request says which of them failed."""
        return {"status": "ready"}

    @app.get("/recommendations")
    def recommendations() -> Response:
        chosen = rank(upstreams.products(), upstreams.bestsellers())
        return jsonify(recommendations=chosen)

    @app.errorhandler(UpstreamError)
    def upstream_failed(error: UpstreamError) -> tuple[Response, int]:
        log.warning("upstream failed", extra={"fields": {"cause": str(error)}})
        return jsonify(error=str(error)), 502

    _log_requests(app)
    return app


def _log_requests(app: Flask) -> None:
    @app.before_request
    def start() -> None:
        g.started = time.monotonic()

    @app.after_request
    def finish(response: Response) -> Response:
        if request.path not in PROBES:
            fields = {
                "method": request.method,
                "path": request.path,
                "status": response.status_code,
                "ms": round((time.monotonic() - g.started) * 1000, 1),
            }
            log.info("request", extra={"fields": fields})
        return response
