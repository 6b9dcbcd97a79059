"""The HTTP interface of the catalog."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, abort, g, jsonify, request
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from catalog.database import Reader, products

if TYPE_CHECKING:
    from sqlalchemy import Engine

log = logging.getLogger("catalog")
PROBES = frozenset({"/healthz", "/readyz"})


def create_app(engine: Engine) -> Flask:
    """Return the WSGI application over one database."""
    app = Flask("catalog")
    reader = Reader(engine=engine)

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """Answer as long as the process can; a database that is away is no reason to restart it."""
        return {"status": "alive"}

    @app.get("/readyz")
    def readyz() -> tuple[dict[str, str], int]:
        """Be ready when the database answers, at once, and has the columns that this version reads."""
        try:
            reader.rows(select(products).limit(1), wait=False)
        except SQLAlchemyError as error:
            log.warning("not ready", extra={"fields": {"cause": type(error).__name__}})
            return {"status": "database unavailable"}, 503
        return {"status": "ready"}, 200

    @app.get("/products")
    def list_products() -> Response:
        query = select(products).order_by(products.c.sku).limit(100)
        if category := request.args.get("category"):
            query = query.where(products.c.category == category)
        return jsonify(products=[dict(row) for row in reader.rows(query)])

    @app.get("/products/<sku>")
    def one_product(sku: str) -> Response:
        found = reader.rows(select(products).where(products.c.sku == sku))
        if not found:
            abort(404, f"no product {sku!r}")
        return jsonify(dict(found[0]))

    _log_requests(app)
    _answer_errors_in_json(app)
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


def _answer_errors_in_json(app: Flask) -> None:
    @app.errorhandler(404)
    def not_found(error: Any) -> tuple[Response, int]:
        return jsonify(error=error.description), 404

    @app.errorhandler(SQLAlchemyError)
    def no_database(error: SQLAlchemyError) -> tuple[Response, int]:
        log.error("database failed", exc_info=error)
        return jsonify(error="the database is unavailable"), 503
