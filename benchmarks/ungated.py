"""``python -m benchmarks.ungated``: the session ``cascade`` without its gate, to be measured.

The peer neither scans nor signs, and ``cascade`` has no option to leave that out. This is the same
edge, the same rebuild and the same report; only the images have no gate to pass. Where the project
has no release, none is made; the stable tags move as ever.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from aksci import steps
from aksci.cli.edge import run_session
from aksci.cli.sessions import SESSIONS, SessionSpec
from aksci.steps.cascade_parts import keep, open_scope
from aksci.steps.cascade_step import rebuild

if TYPE_CHECKING:
    from aksci.environment import Environment

__all__ = ["cascade"]

_NAME = "cascade-ungated"


def cascade(env: Environment) -> None:
    """Make again what is based on images from outside that moved, whatever is in it.

    :raises AksciError: an image failed.
    """
    began = time.monotonic()
    done = keep(env, rebuild(env, open_scope(env), None, batch=False, began=began))
    steps.show(env, done)
    done.require()


if __name__ == "__main__":
    spec = SessionSpec(
        name=_NAME,
        summary="",
        target="benchmarks.ungated:cascade",
        options=SESSIONS["cascade"].options,
    )
    sys.exit(run_session(spec, sys.argv[1:]))
