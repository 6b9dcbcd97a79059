"""The host side of the cluster's network: bridges, sysctls, rules; and taking them away again."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from aksci.core.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aksci.core.process import Runner
    from aksci.local.layout import Layout, Network, Ports

__all__ = ["ensure_network", "network_is_ours", "network_is_up", "remove_network"]

_SYSCTL = Path("/proc/sys")
_REQUIRED = {
    "net/ipv4/ip_forward": "1",
    "net/bridge/bridge-nf-call-iptables": "1",  # a pod that calls itself through a Service
}
# What kubelet and kube-proxy change besides; remembered before they run, put back by `down`.
_REMEMBERED = (
    *_REQUIRED,
    "net/ipv4/conf/all/route_localnet",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
# Folders outside the state folder that kubelet and containerd insist on; the deepest first.
_FOLDERS = (
    "/var/lib/kubelet/device-plugins",
    "/var/lib/kubelet",
    "/var/lib/cni/results",
    "/var/lib/cni",
    "/var/log/containers",
    "/run/containerd/s",
    "/run/containerd",
)
_OURS = re.compile(r"(?:KUBE|CNI)-[A-Z0-9-]+|CNI-[0-9a-f]+")
_CNI_CHAIN = "CNI-FORWARD"
_LAST_RESORT = "4096"  # metric: only when nobody has a better route
_FAMILIES = ("iptables", "ip6tables")
_TABLES = ("nat", "filter", "mangle")


def network_is_ours(layout: Layout) -> bool:
    """Tell whether a platform with this layout has changed the machine's network."""
    return _memory(layout).exists()


def network_is_up(network: Network) -> bool:
    """Tell whether the node's bridge is there."""
    return Path("/sys/class/net", network.node_bridge).exists()


def ensure_network(layout: Layout, network: Network, ports: Ports, runner: Runner) -> None:
    """Give the node its address and let packets through. Safe to repeat."""
    # Before the first change, and once: a second `up` would remember our own settings.
    _remember(layout, runner)
    if not network_is_up(network):
        runner.run(["ip", "link", "add", network.node_bridge, "type", "bridge"], quiet=True)
    address = f"{network.node}/32"
    runner.run(["ip", "address", "replace", address, "dev", network.node_bridge], quiet=True)
    runner.run(["ip", "link", "set", network.node_bridge, "up"], quiet=True)
    for addresses in (network.services, network.pods):
        # What nobody answers for (a Service without endpoints, a pod that is gone) ends at the
        # node's bridge. It would leave the machine by the default route otherwise.
        route = [addresses, "dev", network.node_bridge, "metric", _LAST_RESORT]
        runner.run(["ip", "route", "replace", *route], quiet=True)
    # The setting below is there only with the module; in a container, the host must have loaded it.
    if not (_SYSCTL / "net/bridge").exists() and shutil.which("modprobe"):
        runner.run(["modprobe", "br_netfilter"], check=False, quiet=True)
    for name, value in _REQUIRED.items():
        with contextlib.suppress(OSError):
            (_SYSCTL / name).write_text(value)
    rule = _loopback_rule(network, ports)
    _ensure_rule("nat", "OUTPUT", rule, runner)
    # The CNI plugin `firewall` would put its jump first, where it accepts what kube-proxy is about
    # to reject: a Service without endpoints. A jump that is there already, it leaves alone.
    runner.run(_iptables("filter", "-N", _CNI_CHAIN), check=False, quiet=True)
    comment = ["-m", "comment", "--comment", "CNI firewall plugin rules"]
    _ensure_rule("filter", "FORWARD", [*comment, "-j", _CNI_CHAIN], runner)


def remove_network(layout: Layout, network: Network, runner: Runner) -> None:
    """Take away bridges, rules and sysctls, as far as they are ours. Safe to repeat."""
    # Routes and addresses go with their device.
    for bridge in (network.pod_bridge, network.node_bridge):
        if Path("/sys/class/net", bridge).exists():
            runner.run(["ip", "link", "delete", bridge], check=False, quiet=True)
    for family in _FAMILIES:
        if shutil.which(f"{family}-save"):
            _remove_rules(family, runner)
    _forget(layout, runner)


def _loopback_rule(network: Network, ports: Ports) -> list[str]:
    """Lead 127.0.0.1 to the API server, which listens on the node's address only.

    It can't listen on loopback, because pods reach it by the address that it advertises; and it
    should not listen on every interface of a developer's machine.
    """
    return [
        *("-d", "127.0.0.1/32", "-p", "tcp", "-m", "tcp", "--dport", str(ports.apiserver)),
        *("-m", "comment", "--comment", "KUBE-aksci apiserver"),
        *("-j", "DNAT", "--to-destination", f"{network.node}:{ports.apiserver}"),
    ]


def _ensure_rule(table: str, chain: str, rule: list[str], runner: Runner) -> None:
    """Append a rule unless it is there."""
    check = _iptables(table, "-C", chain, *rule)
    if runner.run(check, check=False, quiet=True).status != 0:
        runner.run(_iptables(table, "-A", chain, *rule), quiet=True)


def _iptables(table: str, *words: str) -> list[str]:
    # -w: kube-proxy, CNI plugins and Docker change the same tables; without it, iptables fails.
    return ["iptables", "-w", "10", "-t", table, *words]


def removal_script(saved: str) -> str:
    """Turn iptables-save's output into the input of ``iptables-restore --noflush`` that removes us.

    Ours are the chains KUBE-* and CNI-*, and the rules elsewhere that jump to them or say so in
    their comment.
    """
    lines: list[str] = []
    table: list[str] = []
    chains: list[str] = []
    for line in saved.splitlines():
        if line.startswith("*"):
            table, chains = [line], []
        elif line.startswith(":") and _OURS.fullmatch(line[1:].split()[0]):
            chains.append(line[1:].split()[0])
        # Our own chains are flushed as a whole; elsewhere, single rules are deleted.
        elif line.startswith("-A ") and not _OURS.fullmatch(line.split()[1]) and _names_ours(line):
            table.append(f"-D{line[2:]}")
        elif line == "COMMIT" and (chains or len(table) > 1):
            flush = [f":{chain} - [0:0]" for chain in chains]
            # Last: a chain can't go while a rule jumps to it.
            drop = [f"-X {chain}" for chain in chains]
            lines += [table[0], *flush, *table[1:], *drop, line]
    return "\n".join([*lines, ""]) if lines else ""


def _names_ours(rule: str) -> bool:
    return bool(re.search(r"-j (?:KUBE|CNI)-|--comment \"?(?:KUBE|CNI)-", rule))


def _remove_rules(family: str, runner: Runner) -> None:
    saved = runner.run([f"{family}-save"], check=False, quiet=True)
    script = removal_script(saved.stdout) if saved.status == 0 else ""
    if script:
        argv = [f"{family}-restore", "--noflush", "-w", "10"]
        # One transaction a table: nobody sees half of the rules gone.
        runner.run(argv, stdin=script, quiet=True)


def _remember(layout: Layout, runner: Runner) -> None:
    """Write down, once, what the machine was like before."""
    file = _memory(layout)
    if file.exists():
        return
    before = {
        "sysctl": {name: value for name in _REMEMBERED if (value := _read(name)) is not None},
        "folders": [folder for folder in _FOLDERS if Path(folder).exists()],
        "tables": sorted(_tables(runner)),
    }
    write_atomically(file, json.dumps(before, indent=2) + "\n")


def _forget(layout: Layout, runner: Runner) -> None:
    file = _memory(layout)
    try:
        before = json.loads(file.read_text())
    except (OSError, ValueError):
        return
    forwarded = "net/ipv4/ip_forward"
    for name, value in before["sysctl"].items():
        # Somebody who came after us (Docker Engine, say) may forward packets by now.
        if name == forwarded and not _forwards_nothing(runner):
            continue
        # A container may not write these, and need not where they are right.
        if _read(name) != value:
            with contextlib.suppress(OSError):
                (_SYSCTL / name).write_text(value)
    for table in _tables(runner) - set(before["tables"]):
        # Somebody may have put rules in it since.
        if _is_empty(table, runner):
            runner.run(["nft", "delete", "table", *table.split()], check=False, quiet=True)
    for folder in _FOLDERS:
        if folder not in before["folders"]:
            with contextlib.suppress(OSError):
                Path(folder).rmdir()  # only if nobody else has put something there
    # Last: a killed `down` is repeated with the same memory.
    file.unlink(missing_ok=True)


def _memory(layout: Layout) -> Path:
    return layout.state / "before.json"


def _read(name: str) -> str | None:
    try:
        return (_SYSCTL / name).read_text().strip()
    except OSError:
        return None


def _forwards_nothing(runner: Runner) -> bool:
    result = runner.run(["iptables", "-S", "FORWARD"], check=False, quiet=True)
    return result.stdout.split() == ["-P", "FORWARD", "ACCEPT"]


def _tables(runner: Runner) -> set[str]:
    """Return the nftables tables that iptables would make, as ``ip nat``."""
    result = runner.run(["nft", "--json", "list", "tables"], check=False, quiet=True)
    if result.status != 0:
        return set()
    items: Iterable[dict[str, dict[str, str]]] = json.loads(result.stdout)["nftables"]
    tables = (item["table"] for item in items if "table" in item)
    return {
        f"{table['family']} {table['name']}"
        for table in tables
        if table["family"] in {"ip", "ip6"} and table["name"] in _TABLES
    }


def _is_empty(table: str, runner: Runner) -> bool:
    """Tell whether a table holds nothing but built-in chains that accept."""
    result = runner.run(["nft", "--json", "list", "table", *table.split()], check=False, quiet=True)
    if result.status != 0:
        return False
    for item in json.loads(result.stdout)["nftables"]:
        if item.keys() - {"metainfo", "table", "chain"}:
            return False
        if item.get("chain", {}).get("policy", "accept") != "accept":
            return False
    return True
