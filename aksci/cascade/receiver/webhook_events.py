"""What registries tell of a push: ACR's webhooks, and the notifications of CNCF Distribution.

All of it is text from the network. What is no push of a tagged image is passed over; a push whose
names are not what a registry could have is refused.

Sources: Azure, "Azure Container Registry webhook reference"; Distribution, "Work with
notifications".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from aksci.core.errors import ConfigError
from aksci.core.strict_json import parse_json
from aksci.oci.references import is_digest, parse_reference

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PayloadError", "Push", "parse_acr", "parse_distribution", "read_payload", "shown"]

_ID = re.compile(r"[\x21-\x7e]{1,128}")
_LONGEST = 255  # characters of a repository's name, and of a host's
_SHOWN = 120  # characters
_MANIFESTS = frozenset(
    {
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
    }
)


class PayloadError(Exception):
    """What came is not what such a registry sends."""


@dataclass(frozen=True, kw_only=True)
class Push:
    """A tag was moved in a registry."""

    source: Literal["acr", "distribution"]
    id: str
    """The event's, unique at its source."""
    at: datetime
    """When it happened, by the registry's clock."""
    host: str
    """As the client that pushed has called the registry."""
    repository: str
    tag: str
    digest: str


def shown(text: object) -> str:
    """Return text from the network so that it can stand in a line of a log: short, and one line."""
    kept = "".join(each if each.isprintable() else "?" for each in str(text)[: _SHOWN + 1])
    return kept if len(kept) <= _SHOWN else f"{kept[:_SHOWN]}…"


def read_payload(body: bytes) -> Any:
    """Read a webhook's JSON.

    :raises PayloadError: it is none, or nested beyond reason.
    """
    try:
        return parse_json(body)
    except ValueError:
        raise PayloadError("it is not JSON") from None


def parse_acr(document: Any) -> Push | None:
    """Read ACR's webhook; None: it tells of something else than the push of a tagged image.

    :raises PayloadError: it is none of ACR's.
    """
    event = _mapping(document, "the body")
    if not isinstance(event.get("action"), str):
        raise PayloadError("it has no action")
    return _push("acr", event) if event["action"] == "push" else None


def parse_distribution(document: Any) -> tuple[tuple[Push, ...], tuple[str, ...]]:
    """Read an envelope of notifications: pushes of tagged images, and what is wrong with others.

    :raises PayloadError: it is no envelope. One wrong event does not spoil the others.
    """
    events = _mapping(document, "the body").get("events")
    if not isinstance(events, list):
        raise PayloadError("it has no events")
    pushes, problems = [], []
    for event in events:
        try:
            if _mapping(event, "an event").get("action") == "push":
                pushes.append(_push("distribution", event))
        except PayloadError as error:
            problems.append(str(error))
    return tuple(filter(None, pushes)), tuple(problems)


def _push(source: Literal["acr", "distribution"], event: Mapping[str, Any]) -> Push | None:
    target = _mapping(event.get("target"), "target")
    media_type = target.get("mediaType")
    known = isinstance(media_type, str) and media_type in _MANIFESTS  # a list has no hash
    if not known or not target.get("tag"):
        return None  # a layer; a manifest by its digest, as attestations and signatures are
    host = _text(_mapping(event.get("request"), "request"), "host").lower()
    push = Push(
        source=source,
        id=_id(event),
        at=_moment(event.get("timestamp")),
        host=host.removesuffix(":443"),
        repository=_text(target, "repository"),
        tag=_text(target, "tag"),
        digest=_text(target, "digest"),
    )
    name = f"{push.host}/{push.repository}"
    try:
        named = parse_reference(f"{name}:{push.tag}@{push.digest}")
        # Read back: a host without dot and port would be taken for a part of docker.io's name.
        sound = (named.registry, named.repository) == (push.host, push.repository)
    except ConfigError:
        sound = False
    if not sound or not is_digest(push.digest):
        raise PayloadError(f"{shown(name)}:{shown(push.tag)} can't be the name of an image")
    return push


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise PayloadError(f"{what} is no object")
    return value


def _text(holder: Mapping[str, Any], key: str) -> str:
    value = holder.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST:
        raise PayloadError(f"{key} is missing, or no text of a sensible length")
    return value


def _id(event: Mapping[str, Any]) -> str:
    value = event.get("id")
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise PayloadError("id is missing or odd")
    return value


def _moment(value: Any) -> datetime:
    """Read a time of RFC 3339, which both write with up to nine decimals."""
    try:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        raise PayloadError("timestamp is missing, or no time") from None
