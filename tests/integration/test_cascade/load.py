"""Put load on the shop as independent users would, and tell what failed.

    python tests/integration/test_cascade/load.py http://127.0.0.1:30080 --rate 50 --seconds 120

Requests start by the clock, whether or not earlier ones were answered, and latency counts from when
a request was due: a shop that stops for a while can't hide it by slowing its users down. Every
second request has a connection of its own; the others keep theirs. Nothing is retried, but a kept
connection that turns out to be closed is opened anew, as every HTTP client does (RFC 9112, 9.3.1).
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import math
import queue
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

TIMEOUT = 30
"""Seconds for one request, from when it was due."""
WORKERS = 1000
"""Requests under way at most; what is due beyond that waits, and its latency says so."""
SKU = "tarp"
"""The product that the load orders."""
GOOD, DEGRADED = "", "degraded"


def _overview(body: str) -> str:
    document = json.loads(body)
    if not {"products", "orders", "recommendations"} <= document.keys():
        return "not an overview"
    if document["degraded"]:
        return DEGRADED
    return GOOD if document["products"] and document["recommendations"] else "empty lists"


def _page(body: str) -> str:
    if "<h1>Shop</h1>" not in body:
        return "not the page"
    return DEGRADED if "Not answering right now" in body else GOOD


def _listed(key: str, *, empty: bool = False) -> Callable[[str], str]:
    def judge(body: str) -> str:
        entries = json.loads(body)[key]
        return GOOD if empty or entries else f"no {key}"

    return judge


def _mug(body: str) -> str:
    return GOOD if json.loads(body)["sku"] == "mug" else "another product"


def _ordered(body: str) -> str:
    order = json.loads(body)
    return GOOD if (order["sku"], order["quantity"]) == (SKU, 1) else "another order"


@dataclass(frozen=True, kw_only=True)
class Visit:
    """What to ask for, and how to judge the answer: "" is right, "degraded", or what is wrong."""

    path: str
    judge: Callable[[str], str]
    method: str = "GET"
    status: int = 200


OVERVIEW = Visit(path="/api/overview", judge=_overview)
VISITS = (
    OVERVIEW,
    Visit(path="/", judge=_page),
    Visit(path="/api/catalog/products", judge=_listed("products")),
    OVERVIEW,
    Visit(path="/api/catalog/products/mug", judge=_mug),
    Visit(path="/api/recommendations", judge=_listed("recommendations")),
    OVERVIEW,
    Visit(path="/api/orders", judge=_listed("orders", empty=True)),
    Visit(path="/api/orders/bestsellers", judge=_listed("bestsellers", empty=True)),
    # With a key of its own: whoever sends it again on the way can't double it.
    Visit(path="/api/orders", judge=_ordered, method="POST", status=201),
)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How one request ended."""

    due: float
    """Seconds since the load began."""
    seconds: float
    request: str
    """Such as ``GET /api/overview``."""
    problem: str
    """Empty, "degraded", or what failed."""
    reopened: bool
    """A kept connection had been closed, and another was opened."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a load saw; latencies in milliseconds."""

    seconds: float
    requests: int
    failures: tuple[Answer, ...]
    """In the order of time."""
    degraded: tuple[Answer, ...]
    reopened: int
    ordered: int
    """Orders that were answered with 201."""
    sold: int
    """By how many the shop's own count grew: more than ``ordered`` means that one was doubled."""
    p50: float
    p99: float
    slowest: float

    def __str__(self) -> str:
        """Return it as lines, failures last."""
        head = (
            f"{self.requests} requests in {self.seconds:.0f} s: {len(self.failures)} failed, "
            f"{len(self.degraded)} degraded; {self.reopened} connections reopened; "
            f"{self.ordered} ordered, {self.sold} sold; "
            f"p50 {self.p50:.0f} ms, p99 {self.p99:.0f} ms, max {self.slowest:.0f} ms"
        )
        return "\n".join([head, *(map(_line, (*self.failures, *self.degraded)))])


def _line(answer: Answer) -> str:
    took = f"after {answer.seconds:.2f} s"
    return f"  {answer.due:7.2f} s  {answer.request}: {answer.problem}, {took}"


@dataclass(kw_only=True)
class Load:
    """Load on a shop, from ``start()`` to ``stop()``."""

    url: str
    rate: float = 50
    """Requests per second."""
    _begun: float = field(default=0, init=False)
    _sold_before: int = field(default=0, init=False)
    _answers: list[Answer] = field(default_factory=list, init=False)
    _due: queue.SimpleQueue[int | None] = field(default_factory=queue.SimpleQueue, init=False)
    _workers: list[threading.Thread] = field(default_factory=list, init=False)
    _idle: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0), init=False)
    _stopped: threading.Event = field(default_factory=threading.Event, init=False)
    _clock: threading.Thread | None = field(default=None, init=False)

    def start(self) -> Load:
        """Begin; the shop must answer."""
        self._sold_before = self._sold()
        self._begun = time.monotonic()
        self._clock = threading.Thread(target=self._tick, daemon=True)
        self._clock.start()
        return self

    def stop(self) -> Report:
        """Send no more, wait for what is under way, and report."""
        seconds = time.monotonic() - self._begun
        self._stopped.set()
        if self._clock is not None:
            self._clock.join()
        for _ in self._workers:
            self._due.put(None)
        for worker in self._workers:
            worker.join()
        return self._report(seconds)

    def _tick(self) -> None:
        """Hand out one request after the other, each when it is due."""
        number = 0
        while not self._stopped.wait(max(0, self._begun + number / self.rate - time.monotonic())):
            if not self._idle.acquire(blocking=False) and len(self._workers) < WORKERS:
                worker = threading.Thread(target=self._work, daemon=True)
                self._workers.append(worker)
                worker.start()
            self._due.put(number)
            number += 1

    def _work(self) -> None:
        kept = self._connection()
        while (number := self._due.get()) is not None:
            # Each kind of connection meets each kind of request.
            fresh, visit = number % 2 == 1, VISITS[number // 2 % len(VISITS)]
            connection = self._connection() if fresh else kept
            self._answers.append(self._visit(connection, visit, number / self.rate))
            if fresh:
                connection.close()
            self._idle.release()
        kept.close()

    def _visit(self, connection: http.client.HTTPConnection, visit: Visit, due: float) -> Answer:
        reused, problem = connection.sock is not None, GOOD
        body, headers = None, {}
        if visit.method == "POST":
            body = json.dumps({"sku": SKU, "quantity": 1})
            headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
        reopened = False
        try:
            try:
                connection.request(visit.method, visit.path, body, headers)
                response = connection.getresponse()
            except ConnectionError:  # no byte of an answer
                connection.close()
                if not reused:
                    raise
                reopened = True
                connection.request(visit.method, visit.path, body, headers)
                response = connection.getresponse()
            text = response.read().decode()
            if response.status == visit.status:
                problem = visit.judge(text)
            else:
                problem = f"status {response.status} {text[:200]!r}"
        except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError) as error:
            connection.close()
            problem = f"{type(error).__name__}: {error}"
        seconds = time.monotonic() - self._begun - due
        if seconds > TIMEOUT and not problem:
            problem = "too late"
        return Answer(
            due=due,
            seconds=seconds,
            request=f"{visit.method} {visit.path}",
            problem=problem,
            reopened=reopened,
        )

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=TIMEOUT)

    def _sold(self) -> int:
        """Return how many pieces of what the load orders the shop says it has sold."""
        connection = self._connection()
        connection.request("GET", "/api/orders/bestsellers")
        entries = json.loads(connection.getresponse().read())["bestsellers"]
        connection.close()
        return sum(entry["quantity"] for entry in entries if entry["sku"] == SKU)

    def _report(self, seconds: float) -> Report:
        answers = sorted(self._answers, key=lambda answer: answer.due)
        slow = sorted(answer.seconds * 1000 for answer in answers)
        orders = (answer for answer in answers if answer.request.startswith("POST"))
        return Report(
            seconds=seconds,
            requests=len(answers),
            failures=tuple(one for one in answers if one.problem not in {GOOD, DEGRADED}),
            degraded=tuple(one for one in answers if one.problem == DEGRADED),
            reopened=sum(answer.reopened for answer in answers),
            ordered=sum(not answer.problem for answer in orders),
            sold=self._sold() - self._sold_before,
            p50=_percentile(slow, 50),
            p99=_percentile(slow, 99),
            slowest=slow[-1] if slow else math.nan,
        )


def _percentile(ordered: list[float], percent: int) -> float:
    """Return the smallest value that so many percent don't exceed (nearest rank)."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else math.nan


def main(arguments: list[str]) -> int:
    """Run a load, print its report, and return 1 if a request failed or an order was doubled."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("url")
    parser.add_argument("--rate", type=float, default=50, help="requests per second")
    parser.add_argument("--seconds", type=float, default=120)
    options = parser.parse_args(arguments)
    load = Load(url=options.url, rate=options.rate).start()
    with contextlib.suppress(KeyboardInterrupt):
        time.sleep(options.seconds)
    report = load.stop()
    sys.stdout.write(f"{report}\n")
    return int(bool(report.failures) or report.sold != report.ordered)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
