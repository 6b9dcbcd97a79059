"""The session ``export``: what another service needs to do the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci import steps
from aksci.errors import UsageError

if TYPE_CHECKING:
    from aksci import Environment

__all__ = ["export"]

_ACR_TASKS = "acr-tasks"


def export(env: Environment, *, words: tuple[str, ...] = (), output: str | None = None) -> None:
    """Write task files, scripts and an ARM template for ACR Tasks; warn of what they can't do.

    :param output: the folder.
    :raises ConfigError: ACR Tasks can build none of the images.
    """
    if words != (_ACR_TASKS,):
        asked = " ".join(words) or "nothing"
        raise UsageError(
            f"export can't write {asked}; it writes: {_ACR_TASKS}.",
            hint=f"nox -s export -- {_ACR_TASKS}",
        )
    steps.export_acr_tasks(env, output)
