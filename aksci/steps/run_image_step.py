"""The step ``run_image``: one built image, running, for a test of one's own."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from aksci.config.models import ImageConfig
from aksci.images.validate.running_image import keep_running

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aksci.environment import Environment
    from aksci.images.build.build_record import BuiltImage
    from aksci.images.validate.running_image import RunningImage

__all__ = ["run_image"]


@contextmanager
def run_image(
    env: Environment,
    image: BuiltImage,
    *,
    port: int,
    variables: Mapping[str, str] | None = None,
    ready: str = "/",
    timeout: float = 60.0,
    limit: float = 600.0,
) -> Iterator[RunningImage]:
    """Run a built image by its digest where images are validated, for as long as the block takes.

    That is Docker Engine or a pod, as for ``validate``: unprivileged, limited, and removed
    afterwards, whatever happens. The block begins when the image answers.

    >>> with run_image(env, build.images["web"], port=8080) as web:  # doctest: +SKIP
    ...     web.get("/healthz").status
    200

    :param image: of a build; what runs is this digest.
    :param port: where the image listens, by TCP.
    :param variables: its environment variables. Default: ``validate.env`` in its table. Anyone
        who may read pods or use Docker Engine can read them meanwhile: pass no real secrets.
    :param ready: path that must respond with a status below 500 before the block begins.
    :param timeout: seconds for that, once the process has started.
    :param limit: seconds, and some minutes more, after which the cluster ends the pod where this
        process was killed and can't remove it.
    :raises UsageError: ``ready`` does not begin with ``/``.
    :raises ValidationError: it does not start, or does not answer in time.
    :raises RegistryError: it could not be pulled.
    :raises PlatformError: Docker Engine failed, or can't be reached from here.
    :raises ClusterError: the cluster failed.
    """
    if variables is None:
        variables = env.config.images.get(image.name, ImageConfig()).validation.env
    with (
        closing(env.validation_engine()) as runner,
        keep_running(
            runner, env.registry, image.name, image.ref, variables=variables,
            port=port, ready=ready, timeout=timeout, limit=limit, run=env.run_id,
        ) as running,
    ):  # fmt: skip
        env.reporter.line(f"[{image.name}] runs, and answers on port {port}")
        yield running
