"""Who was asked to run for which change, remembered in the registry, where every runner sees it."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from aksci.core.errors import ConfigError, DamagedInRegistry, NotFoundInRegistry
from aksci.oci.artifact import CREATED, Content, canonical_json, push_artifact, read_artifact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.oci.registry import Registry

__all__ = ["AskMemory", "asked_lately", "asking_key"]

_TYPE = "application/vnd.aksci.asked.v1+json"
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_KEY = re.compile(r"[0-9a-f]{64}")


def asking_key(target: str, moved: Mapping[str, str]) -> str:
    """Return what stands for one request: 64 hexadecimal digits.

    :param target: who is asked, such as ``github:owner/name``.
    :param moved: full reference -> the digest that it means now.
    """
    # By what moved, and not by when: a change that is found twice is asked for once.
    return hashlib.sha256(canonical_json([target, sorted(moved.items())])).hexdigest()


def asked_lately(moment: datetime | None, *, now: datetime, hours: float) -> bool:
    """Tell whether a request was made so lately that it is not made again.

    One in the future was not made: whoever wrote it would else keep the owner from being asked
    for as long as he likes.
    """
    return moment is not None and now - timedelta(hours=hours) < moment <= now


class AskMemory:
    """The requests of one project.

    Anybody who may push to the repository can write that a request was made. All that he gets is
    that the owner isn't asked for ``ask_again`` hours; the owner's own cascade takes the change
    all the same. See ``asked_lately``.

    :param repository: ``<project>/cascade``.
    """

    def __init__(self, registry: Registry, repository: str) -> None:
        self._registry = registry
        self._repository = repository

    def when(self, key: str) -> datetime | None:
        """Return when a request was last made; None: never, or what is written there is damaged.

        :raises RegistryError: the registry failed.
        """
        try:
            found = read_artifact(self._registry, self._repository, _tag(key), artifact_type=_TYPE)
            text = found.annotations.get(CREATED, "")
            return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
        except (NotFoundInRegistry, DamagedInRegistry, ValueError):
            return None

    def remember(self, key: str, *, now: datetime, detail: Mapping[str, Any]) -> None:
        """Remember that a request was made, over any earlier one.

        :param detail: for people, as JSON; no secrets.
        """
        push_artifact(
            self._registry,
            self._repository,
            artifact_type=_TYPE,
            layers=[Content(media_type=_TYPE, content=canonical_json({"schema": 1, **detail}))],
            annotations={CREATED: now.astimezone(UTC).strftime(_TIME)},
            tag=_tag(key),
        )


def _tag(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ConfigError(f"{key!r} is no key of a request.")
    return f"asked-{key[:32]}"
