"""What the parts are started with: the traps of these machines and of ordinary ones, as data."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from aksci.core.errors import ConfigError
from aksci.local import seed_images as images
from aksci.local.build_parts import buildkitd_part, registry_part
from aksci.local.control_plane import ControlPlane, control_parts
from aksci.local.dns import corefile, query
from aksci.local.host import Host
from aksci.local.host_network import removal_script
from aksci.local.layout import Layout, Network, Ports
from aksci.local.node import containerd_part, kubelet_part, proxy_part
from aksci.local.notary import ensure_notary_pki, notary_part
from aksci.local.pki import ensure_pki, subjects
from aksci.local.seed_images import Seed

PORTS, NETWORK = Ports(), Network()


def _host(**changes):
    return Host(
        **{
            "may_lower_oom_score": False,
            "cni_plugins": Path("/usr/lib/cni"),
            "nameservers": ("192.0.2.53",),
            **changes,
        }
    )


@pytest.fixture
def layout(tmp_path):
    layout = Layout(tmp_path)
    layout.make()
    return layout


@pytest.fixture
def cluster(layout):
    pki = ensure_pki(layout.pki, subjects(NETWORK, "local"))
    return ControlPlane(
        layout=layout, ports=PORTS, network=NETWORK, host=_host(), kube=Path("/kube"), pki=pki
    )


def _file(part, name):
    [content] = [text for path, text in part.files.items() if path.name == name]
    return content


def test_the_registry_listens_on_loopback_and_answers_with_relative_locations(layout):
    part = registry_part(layout, PORTS, Path("/registry"))
    settings = json.loads(_file(part, "registry.json"))
    assert settings["http"]["addr"] == "127.0.0.1:5000"
    assert settings["http"]["relativeurls"] is True
    assert settings["storage"]["delete"] == {"enabled": True}


def test_buildkit_mirrors_docker_io_and_builds_on_the_hosts_network(layout):
    part = buildkitd_part(layout, Ports(registry=5001), Path("/buildkitd"))
    settings = tomllib.loads(_file(part, "buildkitd.toml"))
    assert settings["registry"]["docker.io"]["mirrors"] == ["localhost:5001"]
    assert settings["registry"]["localhost:5001"] == {"http": True}
    assert settings["worker"]["oci"]["networkMode"] == "host"
    assert settings["worker"]["oci"]["gcpolicy"]


def test_the_notary_server_speaks_tls_on_loopback_with_a_certificate_of_its_own(layout):
    pki = ensure_notary_pki(layout)
    part = notary_part(layout, Ports(notary=4444), Path("/notary-server"), pki)
    settings = json.loads(_file(part, "notary.json"))
    assert settings["server"]["http_addr"] == "127.0.0.1:4444"
    assert Path(settings["server"]["tls_key_file"]).is_file()
    assert settings["trust_service"] == {"type": "local"}
    assert part.address == layout.endpoints(Ports(notary=4444)).notary
    assert layout.endpoints(PORTS).notary_ca.is_file()
    assert ensure_notary_pki(layout) == pki


@pytest.mark.parametrize("may", [True, False])
def test_oom_scores_are_restricted_only_where_the_capability_lacks(layout, may):
    part = containerd_part(layout, PORTS, NETWORK, _host(may_lower_oom_score=may), "pause:1")
    cri = tomllib.loads(_file(part, "containerd.toml"))["plugins"]["io.containerd.grpc.v1.cri"]
    assert cri["restrict_oom_score_adj"] is not may
    assert cri["sandbox_image"] == "pause:1"


def test_containerd_keeps_everything_in_the_state_folder(layout):
    part = containerd_part(layout, PORTS, NETWORK, _host(), "pause:1")
    settings = tomllib.loads(_file(part, "containerd.toml"))
    cri = settings["plugins"]["io.containerd.grpc.v1.cri"]
    options = cri["containerd"]["runtimes"]["runc"]["options"]
    for path in (settings["root"], settings["state"], settings["grpc"]["address"], options["Root"]):
        assert layout.state in Path(path).parents
    assert cri["netns_mounts_under_state_dir"] is True
    assert "io.containerd.internal.v1.opt" in settings["disabled_plugins"]


def test_kubelet_works_with_both_versions_of_control_groups(cluster):
    settings = json.loads(_file(kubelet_part(cluster), "kubelet.json"))
    assert settings["failCgroupV1"] is False
    assert settings["cgroupDriver"] == "cgroupfs"
    assert settings["cgroupRoot"] == cluster.layout.cgroup
    assert settings["oomScoreAdj"] == 0
    assert _file(kubelet_part(cluster), "resolv.conf") == "nameserver 192.0.2.53\n"


def test_no_part_listens_beyond_this_machine(cluster, layout):
    parts = [
        registry_part(layout, PORTS, Path("/r")),
        notary_part(layout, PORTS, Path("/n"), ""),
        *control_parts(cluster).values(),
        kubelet_part(cluster),
        proxy_part(cluster),
    ]
    addresses = {address for part in parts for address, _ in part.listens}
    assert addresses == {"127.0.0.1", NETWORK.node}
    proxy = json.loads(_file(proxy_part(cluster), "proxy.json"))
    assert proxy["nodePortAddresses"] == ["127.0.0.0/8"]


def test_new_certificates_restart_the_parts_that_read_them(cluster):
    from dataclasses import replace

    other = replace(cluster, pki="other")
    for name, part in control_parts(cluster).items():
        assert part.fingerprint != control_parts(other)[name].fingerprint


def test_dns_asks_outside_only_where_there_is_somebody_to_ask():
    assert "forward . /etc/resolv.conf" in corefile(NETWORK, forward=True)
    assert "forward" not in corefile(NETWORK, forward=False)


def test_a_dns_question_is_encoded_as_rfc_1035_says():
    assert query("a.bc")[12:] == b"\x01a\x02bc\x00\x00\x01\x00\x01"


@pytest.mark.parametrize(
    ("name", "repository", "suite"),
    [
        ("debian:bookworm-slim", "library/debian", "bookworm"),
        ("docker.io/library/debian:trixie", "library/debian", "trixie"),
    ],
)
def test_a_seed_is_named_as_in_a_from_line(name, repository, suite):
    seed = Seed.parse(name, ["ca-certificates"])
    assert (seed.repository, seed.suite) == (repository, suite)


@pytest.mark.parametrize("name", ["alpine:3", "debian", "ghcr.io/debian:12"])
def test_a_seed_that_cannot_be_made_is_a_mistake_in_the_configuration(name):
    with pytest.raises(ConfigError, match="can't be made"):
        Seed.parse(name, [])


def test_a_base_holds_its_packages_and_nothing_of_this_machine(tmp_path):
    argv = images.base_argv(Seed.parse("debian:bookworm-slim", ["a", "b"]), tmp_path / "x.tar")
    assert "--include=a,b" in argv
    assert argv[-2:] == ["bookworm", str(tmp_path / "x.tar")]
    assert any("etc/resolv.conf" in word for word in argv)
    assert not any("/etc/ssl" in word or "usr/local" in word for word in argv)


def test_only_our_packet_filter_rules_are_removed():
    saved = """\
*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:KUBE-SERVICES - [0:0]
:CNI-0123456789abcdef01234567 - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT -d 127.0.0.1/32 -p tcp -m comment --comment "KUBE-aksci apiserver" -j DNAT
-A KUBE-SERVICES -d 10.96.0.1/32 -j ACCEPT
-A DOCKER -i docker0 -j RETURN
COMMIT
*filter
:FORWARD DROP [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
COMMIT
"""
    assert removal_script(saved).splitlines() == [
        "*nat",
        ":KUBE-SERVICES - [0:0]",
        ":CNI-0123456789abcdef01234567 - [0:0]",
        '-D PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
        '-D OUTPUT -d 127.0.0.1/32 -p tcp -m comment --comment "KUBE-aksci apiserver" -j DNAT',
        "-X KUBE-SERVICES",
        "-X CNI-0123456789abcdef01234567",
        "COMMIT",
    ]
    assert removal_script("*nat\n:DOCKER - [0:0]\nCOMMIT\n") == ""
