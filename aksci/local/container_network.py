"""A network for one container, on the bridge that pods have: ``join_network``, ``leave_network``.

The plugins are run here as containerd runs them for pods (CNI specification 1.0.0, "Section 2:
Execution Protocol"): each gets what the one before it has returned.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from aksci.core.errors import AksciError, PlatformError
from aksci.core.files import write_atomically
from aksci.core.text import one_line
from aksci.local.host import look_at_host
from aksci.local.layout import Network
from aksci.local.node import cni_network
from aksci.local.teardown import unmount_below

if TYPE_CHECKING:
    from pathlib import Path

    from aksci.core.process import Runner
    from aksci.local.layout import Layout

__all__ = ["join_network", "leave_network"]

_SPACE, _RESULT = "netns", "network.json"
_SHORT = 400  # characters of what a plugin says
_TIMEOUT = 60.0  # seconds for one plugin
_VERSION = "1.0.0"
_LOOPBACK = {"cniVersion": _VERSION, "name": "loopback", "type": "loopback"}


def join_network(folder: Path, layout: Layout, runner: Runner) -> str:
    """Make a network namespace in a container's folder, and return its IPv4 address.

    Its file is ``netns``; the platform's part ``network`` must be there.

    :raises PlatformError: a plugin failed.
    """
    (folder / _SPACE).touch()
    # A namespace lives on without a process in it while its file is a mount of it (namespaces(7)).
    runner.run(["unshare", f"--net={folder / _SPACE}", "true"], quiet=True, timeout=_TIMEOUT)
    _call("ADD", _LOOPBACK, folder, runner, link="lo")
    result: dict[str, Any] = {}
    for plugin in _plugins(layout):
        result = _call("ADD", _with(plugin, result), folder, runner)
        # After each: what a killed run has made, the next must find to undo it.
        write_atomically(folder / _RESULT, json.dumps(result))
    return str(result["ips"][0]["address"]).partition("/")[0]


def leave_network(folder: Path, layout: Layout, runner: Runner) -> None:
    """Give back the address, the rules and the namespace of a container. Safe to repeat."""
    if not (folder / _SPACE).exists():
        return
    result: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        result = json.loads((folder / _RESULT).read_text())
    for plugin in reversed(_plugins(layout)):
        # The specification: DEL should succeed though there is nothing left. The others go on.
        with contextlib.suppress(AksciError):
            _call("DEL", _with(plugin, result), folder, runner)
    unmount_below(folder)
    (folder / _SPACE).unlink(missing_ok=True)


def _plugins(layout: Layout) -> list[dict[str, Any]]:
    """Return the pods' plugins, less the one for ports of the host: nobody asks for any."""
    network = cni_network(layout, Network())
    common = {"cniVersion": network["cniVersion"], "name": network["name"]}
    return [{**common, **each} for each in network["plugins"] if each["type"] != "portmap"]


def _with(plugin: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    return {**plugin, "prevResult": result} if result else plugin


def _call(
    command: str, plugin: dict[str, Any], folder: Path, runner: Runner, link: str = "eth0"
) -> dict[str, Any]:
    plugins = look_at_host().cni_plugins
    variables = {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": folder.name,
        "CNI_NETNS": str(folder / _SPACE),
        "CNI_IFNAME": link,
        "CNI_PATH": str(plugins),
    }
    program = plugins / plugin["type"]
    done = runner.run(
        [program],
        env=variables,
        stdin=json.dumps(plugin),
        check=False,
        quiet=True,
        timeout=_TIMEOUT,
    )
    if done.status:
        # It says why on stdout, as JSON.
        why = one_line(done.stdout + done.stderr, _SHORT)
        raise PlatformError(f"The network plugin {plugin['type']} failed ({command}): {why}")
    answer: dict[str, Any] = json.loads(done.stdout) if done.stdout.strip() else {}
    return answer
