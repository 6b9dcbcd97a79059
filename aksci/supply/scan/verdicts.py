"""The verdicts on a build's images: ``Verdicts``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.core.errors import GateError, UsageError
from aksci.core.once import once
from aksci.supply.scan.gate import require_pass

if TYPE_CHECKING:
    import datetime as dt

    from aksci.config.supply_models import ScanConfig
    from aksci.supply.scan.verdict import Verdict

__all__ = ["Verdicts"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Verdicts(Mapping[str, "Verdict"]):
    """What the gate has decided: image -> ``Verdict``. Each is stored beside its image."""

    found: Mapping[str, Verdict]
    policy: ScanConfig
    """[scan], by which it was decided."""
    environment: str
    """Whose scanner was asked."""
    now: dt.datetime
    complete: bool = True
    """They cover every image of the project, so that an ignore which none uses is a leftover."""
    earlier: Callable[[], Mapping[str, Verdict] | None] = lambda: None
    """Reads those of the last release."""

    def __getitem__(self, name: str) -> Verdict:
        return self.found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    @property
    def passed(self) -> bool:
        """Whether each image has passed. ``require`` also looks for ignores that are leftovers."""
        return all(verdict.passed for verdict in self.values())

    @once
    def before(self) -> Mapping[str, Verdict] | None:
        """Those of the last release, to tell what changed since; None: there is none to trust."""
        return self.earlier()

    def require_environment(self, name: str) -> None:
        """Refuse verdicts of another environment.

        :raises UsageError: another scanner, or one with another database, has decided.
        """
        if self.environment != name:
            raise UsageError(
                f"The verdicts are of {self.environment!r}, not {name!r}.",
                hint="scan the build where it is signed: its scanner may be another one.",
            )

    def require(self) -> Verdicts:
        """Return them, if every image passed and every ignore is still needed and valid.

        :raises GateError: naming each offender; its ``verdicts`` are these.
        """
        try:
            require_pass(self.values(), policy=self.policy, now=self.now, complete=self.complete)
        except GateError as error:
            error.verdicts = self
            raise
        return self
