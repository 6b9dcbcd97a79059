"""Which release to go back to. Going there is an ordinary deployment, without its pre steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.errors import UsageError

if TYPE_CHECKING:
    from aksci.deploy.state.deploy_record import DeployRecord

__all__ = ["choose_release"]

_SHORTEST = 6  # digits of a digest that name a release


def choose_release(record: DeployRecord, to: str | None) -> str:
    """Return the reference of the release to roll back to, from the cluster's history.

    A rollback that has not ended well is continued: repeating the command never leads on to the
    release that was to be left.

    :param to: a reference, a digest, or at least the first 6 digits of one; None for the
        release before the current one.
    :raises UsageError: the history has no such release.
    """
    earlier = [each.release for each in record.history]
    if to is None:
        if record.attempt and record.rollback:
            return record.attempt
        # A deployment that has not ended well is what is to be undone: back to the last complete
        # one.
        unfinished = bool(record.attempt) and record.attempt != record.current
        candidates = earlier if unfinished else _before_current(record)
        if not candidates:
            raise UsageError(
                "There is no earlier release in this namespace's history to roll back to.",
                hint="nox -s status shows what is deployed.",
            )
        return candidates[-1]
    found = {release for release in earlier if _matches(release, to)}
    # A set: a release that was deployed several times is one.
    if len(found) != 1:
        known = "\n".join(f"  {release}" for release in reversed(earlier)) or "  none"
        what = "More than one release" if found else "No release"
        raise UsageError(
            f"{what} in this namespace's history is {to!r}. Known, newest first:\n{known}"
        )
    return found.pop()


def _before_current(record: DeployRecord) -> list[str]:
    """Return what was deployed before the current release was deployed for the first time.

    After R1, R2 and the way back to R1, R2 is what was left, not what came before.
    """
    earlier = [each.release for each in record.history]
    first = earlier.index(record.current) if earlier else 0
    if first and first == len(earlier) - 1 and record.history[first].rollback:
        return []  # its first deployment is older than the history
    return earlier[:first]


def _matches(release: str, to: str) -> bool:
    digits = release.rpartition("sha256:")[2]
    given = to.rpartition("sha256:")[2]
    return release == to or (
        len(given) >= _SHORTEST and "/" not in given and digits.startswith(given)
    )
