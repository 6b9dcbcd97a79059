"""What an export wrote, and nothing else, is written anew and removed."""

from __future__ import annotations

import json

import pytest

from aksci.azure.acr_tasks.output_folder import write_folder
from aksci.core.errors import UsageError

LIST = ".aksci-export.json"


def content_of(folder):
    return {path.name: path.read_text() for path in folder.iterdir() if path.name != LIST}


def test_a_second_export_writes_the_same_bytes(tmp_path):
    folder = tmp_path / "a" / "b"
    files = {"README.md": "r\n", "shop-web.yaml": "w\n"}
    write_folder(folder, files)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    write_folder(folder, files)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_task_that_is_gone_is_removed_and_other_files_stay(tmp_path):
    write_folder(tmp_path, {"shop-web.yaml": "w\n", "shop-old.yaml": "o\n"})
    (tmp_path / "mine.yaml").write_text("mine\n")
    write_folder(tmp_path, {"shop-web.yaml": "new\n"})
    assert content_of(tmp_path) == {"shop-web.yaml": "new\n", "mine.yaml": "mine\n"}


def test_a_file_that_no_export_wrote_is_not_overwritten(tmp_path):
    (tmp_path / "README.md").write_text("mine\n")
    with pytest.raises(UsageError, match="no export wrote it"):
        write_folder(tmp_path, {"README.md": "r\n", "shop-web.yaml": "w\n"})
    assert content_of(tmp_path) == {"README.md": "mine\n"}


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/b", "..", "", ".hidden", 7])
def test_a_list_that_somebody_changed_leads_nowhere_else(tmp_path, name):
    folder = tmp_path / "out"
    write_folder(folder, {"a.yaml": "a\n"})
    (tmp_path / "outside").write_text("mine\n")
    (folder / LIST).write_text(json.dumps({"files": [name, "a.yaml"]}))
    write_folder(folder, {"b.yaml": "b\n"})
    assert (tmp_path / "outside").read_text() == "mine\n"
    assert content_of(folder) == {"b.yaml": "b\n"}


@pytest.mark.parametrize("text", ["", "[]", "{", '{"files": 3}', "\xff"])
def test_a_list_that_can_t_be_read_names_nothing(tmp_path, text):
    (tmp_path / LIST).write_text(text, encoding="latin-1")
    (tmp_path / "a.yaml").write_text("mine\n")
    write_folder(tmp_path, {"b.yaml": "b\n"})
    assert content_of(tmp_path) == {"a.yaml": "mine\n", "b.yaml": "b\n"}


def test_scripts_can_be_run_and_task_files_can_t(tmp_path):
    write_folder(tmp_path, {"run-tasks.sh": "#!/bin/sh\n", "a.yaml": "a\n"})
    assert (tmp_path / "run-tasks.sh").stat().st_mode & 0o111
    assert not (tmp_path / "a.yaml").stat().st_mode & 0o111
