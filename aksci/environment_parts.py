"""All that steps work with in one environment: each thing opened when it is first read."""

from __future__ import annotations

import threading
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from aksci.config.loader import CONFIG_NAME
from aksci.config.secret_names import secret_names, withheld_names
from aksci.config.strict_model import OwnPart
from aksci.config.supply_models import BUILT_IN_SCANNERS
from aksci.core.git import source_commit, tracked_files
from aksci.core.once import once
from aksci.core.seal_key import SEAL_VARIABLE
from aksci.core.work_folder import WorkFolder
from aksci.local.endpoints import Preparation
from aksci.parts import PartContext, Parts, TargetContext

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from aksci.config.deploy_models import EnvironmentConfig
    from aksci.config.models import Config
    from aksci.core.process import Runner
    from aksci.core.reporting import Reporter
    from aksci.deploy.kubernetes.cluster import Cluster
    from aksci.deploy.targets.deploy_target import Target
    from aksci.deploy.targets.helm import Helm
    from aksci.images.bases import BaseResolver, RegistryBases
    from aksci.images.build.build_images import BuildSettings
    from aksci.images.build.build_run import ImageCheck
    from aksci.images.engines.builder import Builder
    from aksci.images.validate.image_runner import ImageRunner
    from aksci.images.validate.validator import Validator
    from aksci.local.endpoints import Endpoints
    from aksci.oci.registry import Registry
    from aksci.supply.project_trust import ProjectTrust
    from aksci.supply.scan.scanner import Scanner
    from aksci.supply.sign.make_signer import SignerMaker
    from aksci.supply.sign.signer import Signer
    from aksci.tools.toolbox import Toolbox

__all__ = ["WORK", "EnvironmentParts", "Family"]

WORK = ".aksci"
"""The name of the project's work folder."""
_VALIDATION = "aksci-validate"
"""Where pods validate on the embedded platform, which is ours; elsewhere, in the environment's own
namespace."""


@dataclass(frozen=True)
class Family:
    """The environments of one run: one that was opened, and those that it leads to."""

    members: dict[tuple[str, bool], EnvironmentParts] = field(default_factory=dict)
    """By name, and by whether they may start anything; the first is the one that was opened."""
    closing: ExitStack = field(default_factory=ExitStack)
    lock: threading.RLock = field(default_factory=threading.RLock)
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def first(self) -> EnvironmentParts:
        """Who was opened, and closes all."""
        return next(iter(self.members.values()))


@dataclass(frozen=True, kw_only=True, eq=False)
class EnvironmentParts:
    """What ``Environment`` is made of. Steps use all of it; teams use what docs/library.md lists.

    Each thing is opened by whoever reads it first, in whatever thread, and closed with the
    environment that was opened, the last first. Where nothing is to be done, nothing is started.
    """

    root: Path
    """The folder of aksci.toml, absolute."""
    config: Config
    name: str
    settings: EnvironmentConfig
    """Its table in aksci.toml."""
    variables: Mapping[str, str] = field(repr=False)
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
    start: bool = True
    """Whether it may start what is missing; otherwise it only looks."""
    parts: Parts = field(default_factory=Parts)
    """What was handed in, for all environments of the run."""
    _family: Family = field(default_factory=Family, init=False, repr=False)

    @property
    def work(self) -> Path:
        """The project's ``.aksci`` folder: run records, the last build and the last release."""
        return self.root / WORK

    @once
    def work_folder(self) -> WorkFolder:
        """What reads and writes there, and tells what of it is trusted."""
        # One a run: what git says of it is asked once.
        if self._family.first is not self:
            return self._family.first.work_folder
        shared = self.variables.get(SEAL_VARIABLE, "")
        return WorkFolder(
            self.work,
            key=lambda: self._seal_key,
            shared=bool(shared),
            tracked=lambda: tracked_files(self.root, WORK, sources=CONFIG_NAME, runner=self.runner),
            warn=self.reporter.warning,
        )

    @property
    def known_files(self) -> Path:
        """What keeps what earlier runs have read of the sources."""
        from aksci.images.context.known_files import facts_file

        return facts_file(self.cache, self.root)

    @once
    def _seal_key(self) -> bytes | None:
        from aksci.core.seal_key import shared_key

        if shared := self.variables.get(SEAL_VARIABLE, ""):
            return shared_key(shared, self.config.project.name)
        return self._user_key()

    def _user_key(self) -> bytes | None:
        from aksci.core.seal_key import user_key

        return user_key(self.state, self.root)

    @once
    def commit(self) -> str:
        """The commit of the source tree when it was first asked for: see ``source_commit``."""
        return source_commit(self.root, runner=self.runner)

    # -- Where things are, and what is started there --

    @property
    def platform(self) -> Path:
        """The embedded platform's state folder."""
        return self.state / "local"

    @property
    def endpoints(self) -> Endpoints:
        """Where everything is. The embedded platform is started unless its registry answers.

        Nothing is started for a registry that was handed in.
        """
        if self.own_parts.registry is None:
            return self._preparation.endpoints
        from aksci.oci.client import is_loopback

        host = self.own_parts.registry.host
        found = self._preparation.look()
        return replace(found, registry=host, plain_http=is_loopback(host), embedded=False)

    @once
    def own_parts(self) -> Parts:
        """What was handed in for this environment."""
        return self.parts.in_environment(self.name, opened=self._family.first.name)

    def prepare(self, *, cluster: bool = False, notary: bool = False) -> Endpoints:
        """Make sure, once a run, that registry and builder are there and well.

        :param cluster: the cluster, too.
        :param notary: the embedded platform's Notary server, too, whoever signs.
        :raises PlatformError: the embedded platform could not start.
        :raises DockerError: Docker Engine is not there.
        """
        # What was handed in is there. The engine is prepared when it first builds.
        cluster = cluster and self.own_parts.cluster is None
        if self.own_parts.registry is None:
            return self._preparation.prepare(cluster=cluster, notary=notary)
        if cluster or notary:
            self._preparation.prepare(cluster=cluster, notary=notary)
        return self.endpoints

    @once
    def _preparation(self) -> Preparation:
        return Preparation(
            settings=self.settings,
            name=self.name,
            root=self.root,
            platform=self.platform,
            variables=self.variables,
            start=self.start,
            # Late: an environment that has a registry and a cluster needs no tools to find them.
            toolbox=lambda: self.toolbox,
            runner=self.runner,
            reporter=self.reporter,
            seeds=self.config.local.seeds,
            notary=self.config.sign.needs_notary,
        )

    # -- Tools and registries --

    @once
    def toolbox(self) -> Toolbox:
        """The toolbox of this user."""
        # One a run, so that no tool is probed or built twice; and whoever opened the run closes it.
        if self._family.first is not self:
            return self._family.first.toolbox
        from aksci.tools.toolbox import Toolbox

        withheld = withheld_names(secret_names(self.config), self.variables)
        return Toolbox(
            cache=self.cache,
            runner=self.runner,
            reporter=self.reporter,
            # What no program is given, the compiler of tools gets no more than others.
            variables={name: text for name, text in self.variables.items() if name not in withheld},
        )

    @once
    def registry(self) -> Registry:
        """The environment's registry."""
        if self.own_parts.registry is not None:
            return self.own_parts.registry
        found = self.endpoints
        hint = "nox -s up" if found.embedded else None
        return self._connect(found.registry, plain_http=found.plain_http, hint=hint)

    def _connect(self, host: str, *, plain_http: bool = False, hint: str | None = None) -> Registry:
        given = self.own_parts.other_registry(host)
        if given is not None:
            return given
        from aksci.azure.identity import credential_for
        from aksci.oci.connect_registry import connect_registry

        client = connect_registry(
            host,
            variables=self.variables,
            plain_http=plain_http,
            credential=None if plain_http else credential_for(host),
            hint=hint,
            say=self.reporter.line,
        )
        return self._family.closing.enter_context(closing(client))

    @once
    def resolver(self) -> RegistryBases:
        """What asks registries for external images; the embedded registry mirrors docker.io."""
        from aksci.images.bases import RegistryBases

        # Its own client for its own registry, too: another one would log in a second time.
        registry = self.registry
        return RegistryBases(
            mirror=registry if self.settings.platform == "embedded" else None,
            connect=lambda host: registry if host == registry.host else self._connect(host),
            cache=self.cache / "onbuild",
            # A look takes seconds: what failed is not tried again.
            brief=not self.start,
        )

    @once
    def bases(self) -> BaseResolver:
        """What tells the digests and the ONBUILD of external images."""
        if not self.start or not self.endpoints.embedded:
            return self.resolver
        from aksci.images.repairing_bases import RepairingBases

        return RepairingBases(
            resolver=self.resolver, repaired=lambda: self._preparation.done, repair=self.prepare
        )

    # -- Images --

    @once
    def builder(self) -> Builder:
        """The engine, made when the first image is built."""
        if self.own_parts.builder is not None:
            return self.own_parts.builder
        from aksci.images.engines.builder import LazyBuilder

        return LazyBuilder(make=self._make_builder, interrupt=self.runner.terminate_all)

    def _make_builder(self) -> Builder:
        configured = self.settings.builder
        if isinstance(configured, OwnPart):
            from aksci.own_parts import own_builder

            where = f"environments.{self.name}.builder.kind"
            return own_builder(
                self._for_part("builder", configured.kind, where, configured.own_options)
            )
        from aksci.images.engines.make_builder import make_builder

        return make_builder(
            self.config,
            self.settings,
            name=self.name,
            found=self._preparation.with_builder(),
            root=self.root,
            state=self.state,
            variables=self.variables,
            buildx=self.toolbox.ensure("buildx"),
            runner=self.runner,
            reporter=self.reporter,
        )

    def _for_part(
        self, kind: str, name: str, where: str, options: Mapping[str, Any]
    ) -> PartContext:
        return PartContext(**self._shared(kind, name, where, options))

    def _shared(
        self, kind: str, name: str, where: str, options: Mapping[str, Any]
    ) -> dict[str, Any]:
        return {
            "name": name,
            "where": f"{self.root / CONFIG_NAME}: {where}",
            "options": options,
            "project": self.config.project.name,
            "environment": self.name,
            "root": self.root,
            "cache": self.cache / "parts" / f"{kind}-{name}",
            "registry": self.registry,
            "runner": self.runner,
            "reporter": self.reporter,
            "variables": self.variables,
            "now": self.now,
            "run_id": self.run_id,
        }

    @once
    def build_settings(self) -> BuildSettings:
        """What is the same for all builds of this run."""
        from aksci.images.build.build_images import BuildSettings
        from aksci.images.build.build_secrets import load_secrets, load_ssh

        config = self.config
        return BuildSettings(
            concurrency=config.build.concurrency,
            timeout=config.build.timeout,
            secrets=load_secrets(config, root=self.root, variables=self.variables),
            ssh=load_ssh(config, root=self.root, variables=self.variables),
            cache=config.build.cache,
            source=config.project.source,
            revision=self.commit,
            run_id=self.run_id,
            environment=self.name,
            known=self.known_files,
        )

    @once
    def validator(self) -> Validator | None:
        """What runs images, when one must be; None where aksci.toml says that nobody does."""
        if not self.config.build.validate_images:
            return None
        from aksci.images.validate.make_validator import make_validator

        validator = make_validator(
            self.config,
            registry=self.registry,
            make_engine=self.validation_engine,
            own=self.trust.validations,
            signed=self.trust.trusts_validation,
            reporter=self.reporter,
            now=self.now,
            run=self.run_id,
        )
        return self._family.closing.enter_context(closing(validator))

    @once
    def image_check(self) -> ImageCheck | None:
        """The validator, made when the first image was built."""
        from aksci.images.build.build_run import LateCheck

        return LateCheck(lambda: self.validator) if self.config.build.validate_images else None

    def validation_engine(self) -> ImageRunner:
        """Reach what runs images to validate them: Docker Engine, containerd or the cluster."""
        if self.own_parts.image_runner is not None:
            return self.own_parts.image_runner
        from aksci.images.validate.make_validator import validation_engine

        return validation_engine(
            self.settings,
            name=self.name,
            variables=self.variables,
            now=self.now,
            reach_pods=self._reach_pods,
            reach_containerd=self._reach_containerd,
        )

    def _reach_containerd(self) -> ImageRunner:
        from aksci.images.validate.containerd_runner import ContainerdRunner
        from aksci.local.layout import Layout

        self._preparation.prepare(containers=True)
        return ContainerdRunner(
            Layout(self.platform.absolute()),
            variables=self.variables,
            make_network=lambda: self._preparation.prepare(network=True),
        )

    def _reach_pods(self) -> ImageRunner:
        from aksci.deploy.kubernetes.pod_runner import PodRunner

        self.prepare(cluster=True)
        embedded = self.settings.platform == "embedded"
        namespace = _VALIDATION if embedded else self.settings.namespace
        cluster = self._reach(namespace, create=embedded or self.settings.create_namespace)
        try:
            return PodRunner(cluster)
        except BaseException:
            # Nobody else has it yet, so that nobody else would close it.
            cluster.close()
            raise

    # -- Supply chain --

    @once
    def scanner(self) -> Scanner:
        """Who scans: Trivy with its database, or a scanner of one's own."""
        if self.own_parts.scanner is not None:
            from aksci.supply.scan.own_scanner import HandedScanner

            return HandedScanner(self.own_parts.scanner)
        config = self.config.scan
        if config.scanner not in BUILT_IN_SCANNERS:
            from aksci.own_parts import own_scanner

            name, options = config.scanner, config.own_tables.get(config.scanner, {})
            return own_scanner(self._for_part("scanner", name, "scan.scanner", options))
        from aksci.supply.scan.make_scanner import make_scanner

        return make_scanner(
            config,
            toolbox=self.toolbox,
            registry=self.registry,
            cache=self.cache,
            local=self.endpoints.embedded,
            now=self.now(),
            runner=self.runner,
            reporter=self.reporter,
            registries=self.resolver.client,
        )

    @once
    def signer(self) -> Signer:
        """All of ``sign.signers`` as one."""
        if self.own_parts.signer is not None:
            from aksci.supply.sign.make_signer import RememberingSigner

            return RememberingSigner(self.own_parts.signer)
        return self.signers.make(self.config.sign.signers)

    @once
    def signers(self) -> SignerMaker:
        """What makes signers for the environment's registry."""
        from aksci.azure.identity import credential_for
        from aksci.supply.sign.make_signer import SignerMaker

        found = self.endpoints
        return SignerMaker(
            config=self.config.sign,
            found=found,
            registry=self.registry,
            toolbox=self.toolbox,
            runner=self.runner,
            root=self.root,
            state=self.state,
            variables=self.variables,
            now=self.now,
            platform=self.platform,
            offered=self._own_signer,
            credential=lambda: credential_for(found.registry),
        )

    def _own_signer(self, name: str) -> Signer:
        from aksci.own_parts import own_signer

        options = self.config.sign.own_tables.get(name, {})
        return own_signer(self._for_part("signer", name, "sign.signers", options))

    @once
    def trust(self) -> ProjectTrust:
        """What of the registry's content is trusted."""
        from aksci.supply.project_trust import ProjectTrust

        return ProjectTrust(
            work=self.work_folder,
            signer=lambda: self.signer,
            images=self.config.images,
        )

    # -- The cluster --

    def cluster(self, *, only_look: bool = False) -> Cluster:
        """Connect to the cluster, for ``with``. It is started, and its namespace made if it may be.

        :param only_look: make no namespace, as where nothing is started.
        :raises ConfigError: the kubeconfig, its context or the namespace does not exist.
        :raises ClusterError: the cluster can't be reached or refuses the credentials.
        """
        self.prepare(cluster=True)
        return self._reach(
            self.settings.namespace,
            create=self.settings.create_namespace,
            only_look=only_look or not self.start,
        )

    def _reach(self, namespace: str, *, create: bool, only_look: bool = False) -> Cluster:
        from aksci.deploy.kubernetes.cluster import connect

        if self.own_parts.cluster is not None:
            return self.own_parts.cluster.lent()
        found = self.endpoints
        return connect(
            found.kubeconfig,
            found.kube_context,
            namespace,
            create_namespace=create,
            only_look=only_look,
            embedded=self.settings.platform == "embedded",
            variables=self.variables,
        )

    @once
    def target(self) -> Target:
        """What applies each service: Helm, or a target of one's own."""
        from aksci.deploy.targets.assigned_targets import AssignedTargets
        from aksci.own_parts import own_targets

        services = self.config.services
        if self.own_parts.target is not None:
            own = dict.fromkeys(services, self.own_parts.target)
        else:
            own = own_targets(self.settings, services, self.name, self._for_target)
        return AssignedTargets(helm=lambda: self.helm, own=own, runner=self.runner)

    def _for_target(self, name: str, where: str, options: Mapping[str, Any]) -> TargetContext:
        return TargetContext(
            **self._shared("target", name, where, options),
            namespace=self.settings.namespace,
            kubeconfig=self.endpoints.kubeconfig,
            kube_context=self.endpoints.kube_context,
        )

    @property
    def deploy_tools(self) -> tuple[str, ...]:
        """The programs that a deployment needs here: parts of one's own have theirs."""
        from aksci.supply.sign.make_signer import signing_tools

        names = () if self.own_parts.signer else signing_tools(self.config.sign.signers)
        targets = {self.settings.target_of(each)[0] for each in self.config.services.values()}
        helm = not self.own_parts.target and ("helm" in targets or not targets)
        return (*names, "helm") if helm else names

    @once
    def helm(self) -> Helm:
        """Helm, for the environment's namespace."""
        from aksci.deploy.targets.helm import Helm

        found = self.endpoints
        return Helm(
            program=self.toolbox.ensure("helm"),
            runner=self.runner,
            kubeconfig=found.kubeconfig,
            context=found.kube_context,
            namespace=self.settings.namespace,
        )
