"""What Helm applies is what was checked: a post-renderer that checks, and writes it down anew.

A chart may render differently when it is applied: it sees the cluster (``lookup``), whether it is
an upgrade, the time, random numbers. So Helm hands what it has really rendered, hooks too, to this
module in a process of its own, and applies what comes back: the values that were checked, as JSON,
in which no two readers see different things. Where a check fails, nothing is applied. Only what is
in ``crds`` does not come this way (``check_chart``).

Source: Helm 4.3, pkg/action/action.go (renderResources), internal/plugin.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aksci.core.errors import ConfigError, TrustError
from aksci.deploy.kubernetes.manifest_images import (
    check_images,
    check_namespaces,
    manifest_documents,
    manifest_parts,
)
from aksci.deploy.kubernetes.manifest_records import check_records

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["PLUGIN", "raise_refusal", "rewrite", "write_plugin"]

PLUGIN = "aksci-checked"
_ORDERS, _REFUSAL = "checks.json", "refusal.json"
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""JSON may hold these as they are; to YAML they are line breaks, or no characters."""
_EXACT = 1e15
"""Below, a float without a fraction is that whole number."""


def write_plugin(folder: Path, *, service: str, namespace: str, allowed: Collection[str]) -> None:
    """Write the plugin of one call of Helm, whose HELM_PLUGINS is to be the folder.

    :param allowed: the images that may run.
    """
    plugin = folder / PLUGIN
    plugin.mkdir()
    orders = {"service": service, "namespace": namespace, "allowed": sorted(allowed)}
    (plugin / _ORDERS).write_text(json.dumps(orders))
    # -P: Python must not look for modules in the working directory, which is the project's.
    argv = [sys.executable, "-P", "-m", "aksci.deploy.targets.post_render", str(plugin)]
    # By a script: in the plugin's own file Helm would expand variables.
    (plugin / "run.sh").write_text(f"exec {shlex.join(argv)}\n")
    command = {"command": "sh", "args": ["${HELM_PLUGIN_DIR}/run.sh"]}
    description = {
        "apiVersion": "v1",
        "type": "postrenderer/v1",
        "name": PLUGIN,
        "version": "1.0.0",
        "runtime": "subprocess",
        "runtimeConfig": {"platformCommand": [command]},
    }
    (plugin / "plugin.yaml").write_text(json.dumps(description))


def raise_refusal(folder: Path) -> None:
    """Raise what the plugin has refused, if anything.

    :raises ConfigError: it can be read in two ways, or runs something in another namespace.
    :raises TrustError: it runs an image that is not in the release.
    """
    try:
        refusal = json.loads((folder / PLUGIN / _REFUSAL).read_text())
    except FileNotFoundError:
        return
    kind = {"config": ConfigError, "trust": TrustError}[refusal["kind"]]
    raise kind(refusal["message"], hint=refusal["hint"])


def rewrite(text: str, *, service: str, namespace: str, allowed: Collection[str]) -> str:
    """Check what Helm has rendered, and return it so that it can be read in one way only.

    :raises ConfigError: it can be read in two ways, or runs something in another namespace.
    :raises TrustError: it runs an image that is not in the release.
    """
    documents = manifest_documents(service, text)
    parts = manifest_parts(documents)
    check_images(service, parts, allowed)
    check_namespaces(service, parts, namespace)
    check_records(service, parts)
    # Helm takes an empty answer for a failure.
    return "# checked\n" + "".join(f"---\n{_as_json(each)}\n" for each in documents)


def _as_json(document: Any) -> str:
    text = json.dumps(_numbers(document), ensure_ascii=False, allow_nan=False)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _numbers(value: Any) -> Any:
    """Write 1e3 as Go does, without a fraction: a count must be a whole number to Kubernetes."""
    if isinstance(value, dict):
        return {key: _numbers(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_numbers(each) for each in value]
    whole = isinstance(value, float) and value.is_integer() and abs(value) < _EXACT
    return int(value) if whole else value


def _main(folder: Path) -> int:
    orders = json.loads((folder / _ORDERS).read_text())
    try:
        checked = rewrite(sys.stdin.buffer.read().decode(errors="replace"), **orders)
    except (ConfigError, TrustError) as error:
        kind = "trust" if isinstance(error, TrustError) else "config"
        refusal = {"kind": kind, "message": error.message, "hint": error.hint}
        (folder / _REFUSAL).write_text(json.dumps(refusal))
        return 1
    sys.stdout.buffer.write(checked.encode())
    return 0


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1])))
