"""What the edge knows and the core is handed: one ``Context`` a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from aksci.config.deploy_models import EnvironmentConfig
    from aksci.config.models import Config
    from aksci.core.process import Runner
    from aksci.core.reporting import Reporter

__all__ = ["Context"]


@dataclass(frozen=True, kw_only=True)
class Context:
    """One run's surroundings, made at the edge and never changed."""

    root: Path
    """The folder of aksci.toml, absolute."""
    config: Config
    environment_name: str
    environment: EnvironmentConfig
    variables: Mapping[str, str]
    """The process's environment variables."""
    now: Callable[[], datetime]
    """The clock, in UTC."""
    runner: Runner
    reporter: Reporter
    cache: Path
    """Per-user cache: tools, scanner database. Losing it costs only time."""
    state: Path
    """Per-user state: the embedded platform. One platform a machine and user."""
    run_id: str

    @property
    def work(self) -> Path:
        """The project's ``.aksci`` folder: run records, the last build and the last release."""
        return self.root / ".aksci"
