"""What a check came to, stored beside the image in the registry as a referrer.

It is there for people, and goes with the image where that is promoted. No decision is taken from
it: whoever may push could have written it (docs/adr/0007-what-is-trusted.md).
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.core.errors import DamagedInRegistry, NotFoundInRegistry
from aksci.core.strict_json import MALFORMED
from aksci.core.text import one_line
from aksci.oci.artifact import CREATED, Content, canonical_json, push_artifact, read_artifact

if TYPE_CHECKING:
    from datetime import datetime

    from aksci.images.validate.checks import Check
    from aksci.images.validate.image_runner import CheckOutcome
    from aksci.oci.manifest import Descriptor
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry

__all__ = [
    "ARTIFACT_TYPE",
    "Validation",
    "how_it_ended",
    "judge",
    "read_validation",
    "shown_log",
    "store",
]

ARTIFACT_TYPE = "application/vnd.aksci.validation.v1+json"
_SPEC, _PASSED, _FINDING = (
    f"dev.aksci.validation.{word}" for word in ("spec", "passed", "finding")
)
# What shells and runtimes answer for a program that can't be executed, or that is not there.
_NOT_EXECUTABLE = frozenset({126, 127})
_LARGEST = 1 << 20  # bytes of a result
_SHORT = 400  # characters of what a runtime or a probe says
_EXEC_ERRORS = ("exec format error", "no such file or directory", "permission denied")


@dataclass(frozen=True, kw_only=True)
class Validation:
    """One image's result."""

    image: str
    ref: ImageRef
    passed: bool
    finding: str
    """One sentence without its full stop: ``its command ended with status 0``."""
    advice: str = ""
    """How a pass could mean more, where it means little."""
    spec: str = ""
    """``spec_hash`` of what was asked; empty when nothing was."""
    check: Check | None = None
    """None: remembered, or not asked."""
    outcome: CheckOutcome | None = None
    platform: str = ""
    stored: ImageRef | None = None
    remembered: bool = False
    """It passed before, as a run of ours has seen or a trusted signature says."""

    def document(self) -> dict[str, Any]:
        """Return what is stored. Values of variables are not in it, only their names."""
        check, outcome = self.check, self.outcome
        return {
            "schema": 1,
            "image": self.image,
            "digest": self.ref.digest,
            "passed": self.passed,
            "finding": self.finding,
            "spec": self.spec,
            "kind": check.kind if check else None,
            "argv": list(check.argv) if check else [],
            "probe": list(check.probe) if check else [],
            "variables": sorted(check.env) if check else [],
            "timeout": check.timeout if check else None,
            "engine": outcome.engine if outcome else None,
            "platform": self.platform or None,
            "seconds": round(outcome.seconds, 3) if outcome else 0,
            "exitCode": outcome.exit_code if outcome else None,
            "log": outcome.log if outcome else "",
        }


def judge(check: Check, outcome: CheckOutcome) -> tuple[bool, str]:
    """Decide whether an image runs as it must, and say in one sentence what was seen."""
    if not outcome.started:
        return False, f"it can't be started: {one_line(outcome.refusal, _SHORT)}"
    by_kind = {"command": _judge_command, "health": _judge_health}
    return by_kind.get(check.kind, _judge_start)(check, outcome)


def _judge_command(check: Check, outcome: CheckOutcome) -> tuple[bool, str]:
    if outcome.exit_code == 0:
        return True, "its command ends with status 0"
    what = f"its command {shlex.join(check.argv)}"
    if outcome.exit_code is None:
        return False, f"{what} did not end within {check.timeout:g} s"
    return False, f"{what} {how_it_ended(outcome)}"


def _judge_health(check: Check, outcome: CheckOutcome) -> tuple[bool, str]:
    if outcome.healthy:
        return True, f"its health check passes after {outcome.seconds:.1f} s"
    what = f"its health check {shlex.join(check.probe)}"
    if outcome.exit_code is not None:
        return False, f"its process {how_it_ended(outcome)} before {what} could pass"
    last = (
        f"; its last output: {one_line(outcome.probe_output, _SHORT)}"
        if outcome.probe_output
        else ""
    )
    return False, f"{what} did not pass within {check.timeout:g} s{last}"


def _judge_start(check: Check, outcome: CheckOutcome) -> tuple[bool, str]:
    if outcome.exit_code is None:
        return True, "its process starts and keeps running"
    if outcome.exit_code in _NOT_EXECUTABLE or _exec_failed(check, outcome):
        return False, f"its process can't be executed: it {how_it_ended(outcome)}"
    # Most services end where their database is missing: that is no fault of the image.
    return True, f"its process starts, and {how_it_ended(outcome)} by itself"


def store(registry: Registry, validation: Validation, *, run: str, now: datetime) -> ImageRef:
    """Store a result beside its image, passing or not."""
    document = {**validation.document(), "run": run}
    return push_artifact(
        registry,
        validation.ref.repository,
        artifact_type=ARTIFACT_TYPE,
        layers=[Content(media_type=ARTIFACT_TYPE, content=canonical_json(document))],
        annotations={
            CREATED: now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            _SPEC: validation.spec,
            _PASSED: "true" if validation.passed else "false",
            _FINDING: validation.finding[:_SHORT],
        },
        subject=validation.ref,
    )


def read_validation(registry: Registry, ref: ImageRef, one: Descriptor) -> tuple[str, bool] | None:
    """Return which check a stored result is of, and whether it passed; None: it is none.

    :param one: as ``find_artifacts`` gives it.
    :raises RegistryError: the registry can't be asked.
    """
    try:
        artifact = read_artifact(
            registry,
            ref.repository,
            one.digest,
            artifact_type=ARTIFACT_TYPE,
            subject=ref.digest,
        )
        document = artifact.read_json(largest=_LARGEST)
        if document["digest"] != ref.digest or not isinstance(document["spec"], str):
            return None
        return document["spec"], document["passed"] is True
    except (NotFoundInRegistry, DamagedInRegistry, *MALFORMED):
        return None


def how_it_ended(outcome: CheckOutcome) -> str:
    """Say how a process ended, as the rest of a sentence about it."""
    if outcome.out_of_memory:
        return f"was ended for using too much memory (status {outcome.exit_code})"
    return f"ended with status {outcome.exit_code}"


def shown_log(outcome: CheckOutcome) -> str:
    """Return what a message ends with: the process's last output; empty where it said nothing."""
    if not outcome.log:
        return ""
    return "\n\n" + "\n".join(f"  {line}" for line in outcome.log.splitlines())


def _exec_failed(check: Check, outcome: CheckOutcome) -> bool:
    """Tell whether the runtime's own process could not become the image's.

    runc has told its caller by then that the container runs; it writes one line into the
    container's log, and nothing else remains of it. An image for another machine, and a program
    whose loader is missing, fail so.
    """
    lines = outcome.log.splitlines()
    if outcome.exit_code in {None, 0} or len(lines) != 1:
        return False
    program = check.argv[0].rpartition("/")[2]
    return any(
        (lines[0].startswith("exec /") and lines[0].endswith(f"/{program}: {error}"))
        or lines[0].endswith(f"exec user process caused: {error}")  # runc 1.0
        for error in _EXEC_ERRORS
    )
