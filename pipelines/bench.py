"""What the steps of a build work with. Each thing is made, fetched or started when first needed."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aksci.core.errors import (
    ConfigError,
    ProcessError,
    RegistryError,
    ToolError,
    TrustError,
    UsageError,
)
from aksci.images.bases import BaseResolver
from aksci.images.build.build_images import BuildSettings
from aksci.images.build.build_record import (
    OwnBuilds,
    read_build_record,
    read_own_builds,
    write_own_builds,
)
from aksci.images.build.credentials import load_secrets, load_ssh
from aksci.images.engines.builder import LazyBuilder
from aksci.oci.references import ImageRef
from pipelines.plan import base_resolver, policy_bases
from pipelines.platform import locate, make_toolbox, prepare
from pipelines.supplies import in_sources, reach_registry, source_commit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aksci.context import Context
    from aksci.images.bases import RegistryBases
    from aksci.images.build.build_record import BuildRecord, BuiltImage
    from aksci.images.build.build_run import ImageCheck
    from aksci.images.engines.builder import Builder
    from aksci.images.graph import Graph
    from aksci.images.validate.own_validations import OwnValidations
    from aksci.images.validate.validator import Validator
    from aksci.oci.client import RegistryClient
    from aksci.supply.scan.trivy import TrivyScanner
    from aksci.supply.scan.verdict import Verdict
    from aksci.supply.sign.signer import Signer
    from aksci.tools.toolbox import Toolbox
    from pipelines.platform import Surroundings

__all__ = ["Bench"]

_PROBE = 2  # seconds


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The means of one session. Where nothing is to be done, nothing is started."""

    context: Context
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _signing: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _reading: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @cached_property
    def toolbox(self) -> Toolbox:
        """The toolbox of this user."""
        return make_toolbox(self.context)

    @cached_property
    def found(self) -> Surroundings:
        """Where everything is. The embedded platform is started unless its registry answers."""
        found = locate(self.context)
        if found.embedded and not _answers(found.registry):
            return self.prepared
        return found

    @cached_property
    def prepared(self) -> Surroundings:
        """The same, once all that a build needs is there and well."""
        return prepare(self.context, self.toolbox, cluster=False)

    @cached_property
    def registry(self) -> RegistryClient:
        """The environment's registry."""
        return reach_registry(self.context, self.found)

    @cached_property
    def builder(self) -> Builder:
        """The engine, made when the first image is built."""
        return LazyBuilder(make=self._make_builder, interrupt=self.context.runner.terminate_all)

    @cached_property
    def resolver(self) -> RegistryBases:
        """What asks registries for external images."""
        return base_resolver(self.context, self.registry)

    @cached_property
    def bases(self) -> BaseResolver:
        """What tells the digests and the ONBUILD of external images."""
        return _PreparedBases(self, self.resolver, self._lock)

    @cached_property
    def commit(self) -> str:
        """Of the source tree when the session began to look at it."""
        return source_commit(self.context)

    @cached_property
    def settings(self) -> BuildSettings:
        """What is the same for all builds of this session."""
        context = self.context
        config = context.config
        return BuildSettings(
            concurrency=config.build.concurrency,
            timeout=config.build.timeout,
            secrets=load_secrets(config, root=context.root, variables=context.variables),
            ssh=load_ssh(config, root=context.root, variables=context.variables),
            cache=config.build.cache,
            source=config.project.source,
            revision=self.commit,
            run_id=context.run_id,
        )

    def bases_under_policy(self, graph: Graph) -> BaseResolver:
        """Return what tells the bases of each image, as [cascade] holds them.

        What an image recorded must be trusted even where this session signs nothing: a later job
        signs what was built on it, since our own run has built it.
        """
        return policy_bases(
            self.context, graph, self.registry, self.resolver, self.bases, self._surely_trusted
        )

    @cached_property
    def validator(self) -> Validator | None:
        """What runs images; None: nobody does."""
        from pipelines.validate import make_validator

        return make_validator(
            self.context,
            toolbox=self.toolbox,
            registry=self.registry,
            own=self.validations,
            signed=self._signed_validation,
        )

    @cached_property
    def validations(self) -> OwnValidations:
        """Which checks runs of this project have seen images pass."""
        from aksci.images.validate.own_validations import OwnValidations

        return OwnValidations(self.context.work, ours=lambda: self._remembers)

    def validated(self, name: str, ref: ImageRef) -> str:
        """Return the hash of the check that an image is known to have passed; empty: of none."""
        from aksci.config.models import ValidateConfig
        from aksci.images.validate.checks import spec_hash

        known = self.context.config.images
        spec = spec_hash(known[name].validation if name in known else ValidateConfig())
        return spec if self.validations.find(name, ref, spec) else ""

    @cached_property
    def scanner(self) -> TrivyScanner:
        """Trivy with its database."""
        from pipelines.supplies import make_scanner

        return make_scanner(self.context, self.toolbox, self.found, self.registry)

    @property
    def signer(self) -> Signer:
        """Whoever signs, made when the first thread asks."""
        with self._signing:
            return self._signer

    @cached_property
    def _signer(self) -> Signer:
        from pipelines.signers import make_signer

        return make_signer(self.context, self.toolbox, self.found, self.registry)

    @cached_property
    def own(self) -> OwnBuilds:
        """What runs of this project have built."""
        found = read_own_builds(self.context.work)
        return found if found.keys and self._remembers else OwnBuilds({})

    def remember_own(self, images: Iterable[BuiltImage]) -> None:
        """Add what this run has built."""
        self.__dict__["own"] = write_own_builds(self.context.work, self.own, images)

    @cached_property
    def record(self) -> BuildRecord:
        """The last build's: in ``build``, the one that its first step wrote."""
        context = self.context
        record = read_build_record(context.work)
        if record.environment != context.environment_name:
            raise UsageError(
                f"The last build was for {record.environment!r}, not {context.environment_name!r}.",
                hint=f"nox -s build -- --env {context.environment_name}",
            )
        return record

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """On the images of the record, remembered or new."""
        from aksci.supply.scan.gate import scan_images
        from aksci.supply.scan.own_verdicts import write_verdict_record

        context = self.context
        found = scan_images(
            {name: image.ref for name, image in self.record.images.items()},
            scanner=self.scanner,
            policy=context.config.scan,
            registry=self.registry,
            reporter=context.reporter,
            now=context.now(),
            root=context.root,
            bases={name: self._base_of(image) for name, image in self.record.images.items()},
            outside=self.resolver.client,
            vouched=self._vouches_for_verdict,
        )
        write_verdict_record(context.work, found.values())
        return found

    @cached_property
    def before(self) -> dict[str, Verdict] | None:
        """The verdicts of the last release, to tell what changed since; None: there is none.

        The tag ``latest`` may be anybody's: findings would not be told as new on his word.
        """
        from aksci.supply.release.find_release import last_release
        from aksci.supply.release.make_release import load_release
        from aksci.supply.release.release_evidence import release_verdicts
        from aksci.supply.sign.signer import kind_claims

        ref = last_release(self.registry, self.context.config.project.name)
        try:
            if ref is None or not self._surely_signed(ref, kind_claims(ref, "release")):
                return None
            release = load_release(self.registry, ref)
        except RegistryError:
            return None  # a hint that leads nowhere; nothing depends on it
        stored = {one.stored.digest: one for one in self.verdicts.values() if one.stored}
        same = {n: stored[i.verdict] for n, i in release.images.items() if i.verdict in stored}
        others = {n: image for n, image in release.images.items() if n not in same}
        return {**same, **release_verdicts(self.registry, replace(release, images=others))}

    def _base_of(self, image: BuiltImage) -> ImageRef | None:
        """Return what an image stands on: findings in its layers are its own."""
        base = next((one for one in image.bases if one.runtime), None)
        if base is None:
            return None
        if base.image in self.record.images:
            return replace(self.record.images[base.image].ref, digest=base.digest)
        registry, repository = self.resolver.where(base.reference)
        return ImageRef(registry.host, repository, base.digest)

    def vouches(self, ref: ImageRef, key: str) -> bool:
        """Tell whether a finished build may be believed: docs/adr/0007-who-vouches.md."""
        from aksci.supply.sign.signer import build_claims

        return self.own.has(ref, key) or self._signed(ref, build_claims(ref, input_key=key))

    def _surely_trusted(self, ref: ImageRef, key: str) -> bool:
        """Tell whether a build is our own or signed; where nobody can tell, it is not."""
        from aksci.supply.sign.signer import build_claims

        return self.own.has(ref, key) or self._surely_signed(ref, build_claims(ref, input_key=key))

    def _vouches_for_verdict(self, verdict: Verdict) -> bool:
        images = self.record.images.values()
        keys = {one.input_key for one in images if one.ref == verdict.image}
        return self.vouches_for_verdict(verdict, keys)

    def vouches_for_verdict(self, verdict: Verdict, keys: Iterable[str]) -> bool:
        """Tell whether a remembered verdict that passes may be believed.

        :param keys: input keys of its image.
        """
        from aksci.supply.scan.own_verdicts import made_here
        from aksci.supply.sign.signer import image_claims

        if made_here(self.context.work, verdict) and self._remembers:
            return True
        stored = verdict.stored.digest if verdict.stored else ""
        return any(
            self._signed(verdict.image, image_claims(verdict.image, verdict=stored, input_key=key))
            for key in keys
        )

    @property
    def _remembers(self) -> bool:
        """Whether runs of ours wrote .aksci: what git brings, a pull request may have written."""
        with self._reading:
            return not self._brought

    @cached_property
    def _brought(self) -> tuple[str, ...]:
        brought = in_sources(self.context, self.context.work)
        if brought:
            self.context.reporter.warning(
                f"{', '.join(brought)}: git brings this with the sources, so {self.context.work} "
                "does not tell what was built and scanned before. Remove it from git, and name "
                ".aksci/ in .gitignore."
            )
        return brought

    def _signed_validation(self, ref: ImageRef, spec: str) -> bool:
        """Tell whether a trusted signature says that an image passed a check."""
        from aksci.supply.sign.signer import validation_claims

        return self._surely_signed(ref, validation_claims(ref, spec))

    def _surely_signed(self, ref: ImageRef, claims: Mapping[str, str]) -> bool:
        """Tell whether a trusted signature covers the claims; in any doubt, none does.

        :raises RegistryError: the registry can't be asked, which never means "not signed".
        """
        try:
            return self._signed(ref, claims)
        except (ConfigError, ToolError, TrustError, ProcessError):  # no key, no program to ask
            return False

    def _signed(self, ref: ImageRef, claims: Mapping[str, str]) -> bool:
        from aksci.supply.sign.signer import BindingError, NotSignedError, UntrustedError

        try:
            self.signer.verify(ref, claims)
        except (NotSignedError, BindingError, UntrustedError):
            return False
        return True

    @cached_property
    def check(self) -> ImageCheck | None:
        """The same, made when the first image was built."""
        return _LateCheck(self) if self.context.config.build.validate_images else None

    def close(self) -> None:
        """Give back what holds connections or containers."""
        validator = self.__dict__.get("validator")
        if validator is not None:
            validator.close()

    def _make_builder(self) -> Builder:
        from pipelines.engines import make_builder

        with self._lock:
            found = self.found if _engine_answers(self.found) else self.prepared
        return make_builder(self.context, self.toolbox, found)


@dataclass(frozen=True)
class _PreparedBases(BaseResolver):
    """Ask registries for bases; where one is missing, a repair of the platform may bring it."""

    bench: Bench
    resolver: RegistryBases
    lock: threading.Lock

    def digest(self, reference: str) -> str:
        """Return the digest that a full reference means."""
        try:
            return self.resolver.digest(reference)
        except RegistryError:
            with self.lock:
                if not self.bench.found.embedded or "prepared" in self.bench.__dict__:
                    raise
                _ = self.bench.prepared
        return self.resolver.digest(reference)

    def onbuild(self, reference: str, digest: str, platforms: Iterable[str]) -> tuple[str, ...]:
        """Return the ONBUILD instructions of the digest that a full reference means."""
        return self.resolver.onbuild(reference, digest, platforms)


class _LateCheck:
    """Passes on to the validator, which is made when it is needed."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._lock = threading.Lock()

    def check(self, name: str, ref: ImageRef) -> object:
        """Run an image, unless it is known to pass."""
        with self._lock:
            validator = self._bench.validator
        return validator.check(name, ref) if validator else None

    def stop(self) -> None:
        """End what runs, now."""
        validator = self._bench.__dict__.get("validator")
        if validator is not None:
            validator.stop()


def _engine_answers(found: Surroundings) -> bool:
    """Tell whether the embedded platform's BuildKit listens; nobody else's is ours to repair."""
    path = (found.buildkit or "").removeprefix("unix://")
    if not found.embedded or not path.startswith("/"):
        return False
    from aksci.local.part import listens

    return listens(Path(path))


def _answers(host: str) -> bool:
    """Tell whether anything listens at ``host:port``; its registry's client checks what it is."""
    parts = urlsplit(f"//{host}")
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 443), _PROBE):
            return True
    except OSError:
        return False
