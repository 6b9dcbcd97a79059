"""The engine that runs ``docker buildx``, with whatever driver its builder has."""

from __future__ import annotations

import base64
import binascii
import shlex
import tempfile
import threading
from collections import defaultdict, deque
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aksci.core.errors import BuildError, EngineError, ProcessError, ProcessTimeout
from aksci.core.secret import Secret
from aksci.core.strict_json import MALFORMED, parse_json
from aksci.core.text import sanitise
from aksci.images.engines.builder import BuildOutput, BuildRequest, BuildSecret
from aksci.images.engines.buildx_builders import BuilderSpec, BuilderStore, csv_field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from aksci.core.process import Runner

__all__ = ["ENGINE_BUILDER", "BuildxBuilder", "Progress", "build_argv"]

ENGINE_BUILDER = BuilderSpec(name="default", driver="docker", ours=False)
"""The builder that buildx makes of the Docker Engine itself."""
_PROVENANCE = "buildx.build.provenance"
_LARGEST_SECRET = 16 << 10  # bytes; bundles of certificates are larger, and public


@dataclass(kw_only=True)
class BuildxBuilder:
    """Build through buildx, with its state in a folder of ours: the user's stays as it is."""

    store: BuilderStore
    spec: BuilderSpec
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
        runner = self.store.runner
        for secret in request.secrets:
            _conceal(runner, secret)
        progress = Progress(on_line, lambda text: sanitise(runner.redact(text)))
        with tempfile.TemporaryDirectory(prefix="aksci-build-") as folder:
            metadata = Path(folder) / "metadata.json"
            argv = build_argv(
                self.store.buildx,
                _with_ignore_file(request, Path(folder)),
                builder=self.spec.name,
                metadata=metadata,
                # Docker Engine's own BuildKit can't push without a tag.
                by_digest=self.spec.driver != "docker",
            )
            on_line(f"  + {runner.redact(shlex.join(argv))}")
            try:
                runner.run(
                    argv,
                    env=self._environment(request),
                    timeout=request.timeout,
                    on_line=progress.line,
                    raw=True,  # logs are in base64
                    quiet=True,
                )
            except ProcessTimeout:
                raise BuildError(
                    f"{request.name} did not build within {request.timeout:g} s:\n"
                    f"{progress.failure()}",
                    hint="raise [build] timeout in aksci.toml.",
                ) from None
            except ProcessError as error:
                raise self._failure(request, progress, error) from None
            return _read_metadata(request, metadata)

    def stop(self) -> None:
        """End all programs of this runner, and start no further build."""
        self._stopped.set()
        self.store.runner.terminate_all()

    def _failure(
        self, request: BuildRequest, progress: Progress, error: ProcessError
    ) -> BuildError | EngineError:
        """Tell whether the image did not build, or its engine was lost."""
        why = progress.failure() or f"  buildx ended with status {error.status}"
        # A step that failed would fail on any engine: only without one is the engine asked.
        lost = None if progress.step_failed else self.store.lost(self.spec)
        if lost:
            return EngineError(
                f"BuildKit at {self.spec.endpoint} was lost while it built {request.name}: "
                f"{lost}:\n{why}",
                hint=self.store.hint,
            )
        return BuildError(f"{request.name} did not build:\n  {request.dockerfile}\n{why}")

    def _environment(self, request: BuildRequest) -> dict[str, str | Secret]:
        # In the metadata file, provenance changes no digest; attached to the image, it would.
        values: dict[str, str | Secret] = {
            "BUILDX_METADATA_PROVENANCE": "max",
            # Else it asks git about the context, which the sources may have made a repository.
            "BUILDX_GIT_INFO": "false",
            "BUILDX_GIT_LABELS": "false",
        }
        values.update(self.store.environment(self.spec))
        names = _variables(request.secrets)
        for secret in request.secrets:
            if secret.value is not None:
                values[names[secret.id]] = secret.value
        return values

    def _ensure_builder(self) -> None:
        """Make the builder once a run, unless an earlier run has."""
        with self._lock:
            if not self._ready:
                self.store.ensure(self.spec)
                self._ready = True


def _conceal(runner: Runner, secret: BuildSecret) -> None:
    """Let output not show what a secret's file holds; a large one is no password or key."""
    if secret.file is not None and secret.file.stat().st_size <= _LARGEST_SECRET:
        runner.conceal(Secret(secret.file.read_text(encoding="utf-8", errors="replace")))


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
    # The same times in the configuration of each build, or the same content would have another
    # digest (docs/adr/0003-lineage.md).
    args = {"SOURCE_DATE_EPOCH": "0", **request.args}
    for name, value in sorted(args.items()):
        argv += ["--build-arg", f"{name}={value}"]
    for name, reference in sorted(request.parents.items()):
        argv += ["--build-context", f"{name}=docker-image://{reference}"]
    for name, folder in sorted(request.contexts.items()):
        argv += ["--build-context", f"{name}={folder}"]
    # BuildKit refuses an annotation for the index of an image that has none.
    levels = "index,manifest" if len(request.platforms) > 1 else "manifest"
    for name, value in sorted(request.annotations.items()):
        argv += ["--annotation", f"{levels}:{name}={value}"]
    argv += _credential_flags(request)
    if request.platforms:
        argv += ["--platform", ",".join(request.platforms)]
    if request.target:
        argv += ["--target", request.target]
    argv += _cache_flags(request)
    return [*argv, "--file", str(request.dockerfile), str(request.context)]


def _attestation_flags(request: BuildRequest) -> list[str]:
    asked = request.attestations
    provenance = "false" if asked.provenance == "off" else f"mode={asked.provenance}"
    sbom = f"generator={asked.sbom}" if asked.sbom else "false"
    return [f"--provenance={provenance}", f"--sbom={sbom}"]


def _credential_flags(request: BuildRequest) -> list[str]:
    flags = []
    names = _variables(request.secrets)
    for secret in sorted(request.secrets, key=lambda one: one.id):
        source = f"src={secret.file}" if secret.file else f"env={names[secret.id]}"
        flags += ["--secret", f"id={secret.id},{csv_field(source)}"]
    for ssh in sorted(request.ssh, key=lambda one: one.id):
        keys = ",".join(map(str, ssh.keys))
        flags += ["--ssh", f"{ssh.id}={keys}" if keys else ssh.id]
    return flags


def _cache_flags(request: BuildRequest) -> list[str]:
    """Return the flags of the layer cache.

    A cache that does not exist yet is no failure to BuildKit; one that can't be written is none,
    either, with ``ignore-error``. ``image-manifest`` makes it what every registry takes.
    """
    cache = request.cache
    # What is asked for anew still writes the cache: the next builds shall find the new layers.
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


def _with_ignore_file(request: BuildRequest, folder: Path) -> BuildRequest:
    """Put a copy of the Dockerfile beside the ignore file that is to hold for it.

    BuildKit's frontend prefers ``<Dockerfile>.dockerignore`` to the context's own.
    """
    if request.ignore is None:
        return request
    dockerfile = folder / "Dockerfile"
    # A copy: the ignore file must lie beside it, and the sources are not ours to write to.
    dockerfile.write_bytes(request.dockerfile.read_bytes())
    (folder / "Dockerfile.dockerignore").write_bytes(request.ignore)
    return replace(request, dockerfile=dockerfile)


def _variables(secrets: Iterable[BuildSecret]) -> dict[str, str]:
    """Return the environment variable that carries each secret to buildx, by the secret's id."""
    names: dict[str, str] = {}
    for secret_id in sorted(one.id for one in secrets):
        word = "".join(c if c.isalnum() else "_" for c in secret_id).upper()
        # ``db-key`` and ``db_key`` are two secrets: neither may get the other's value.
        while word in names.values():
            word += "_"
        names[secret_id] = word
    return {secret_id: f"AKSCI_SECRET_{word}" for secret_id, word in names.items()}


def _read_metadata(request: BuildRequest, path: Path) -> BuildOutput:
    try:
        metadata: dict[str, Any] = parse_json(path.read_bytes())
        digest = str(metadata["containerimage.digest"])
    except (OSError, *MALFORMED):
        raise BuildError(
            f"{request.name} was built, but buildx did not tell its digest.",
            hint="use a builder that pushes images (drivers docker, docker-container, remote).",
        ) from None
    return BuildOutput(digest=digest, provenance=_read_provenance(metadata))


def _read_provenance(metadata: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the provenance; of several platforms, that of each: ``{"linux/amd64": {…}, …}``."""
    if (one := metadata.get(_PROVENANCE)) is not None:
        found: Mapping[str, Any] = one
        return found
    of_each = {
        key.removeprefix(f"{_PROVENANCE}/"): value
        for key, value in metadata.items()
        if key.startswith(f"{_PROVENANCE}/")
    }
    return of_each or None


_TAIL = 40
_CACHE = ("importing cache manifest from ", "exporting cache to ")
"""How BuildKit names what it does with a cache. Their errors don't fail a build."""


class Progress:
    """Read the lines of one build.

    :param clean: redacts and sanitises: what a step printed is in base64 here, so nobody before
        could see what it says.
    """

    def __init__(self, on_line: Callable[[str], None], clean: Callable[[str], str]) -> None:
        self._on_line = on_line
        self._clean = clean
        self._names: dict[str, str] = {}
        self._told: set[tuple[str, str]] = set()
        self._logs: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=_TAIL))
        self._partial: dict[str, str] = defaultdict(str)
        self._failed: tuple[str, str] | None = None
        self._plain: deque[str] = deque(maxlen=_TAIL)

    def line(self, text: str) -> None:
        """Take one line as buildx wrote it."""
        try:
            status = parse_json(text)
        except ValueError:
            status = None
        if not isinstance(status, dict):
            # buildx's own words, when it could not even start.
            self._plain.append(self._clean(text))
            return
        for vertex in status.get("vertexes") or []:
            self._vertex(vertex)
        for log in status.get("logs") or []:
            self._log(log)
        for warning in status.get("warnings") or []:
            short = _decode(warning.get("short"))
            if short:
                self._on_line(f"warning: {self._clean(short)}")

    @property
    def step_failed(self) -> bool:
        """Whether a step of the build failed; else what went wrong is not the image's fault."""
        return self._failed is not None

    def failure(self) -> str:
        """Return the failing step, the end of its output and the error; else what buildx said."""
        if self._failed is None:
            return "\n".join(self._plain)
        digest, error = self._failed
        self._print(digest, [self._partial.pop(digest, "")])
        lines = [self._names.get(digest, ""), *self._logs[digest]]
        return "\n".join(f"  {line}" for line in (*lines, error) if line)

    def _vertex(self, vertex: dict[str, Any]) -> None:
        digest, name = vertex["digest"], self._clean(vertex.get("name", ""))
        self._names[digest] = name
        error = self._clean(vertex.get("error") or "")
        # Steps beside the failing one are cancelled, and say so.
        if error and "context canceled" not in error:
            if name.startswith(_CACHE):
                self._cache_failed(digest, name, error)
            elif self._failed is None:
                self._failed = (digest, error)
        if vertex.get("completed"):
            self._print(digest, [self._partial.pop(digest, "")])
        # Steps of BuildKit's own, such as to load the ignore file: nobody wrote them.
        if name.startswith("[internal]"):
            return
        if vertex.get("completed") and vertex.get("cached"):
            self._tell(digest, f"{name} (cached)")
        elif vertex.get("started") and not vertex.get("completed"):
            self._tell(digest, name)

    def _cache_failed(self, digest: str, name: str, error: str) -> None:
        # A cache that nobody has written yet is as it should be at an image's first build.
        missing = name.startswith(_CACHE[0]) and error.endswith("not found")
        self._tell(digest, f"{name}: none yet" if missing else f"warning: {name}: {error}")

    def _tell(self, digest: str, text: str) -> None:
        if (digest, text) not in self._told:
            self._told.add((digest, text))
            self._on_line(text)

    def _log(self, log: dict[str, Any]) -> None:
        digest = log.get("vertex", "")
        text = self._partial.pop(digest, "") + _decode(log.get("data"))
        *whole, rest = text.split("\n")
        if rest:
            self._partial[digest] = rest
        self._print(digest, whole)

    def _print(self, digest: str, lines: list[str]) -> None:
        for line in lines:
            # A carriage return redraws the line: only the last drawing counts.
            shown = self._clean(line.rstrip("\r").rpartition("\r")[2])
            if shown.strip():
                self._logs[digest].append(shown)
                self._on_line(f"  {shown}")


def _decode(data: Any) -> str:
    try:
        return base64.b64decode(data or "").decode("utf-8", "replace")
    except (binascii.Error, TypeError, ValueError):
        return ""
