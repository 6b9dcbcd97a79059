"""What Helm and aksci keep in a cluster about their own work: no chart may write it.

A revision of Helm's is a Secret that holds manifests. Going back to it applies them as they are,
so a chart that brings such a Secret would bring manifests that no check has seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aksci.core.errors import ConfigError
from aksci.core.text import short_line

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["LOCK", "RECORD", "check_records"]

RECORD = "aksci-release"
"""The ConfigMap that says what was deployed."""
LOCK = "aksci-deploy"
"""The Lease that lets one run in at a time, whatever the project: they share the namespace."""

_OURS = frozenset({("ConfigMap", RECORD), ("Lease", LOCK)})
# Source: Helm 4.3, pkg/storage (makeKey) and pkg/storage/driver (secrets.go, cfgmaps.go).
_KEPT_BY_HELM = frozenset({"Secret", "ConfigMap"})
_REVISION = "sh.helm.release."


def check_records(service: str, manifests: Collection[Mapping[str, Any]]) -> None:
    """Refuse a chart that writes what Helm or aksci take for their own records.

    In any namespace: in another one is another environment, to go back there.

    :raises ConfigError: it does.
    """
    found = [
        f"  {short_line(each.get('kind'))}/{short_line(_metadata(each).get('name'))}"
        for each in manifests
        if _is_record(str(each.get("kind")), _metadata(each))
    ]
    if found:
        lines = "\n".join(found)
        raise ConfigError(
            f"services.{service}: the chart writes what Helm and aksci keep to know what they have "
            f"applied:\n\n{lines}",
            hint="leave it to them; another name, without the label 'owner: helm', is the chart's.",
        )


def _is_record(kind: str, metadata: Mapping[str, Any]) -> bool:
    names = [str(metadata.get(key)) for key in ("name", "generateName")]
    if any((kind, name) in _OURS for name in names):
        return True
    labels = metadata.get("labels")
    # Helm finds a revision by either.
    listed = isinstance(labels, dict) and labels.get("owner") == "helm"
    named = any(name.startswith(_REVISION) for name in names)
    return kind in _KEPT_BY_HELM and (listed or named)


def _metadata(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    found = manifest.get("metadata")
    return found if isinstance(found, dict) else {}
