"""A link that the sources bring leads none of our files elsewhere."""

from __future__ import annotations

import os
import subprocess
from types import SimpleNamespace

import pytest

from aksci.__main__ import main
from aksci.azure.acr_tasks.output_folder import export_folder
from aksci.cli.edge import write_run_record
from aksci.core.errors import AksciError, ConfigError, TrustError, UsageError
from aksci.core.work_folder import WorkFolder, WorkFolderError
from aksci.environment import Environment
from aksci.images.context.hasher import TreeHasher
from aksci.images.context.known_files import Facts, facts_file, key_of
from aksci.steps.receive_step import receive
from aksci.steps.show_step import place_for
from aksci.testing.reporter import RecordingReporter

TOML = 'schema = 1\n[project]\nname = "shop"\n[discover]\ncompose = ["compose.yaml"]\n'
COMPOSE = 'services:\n  web:\n    build:\n      dockerfile_inline: "FROM debian:12"\n'


@pytest.fixture
def project(tmp_path):
    root = tmp_path / "shop"
    root.mkdir()
    (root / "aksci.toml").write_text(TOML)
    (root / "compose.yaml").write_text(COMPOSE)
    return root


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "outside"
    folder.mkdir()
    for number in range(300):
        (folder / f"{number}.json").write_text("theirs")
    return folder


def commit(root):
    for words in (("init", "-q"), ("add", "-f", ".")):
        subprocess.run(["git", "-C", root, *words], check=True)


def test_run_records_behind_a_link_are_neither_written_nor_removed(project, outside):
    work = WorkFolder(project / ".aksci")
    (work.make() / "runs").symlink_to(outside)
    with pytest.raises(WorkFolderError, match=r"runs is a symbolic link"):
        write_run_record(work, run_id="r", session="s", seconds=1, outcome="ok", details={})
    assert len(list(outside.iterdir())) == 300


@pytest.mark.parametrize("session", ["graph", "plan", "build", "deploy", "lint", "why"])
def test_no_session_begins_where_the_work_folder_is_a_link(
    project, outside, capsys, monkeypatch, session
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(project.parent / "cache"))
    (project / ".aksci").symlink_to(outside)
    words = ["web"] if session == "why" else []
    assert main(["-C", str(project), session, *words]) == 2
    error = capsys.readouterr().err
    assert f"{project}/.aksci is a symbolic link" in error
    assert f"rm {project}/.aksci" in error
    assert len(list(outside.iterdir())) == 300


def test_a_dockerfile_of_another_file_is_not_written_through_a_link(
    project, outside, capsys, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(project.parent / "cache"))
    (project / ".aksci").mkdir()
    place = project / ".aksci/dockerfiles"
    place.symlink_to(outside)
    assert main(["-C", str(project), "graph"]) == 2
    assert "dockerfiles is a symbolic link" in capsys.readouterr().err
    assert len(list(outside.iterdir())) == 300
    place.unlink()
    place.mkdir()
    (outside / "evil").write_text("FROM evil\n")
    for link in (outside / "evil", outside / "missing"):
        (place / "web.Dockerfile").unlink(missing_ok=True)
        (place / "web.Dockerfile").symlink_to(link)
        assert main(["-C", str(project), "graph"]) == 0
        assert not (place / "web.Dockerfile").is_symlink()
        assert (place / "web.Dockerfile").read_text().strip() == "FROM debian:12"
    assert (outside / "evil").read_text() == "FROM evil\n"
    assert not (outside / "missing").exists()


@pytest.mark.parametrize("link", [".aksci", ".aksci/acr-tasks", "tasks", "deep"])
def test_an_export_goes_through_no_link(project, outside, link):
    chosen = {".aksci": None, ".aksci/acr-tasks": None, "tasks": "tasks", "deep": "deep/er"}[link]
    place = project / link
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(outside)
    with pytest.raises(UsageError, match="a symbolic link leads elsewhere"):
        export_folder(project, chosen)
    place.unlink()
    assert export_folder(project, chosen) == project / (chosen or ".aksci/acr-tasks")
    assert export_folder(project, outside) == outside, "whoever runs it may name any folder"


@pytest.mark.parametrize("name", [".aksci/x", ".aksci/links/x", ".aksci/./links/x"])
def test_what_an_option_names_in_the_work_folder_is_in_it(project, outside, name):
    work = WorkFolder(project / ".aksci")
    env = SimpleNamespace(root=project, work=work.path, work_folder=work)
    assert place_for(env, "--output", ".aksci/x") == project / ".aksci/x"
    (project / ".aksci/links").symlink_to(outside)
    if name == ".aksci/x":
        work.path.joinpath("links").unlink()
        work.path.rmdir()
        work.path.symlink_to(outside)
    with pytest.raises(UsageError, match="symbolic link"):
        place_for(env, "--output", name)


def test_what_the_sources_say_of_their_files_content_is_not_read(project, tmp_path):
    """The hashes of files that did not change: in the user's cache, and in none of the project."""
    cache = tmp_path / "cache"
    known = facts_file(cache, project)
    assert known.is_relative_to(cache)
    WorkFolder(project / ".aksci").make()
    facts = Facts(project / ".aksci", known)
    facts.put(key_of("x"), b"v" * 32, [])
    facts.save()
    planted = project / ".aksci/cache/files"
    planted.write_bytes(known.read_bytes())
    known.unlink()
    for later in (Facts(project / ".aksci", known), TreeHasher(project)._facts):
        assert later.get(key_of("x")) is None


def opened(project, **variables):
    reporter = RecordingReporter()
    given = {"PATH": os.environ["PATH"], **variables}
    return Environment.open(root=project, reporter=reporter, variables=given)


@pytest.mark.parametrize("variable", ["HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"])
def test_a_users_folder_in_the_checkout_that_git_brings_is_refused(project, tmp_path, variable):
    """Programs are kept in one, and keys in the other."""
    folders = {"HOME": str(tmp_path), variable: str(project / "home")}
    place = {"HOME": "home/.cache/aksci"}.get(variable, "home/aksci")
    (project / place).mkdir(parents=True)
    commit(project)
    opened(project, **folders).close()  # as some CI systems have it: no commit holds it
    (project / place / "tools").write_text("evil")
    commit(project)
    with pytest.raises(ConfigError, match=r"git tracks files of .*/aksci, such as"):
        opened(project, **folders)


def test_the_key_that_jobs_share_is_shown_nowhere(project, tmp_path):
    with opened(project, HOME=str(tmp_path), AKSCI_STATE_KEY="s3cret" * 8) as env:
        assert env.runner.redact(f"x {'s3cret' * 8}") == "x ***"
        assert "s3cret" not in repr(env.work_folder)
    with (
        opened(project, HOME=str(tmp_path), AKSCI_STATE_KEY="short") as env,
        pytest.raises(ConfigError, match="fewer than 32"),
    ):
        env.work_folder.write_own("a.json", {})


@pytest.mark.parametrize("name", ["receiver.sqlite", "receiver.sqlite-journal"])
@pytest.mark.parametrize("how", ["tracked", "link"])
def test_a_queue_that_the_sources_bring_is_not_opened(project, tmp_path, name, how):
    """It would start cascades; and SQLite plays a journal back into its file."""
    (project / ".aksci").mkdir()
    path = project / ".aksci" / name
    if how == "link":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.write_text("")
        commit(project)
    secret = {"AKSCI_RECEIVER_SECRET": "s" * 32, "HOME": str(tmp_path)}
    toml = project / "aksci.toml"
    toml.write_text(
        f'{TOML}[cascade.receiver]\nbases = ["x/*"]\nsecret_env = "AKSCI_RECEIVER_SECRET"\n'
        '[environments.local]\nregistry = "r.example"\nnamespace = "shop"\nplatform = "external"\n'
    )
    with opened(project, **secret) as env, pytest.raises((TrustError, UsageError)) as caught:
        receive(env)
    assert name in caught.value.message
    assert isinstance(caught.value, AksciError)


def test_buildx_asks_git_nothing(tmp_path):
    """It would do so in the context, which the sources may have made a repository."""
    from aksci.images.engines.buildx import BuildxBuilder

    store = SimpleNamespace(environment=lambda _spec: {})
    builder = BuildxBuilder.__new__(BuildxBuilder)
    builder.store, builder.spec = store, None
    request = SimpleNamespace(secrets=())
    values = BuildxBuilder._environment(builder, request)
    assert (values["BUILDX_GIT_INFO"], values["BUILDX_GIT_LABELS"]) == ("false", "false")


def test_no_environment_opens_where_the_work_folder_is_a_link(project, outside, tmp_path):
    """Nothing is done first, such as a deployment whose record could not be kept."""
    (project / ".aksci").symlink_to(outside)
    with pytest.raises(WorkFolderError, match="symbolic link"):
        opened(project, HOME=str(tmp_path))
