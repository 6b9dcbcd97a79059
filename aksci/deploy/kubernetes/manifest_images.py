"""Which images manifests run, wherever in them a pod's specification stands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from aksci.core.errors import ConfigError, TrustError
from aksci.core.strict_yaml import YamlError, parse_yaml
from aksci.core.text import short_line
from aksci.deploy.program_limits import LARGEST

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

__all__ = [
    "check_images",
    "check_namespaces",
    "images_of",
    "manifest_documents",
    "manifest_parts",
    "parse_manifests",
]


def _kinds(groups: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset((group, kind) for group, kinds in groups.items() for kind in kinds.split())


_IMAGES = frozenset({"image", "imageName", "containerImage"})
_HARMLESS = _kinds(
    {
        "": "ConfigMap Endpoints LimitRange Namespace PersistentVolume PersistentVolumeClaim "
        "ResourceQuota Secret Service ServiceAccount",
        "autoscaling": "HorizontalPodAutoscaler",
        "discovery.k8s.io": "EndpointSlice",
        "monitoring.coreos.com": "PodMonitor Probe PrometheusRule ServiceMonitor",
        "networking.k8s.io": "Ingress IngressClass NetworkPolicy",
        "policy": "PodDisruptionBudget",
        "rbac.authorization.k8s.io": "ClusterRole ClusterRoleBinding Role RoleBinding",
        "scheduling.k8s.io": "PriorityClass",
        "storage.k8s.io": "StorageClass",
    }
)
"""(API group, kind) of what runs nothing, whatever is in it."""
_BUILT_IN = _kinds(
    {
        "": "Pod PodTemplate ReplicationController",
        "apps": "DaemonSet Deployment ReplicaSet StatefulSet",
        "batch": "CronJob Job",
    }
)
"""What runs images by its containers and volumes only."""
_DEFINITION = ("apiextensions.k8s.io", "CustomResourceDefinition")
_LISTS = ("initContainers", "containers", "ephemeralContainers")
_PODS = frozenset(kind for _, kind in _BUILT_IN)


def parse_manifests(service: str, text: str) -> list[dict[str, Any]]:
    """Read what Helm rendered, the parts of a list each by itself.

    :raises ConfigError: it is not YAML, or not to be read in one way.
    """
    return manifest_parts(manifest_documents(service, text))


def manifest_parts(documents: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return each object of the documents by itself: those in a list, too."""
    return [each for document in documents for each in _parts(document)]


def manifest_documents(service: str, text: str) -> list[dict[str, Any]]:
    """Read what Helm rendered.

    :raises ConfigError: it is not YAML, or not to be read in one way.
    """
    try:
        documents = parse_yaml(text, largest=LARGEST)
    except YamlError as error:
        raise ConfigError(
            f"services.{service}: the chart renders no YAML that can be read in one way: "
            f"{_template(text, error.line)}{error}.",
            hint=f"helm template {service} CHART shows it.",
        ) from None
    if any(not isinstance(each, dict) for each in documents):
        raise ConfigError(f"services.{service}: the chart renders something that is no object.")
    return documents


def _template(text: str, line: int) -> str:
    """Return which template a line comes from: Helm writes it above what it has rendered."""
    found = re.findall(r"^# Source: (.*)$", "\n".join(text.split("\n")[:line]), re.MULTILINE)
    return f"{short_line(found[-1])}, what it renders, " if found else ""


def check_images(
    service: str, manifests: Collection[Mapping[str, Any]], allowed: Collection[str]
) -> None:
    """Refuse a chart that runs anything else than the release's images, by digest.

    :raises TrustError: a container's image is not one of ``allowed``.
    """
    foreign = [
        f"  {_name(each)}, {short_line(name)}: {short_line(image) or 'no image'}"
        for each in manifests
        for name, image in _named_images(each)
        # Another kind's container without an image only adds to one that is defined elsewhere.
        if image not in allowed and (image or _kind(each) in _PODS)
    ]
    if foreign:
        lines = "\n".join(foreign)
        raise TrustError(
            f"services.{service}: the chart runs images that are not in the release, so nobody "
            f"has scanned or signed them:\n\n{lines}",
            hint="add it as an image of the project in aksci.toml and give it to the chart by the "
            "service's 'images': then it is scanned and signed.",
        )


def check_namespaces(
    service: str, manifests: Collection[Mapping[str, Any]], namespace: str
) -> None:
    """Refuse what may run something in another namespace: there, nothing looks at it again.

    ``verify`` looks at the environment's namespace. So of other ones only kinds are accepted that
    start nothing.

    :raises ConfigError: an object that may run something names another namespace.
    """
    elsewhere = [
        f"  {_name(each)}: {short_line(found)}"
        for each in manifests
        if (found := _namespace(each)) not in {"", namespace}
        and (_group(each), _kind(each)) not in _HARMLESS
    ]
    if elsewhere:
        lines = "\n".join(elsewhere)
        raise ConfigError(
            f"services.{service}: the chart puts objects that may run something into another "
            f"namespace than the environment's, {namespace}:\n\n{lines}",
            hint="leave metadata.namespace out of the chart's templates, or write "
            "{{ .Release.Namespace }}.",
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


def _named_images(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield all that may name an image: containers, volumes, and fields of other kinds' objects."""
    kind = (_group(manifest), _kind(manifest))
    if kind in _HARMLESS:
        return
    told = set()
    for name, image in images_of(manifest):
        told.add(image)
        yield f"container {name!r}", image
    # An operator runs what a field of its own names. A definition's schema names fields.
    if kind not in _BUILT_IN and kind != _DEFINITION:
        yield from ((where, image) for where, image in _fields(manifest, "") if image not in told)


def _fields(node: Any, where: str) -> Iterator[tuple[str, str]]:
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        place = f"{where}.{key}" if where else str(key)
        if key in _IMAGES and isinstance(value, str) and value:
            yield place, value
        elif key in _IMAGES and isinstance(value, dict) and value.get("repository"):
            tag, digest = value.get("tag"), value.get("digest")
            end = (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
            yield place, f"{value['repository']}{end}"
        # An image of Ceph's is a disk.
        if isinstance(value, dict | list) and key != "rbd":
            yield from _fields(value, place)


def _name(manifest: Mapping[str, Any]) -> str:
    metadata = manifest.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return short_line(f"{manifest.get('kind')}/{name}")


def _kind(manifest: Mapping[str, Any]) -> str:
    return str(manifest.get("kind", ""))


def _namespace(manifest: Mapping[str, Any]) -> str:
    metadata = manifest.get("metadata")
    return str(metadata.get("namespace") or "") if isinstance(metadata, dict) else ""


def _group(manifest: Mapping[str, Any]) -> str:
    return str(manifest.get("apiVersion", "")).rpartition("/")[0]


def _parts(document: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(document, dict):
        return
    # Whatever its kind, kubectl's reader takes what has items for a list, and applies its parts
    # (source: apimachinery, unstructured/helpers.go): an image must not hide in one.
    lists = [
        value
        for key, value in document.items()
        if key.casefold() == "items" and isinstance(value, list)
    ]
    for items in lists:
        for each in items:
            yield from _parts(each)
    if not lists or not str(document.get("kind", "")).endswith("List"):
        yield document
