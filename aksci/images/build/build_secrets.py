"""What builds may read or log in with, found at the edge: secrets and ssh keys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError
from aksci.core.inside import place_named
from aksci.core.secret import Secret
from aksci.images.engines.builder import BuildSecret, BuildSsh

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.config.models import Config

__all__ = ["load_secrets", "load_ssh"]


def load_secrets(
    config: Config, *, root: Path, variables: Mapping[str, str]
) -> tuple[BuildSecret, ...]:
    """Find the build secrets of aksci.toml.

    :raises ConfigError: one is missing and not optional.
    """
    found = []
    for name, secret in sorted(config.build.secrets.items()):
        if secret.file is not None:
            path = place_named(root, secret.file, where=f"[build.secrets.{name}] file")
            if path.is_file():
                found.append(BuildSecret(id=name, file=path))
                continue
            missing = f"the file {path} does not exist"
        else:
            value = variables.get(secret.env or "")
            if value is not None:
                found.append(BuildSecret(id=name, value=Secret(value)))
                continue
            missing = f"the variable {secret.env} is not set"
        if not secret.optional:
            raise ConfigError(
                f"The build secret {name} is missing: {missing}.",
                hint=f"provide it, or set [build.secrets.{name}] optional = true.",
            )
    return tuple(found)


def load_ssh(config: Config, *, root: Path, variables: Mapping[str, str]) -> tuple[BuildSsh, ...]:
    """Find what aksci.toml lets RUN --mount=type=ssh log in with.

    :raises ConfigError: a key file or the agent is missing.
    """
    found = []
    for name, files in sorted(config.build.ssh.items()):
        where = f"[build.ssh] {name}"
        if not files and not variables.get("SSH_AUTH_SOCK"):
            raise ConfigError(
                f"{where} means the ssh agent, and the variable SSH_AUTH_SOCK does not name one.",
                hint='eval "$(ssh-agent)" && ssh-add; or name key files in aksci.toml.',
            )
        keys = tuple(place_named(root, Path(file).expanduser(), where=where) for file in files)
        for key in keys:
            if not key.is_file():
                raise ConfigError(f"{where}: the key file {key} does not exist.")
            if "," in str(key):
                raise ConfigError(f"{where}: buildx takes no file with a comma in its name: {key}.")
        found.append(BuildSsh(id=name, keys=keys))
    return tuple(found)
