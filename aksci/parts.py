"""Parts that a team brings itself: the protocols, what they take and return, and ``Parts``.

``Environment.open(…, parts=Parts(builder=mine))`` works with these in place of what aksci.toml asks
for::

    from aksci import Environment, steps
    from aksci.parts import Parts

    with Environment.open("staging", parts=Parts(registry=registry, signer=signer)) as env:
        steps.build(env)

The protocols are ``Builder``, ``Scanner``, ``Signer``, ``Target``, ``Reporter`` and
``ImageRunner``; the other names are what these take, return and raise. An installed package offers
its parts by the entry points ``aksci.builders``, ``aksci.scanners`` and so on, and aksci.toml names
them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from aksci.core.errors import UsageError
from aksci.core.lazy_names import lazy_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from aksci.core.process import Runner
    from aksci.core.reporting import Reporter, ReporterContext, Task
    from aksci.core.secret import Secret
    from aksci.deploy.kubernetes.cluster import Cluster
    from aksci.deploy.targets.deploy_target import Change, Revision, ServiceState, Target
    from aksci.images.engines.builder import (
        Attestations,
        BuildCache,
        Builder,
        BuildOutput,
        BuildRequest,
        BuildSecret,
        BuildSsh,
    )
    from aksci.images.validate.image_runner import CheckOutcome, CheckTask, ImageRunner
    from aksci.oci.artifact import attach, attached, push_image
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry
    from aksci.supply.scan.sbom import sbom_of_report
    from aksci.supply.scan.scan_evidence import Package
    from aksci.supply.scan.scanner import Database, Scanner, ScanReport
    from aksci.supply.scan.verdict import Finding
    from aksci.supply.sign.signer import (
        BindingError,
        NotSignedError,
        Proof,
        Signer,
        UntrustedError,
    )

__all__ = [
    "Attestations",
    "BindingError",
    "BuildCache",
    "BuildOutput",
    "BuildRequest",
    "BuildSecret",
    "BuildSsh",
    "Builder",
    "Change",
    "CheckOutcome",
    "CheckTask",
    "Cluster",
    "Database",
    "Finding",
    "ImageRef",
    "ImageRunner",
    "NotSignedError",
    "Package",
    "PartContext",
    "Parts",
    "Proof",
    "Registry",
    "Reporter",
    "ReporterContext",
    "Revision",
    "Runner",
    "ScanReport",
    "Scanner",
    "Secret",
    "ServiceState",
    "Signer",
    "Target",
    "TargetContext",
    "Task",
    "UntrustedError",
    "attach",
    "attached",
    "push_image",
    "sbom_of_report",
]

_HOMES = {
    "Attestations": "aksci.images.engines.builder",
    "BindingError": "aksci.supply.sign.signer",
    "BuildCache": "aksci.images.engines.builder",
    "BuildOutput": "aksci.images.engines.builder",
    "BuildRequest": "aksci.images.engines.builder",
    "BuildSecret": "aksci.images.engines.builder",
    "BuildSsh": "aksci.images.engines.builder",
    "Builder": "aksci.images.engines.builder",
    "Change": "aksci.deploy.targets.deploy_target",
    "CheckOutcome": "aksci.images.validate.image_runner",
    "CheckTask": "aksci.images.validate.image_runner",
    "Cluster": "aksci.deploy.kubernetes.cluster",
    "Database": "aksci.supply.scan.scanner",
    "Finding": "aksci.supply.scan.verdict",
    "ImageRef": "aksci.oci.references",
    "ImageRunner": "aksci.images.validate.image_runner",
    "NotSignedError": "aksci.supply.sign.signer",
    "Package": "aksci.supply.scan.scan_evidence",
    "Proof": "aksci.supply.sign.signer",
    "Registry": "aksci.oci.registry",
    "Reporter": "aksci.core.reporting",
    "ReporterContext": "aksci.core.reporting",
    "Revision": "aksci.deploy.targets.deploy_target",
    "Runner": "aksci.core.process",
    "ScanReport": "aksci.supply.scan.scanner",
    "Scanner": "aksci.supply.scan.scanner",
    "Secret": "aksci.core.secret",
    "ServiceState": "aksci.deploy.targets.deploy_target",
    "Signer": "aksci.supply.sign.signer",
    "Target": "aksci.deploy.targets.deploy_target",
    "Task": "aksci.core.reporting",
    "UntrustedError": "aksci.supply.sign.signer",
    "attach": "aksci.oci.artifact",
    "attached": "aksci.oci.artifact",
    "push_image": "aksci.oci.artifact",
    "sbom_of_report": "aksci.supply.scan.sbom",
}
"""Public name -> the module that defines it."""


_HUB_HOST = "registry-1.docker.io"


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What an environment works with in place of what aksci.toml asks for; None: what it asks for.

    A part belongs to whoever hands it in: the environment does not close it. Siblings of the
    environment have the same builder, scanner and signer, unless ``at`` names others for them. A
    registry, a cluster and a target are of one environment: ``at`` must say what a sibling has.
    """

    registry: Registry | None = None
    """The environment's registry, whatever its table names. Nothing is started in its place."""
    outside: Mapping[str, Registry] = field(default_factory=dict)
    """Other registries by their host, such as ``docker.io``: base images come from there."""
    builder: Builder | None = None
    image_runner: ImageRunner | None = None
    """What runs images to validate them. It is closed after the last image, as its protocol says.
    """
    scanner: Scanner | None = None
    signer: Signer | None = None
    """In place of all of ``[sign] signers``."""
    target: Target | None = None
    """In place of what applies each service."""
    cluster: Cluster | None = None
    """The environment's namespace. Its connections stay open."""
    at: Mapping[str, Parts] = field(default_factory=dict)
    """By an environment's name: what is another part there."""

    def other_registry(self, host: str) -> Registry | None:
        """Return the registry that was handed in for a host; Docker Hub's is ``docker.io``."""
        return self.outside.get("docker.io" if host == _HUB_HOST else host)

    def in_environment(self, name: str, *, opened: str) -> Parts:
        """Return the parts of one environment: its own, and for the rest those of all.

        :param opened: the environment that these parts were handed to.
        :raises UsageError: nothing says which registry, cluster or target a sibling has: neither
            those of the one that was opened nor real ones may be meant.
        """
        own = self.at.get(name)
        if name != opened:
            wanting = [
                kind
                for kind in ("registry", "cluster", "target")
                if getattr(self, kind) is not None and getattr(own, kind, None) is None
            ]
            if wanting:
                raise UsageError(
                    f"{', '.join(wanting)}: handed in for {opened!r}, and not for {name!r}.",
                    hint=f"Parts(…, at={{{name!r}: Parts({wanting[0]}=…)}})",
                )
        if own is None:
            return self
        given = {each.name: getattr(own, each.name) for each in fields(own)}
        given = {key: part for key, part in given.items() if part is not None}
        rest = {each.name: getattr(self, each.name) for each in fields(self)}
        outside = {**self.outside, **own.outside}
        return Parts(**{**rest, **given, "outside": outside, "at": {}})


@dataclass(frozen=True, kw_only=True)
class PartContext:
    """What the factory of a builder, a scanner or a signer is called with: all that it may need."""

    name: str
    """Under which aksci.toml asks for the part."""
    where: str
    """The key that does so, with its file: ``…/aksci.toml: scan.scanner``. For messages."""
    options: Mapping[str, Any]
    """Its own table in aksci.toml as it is: texts, numbers, flags, lists, tables; a date is a text.
    """
    project: str
    environment: str
    root: Path
    """The folder of aksci.toml, which paths in it are relative to."""
    cache: Path
    """A folder of the part's own, for this user; it may not exist yet, and losing it costs only
    time."""
    registry: Registry
    """The environment's: there images are, and what belongs to them."""
    runner: Runner
    """Starts programs: without a shell, logged, and ended with the run."""
    reporter: Reporter
    variables: Mapping[str, str] = field(repr=False)
    """The process's environment variables."""
    now: Callable[[], datetime]
    """The clock, in UTC."""
    run_id: str


@dataclass(frozen=True, kw_only=True)
class TargetContext(PartContext):
    """What the factory of a target is called with."""

    namespace: str
    """The environment's."""
    kubeconfig: Path
    kube_context: str | None
    """None: the current one."""


if not TYPE_CHECKING:  # else a type checker would accept any name
    __getattr__ = lazy_names(globals(), _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
