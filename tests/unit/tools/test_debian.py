"""What apt-get is asked to do, as data; and who may ask."""

from __future__ import annotations

import os

import pytest

from aksci.core.errors import PrivilegeError, ToolError
from aksci.core.process import Runner
from aksci.tools import debian


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Make a runner that sees only the dpkg-query and apt-get written here."""

    def write(name, script):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    write("dpkg-query", "echo 'one installed'; echo 'two config-files'; exit 1")
    write("apt-get", f'echo "$@" >> {tmp_path}/asked')
    monkeypatch.setenv("PATH", str(tmp_path))
    return Runner(environment={"PATH": str(tmp_path)}, log=lambda _: None)


def test_the_install_command_asks_nothing_and_adds_nothing():
    assert debian.install_argv(["a", "b"]) == [
        *("apt-get", "install", "-y", "-q", "--no-install-recommends"),
        *("-o", "DPkg::Lock::Timeout=600", "-o", "Dpkg::Options::=--force-confold"),
        *("--", "a", "b"),
    ]


def test_missing_is_what_dpkg_does_not_call_installed(machine):
    assert debian.missing_packages(["one", "two", "three"], machine) == ("two", "three")


def test_nothing_is_asked_of_apt_when_nothing_is_missing(machine, tmp_path):
    assert debian.ensure_packages(["one"], machine, None) == ()
    assert not (tmp_path / "asked").exists()


def test_who_is_not_root_is_told_the_command(machine, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(PrivilegeError) as caught:
        debian.ensure_packages(["one", "two", "three"], machine, None)
    assert caught.value.exit_status == 52
    assert caught.value.hint == "sudo apt-get install three two"


def test_without_apt_the_error_names_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="no apt here to install them: nftables runc"):
        debian.ensure_packages(["runc", "nftables"], None, None)
