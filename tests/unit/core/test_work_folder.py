"""Files of ``.aksci``: through no link, of bounded size, and trusted only if they are ours."""

from __future__ import annotations

import json
import os
import threading

import pytest

from aksci.core.errors import ConfigError
from aksci.core.git import Tracked
from aksci.core.seal_key import shared_key, user_key
from aksci.core.work_folder import ForeignFileError, WorkFolder, WorkFolderError

KEY = b"k" * 32
UNKNOWN = Tracked(problem="git is not installed")


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def work(root):
    return WorkFolder(root / ".aksci")


@pytest.fixture
def outside(tmp_path):
    """A folder with files that look like ours."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "a.json").write_text("theirs")
    return folder


def test_what_is_written_is_read_listed_and_removed(work):
    assert work.files() == {}
    work.remove("none")
    assert work.write("a.json", "1").read_text() == "1"
    work.write("runs/b.json", b"2")
    assert (work.read("a.json"), work.read("runs/b.json")) == (b"1", b"2")
    assert (set(work.files()), set(work.files("runs"))) == ({"a.json"}, {"b.json"})
    assert work.claim("c") is True
    assert work.claim("c") is False
    work.remove("runs/b.json")
    assert work.files("runs") == {}
    with pytest.raises(FileNotFoundError):
        work.read("runs/b.json")
    assert sorted(path.name for path in work.path.iterdir()) == ["a.json", "c", "runs"]


ACTIONS = {
    "read": lambda work: work.read("runs/a.json"),
    "write": lambda work: work.write("runs/a.json", "ours"),
    "claim": lambda work: work.claim("runs/b.json"),
    "remove": lambda work: work.remove("runs/a.json"),
    "files": lambda work: work.files("runs"),
    "mark": lambda work: work.mark("runs/a.json"),
    "untracked": lambda work: work.require_untracked("runs/a.json"),
    "own": lambda work: work.write_own("runs/a.json", {}),
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("link", [".aksci", ".aksci/runs"])
def test_a_folder_that_is_a_link_is_refused_and_nothing_behind_it_changes(
    work, root, outside, action, link
):
    if link == ".aksci":
        (outside / "runs").mkdir()
        (outside / "a.json").rename(outside / "runs/a.json")
    else:
        (root / ".aksci").mkdir()
    (root / link).symlink_to(outside)
    before = {path: path.is_file() and path.read_text() for path in outside.rglob("*")}
    with pytest.raises(WorkFolderError, match="symbolic link"):
        ACTIONS[action](work)
    assert {path: path.is_file() and path.read_text() for path in outside.rglob("*")} == before


def test_a_file_that_is_a_link_is_not_read_and_is_replaced_itself(work, outside):
    work.make()
    link = work.path / "a.json"
    link.symlink_to(outside / "a.json")
    for action in (work.read, work.mark, work.require_untracked):
        with pytest.raises(WorkFolderError):
            action("a.json")
    assert work.files() == {}
    assert work.claim("a.json") is False
    work.write("a.json", "ours")
    assert not link.is_symlink()
    link.unlink()
    link.symlink_to(outside / "a.json")
    work.remove("a.json")
    assert not link.is_symlink()
    assert (outside / "a.json").read_text() == "theirs"


@pytest.mark.parametrize("kind", ["pipe", "folder", "large"])
def test_what_is_no_file_or_has_no_end_is_not_read(work, kind):
    path = work.make() / "a"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.touch()
        os.truncate(path, 1 << 40)
    with pytest.raises(WorkFolderError):
        work.read("a")


@pytest.mark.parametrize("kind", ["link", "file"])
def test_what_is_in_the_folders_place_is_told_at_once(work, root, outside, kind):
    work.require_real()
    if kind == "link":
        (root / ".aksci").symlink_to(outside)
    else:
        (root / ".aksci").write_text("")
    with pytest.raises(WorkFolderError, match="rm ") as caught:
        work.require_real()
    assert caught.value.exit_status == 2


@pytest.mark.parametrize("name", ["", "/etc/x", "../x", "a/../x", "a//b", "a/", "a\0b"])
def test_a_name_leads_out_of_the_folder_never(work, name):
    with pytest.raises(WorkFolderError, match="can't name a file"):
        work.write(name, "")


# -- what decides --


def own(root, **given):
    return WorkFolder(root / ".aksci", **{"key": lambda: KEY, "tracked": lambda: UNKNOWN, **given})


def test_what_is_sealed_is_ours_where_git_can_not_tell(root):
    document = {"schema": 1, "seconds": 0.1, "text": "ä\ud800", "list": [1, None]}
    own(root).write_own("a.json", document)
    assert own(root).read_own("a.json") == document


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("true", "false"),
        lambda text: json.dumps({**json.loads(text), "more": 1}),
        lambda _text: json.dumps({"good": True}),
        lambda text: json.dumps({**json.loads(text), "seal": None}),
        lambda text: json.dumps({**json.loads(text), "seal": ""}),
        lambda text: json.dumps({**json.loads(text), "seal": "ä"}),
        lambda text: json.dumps({**json.loads(text), "seal": "0" * 64}),
    ],
)
def test_what_is_not_sealed_or_was_changed_is_not_ours(root, change):
    path = own(root).write_own("a.json", {"good": True})
    path.write_text(change(path.read_text()))
    with pytest.raises(ForeignFileError, match=r"git can't tell .*git is not installed") as caught:
        own(root).read_own("a.json")
    assert caught.value.exit_status == 9
    assert "nox -s build" in caught.value.hint


def test_a_seal_is_for_one_name_and_of_one_key(root):
    path = own(root).write_own("a.json", {"good": True})
    path.rename(path.with_name("b.json"))
    with pytest.raises(ForeignFileError):
        own(root).read_own("b.json")
    path.with_name("b.json").rename(path)
    for key in (b"x" * 32, None):
        with pytest.raises(ForeignFileError):
            own(root, key=lambda key=key: key).read_own("a.json")


def test_what_git_brings_is_never_ours_sealed_or_not(root):
    own(root).write_own("a.json", {})
    brought = Tracked(files=("one", "two\x1b[31m", "three", "four"))
    with pytest.raises(ForeignFileError, match=r"git brings one, two, three and 1 more") as caught:
        own(root, tracked=lambda: brought).read_own("a.json")
    assert "\x1b" not in str(caught.value)


def test_what_another_machine_wrote_is_ours_where_git_tells_that_it_brought_nothing(root):
    """The hand-over from the job that builds to the one that signs."""
    own(root, key=lambda: b"of another machine").write_own("a.json", {"good": True})
    assert own(root, tracked=Tracked).read_own("a.json") == {"good": True}


def test_with_a_shared_key_nothing_else_counts(root):
    """AKSCI_STATE_KEY: jobs may hand the folder on without git, and nobody may without it."""
    own(root, key=lambda: b"another").write_own("a.json", {})
    with pytest.raises(ForeignFileError, match="not sealed with AKSCI_STATE_KEY"):
        own(root, shared=True, tracked=Tracked).read_own("a.json")
    own(root, shared=True).write_own("a.json", {"good": True})
    assert own(root, shared=True).read_own("a.json") == {"good": True}


@pytest.mark.parametrize("name", [".git", "HEAD", "head", "objects", "refs", "commondir", ".GIT"])
def test_a_repository_in_the_folder_ends_all_trust(root, name):
    """As a submodule of another branch leaves it: git does not remove its files."""
    own(root).write_own("a.json", {})
    (root / ".aksci" / name).mkdir()
    with pytest.raises(ForeignFileError, match="holds a git repository"):
        own(root, tracked=Tracked).read_own("a.json")


def test_what_is_not_ours_is_told_once_and_git_is_asked_once(root):
    told, asked = [], []

    def tracked():
        asked.append(1)
        return UNKNOWN

    work = own(root, key=lambda: None, tracked=tracked, warn=told.append)
    assert work.find_own("none.json") is None
    assert (told, asked) == ([], [])
    for name in ("a.json", "b.json"):
        work.write_own(name, {})
        assert work.find_own(name) is None
    assert len(told) == len(asked) == 1
    assert "a.json is not trusted" in told[0]


@pytest.mark.parametrize("content", ["", "[]", "1", "{", '{"a": 1, "a": 2}', "[" * 100_000])
def test_damage_is_no_document(root, content):
    path = own(root).write_own("a.json", {})
    path.write_text(content)
    assert own(root, tracked=Tracked, warn=pytest.fail).find_own("a.json") is None


# -- the key --


def test_the_key_is_made_once_for_its_owner_alone_and_each_folder_has_one(tmp_path, root):
    state = tmp_path / "state/aksci"
    first = user_key(state, root)
    assert len(first) == 32
    assert user_key(state, root) == first
    assert user_key(state, tmp_path / "other") != first
    (key,) = state.iterdir()
    assert key.stat().st_mode & 0o777 == 0o600
    assert state.stat().st_mode & 0o777 == 0o700


def test_processes_that_make_the_key_at_once_have_the_same(tmp_path, root):
    found = []
    gate = threading.Barrier(8)

    def make():
        gate.wait()
        found.append(user_key(tmp_path / "state", root))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert None not in found
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["seal.key"]


@pytest.mark.parametrize("kind", ["wide", "short", "long", "link", "pipe", "folder"])
def test_a_key_that_may_be_anothers_is_none(tmp_path, root, kind):
    state = tmp_path / "state"
    user_key(state, root)
    key = state / "seal.key"
    if kind == "wide":
        key.chmod(0o640)
    elif kind in {"short", "long"}:
        key.write_bytes(b"x" * (31 if kind == "short" else 33))
    else:
        key.rename(state / "kept")
        {"link": lambda: key.symlink_to("kept"), "pipe": lambda: os.mkfifo(key, 0o600)}.get(
            kind, key.mkdir
        )()
    assert user_key(state, root) is None


@pytest.mark.parametrize("place", ["root/state", "top/home", "link"])
def test_a_key_in_the_sources_is_none(tmp_path, place):
    """A home in the checkout, as some CI systems have it: a commit may hold the file."""
    root = tmp_path / "top/root"
    root.mkdir(parents=True)
    (tmp_path / "top/.git").mkdir()
    (root / "behind").mkdir()
    (tmp_path / "link").symlink_to(root / "behind")
    state = {"link": tmp_path / "link"}.get(place, tmp_path / "top" / place)
    assert user_key(state, root) is None
    assert user_key(root / "state", root) is None
    assert not list(tmp_path.rglob("seal.key"))


def test_where_no_key_can_be_kept_there_is_none(tmp_path, root):
    (tmp_path / "state").write_text("a file")
    assert user_key(tmp_path / "state", root) is None


def test_a_shared_key_is_a_secret_and_each_projects_own():
    one = shared_key("x" * 32, "shop")
    assert one == shared_key("x" * 32, "shop") != shared_key("x" * 32, "pay")
    with pytest.raises(ConfigError, match="AKSCI_STATE_KEY has fewer than 32"):
        shared_key("x" * 31, "shop")
