"""The session ``cascade``: drift → rebuild → scan → sign → release → tags → deploy, in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci import steps
from aksci.errors import WORK_TO_DO

if TYPE_CHECKING:
    from aksci import Environment

__all__ = ["cascade"]


def cascade(
    env: Environment,
    *,
    base: tuple[str, ...] = (),
    batch: bool = False,
    registry_wide: bool = False,
    plan: bool = False,
    exit_code: bool = False,
    format: str = "text",
    output: str | None = None,
) -> int | None:
    """Make again what is based on images from outside that moved, and bring it to where it runs.

    :raises AksciError: something failed; what did not need it is done nevertheless.
    """
    steps.require_showable(env, "Cascade", format=format, output=output)
    start = steps.plan_cascade if plan else steps.cascade
    done = start(env, bases=base, batch=batch, registry_wide=registry_wide)
    if registry_wide:
        done = steps.ask_owners(env, done)
    done = steps.deploy_cascade(env, done)
    steps.summarise(env, done)
    steps.show(env, done, format=format, output=output)
    done.require()
    return WORK_TO_DO if plan and exit_code and done.to_do else None
