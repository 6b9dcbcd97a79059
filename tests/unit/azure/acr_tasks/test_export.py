"""The session ``export``, from its command line to its files."""

from __future__ import annotations

import pytest

from aksci.cli.edge import run_session

TOML = """\
schema = 1
[project]
name = "shop"
source = "https://github.com/example/shop"
[discover]
dockerfiles = ["*/Dockerfile"]
[environments.staging]
registry = "shopstaging.azurecr.io"
namespace = "shop"
"""
STAGING = ("--env", "staging")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of two images, of which ACR Tasks finds one base."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("GITHUB_ACTIONS", "TF_BUILD", "AKSCI_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "aksci.toml").write_text(TOML)
    for name, text in (("base", "FROM debian\n"), ("web", "FROM shop/base\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Dockerfile").write_text(text)
    return tmp_path


def export(project, *arguments):
    return run_session("export", arguments, folder=project)


def test_what_can_t_be_done_is_warned_of_and_the_rest_is_written(project, capsys):
    assert export(project, "acr-tasks", *STAGING) == 0
    told = capsys.readouterr().err
    assert "warning: web has no task. In web/Dockerfile, ACR Tasks would not find" in told
    assert "FROM ${REGISTRY}/shop/base:latest" in told
    folder = project / ".aksci/acr-tasks"
    assert (folder / "shop-base.yaml").exists()
    assert not (folder / "shop-web.yaml").exists()
    assert "**web**" in (folder / "README.md").read_text()


def test_an_image_that_can_be_exported_later_is_and_one_that_is_gone_is_not(project):
    assert export(project, "acr-tasks", *STAGING) == 0
    (project / "web/Dockerfile").write_text("ARG REGISTRY=docker.io\nFROM ${REGISTRY}/shop/base\n")
    (project / "job").mkdir()
    (project / "job/Dockerfile").write_text("FROM debian\n")
    assert export(project, "acr-tasks", *STAGING) == 0
    folder = project / ".aksci/acr-tasks"
    assert {"shop-web.yaml", "shop-job.yaml"} <= {path.name for path in folder.iterdir()}
    (project / "job/Dockerfile").unlink()
    assert export(project, "acr-tasks", *STAGING) == 0
    assert not (folder / "shop-job.yaml").exists()


def test_another_folder_is_where_the_script_finds_the_task_files(project):
    assert export(project, "acr-tasks", *STAGING, "--output", "deploy/acr") == 0
    script = (project / "deploy/acr/create-tasks.sh").read_text()
    assert "default_tasks=deploy/acr\n" in script


def test_a_registry_of_another_kind_is_asked_for(project, capsys):
    assert export(project, "acr-tasks") == 0
    assert "is no Azure container registry" in capsys.readouterr().err
    script = (project / ".aksci/acr-tasks/create-tasks.sh").read_text()
    assert "registry=${REGISTRY:?" in script


def test_a_project_without_an_address_is_warned_of(project, capsys):
    (project / "aksci.toml").write_text(TOML.replace("https://github.com/example/shop", ""))
    assert export(project, "acr-tasks", *STAGING) == 0
    assert "[project] source is no address" in capsys.readouterr().err
    assert "source=${SOURCE:?" in (project / ".aksci/acr-tasks/create-tasks.sh").read_text()


def test_where_nothing_can_be_exported_it_says_why_and_writes_nothing(project, capsys):
    (project / "base/Dockerfile").write_text("FROM --platform=$BUILDPLATFORM debian\n")
    assert export(project, "acr-tasks", *STAGING) == 3
    told = capsys.readouterr().err
    assert "base: ACR Tasks would not build base/Dockerfile" in told
    assert not (project / ".aksci/acr-tasks").exists()


@pytest.mark.parametrize("words", [(), ("acr",), ("acr-tasks", "acr-tasks")])
def test_another_word_is_refused_with_those_that_are_known(project, capsys, words):
    assert export(project, *words, *STAGING) == 2
    assert "acr-tasks" in capsys.readouterr().err


def test_a_file_in_the_place_of_the_folder_is_a_mistake_in_the_command(project, capsys):
    (project / "out").write_text("mine\n")
    assert export(project, "acr-tasks", *STAGING, "--output", "out") == 2
    assert "is a file, and not a folder" in capsys.readouterr().err
