"""Which key notation signs with, and what a plugin or a key service needs of the environment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.config.supply_models import NotationConfig

__all__ = ["NotationKey", "credentials", "notation_key"]

# How the SDKs of key services are told who asks; nothing here says what is signed or trusted.
_CREDENTIALS = ("AZURE_", "AWS_", "GOOGLE_", "VAULT_", "IDENTITY_", "MSI_")
_SECRETIVE = ("secret", "password", "passphrase", "token", "credentials")


@dataclass(frozen=True, kw_only=True)
class NotationKey:
    """A key that notation knows by name, or that one of its plugins knows by an identifier."""

    name: str = ""
    """As in ``notation key list``."""
    plugin: str = ""
    identifier: str = ""
    config: Mapping[str, str] = field(default_factory=dict)

    def words(self) -> tuple[str, ...]:
        """Return the arguments of ``notation sign`` that name it."""
        if self.name:
            return (f"--key={self.name}",)
        more = (f"--plugin-config={key}={value}" for key, value in sorted(self.config.items()))
        return (f"--plugin={self.plugin}", f"--id={self.identifier}", *more)

    def __str__(self) -> str:
        return f"the key {self.name or self.identifier!r}"


def notation_key(config: NotationConfig) -> NotationKey | None:
    """Return the key that ``[sign.notation]`` names; None where it names none.

    :raises ConfigError: something for the plugin looks like a secret. Everybody on the machine can
        see what a program is started with.
    """
    for name in config.plugin_config:
        if any(word in name.lower() for word in _SECRETIVE):
            raise ConfigError(
                f"sign.notation.plugin_config.{name} would be on the plugin's command line, where "
                "everybody on the machine can read it.",
                hint="let the plugin find the secret by itself: by the login of the Azure CLI, a "
                "managed identity, or its own environment variables.",
            )
    if config.plugin and config.key_id:
        return NotationKey(
            plugin=config.plugin, identifier=config.key_id, config=config.plugin_config
        )
    return NotationKey(name=config.key) if config.key else None


def credentials(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables by which a plugin or a key service's SDK logs in.

    The home of a sandbox is empty, so the Azure CLI is told where its own folder is.
    """
    found = {name: text for name, text in variables.items() if name.startswith(_CREDENTIALS)}
    if variables.get("HOME"):
        return {"AZURE_CONFIG_DIR": f"{variables['HOME']}/.azure", **found}
    return found
