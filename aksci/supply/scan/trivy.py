"""Trivy: what it is started with, and what counts as an answer.

It reads ``trivy.yaml``, ``.trivyignore`` and ``trivy-secret.yaml`` from its working directory and
``TRIVY_*`` from its environment: a pull request could silence the gate. It gets none of them.
Nor does it get a credential or another network than the view of the image: see ``image_view``.
Its cache serves one process at a time: each running scan holds a cache folder of its own.
"""

from __future__ import annotations

import json
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aksci.core.errors import GateError, ProcessError
from aksci.core.strict_json import MALFORMED, parse_json
from aksci.core.text import short_line
from aksci.supply.sandbox import Sandbox
from aksci.supply.scan.image_view import restore
from aksci.supply.scan.java_index import JAVA_HINT
from aksci.supply.scan.layer_registry import read_view, serve_view
from aksci.supply.scan.sbom import SbomFormat, make_reproducible, without_findings
from aksci.supply.scan.scan_evidence import LARGEST_REPORT, MOST_IN_REPORT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from filelock import FileLock

    from aksci.core.process import Runner
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry
    from aksci.supply.scan.database import TrivyDatabase
    from aksci.supply.scan.image_view import View

__all__ = ["TrivyScanner", "hold_cache_folder", "read_release", "sbom_argv", "scan_argv"]

_ORDER = ("vuln", "secret", "misconfig", "license")
_IN_CONFIGURATION = ("secret", "misconfig")


@dataclass(frozen=True, kw_only=True)
class TrivyScanner:
    """Trivy over a view of an image in the registry. Safe in several threads and processes.

    Trivy's layer cache serves one process at a time, so that there are a few of them.
    """

    trivy: Path
    cache: Path
    """For layers that were seen; any number of projects may share it."""
    registry: Registry
    """Where the images are; only this process talks to it."""
    runner: Runner
    database: TrivyDatabase
    release: str
    """Trivy's version, as ``read_release`` tells it."""
    timeout: float = 600
    """Seconds for one image."""
    cache_folders: int = 2
    """Scans at the same time, each with its own."""
    version: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "version", f"trivy {self.release}")

    def scan(self, ref: ImageRef, *, scanners: frozenset[str]) -> dict[str, Any]:
        """Return Trivy's JSON report on one manifest."""
        view = read_view(self.registry, ref)
        with hold_cache_folder(self.cache, self.cache_folders, self.database.folder) as cache:
            return self._scan(view, ref, cache, scanners)

    def _scan(
        self, view: View, ref: ImageRef, cache: Path, scanners: frozenset[str]
    ) -> dict[str, Any]:
        with (
            Sandbox(self.runner.environment, offline=True) as sandbox,
            serve_view(view, self.registry, ref) as served,
        ):
            report = sandbox.files / "report.json"
            argv = scan_argv(
                self.trivy,
                served.name,
                cache=cache,
                report=report,
                config=sandbox.write("trivy.yaml", "{}\n"),
                ignorefile=sandbox.write("ignore", ""),
                scanners=scanners,
                timeout=self.timeout,
            )
            said = ""
            try:
                self._run(argv, sandbox)
            except ProcessError as error:
                said = error.output.replace(str(served.name), str(ref)) or error.message
            problem = served.problem()
            if problem:  # what Trivy remembers of a layer may be less than all of it
                shutil.rmtree(cache / "fanal", ignore_errors=True)
            if problem or said:
                raise GateError(
                    f"{ref} could not be scanned, so it does not pass.\n\n"
                    + "\n\n".join(filter(None, (problem, said))),
                    hint=None if (cache / "java-db" / "metadata.json").exists() else JAVA_HINT,
                )
            return restore(_read(report, ref), view, served.name, ref)

    def make_sbom(self, report: dict[str, Any], form: SbomFormat) -> dict[str, Any]:
        """Return a report's packages as a bill of materials. It needs no cache, no network."""
        name = short_line(report.get("ArtifactName"))
        with Sandbox(self.runner.environment) as sandbox:
            path = sandbox.files / "sbom.json"
            argv = sbom_argv(
                self.trivy,
                sandbox.write("report.json", json.dumps(without_findings(report))),
                form=form,
                output=path,
                cache=sandbox.files / "cache",
                config=sandbox.write("trivy.yaml", "{}\n"),
                ignorefile=sandbox.write("ignore", ""),
            )
            try:
                self._run(argv, sandbox)
            except ProcessError as error:
                raise GateError(
                    f"The bill of materials of {name} could not be made.\n\n{error.output}".rstrip()
                ) from None
            return make_reproducible(_read(path, name), form)

    def _run(self, argv: tuple[str, ...], sandbox: Sandbox) -> None:
        self.runner.run(
            argv,
            cwd=sandbox.empty,
            env=sandbox.environment,
            only_env=True,
            timeout=self.timeout + 10,
        )


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
        return str(parse_json(result.stdout)["Version"])
    except MALFORMED:
        raise GateError(f"{trivy} does not tell its version.") from None


def scan_argv(
    trivy: Path,
    ref: ImageRef,
    *,
    cache: Path,
    report: Path,
    config: Path,
    ignorefile: Path,
    scanners: frozenset[str],
    timeout: float,
) -> tuple[str, ...]:
    """Return the whole command line of one scan.

    Misconfigurations are looked for with the checks that Trivy has in itself.
    """
    configuration = ",".join(name for name in _IN_CONFIGURATION if name in scanners)
    return (
        str(trivy),
        "image",
        "--quiet",
        "--image-src=remote",
        "--format=json",
        f"--output={report}",
        f"--scanners={','.join(name for name in _ORDER if name in scanners)}",
        *((f"--image-config-scanners={configuration}",) if configuration else ()),
        # Everything is listed, whatever its severity: the policy decides, and Trivy only reports.
        "--list-all-pkgs",
        "--pkg-types=os,library",
        "--severity=UNKNOWN,LOW,MEDIUM,HIGH,CRITICAL",
        # No network: the database is the one that the verdict names, and Trivy tells nobody of us.
        "--skip-db-update",
        "--skip-java-db-update",
        "--skip-check-update",
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


def sbom_argv(
    trivy: Path,
    report: Path,
    *,
    form: SbomFormat,
    output: Path,
    cache: Path,
    config: Path,
    ignorefile: Path,
) -> tuple[str, ...]:
    """Return the whole command line that makes a bill of materials of a report."""
    return (
        str(trivy),
        "convert",
        "--quiet",
        f"--format={'spdx-json' if form == 'spdx' else form}",
        f"--output={output}",
        f"--cache-dir={cache}",
        f"--config={config}",
        f"--ignorefile={ignorefile}",
        str(report),
    )


def _read(path: Path, ref: ImageRef | str) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_REPORT:
            raise ValueError(f"it has more than {LARGEST_REPORT >> 20} MiB")  # noqa: TRY301
        report = parse_json(path.read_bytes(), largest=LARGEST_REPORT, most_values=MOST_IN_REPORT)
    except (OSError, ValueError) as error:
        raise GateError(
            f"Trivy ended without a readable report on {ref} ({short_line(error)}), so it does "
            "not pass."
        ) from None
    if not isinstance(report, dict):
        raise GateError(f"Trivy's report on {ref} is not an object, so it does not pass.")
    return report


_PAUSE = 0.05  # seconds


@contextmanager
def hold_cache_folder(cache: Path, count: int, database: Path) -> Iterator[Path]:
    """Hold the first free one of a few cache folders, for as long as one scan takes.

    Threads and processes wait for one another; a killed process lets go of its folder.

    :param database: Trivy's cache folder with the ``db`` and ``java-db`` that the scan shall use.
    """
    folder, lock = _acquire(cache, count)
    try:
        for name in ("db", "java-db"):
            _link(folder / name, database / name)
        yield folder
    finally:
        lock.release()


def _acquire(cache: Path, count: int) -> tuple[Path, FileLock]:
    from filelock import FileLock, Timeout

    folders = [cache / f"slot-{number}" for number in range(max(1, count))]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    while True:
        for folder in folders:
            lock = FileLock(folder / "lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            return folder, lock
        time.sleep(_PAUSE)


def _link(link: Path, target: Path) -> None:
    """Make a cache use a database; its lock is held."""
    if link.is_symlink() and link.readlink() == target:
        return
    link.unlink(missing_ok=True)
    link.symlink_to(target, target_is_directory=True)
