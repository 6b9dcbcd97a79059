"""How an environment is: the local platform under it, where it has that, and what runs in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aksci.deploy.namespace_status import NamespaceStatus
    from aksci.local.platform import PlatformStatus

__all__ = ["EnvironmentStatus"]


@dataclass(frozen=True, kw_only=True)
class EnvironmentStatus:
    """One environment, looked at."""

    platform: PlatformStatus | None
    """The embedded platform's parts; None where the environment has another one."""
    namespace: NamespaceStatus | None
    """What runs; None where the embedded platform, or its Kubernetes, is not up."""

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        parts = self.platform.parts if self.platform else ()
        return {
            "schema": 1,
            "platform": [
                {
                    "name": part.name,
                    "healthy": part.healthy,
                    "address": part.address,
                    "pid": part.pid,
                }
                for part in parts
            ],
            "environment": self.namespace.as_json() if self.namespace else None,
        }

    def text(self) -> str:
        """Return it for people."""
        parts = self.platform.parts if self.platform else ()
        lines = [
            f"{'ok  ' if part.healthy else 'DOWN'}  {part.name:20} {part.address}" for part in parts
        ]
        if self.namespace is None:
            what = "Kubernetes" if self.platform and self.platform.healthy else "the local platform"
            lines.append(f"{what} is not up: nox -s up")
        else:
            lines += ["", self.namespace.text()]
        return "\n".join(lines)
