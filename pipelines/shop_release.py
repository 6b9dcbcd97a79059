"""The shop's release: what was built serves its page under load before it is signed."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TYPE_CHECKING

from aksci import steps
from aksci.errors import AksciError

if TYPE_CHECKING:
    from aksci import Environment
    from aksci.values import BuiltImage, HttpAnswer, RunningImage

__all__ = ["SmokeError", "load_test", "release"]

_THREADS = 32
_SECONDS = 4.0
_PATIENCE = 5.0
"""Seconds for one answer: the gateway gives the other services one, and then goes without them."""


class SmokeError(AksciError):
    """A built image does not bear the load of a smoke test."""

    code = "smoke"
    exit_status = 64


def release(env: Environment, *, only: tuple[str, ...] = ()) -> None:
    """Build what changed, check it, also under load, and bring it to the cluster.

    :raises SmokeError: the gateway failed requests; nothing is signed then.
    """
    build = steps.build(env, only=only)
    steps.validate(env, build)
    verdicts = steps.scan(env, build)
    if "gateway" in build.images:  # --only may leave it out
        load_test(env, build.images["gateway"])
    steps.sign(env, build, verdicts)
    made = steps.publish(env, build, verdicts)
    if made:
        steps.deploy(env, made)


def load_test(
    env: Environment, image: BuiltImage, *, threads: int = _THREADS, seconds: float = _SECONDS
) -> None:
    """Ask a built image for its page from several threads, and count what fails.

    It is the gateway, which needs no database. The other services are not there: their parts of
    the page are then missing, and it must be served all the same.

    :param seconds: how long each thread goes on.
    :raises SmokeError: a request was not answered with 200.
    """
    with (
        env.reporter.group("load test"),
        steps.run_image(env, image, port=8080, ready="/healthz") as running,
        ThreadPoolExecutor(threads) as pool,
    ):
        asked = [pool.submit(_ask_for, running, seconds) for _ in range(threads)]
        answers = [answer for each in asked for answer in each.result()]
    failed = [answer for answer in answers if answer.status != HTTPStatus.OK]
    env.note("load-test", {"requests": len(answers), "failed": len(failed), "threads": threads})
    env.reporter.line(f"{len(answers)} requests, {len(failed)} failed")
    if failed:
        raise SmokeError(
            f"{image.name} failed {len(failed)} of {len(answers)} requests for its page; the first "
            f"with {failed[0].status}: {failed[0].text[:200]}",
            hint="look at its limits and time-outs: it is asked as in pipelines/shop_release.py.",
        )


def _ask_for(running: RunningImage, seconds: float) -> list[HttpAnswer]:
    """Ask for the page again and again for so many seconds."""
    end = time.monotonic() + seconds
    answers = []
    while time.monotonic() < end:
        answers.append(running.get("/", timeout=_PATIENCE))
    return answers
