"""verify → plan → pre steps → Helm → rollout → post steps; and back; and what runs now."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aksci.core.errors import TrustError, UsageError
from aksci.deploy.deploy_plan import plan_deploy, read_state
from aksci.deploy.deploy_release import deploy_release
from aksci.deploy.environment_status import read_status
from aksci.deploy.opened_release import OpenedRelease, OpenedService
from aksci.deploy.rollback import choose_release
from aksci.deploy.state.deploy_record import read_record
from aksci.local.platform import status as platform_status
from aksci.oci.references import ImageRef
from aksci.pipelines.output import renderer_of, show, show_json
from aksci.supply.release.chart import fetch_chart
from aksci.supply.release.make_release import load_release
from aksci.supply.release.verify_release import verify_release

if TYPE_CHECKING:
    from aksci.cli.options import Options
    from aksci.deploy.deploy_release import DeployResult
    from aksci.environment import Environment
    from aksci.oci.registry import Registry
    from aksci.supply.release.release import Release as SignedRelease

__all__ = ["deploy", "deploy_ref", "rollback", "status", "verified_release"]


def deploy(env: Environment, options: Options) -> dict[str, Any]:
    """Roll out a release: the last build's, or the one named by ``--release``."""
    ref = ImageRef.parse(options.release) if options.release else env.last_release()
    return deploy_ref(env, ref, plan_only=options.plan)


def deploy_ref(env: Environment, ref: ImageRef, *, plan_only: bool = False) -> dict[str, Any]:
    """Verify a release in the environment's registry, and roll it out."""
    _prepare(env)
    return _deploy(env, ref, plan_only=plan_only)


def rollback(env: Environment, options: Options) -> dict[str, Any]:
    """Roll out an earlier release of this environment's history again, without its pre steps."""
    _prepare(env)
    with env.cluster(only_look=True) as cluster:
        ref = ImageRef.parse(choose_release(read_record(cluster), options.to))
    env.reporter.line(f"going back to {ref}")
    return _deploy(env, ref, plan_only=options.plan, rollback=True)


def status(env: Environment, options: Options) -> dict[str, Any]:
    """Show the local platform's parts, and what runs in the environment. Starts nothing."""
    renderer_of("status", options, {"text": None, "json": None})
    embedded = env.settings.platform == "embedded"
    platform = platform_status(state=env.platform) if embedded else None
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
        with env.looking.cluster() as cluster:
            found = read_status(cluster, env.config.services)
        document["environment"] = found.as_json()
        lines += ["", found.text()]
    if options.format == "json":
        show_json(document)
    else:
        show("\n".join(lines))
    return {}


def _prepare(env: Environment) -> None:
    """Make sure that all is there that a deployment needs."""
    env.prepare(cluster=True)
    env.toolbox.ensure_all(("notation", "helm"))


def _deploy(
    env: Environment, ref: ImageRef, *, plan_only: bool = False, rollback: bool = False
) -> dict[str, Any]:
    signed = verified_release(env, ref)
    with (
        tempfile.TemporaryDirectory(prefix="aksci-charts-") as folder,
        env.cluster(only_look=plan_only) as cluster,
    ):
        release = _open(signed, env.registry, Path(folder))
        if plan_only:
            planned = plan_deploy(
                release,
                env.config.services,
                env.name,
                env.settings,
                read_state(cluster),
                root=env.root,
                rollback=rollback,
            )
            show(planned.text())
            return planned.as_json()
        result = deploy_release(
            release,
            env.config.services,
            env.name,
            env.settings,
            root=env.root,
            cluster=cluster,
            helm=env.helm,
            reporter=env.reporter,
            now=env.now,
            run_id=env.run_id,
            rollback=rollback,
        )
    _tell(env, ref, result)
    return result.as_json()


def verified_release(env: Environment, ref: ImageRef) -> SignedRelease:
    """Read a release by digest and verify it and all that it names, or refuse it."""
    registry = env.registry
    if ref.registry != registry.host:
        raise UsageError(
            f"The release {ref} is not in {registry.host}, the registry of {env.name!r}.",
            hint=f"nox -s build deploy -- --env {env.name}",
        )
    release = load_release(registry, ref)
    project = env.config.project.name
    if release.project != project:
        raise TrustError(f"{ref} is a release of {release.project!r}, not of {project!r}.")
    verify_release(release, signer=env.signer, registry=registry)
    count = len(release.images)
    env.reporter.line(f"verified {release.tag}: the release and its {count} images")
    return release


def _open(signed: SignedRelease, registry: Registry, folder: Path) -> OpenedRelease:
    """Fetch a verified release's charts."""
    services = {}
    for name, service in signed.services.items():
        place = folder / name
        place.mkdir()
        services[name] = OpenedService(
            name=name,
            chart=fetch_chart(registry, service.chart, place),
            images=signed.service_images(name),
        )
    images = {name: image.ref for name, image in signed.images.items()}
    return OpenedRelease(reference=str(signed.ref), services=services, images=images)


def _tell(env: Environment, ref: ImageRef, result: DeployResult) -> None:
    reporter = env.reporter
    if result.changed:
        reporter.line(f"deployed {ref} to {env.name!r} in {result.seconds:.1f} s")
    else:
        reporter.line(f"{env.name!r} is up to date: nothing to do")
    for label, address in env.settings.urls.items():
        reporter.line(f"{label} answers at {address}")
