"""Which images manifests run, wherever in them a pod's specification stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aksci.core.errors import ConfigError, TrustError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

__all__ = ["check_images", "images_of", "parse_manifests"]

_LISTS = ("initContainers", "containers", "ephemeralContainers")
_PODS = frozenset(
    {
        "CronJob",
        "DaemonSet",
        "Deployment",
        "Job",
        "Pod",
        "PodTemplate",
        "ReplicaSet",
        "ReplicationController",
        "StatefulSet",
    }
)


def parse_manifests(service: str, text: str) -> list[dict[str, Any]]:
    """Read what Helm rendered, the parts of a ``List`` each by itself.

    :raises ConfigError: it is not YAML.
    """
    import yaml

    try:
        # safe: a chart's text must make no Python objects.
        documents = list(yaml.safe_load_all(text))
    except yaml.YAMLError as error:
        raise ConfigError(f"services.{service}: the chart renders no YAML: {error}") from None
    return [each for document in documents for each in _parts(document)]


def check_images(
    service: str, manifests: Collection[Mapping[str, Any]], allowed: Collection[str]
) -> None:
    """Refuse a chart that runs anything else than the release's images, by digest.

    :raises TrustError: a container's image is not one of ``allowed``.
    """
    foreign = [
        f"  {each.get('kind')}/{(each.get('metadata') or {}).get('name')}, "
        f"container {name!r}: {image or 'no image'}"
        for each in manifests
        for name, image in images_of(each)
        # Another kind's container without an image only adds to one that is defined elsewhere.
        if image not in allowed and (image or each.get("kind") in _PODS)
    ]
    if foreign:
        lines = "\n".join(foreign)
        raise TrustError(
            f"services.{service}: the chart runs images that are not in the release, so nobody "
            f"has scanned or signed them:\n\n{lines}",
            hint="add it as an image of the project in aksci.toml and give it to the chart by the "
            "service's 'images': then it is scanned and signed.",
        )


def images_of(node: Any) -> Iterator[tuple[str, str]]:
    """Yield each container's name and image, however deep: any kind may hold a pod's template.

    Image volumes count too (source: Kubernetes documentation, "Use an Image Volume With a Pod").
    """
    if isinstance(node, list):
        for each in node:
            yield from images_of(each)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        for each in value if isinstance(value, list) else ():
            # By the key, wherever it is: custom resources hold pods' templates, too.
            if key in _LISTS and isinstance(each, dict):
                yield str(each.get("name", "")), str(each.get("image") or "")
            elif (
                key == "volumes" and isinstance(each, dict) and isinstance(each.get("image"), dict)
            ):
                yield f"volume {each.get('name')}", str(each["image"].get("reference") or "")
        yield from images_of(value)


def _parts(document: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(document, dict):
        return
    items = document.get("items")
    # kubectl applies the parts of a List: an image must not hide in one.
    if str(document.get("kind", "")).endswith("List") and isinstance(items, list):
        for each in items:
            yield from _parts(each)
    else:
        yield document
