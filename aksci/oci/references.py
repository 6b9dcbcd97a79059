"""Names of things in a registry. After a build, only ``ImageRef`` is passed on: it has no tag."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aksci.core.errors import ConfigError

__all__ = ["ImageRef", "is_repository"]

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_REPOSITORY = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
)


def is_repository(name: str) -> bool:
    """Tell whether a name is a repository's by the distribution specification's grammar."""
    return bool(_REPOSITORY.fullmatch(name))


@dataclass(frozen=True, order=True)
class ImageRef:
    """One manifest or index in one repository, by digest.

    The grammar is that of the OCI distribution specification 1.1, "Pulling manifests".
    """

    registry: str
    """``host[:port]``."""
    repository: str
    digest: str
    """``sha256:`` and 64 hexadecimal digits."""

    def __post_init__(self) -> None:
        if (
            not self.registry
            or not is_repository(self.repository)
            or not _DIGEST.fullmatch(self.digest)
        ):
            raise ConfigError(
                f"{self.registry}/{self.repository}@{self.digest} is not a valid image reference."
            )

    @classmethod
    def parse(cls, text: str) -> ImageRef:
        """Read ``registry/repository@sha256:…``.

        :raises ConfigError: it is anything else, a tag for example.
        """
        name, at, digest = text.partition("@")
        registry, slash, repository = name.partition("/")
        if not at or not slash:
            raise ConfigError(
                f"{text!r} is not a digest reference.",
                hint="write it as registry/repository@sha256:<64 hex digits>.",
            )
        return cls(registry, repository, digest)

    @property
    def name(self) -> str:
        """``registry/repository``, without the digest."""
        return f"{self.registry}/{self.repository}"

    def __str__(self) -> str:
        return f"{self.name}@{self.digest}"
