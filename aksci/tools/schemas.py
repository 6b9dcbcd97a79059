"""Turn the pinned Kubernetes' OpenAPI document into JSON Schemas, so that linting is offline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aksci.core.errors import ToolError
from aksci.tools.tool_cache import CacheEntry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aksci.tools.toolbox import Toolbox

__all__ = ["SCHEMA_LOCATION", "convert", "ensure_schemas"]

SCHEMA_LOCATION = "{{.ResourceKind}}{{.KindSuffix}}.json"
"""What kubeconform's ``-schema-location`` needs after the folder's path and a slash."""

_MODULE = "k8s.io/kubernetes"
_OPENAPI = Path("api/openapi-spec/swagger.json")
_FORM = 1  # raise it when ``convert`` changes
_REFERENCE = "#/definitions/"
_KINDS = "x-kubernetes-group-version-kind"
_INT_OR_STRING = {"anyOf": [{"type": "integer"}, {"type": "string"}]}
_NUMBER_OR_STRING = {"anyOf": [{"type": "number"}, {"type": "string"}]}
_SPECIAL = {
    # OpenAPI 2 has no "either": these two are declared as strings, and accept numbers too.
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": _INT_OR_STRING,
    "io.k8s.apimachinery.pkg.api.resource.Quantity": _NUMBER_OR_STRING,
}
_KEPT = ("type", "required", "enum", "pattern", "minimum", "maximum")


def ensure_schemas(toolbox: Toolbox) -> Path:
    """Return a folder with one strict JSON Schema a kind, for ``FOLDER/`` + ``SCHEMA_LOCATION``.

    The kinds are those of the pinned Kubernetes; its OpenAPI document comes with its Go module.

    :raises ToolError: Go is missing.
    :raises DownloadError: the module could not be fetched or verified.
    :raises DiskFullError: no space is left.
    """
    version = f"v{toolbox.pins['kube'].version}"
    entry = CacheEntry(root=toolbox.cache, name="schemas", key=f"{version}-strict-{_FORM}")
    folder = entry.folder / entry.key
    # It comes by a rename, so it is whole once it is there.
    if folder.is_dir():
        return folder
    with entry.locked(toolbox.reporter):
        # Another process may have made it while we waited.
        if folder.is_dir():
            return folder
        toolbox.reporter.line(f"making the schemas of Kubernetes {version}")
        with entry.workspace() as work:
            document = _document(toolbox, version, work)
            made = work / "schemas"
            made.mkdir()
            for name, schema in convert(document):
                (made / name).write_text(json.dumps(schema, sort_keys=True), encoding="utf-8")
            made.rename(folder)
    return folder


def convert(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a file name and a standalone JSON Schema for each kind of an OpenAPI 2 document.

    Strict: an object with declared properties has no others. As the API server does, an optional
    property may be null.
    """
    definitions: Mapping[str, Any] = document["definitions"]
    plain = {name: _definition(name, value) for name, value in definitions.items()}
    for name, value in definitions.items():
        for kind in value.get(_KINDS, ()):
            yield _file_name(kind), _standalone(plain, name, kind)


def _document(toolbox: Toolbox, version: str, work: Path) -> Mapping[str, Any]:
    file = Path(toolbox.go().module(_MODULE, version, work)["Dir"]) / _OPENAPI
    try:
        document: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ToolError(
            f"{file} is not readable as Kubernetes' OpenAPI document: {error}",
            hint="go clean -modcache removes Go's copies; then run again",
        ) from None
    return document


def _file_name(kind: Mapping[str, str]) -> str:
    """Name the file as kubeconform does: of the group only its first part."""
    parts = [kind["kind"], kind["group"].split(".")[0], kind["version"]]
    return "-".join(part for part in parts if part).lower() + ".json"


def _standalone(plain: Mapping[str, Any], name: str, kind: Mapping[str, str]) -> dict[str, Any]:
    version = f"{kind['group']}/{kind['version']}" if kind["group"] else kind["version"]
    own = {"kind": {"enum": [kind["kind"]]}, "apiVersion": {"enum": [version]}}
    # Each group and version has its own file, whose objects must say so.
    top = {**plain[name], "properties": {**plain[name].get("properties", {}), **own}}
    # Not all: a document that holds every definition is megabytes, and is read for each kind.
    used = {reference: plain[reference] for reference in _reachable(plain, top)}
    return {"$schema": "http://json-schema.org/draft-07/schema#", **top, "definitions": used}


def _reachable(plain: Mapping[str, Any], start: Any) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for reference in _references(waiting.pop()):
            # JSONSchemaProps, for one, refers to itself.
            if reference not in found:
                found.add(reference)
                waiting.append(plain[reference])
    return found


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref" and isinstance(item, str):
                yield item.removeprefix(_REFERENCE)
            else:
                yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def _definition(name: str, value: Mapping[str, Any]) -> dict[str, Any]:
    return dict(_SPECIAL[name]) if name in _SPECIAL else _schema(value)


def _schema(value: Mapping[str, Any]) -> dict[str, Any]:
    """Translate one OpenAPI 2 schema object, leaving out its prose."""
    if "$ref" in value:
        return {"$ref": value["$ref"]}
    if value.get("format") == "int-or-string":
        return dict(_INT_OR_STRING)
    schema = {key: value[key] for key in _KEPT if key in value}
    if "items" in value:
        schema["items"] = _schema(value["items"])
    if isinstance(value.get("additionalProperties"), dict):
        schema["additionalProperties"] = _schema(value["additionalProperties"])
    if "properties" in value:
        required = value.get("required", ())
        schema["properties"] = {
            name: _schema(item) if name in required else _or_null(_schema(item))
            for name, item in value["properties"].items()
        }
        schema.setdefault("additionalProperties", False)
    return schema


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema or "anyOf" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    if "type" in schema:
        enum = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
        return {**schema, **enum, "type": [schema["type"], "null"]}
    return schema
