"""What services of aksci.toml need: their charts, and images that the project builds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.config.loader import CONFIG_NAME
from aksci.core.errors import ConfigError
from aksci.core.inside import Inside

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from aksci.config.models import Config

__all__ = ["require_services"]


def require_services(config: Config, *, root: Path, images: Iterable[str]) -> None:
    """Refuse services that could not be released, before anything is built for them.

    :param root: the project's folder.
    :param images: the names of all images of the project.
    :raises ConfigError: a service has no chart, or needs an image that there is not.
    """
    path, known, inside = root / CONFIG_NAME, list(images), Inside(root)
    for name, service in config.services.items():
        where = f"{path}: services.{name}.chart"
        if not inside.has_file(f"{service.chart}/Chart.yaml", where=where):
            raise ConfigError(f"{where}: there is no chart in {service.chart} (no Chart.yaml).")
        jobs = [step.image for step in (*service.pre, *service.post) if step.kind == "job"]
        for image in (*service.images.values(), *jobs):
            if image not in known:
                raise ConfigError(
                    f"{path}: services.{name}: there is no image {image!r}; there are: "
                    f"{', '.join(known)}."
                )
