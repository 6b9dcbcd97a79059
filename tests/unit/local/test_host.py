"""The machine's particulars, and the refusals that come before anything is started."""

from __future__ import annotations

import os

import pytest

from aksci.core.errors import DiskFullError, DockerError, PlatformError, PrivilegeError
from aksci.local.docker_engine import docker_engine
from aksci.local.host import daemon_environment, read_resolver, require_root, require_space
from aksci.local.layout import Layout, Ports


@pytest.mark.parametrize(
    ("first", "second", "servers"),
    [
        ("nameserver 192.0.2.53\nsearch example.test\n", "", ("192.0.2.53",)),
        (
            "nameserver 127.0.0.53\n",
            "nameserver 192.0.2.1\nnameserver 192.0.2.2\n",
            ("192.0.2.1", "192.0.2.2"),
        ),
        ("nameserver 127.0.0.1\nnameserver ::1\n", "", ()),
        ("# nameserver 192.0.2.9\n", "", ()),
    ],
    ids=["plain", "systemd-resolved", "loopback only", "none"],
)
def test_pods_get_the_nameservers_that_they_can_reach(tmp_path, first, second, servers):
    (tmp_path / "a").write_text(first)
    (tmp_path / "b").write_text(second)
    assert read_resolver(tmp_path / "a", tmp_path / "b")[0] == servers


def test_daemons_inherit_no_secret_and_no_setting():
    found = daemon_environment(
        {
            "PATH": "/home/me/bin:/usr/bin",
            "https_proxy": "http://proxy.test:3128",
            "AZURE_CLIENT_SECRET": "s3cret",
            "ETCD_DATA_DIR": "/elsewhere",
            "REGISTRY_HTTP_ADDR": "0.0.0.0:80",
        }
    )
    assert found["https_proxy"] == "http://proxy.test:3128"
    assert found["PATH"].split(":")[:2] == ["/home/me/bin", "/usr/bin"]
    assert "/usr/sbin" in found["PATH"].split(":")
    assert not {"AZURE_CLIENT_SECRET", "ETCD_DATA_DIR", "REGISTRY_HTTP_ADDR"} & found.keys()


def test_whoever_is_not_root_is_told_so(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(PrivilegeError) as caught:
        require_root("`up`")
    assert "sudo" in caught.value.hint


def test_too_little_space_is_an_error_with_both_figures(tmp_path):
    require_space(tmp_path, 1)
    with pytest.raises(DiskFullError, match=r"needs 1048576\.0 GiB") as caught:
        require_space(tmp_path, 2**50)
    assert caught.value.exit_status == 28


def test_a_state_folder_too_long_for_sockets_is_refused(tmp_path):
    with pytest.raises(PlatformError, match="bytes too long"):
        Layout(tmp_path / ("x" * 100)).make()


def test_ports_are_remembered_and_rubbish_is_not_believed(tmp_path):
    layout = Layout(tmp_path)
    assert layout.load_ports() is None
    layout.save_ports(Ports(registry=5001))
    assert layout.load_ports() == Ports(registry=5001)
    for rubbish in ("", "[]", '{"unknown": 1}'):
        layout.ports_file.write_text(rubbish)
        assert layout.load_ports() is None


def test_a_missing_docker_engine_is_an_error_that_says_where_it_was_looked_for(tmp_path):
    address = f"unix://{tmp_path}/docker.sock"
    with pytest.raises(DockerError, match=address) as caught:
        docker_engine({"DOCKER_HOST": address})
    assert caught.value.exit_status == 53
