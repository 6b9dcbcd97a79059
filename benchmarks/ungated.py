"""``python -m benchmarks.ungated``: the session ``cascade`` without its gate, to be measured.

The peer neither scans nor signs, and ``cascade`` has no option to leave that out. This is the same
edge, the same ``Cascading`` and the same report; only ``CascadeRun`` is given no gate. Where the
project has no release, none is made; the stable tags move as ever.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from aksci.cascade.base_policy import check_policy
from aksci.cli.edge import run_session
from aksci.cli.sessions import SESSIONS, SessionSpec
from aksci.pipelines.cascade import report_of
from aksci.pipelines.cascade_images import Cascading
from aksci.pipelines.output import deliver
from aksci.report.cascade_formats import cascade_text, save_cascade_report
from aksci.steps.graph_step import graph as project_graph

if TYPE_CHECKING:
    from aksci.cascade.cascade_run import CascadeRun
    from aksci.cli.options import Options
    from aksci.environment import Environment

__all__ = ["cascade"]

_NAME = "cascade-ungated"


class _Ungated(Cascading):
    def _run(self) -> CascadeRun:
        run = super()._run()
        run.gate = None
        return run


def cascade(env: Environment, options: Options) -> dict[str, Any]:
    """Make again what is based on images from outside that moved, whatever is in it.

    :raises AksciError: an image failed.
    """
    began = time.monotonic()
    check_policy(env.config.cascade)
    graph = project_graph(env)
    work = _Ungated(env=env, graph=graph, only=None, batch=False, planning=False)
    done = work.apply()
    report = report_of(env, done, began, planned=False)
    save_cascade_report(env.work, report)
    deliver(env, options, cascade_text(report))
    if done.error:
        raise done.error
    return {}


if __name__ == "__main__":
    spec = SessionSpec(
        name=_NAME,
        summary="",
        target="benchmarks.ungated:cascade",
        options=SESSIONS["cascade"].options,
    )
    sys.exit(run_session(spec, sys.argv[1:]))
