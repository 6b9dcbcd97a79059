"""verify → plan → pre steps → Helm → rollout → post steps; and back; and what runs now."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aksci.core.errors import TrustError, UsageError
from aksci.deploy.deploy_plan import plan_deploy, read_state
from aksci.deploy.deploy_release import deploy_release
from aksci.deploy.environment_status import read_status
from aksci.deploy.kubernetes.cluster import connect
from aksci.deploy.rollback import choose_release
from aksci.deploy.state.deploy_record import read_record
from aksci.deploy.state.desired import OpenedRelease, ServiceRelease
from aksci.deploy.targets.helm import Helm
from aksci.local.platform import status as platform_status
from aksci.oci.references import ImageRef
from aksci.supply.release.chart import fetch_chart
from aksci.supply.release.make_release import load_release
from aksci.supply.release.release_file import read_release_file
from aksci.supply.release.sign_release import verify_release
from pipelines.output import renderer_of, show, show_json
from pipelines.platform import locate, make_toolbox, platform_state, prepare
from pipelines.signers import make_signer
from pipelines.supplies import reach_registry

if TYPE_CHECKING:
    import contextlib

    from aksci.cli.options import Options
    from aksci.context import Context
    from aksci.deploy.deploy_release import DeployResult
    from aksci.deploy.kubernetes.cluster import Cluster
    from aksci.oci.client import RegistryClient
    from aksci.supply.release.release import Release as SignedRelease
    from aksci.supply.sign.signer import Signer
    from aksci.tools.toolbox import Toolbox
    from pipelines.platform import Surroundings

__all__ = ["deploy", "deploy_ref", "open_cluster", "rollback", "status", "verified_release"]


@dataclass(frozen=True, kw_only=True)
class _Site:
    """One environment, prepared. Its cluster is connected to once the release is verified."""

    context: Context
    toolbox: Toolbox
    found: Surroundings
    registry: RegistryClient

    @classmethod
    def prepare(cls, context: Context) -> _Site:
        """Make sure that all is there that a deployment needs."""
        toolbox = make_toolbox(context)
        found = prepare(context, toolbox, cluster=True)
        toolbox.ensure_all(("notation", "helm"))
        registry = reach_registry(context, found)
        return cls(context=context, toolbox=toolbox, found=found, registry=registry)

    def connect(self, *, only_look: bool) -> contextlib.AbstractContextManager[Cluster]:
        """Connect to the cluster; unless it is only looked at, its namespace is made."""
        environment = self.context.environment
        return connect(
            self.found.kubeconfig,
            self.found.kube_context,
            environment.namespace,
            create_namespace=environment.create_namespace,
            only_look=only_look,
            embedded=self.found.embedded,
        )


def deploy(context: Context, options: Options) -> dict[str, Any]:
    """Roll out a release: the last build's, or the one named by ``--release``."""
    ref = ImageRef.parse(options.release) if options.release else read_release_file(context.work)
    return deploy_ref(context, ref, plan_only=options.plan)


def deploy_ref(context: Context, ref: ImageRef, *, plan_only: bool = False) -> dict[str, Any]:
    """Verify a release in the environment's registry, and roll it out."""
    return _deploy(_Site.prepare(context), ref, plan_only=plan_only)


def rollback(context: Context, options: Options) -> dict[str, Any]:
    """Roll out an earlier release of this environment's history again, without its pre steps."""
    site = _Site.prepare(context)
    with site.connect(only_look=True) as cluster:
        ref = ImageRef.parse(choose_release(read_record(cluster), options.to))
    context.reporter.line(f"going back to {ref}")
    return _deploy(site, ref, plan_only=options.plan, rollback=True)


def status(context: Context, options: Options) -> dict[str, Any]:
    """Show the local platform's parts, and what runs in the environment. Starts nothing."""
    renderer_of("status", options, {"text": None, "json": None})
    embedded = context.environment.platform == "embedded"
    platform = platform_status(state=platform_state(context)) if embedded else None
    parts = platform.parts if platform else ()
    document: dict[str, Any] = {
        "schema": 1,
        "platform": [
            {"name": part.name, "healthy": part.healthy, "address": part.address, "pid": part.pid}
            for part in parts
        ],
        "environment": None,
    }
    lines = [
        f"{'ok  ' if part.healthy else 'DOWN'}  {part.name:20} {part.address}" for part in parts
    ]
    if platform and not platform.healthy:
        lines.append("the local platform is not up: nox -s up")
    else:
        with open_cluster(context) as cluster:
            found = read_status(cluster, context.config.services)
        document["environment"] = found.as_json()
        lines += ["", found.text()]
    if options.format == "json":
        show_json(document)
    else:
        show("\n".join(lines))
    return {}


def open_cluster(context: Context) -> contextlib.AbstractContextManager[Cluster]:
    """Open the environment's cluster to look at it only. Starts nothing."""
    place = locate(context)
    return connect(
        place.kubeconfig,
        place.kube_context,
        context.environment.namespace,
        only_look=True,
        embedded=place.embedded,
    )


def _deploy(
    site: _Site, ref: ImageRef, *, plan_only: bool = False, rollback: bool = False
) -> dict[str, Any]:
    context = site.context
    signer = make_signer(context, site.toolbox, site.found, site.registry)
    signed = verified_release(context, ref, registry=site.registry, signer=signer)
    with (
        tempfile.TemporaryDirectory(prefix="aksci-charts-") as folder,
        site.connect(only_look=plan_only) as cluster,
    ):
        release = _open(signed, site.registry, Path(folder))
        if plan_only:
            planned = plan_deploy(
                release,
                context.config.services,
                context.environment_name,
                context.environment,
                read_state(cluster),
                root=context.root,
                rollback=rollback,
            )
            show(planned.text())
            return planned.as_json()
        result = deploy_release(
            release,
            context.config.services,
            context.environment_name,
            context.environment,
            root=context.root,
            cluster=cluster,
            helm=_helm(site),
            reporter=context.reporter,
            now=context.now,
            run_id=context.run_id,
            rollback=rollback,
        )
    _tell(context, ref, result)
    return result.as_json()


def verified_release(
    context: Context, ref: ImageRef, *, registry: RegistryClient, signer: Signer
) -> SignedRelease:
    """Read a release by digest and verify it and all that it names, or refuse it."""
    if ref.registry != registry.host:
        raise UsageError(
            f"The release {ref} is not in {registry.host}, the registry of "
            f"{context.environment_name!r}.",
            hint=f"nox -s build deploy -- --env {context.environment_name}",
        )
    release = load_release(registry, ref)
    project = context.config.project.name
    if release.project != project:
        raise TrustError(f"{ref} is a release of {release.project!r}, not of {project!r}.")
    verify_release(release, signer=signer, registry=registry)
    count = len(release.images)
    context.reporter.line(f"verified {release.tag}: the release and its {count} images")
    return release


def _open(signed: SignedRelease, registry: RegistryClient, folder: Path) -> OpenedRelease:
    """Fetch a verified release's charts."""
    services = {}
    for name, service in signed.services.items():
        place = folder / name
        place.mkdir()
        services[name] = ServiceRelease(
            name=name,
            chart=fetch_chart(registry, service.chart, place),
            images=signed.service_images(name),
        )
    images = {name: image.ref for name, image in signed.images.items()}
    return OpenedRelease(reference=str(signed.ref), services=services, images=images)


def _helm(site: _Site) -> Helm:
    environment = site.context.environment
    return Helm(
        program=site.toolbox.ensure("helm"),
        runner=site.context.runner,
        kubeconfig=site.found.kubeconfig,
        context=site.found.kube_context,
        namespace=environment.namespace,
    )


def _tell(context: Context, ref: ImageRef, result: DeployResult) -> None:
    reporter = context.reporter
    if result.changed:
        reporter.line(f"deployed {ref} to {context.environment_name!r} in {result.seconds:.1f} s")
    else:
        reporter.line(f"{context.environment_name!r} is up to date: nothing to do")
    for label, address in context.environment.urls.items():
        reporter.line(f"{label} answers at {address}")
