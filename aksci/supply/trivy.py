"""Trivy: what it is started with, and what counts as an answer.

It reads ``trivy.yaml``, ``.trivyignore`` and ``trivy-secret.yaml`` from its working directory and
``TRIVY_*`` from its environment: a pull request could silence the gate. It gets none of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from aksci.errors import GateError, ProcessError
from aksci.supply.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

    from aksci.process import Runner
    from aksci.registry.refs import ImageRef
    from aksci.supply.database import Database

__all__ = ["Scanner", "TrivyScanner", "read_release", "scan_argv"]


class Scanner(Protocol):
    """Reports what is in one image. It decides nothing."""

    @property
    def version(self) -> str:
        """Name and version: part of a verdict's key."""

    @property
    def database(self) -> Database:
        """What it compares with."""

    def scan(self, ref: ImageRef, *, secrets: bool) -> dict[str, Any]:
        """Return Trivy's JSON report (schema 2) on one manifest.

        :raises GateError: it could not scan, which is never clean.
        """


@dataclass(frozen=True, kw_only=True)
class TrivyScanner:
    """Trivy over the registry, by digest. Safe in several threads and processes.

    Trivy's layer cache serves one process at a time. Scans take turns: with the cache, an image
    whose base is known takes a tenth of a second, so that turns beat separate caches.
    """

    trivy: Path
    cache: Path
    """For layers that were seen; any number of projects may share it."""
    runner: Runner
    database: Database
    release: str
    """Trivy's version, as ``read_release`` tells it."""
    timeout: float = 600
    """Seconds for one image."""
    docker_config: Path | None = None
    """Credentials to read from the registry, where it asks for any."""
    version: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "version", f"trivy {self.release}")

    def scan(self, ref: ImageRef, *, secrets: bool) -> dict[str, Any]:
        """Return Trivy's JSON report on one manifest."""
        from filelock import FileLock

        self.cache.mkdir(parents=True, exist_ok=True)
        with (
            FileLock(self.cache / "lock"),
            Sandbox(self.runner.environment, docker_config=self.docker_config) as sandbox,
        ):
            self._link_database()
            report = sandbox.files / "report.json"
            try:
                self.runner.run(
                    scan_argv(
                        self.trivy,
                        ref,
                        cache=self.cache,
                        report=report,
                        config=sandbox.write("trivy.yaml", "{}\n"),
                        ignorefile=sandbox.write("ignore", ""),
                        secrets=secrets,
                        timeout=self.timeout,
                    ),
                    cwd=sandbox.empty,
                    env=sandbox.environment,
                    only_env=True,
                    timeout=self.timeout + 10,
                )
            except ProcessError as error:
                raise GateError(
                    f"{ref} could not be scanned, so it does not pass.\n\n{error.output}".rstrip()
                ) from None
            return _read(report, ref)

    def _link_database(self) -> None:
        """Make the cache use this database; the lock is held."""
        link = self.cache / "db"
        target = self.database.folder / "db"
        if link.is_symlink() and link.readlink() == target:
            return
        link.unlink(missing_ok=True)
        link.symlink_to(target, target_is_directory=True)


def read_release(trivy: Path, runner: Runner) -> str:
    """Ask Trivy for its version.

    :raises GateError: it does not tell.
    """
    with Sandbox(runner.environment) as sandbox:
        config = sandbox.write("trivy.yaml", "{}\n")
        result = runner.run(
            [trivy, "version", "--format=json", f"--config={config}"],
            cwd=sandbox.empty,
            env=sandbox.environment,
            only_env=True,
            timeout=60,
            quiet=True,
        )
    try:
        return str(json.loads(result.stdout)["Version"])
    except (ValueError, KeyError, TypeError):
        raise GateError(f"{trivy} does not tell its version.") from None


def scan_argv(
    trivy: Path,
    ref: ImageRef,
    *,
    cache: Path,
    report: Path,
    config: Path,
    ignorefile: Path,
    secrets: bool,
    timeout: float,
) -> tuple[str, ...]:
    """Return the whole command line of one scan."""
    return (
        str(trivy),
        "image",
        "--quiet",
        "--image-src=remote",
        "--format=json",
        f"--output={report}",
        f"--scanners={'vuln,secret' if secrets else 'vuln'}",
        "--pkg-types=os,library",
        "--severity=UNKNOWN,LOW,MEDIUM,HIGH,CRITICAL",
        "--skip-db-update",
        "--skip-java-db-update",
        "--offline-scan",
        "--skip-version-check",
        "--disable-telemetry",
        f"--cache-dir={cache}",
        f"--config={config}",
        f"--secret-config={config}",
        f"--ignorefile={ignorefile}",
        f"--timeout={timeout:.0f}s",
        str(ref),
    )


def _read(path: Path, ref: ImageRef) -> dict[str, Any]:
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise GateError(
            f"Trivy ended without a readable report on {ref} ({error}), so it does not pass."
        ) from None
    if not isinstance(report, dict):
        raise GateError(f"Trivy's report on {ref} is not an object, so it does not pass.")
    return report
