"""A kubeconfig of one context, for programs that can't be told which one to use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aksci.core.errors import ConfigError
from aksci.core.strict_yaml import YamlError, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["one_context"]

_PATHS = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


def one_context(path: Path, context: str | None) -> dict[str, Any]:
    """Return what a kubeconfig says about one context, with that one as its current one.

    Paths become absolute: they are relative to the file's own folder (Kubernetes, "Organizing
    Cluster Access Using kubeconfig Files").

    :param context: None: the only one that there is. The current one is never taken: it is what a
        user last looked at, which is no reason to start privileged pods there.
    :raises ConfigError: the file can't be read, or the context is not in it.
    """
    document = _read(path)
    contexts = _by_name(document, "contexts")
    if context is None and len(contexts) == 1:
        context = next(iter(contexts))
    if context is None:
        raise ConfigError(
            f"{path} has {len(contexts)} contexts, and none is configured for the builder.",
            hint=f"set context in the environment's table to one of: {', '.join(contexts)}.",
        )
    if context not in contexts:
        raise ConfigError(
            f"{path} has no context {context!r}.",
            hint=f"it has: {', '.join(contexts) or 'none'}.",
        )
    chosen = contexts[context].get("context") or {}
    cluster = _one(document, "clusters", "cluster", str(chosen.get("cluster")), path)
    user = _one(document, "users", "user", str(chosen.get("user")), path)
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [cluster],
        "users": [user],
        "contexts": [contexts[context]],
        "current-context": context,
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        documents = parse_yaml(path.read_bytes())
    except (OSError, YamlError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"it is no YAML, {error}"
        raise ConfigError(
            f"The kubeconfig {path} can't be read: {reason}.",
            hint="set kubeconfig in the environment's table in aksci.toml, or KUBECONFIG.",
        ) from None
    document = documents[0] if len(documents) == 1 else None
    if not isinstance(document, dict):
        raise ConfigError(f"The kubeconfig {path} can't be read: it holds no mapping.")
    return document


def _by_name(document: Mapping[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    entries = document.get(kind) or []
    return {str(entry["name"]): entry for entry in entries if "name" in entry}


def _one(
    document: Mapping[str, Any], kind: str, inner: str, name: str, path: Path
) -> dict[str, Any]:
    entry = _by_name(document, kind).get(name)
    if entry is None:
        raise ConfigError(f"{path}: a context names {name!r}, which is not among its {kind}.")
    values = dict(entry.get(inner) or {})
    for key in _PATHS:
        if values.get(key):
            values[key] = str(path.parent / values[key])
    helper = values.get("exec")
    # Without a slash it is looked for on the PATH, and so it stays.
    if isinstance(helper, dict) and "/" in str(helper.get("command", "")):
        values["exec"] = {**helper, "command": str(path.parent / helper["command"])}
    return {"name": name, inner: values}
