"""The engine that runs ``docker buildx``: a remote BuildKit, or the running Docker Engine."""

from __future__ import annotations

import json
import shlex
import socket
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aksci.errors import BuildError, ProcessError, ProcessTimeout
from aksci.images.builder import BuildOutput, BuildRequest
from aksci.images.progress import Progress
from aksci.reporting import sanitise

if TYPE_CHECKING:
    from collections.abc import Callable

    from aksci.process import Runner
    from aksci.secret import Secret

__all__ = ["ENGINE_BUILDER", "BuildxBuilder", "build_argv"]

ENGINE_BUILDER = "default"
"""The builder that buildx makes of the Docker Engine itself. It can't push without a tag."""


@dataclass(kw_only=True)
class BuildxBuilder:
    """Build through buildx, with its state in a folder of ours: the user's stays as it is."""

    buildx: Path
    """The program, or the CLI plugin: it works alone, too."""
    runner: Runner
    config_dir: Path
    """BUILDX_CONFIG for builders of ours; one that exists already is in the user's."""
    builder_name: str
    endpoint: str | None = None
    """Address of a BuildKit (``unix:///…``) to make the builder for; None: it exists already."""
    hint: str | None = None
    """What to do when the engine can't be reached."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _stopped: threading.Event = field(default_factory=threading.Event, repr=False)
    _ready: bool = False

    def build(self, request: BuildRequest, on_line: Callable[[str], None]) -> BuildOutput:
        """Build and push one image.

        :raises BuildError: it did not build, or took longer than its time-out.
        """
        if self._stopped.is_set():
            raise BuildError(f"{request.name} was not built: the run was stopped.")
        self._ensure_builder()
        progress = Progress(on_line, lambda text: sanitise(self.runner.redact(text)))
        with tempfile.TemporaryDirectory(prefix="aksci-build-") as folder:
            metadata = Path(folder) / "metadata.json"
            argv = build_argv(
                self.buildx,
                request,
                builder=self.builder_name,
                metadata=metadata,
                by_digest=self.builder_name != ENGINE_BUILDER,
            )
            on_line(f"  + {self.runner.redact(shlex.join(argv))}")
            try:
                self.runner.run(
                    argv,
                    env=self._environment(request),
                    timeout=request.timeout,
                    on_line=progress.line,
                    quiet=True,
                )
            except ProcessTimeout:
                raise BuildError(
                    f"{request.name} did not build within {request.timeout:g} s:\n"
                    f"{progress.failure()}",
                    hint="raise [build] timeout in aksci.toml.",
                ) from None
            except ProcessError as error:
                why = progress.failure() or f"  buildx ended with status {error.status}"
                raise BuildError(f"{request.name} did not build:\n{why}") from None
            return _read_metadata(request, metadata)

    def stop(self) -> None:
        """End all programs of this runner, and start no further build."""
        self._stopped.set()
        self.runner.terminate_all()

    def _environment(self, request: BuildRequest) -> dict[str, str | Secret]:
        values: dict[str, str | Secret] = {"BUILDX_METADATA_PROVENANCE": "max"}
        if self.endpoint is not None:
            values["BUILDX_CONFIG"] = str(self.config_dir)
        for secret in request.secrets:
            if secret.value is not None:
                values[_variable(secret.id)] = secret.value
        return values

    def _ensure_builder(self) -> None:
        """Make the builder once a run, unless an earlier run has."""
        with self._lock:
            if self._ready or self.endpoint is None:
                return
            from filelock import FileLock

            self._require_socket(self.endpoint)
            self.config_dir.mkdir(parents=True, exist_ok=True)
            with FileLock(self.config_dir / "aksci.lock"):
                if self._existing_endpoint() != self.endpoint:
                    self._create()
            self._ready = True

    def _require_socket(self, endpoint: str) -> None:
        """Fail now where buildx would wait for half a minute for a BuildKit that does not run."""
        path = endpoint.removeprefix("unix://")
        if path == endpoint:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(path)
            except OSError as error:
                raise BuildError(
                    f"BuildKit does not answer at {endpoint}: {error.strerror or error}.",
                    hint=self.hint,
                ) from None

    def _existing_endpoint(self) -> str | None:
        """Return where the builder of our name leads, or None when there is none."""
        try:
            # buildx's own record; "buildx ls" would ask the BuildKit, too.
            path = self.config_dir / "instances" / self.builder_name
            return str(json.loads(path.read_text(encoding="utf-8"))["Nodes"][0]["Endpoint"])
        except (OSError, ValueError, KeyError, IndexError, TypeError):
            return None

    def _create(self) -> None:
        env: dict[str, str | Secret] = {"BUILDX_CONFIG": str(self.config_dir)}
        remove = [str(self.buildx), "rm", "--keep-daemon", "--force", self.builder_name]
        self.runner.run(remove, env=env, check=False, quiet=True)
        try:
            create = [str(self.buildx), "create", "--name", self.builder_name]
            self.runner.run([*create, "--driver", "remote", str(self.endpoint)], env=env)
        except ProcessError as error:
            raise BuildError(
                f"buildx can't use BuildKit at {self.endpoint}: {error.message}", hint=self.hint
            ) from None


def build_argv(
    buildx: Path,
    request: BuildRequest,
    *,
    builder: str,
    metadata: Path,
    by_digest: bool,
) -> list[str]:
    """Return the command line of one build.

    Attestations are off unless they are asked for: their times would give each build of the same
    input another digest. The provenance that buildx tells in its metadata file is stored beside the
    image in any case.

    :param by_digest: push without a tag; the caller sets it when all is checked.
    """
    argv = [str(buildx), "build", "--builder", builder, "--progress", "rawjson"]
    argv += ["--metadata-file", str(metadata), *_attestation_flags(request)]
    output = f"type=image,push=true,oci-mediatypes=true,name={request.repository}"
    argv += [
        "--output",
        f"{output},push-by-digest=true" if by_digest else f"{output}:{request.tag}",
    ]
    args = {"SOURCE_DATE_EPOCH": "0", **request.args}
    for name, value in sorted(args.items()):
        argv += ["--build-arg", f"{name}={value}"]
    for name, reference in sorted(request.parents.items()):
        argv += ["--build-context", f"{name}=docker-image://{reference}"]
    levels = "index,manifest" if len(request.platforms) > 1 else "manifest"
    for name, value in sorted(request.annotations.items()):
        argv += ["--annotation", f"{levels}:{name}={value}"]
    for secret in sorted(request.secrets, key=lambda one: one.id):
        source = f"src={secret.file}" if secret.file else f"env={_variable(secret.id)}"
        argv += ["--secret", f"id={secret.id},{_csv(source)}"]
    for ssh in sorted(request.ssh, key=lambda one: one.id):
        keys = ",".join(map(str, ssh.keys))
        argv += ["--ssh", f"{ssh.id}={keys}" if keys else ssh.id]
    if request.platforms:
        argv += ["--platform", ",".join(request.platforms)]
    if request.target:
        argv += ["--target", request.target]
    argv += _cache_flags(request)
    return [*argv, "--file", str(request.dockerfile), str(request.context)]


def _attestation_flags(request: BuildRequest) -> list[str]:
    wanted = request.attestations
    provenance = "false" if wanted.provenance == "off" else f"mode={wanted.provenance}"
    sbom = f"generator={wanted.sbom}" if wanted.sbom else "false"
    return [f"--provenance={provenance}", f"--sbom={sbom}"]


def _cache_flags(request: BuildRequest) -> list[str]:
    """Return the flags of the layer cache.

    A cache that does not exist yet is no failure to BuildKit; one that can't be written is none,
    either, with ``ignore-error``. ``image-manifest`` makes it what every registry takes.
    """
    cache = request.cache
    flags = ["--no-cache"] if request.fresh else []
    if cache is None:
        return flags
    where = f"type=registry,ref={cache.ref}"
    if not request.fresh:
        flags += ["--cache-from", where]
    if not cache.read_only:
        how = f"mode={cache.mode},image-manifest=true,oci-mediatypes=true,ignore-error=true"
        flags += ["--cache-to", f"{where},{how}"]
    return flags


def _csv(field: str) -> str:
    """Quote a field of a comma-separated value where it must be (RFC 4180)."""
    return '"' + field.replace('"', '""') + '"' if set(field) & set(',"\n') else field


def _variable(secret_id: str) -> str:
    """Return the environment variable that carries a secret to buildx."""
    return "AKSCI_SECRET_" + "".join(c if c.isalnum() else "_" for c in secret_id).upper()


def _read_metadata(request: BuildRequest, path: Path) -> BuildOutput:
    try:
        metadata: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        digest = str(metadata["containerimage.digest"])
    except (OSError, ValueError, KeyError, TypeError):
        raise BuildError(
            f"{request.name} was built, but buildx did not tell its digest.",
            hint="use a builder that pushes images (drivers docker, docker-container, remote).",
        ) from None
    return BuildOutput(digest=digest, provenance=metadata.get("buildx.build.provenance"))
