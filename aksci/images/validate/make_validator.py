"""What runs images to validate them, made when one must be run: ``make_validator``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.errors import DockerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from aksci.config.deploy_models import EnvironmentConfig
    from aksci.config.models import Config
    from aksci.core.reporting import Reporter
    from aksci.images.validate.image_runner import ImageRunner
    from aksci.images.validate.own_validations import OwnValidations
    from aksci.images.validate.validator import Validator
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry

__all__ = ["make_validator", "validation_engine"]


def make_validator(
    config: Config,
    *,
    registry: Registry,
    make_engine: Callable[[], ImageRunner],
    own: OwnValidations,
    signed: Callable[[ImageRef, str], bool],
    reporter: Reporter,
    now: Callable[[], datetime],
    run: str,
) -> Validator:
    """Return what validates images; ``close`` it.

    Neither Docker nor the cluster is touched before an image really must be run. The
    parameters are those of ``Validator``.
    """
    from aksci.images.validate.validator import Validator

    return Validator(
        registry=registry,
        make_engine=make_engine,
        configs={name: image.validation for name, image in config.images.items()},
        own=own,
        signed=signed,
        reporter=reporter,
        now=now,
        run=run,
        concurrency=config.build.concurrency,
    )


def validation_engine(
    settings: EnvironmentConfig,
    *,
    name: str,
    variables: Mapping[str, str],
    now: Callable[[], datetime],
    reach_pods: Callable[[], ImageRunner],
    reach_containerd: Callable[[], ImageRunner],
) -> ImageRunner:
    """Reach what runs the images: Docker Engine, the embedded platform's containerd, or pods.

    :param settings: of the environment of that name.
    :raises DockerError: Docker Engine does not answer.
    """
    default = "containerd" if settings.platform == "embedded" else "docker"
    chosen = settings.validate_in or default
    if chosen != "docker":
        return reach_pods() if chosen == "cluster" else reach_containerd()
    from aksci.images.validate.docker_runner import DockerRunner
    from aksci.local.docker_engine import docker_engine

    hint = (
        'start it (systemctl start docker), or set validate_in = "cluster" in '
        f"[environments.{name}], or validate = false in [build]."
    )
    try:
        docker_engine(variables)
    except DockerError as error:
        raise DockerError(f"Images can't be validated: {error.message}", hint=hint) from None
    return DockerRunner(variables, hint=hint, now=now)
