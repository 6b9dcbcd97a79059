"""A tool on PATH is used when its version suits, and never when it is denied."""

from __future__ import annotations

import os

import pytest

from aksci.core.errors import ToolError
from aksci.core.process import Runner
from aksci.testing.reporter import RecordingReporter
from aksci.tools.toolbox import Toolbox


@pytest.fixture
def box(tmp_path):
    """Make a toolbox whose PATH holds only ``tmp_path/bin`` and the system's shell."""
    (tmp_path / "bin").mkdir()
    variables = {"PATH": f"{tmp_path / 'bin'}:/nowhere", "HOME": str(tmp_path)}
    runner = Runner(environment=variables, log=lambda _: None)
    return Toolbox(tmp_path / "cache", runner, RecordingReporter(), variables)


def on_path(tmp_path, name, prints, status=0):
    program = tmp_path / "bin" / name
    program.write_text(
        f"#!/bin/sh\ncat <<'END'\n{prints}\nEND\nexit {status}\n".replace("cat", CAT)
    )
    program.chmod(0o755)
    return program


CAT = "/bin/cat"


def installed(box, name):
    """Put a program where the cache keeps it, so that nothing has to be built."""
    binary = box._entry(box.pins[name]).binary
    binary.parent.mkdir(parents=True)
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o755)
    return binary


def test_a_suitable_version_on_path_is_used(box, tmp_path):
    program = on_path(tmp_path, "helm", "v4.1.0+g123")
    assert box.ensure("helm") == program
    assert box.reporter.lines == []


def test_the_plugin_name_of_buildx_is_found_too(box, tmp_path):
    program = on_path(tmp_path, "docker-buildx", "github.com/docker/buildx v0.30.1 abc")
    assert box.ensure("buildx") == program


@pytest.mark.parametrize("prints", ["v3.19.0", "v5.0.0", "what?", ""])
def test_an_unsuitable_version_is_passed_over_and_named(box, tmp_path, prints):
    on_path(tmp_path, "helm", prints)
    binary = installed(box, "helm")
    assert box.ensure("helm") == binary
    assert ">=4.0,<5 is needed" in box.reporter.lines[0]


@pytest.mark.parametrize("version", ["0.69.4", "0.69.5", "0.69.6"])
def test_a_compromised_trivy_on_path_is_never_used_and_the_user_is_warned(box, tmp_path, version):
    on_path(tmp_path, "trivy", f"Version: {version}")
    binary = installed(box, "trivy")
    assert box.ensure("trivy") == binary
    assert f"trivy {version}, which is never used: these releases were" in box.reporter.warnings[0]


def test_a_neighbour_of_the_compromised_trivy_is_used(box, tmp_path):
    program = on_path(tmp_path, "trivy", "Version: 0.69.3")
    assert box.ensure("trivy") == program
    assert box.reporter.warnings == []


@pytest.mark.parametrize("name", ["kube", "coredns", "pause", "trivydb"])
def test_our_own_programs_are_never_taken_from_path(box, tmp_path, name):
    on_path(tmp_path, name, f"CoreDNS-1.15.0\nKubernetes v1.34.4\n{name} 1.0.0")
    binary = installed(box, name)
    assert box.ensure(name) == binary


def test_a_file_in_the_cache_that_is_not_executable_is_not_taken_for_the_tool(box):
    os.chmod(installed(box, "kube"), 0o644)  # noqa: PTH101
    with pytest.raises(ToolError, match="Go is needed"):
        box.ensure("kube")


def test_without_go_the_error_says_what_to_install(box):
    with pytest.raises(ToolError) as caught:
        box.ensure("pause")
    assert caught.value.exit_status == 4
    assert "Go is needed to build this tool" in caught.value.message
    assert "install Go 1.24 or newer" in caught.value.hint
    assert list((box.cache / "tools" / "pause").glob(".tmp-*")) == []


def test_an_unknown_tool_is_refused_with_the_list_of_those_that_exist(box):
    with pytest.raises(ToolError, match=r"'helmm' is not in the toolbox; it has .*\bhelm\b"):
        box.ensure_all(["helmm"])
