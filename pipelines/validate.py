"""Where images are run to validate them: Docker Engine or the cluster, when one must be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.errors import DockerError
from aksci.images.validate.in_docker import DockerEngine
from aksci.images.validate.validator import Validator
from pipelines.platform import prepare

if TYPE_CHECKING:
    from collections.abc import Callable

    from aksci.context import Context
    from aksci.images.validate.engine import Engine
    from aksci.images.validate.own_validations import OwnValidations
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry
    from aksci.tools.toolbox import Toolbox

__all__ = ["make_validator"]

_NAMESPACE = "aksci-validate"
"""On the embedded platform, which is ours; elsewhere pods are run in the environment's own."""


def make_validator(
    context: Context,
    toolbox: Toolbox,
    registry: Registry,
    *,
    own: OwnValidations,
    signed: Callable[[ImageRef, str], bool],
) -> Validator | None:
    """Return what validates images; None where aksci.toml says ``[build] validate = false``.

    Neither Docker nor the cluster is touched before an image really must be run. ``close`` it.
    The other parameters are those of ``Validator``.
    """
    config = context.config
    if not config.build.validate_images:
        return None
    return Validator(
        registry=registry,
        make_engine=lambda: _engine(context, toolbox),
        configs={name: image.validation for name, image in config.images.items()},
        own=own,
        signed=signed,
        reporter=context.reporter,
        now=context.now,
        run=context.run_id,
        concurrency=config.build.concurrency,
    )


def _engine(context: Context, toolbox: Toolbox) -> Engine:
    environment = context.environment
    default = "cluster" if environment.platform == "embedded" else "docker"
    if (environment.validate_in or default) == "docker":
        return _docker(context)
    return _cluster(context, toolbox)


def _docker(context: Context) -> Engine:
    from aksci.local.docker_engine import docker_engine

    hint = (
        'start it (systemctl start docker), or set validate_in = "cluster" in '
        f"[environments.{context.environment_name}], or validate = false in [build]."
    )
    try:
        docker_engine(context.variables)
    except DockerError as error:
        raise DockerError(f"Images can't be validated: {error.message}", hint=hint) from None
    return DockerEngine(context.variables, hint=hint, now=context.now)


def _cluster(context: Context, toolbox: Toolbox) -> Engine:
    from aksci.deploy.kubernetes.cluster import connect
    from aksci.deploy.kubernetes.pod_engine import PodEngine

    environment = context.environment
    found = prepare(context, toolbox, cluster=True)
    cluster = connect(
        found.kubeconfig,
        found.kube_context,
        _NAMESPACE if found.embedded else environment.namespace,
        create_namespace=found.embedded or environment.create_namespace,
        embedded=found.embedded,
    )
    try:
        return PodEngine(cluster)
    except BaseException:
        cluster.close()
        raise
