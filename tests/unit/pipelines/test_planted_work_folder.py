"""A pull request brings ``.aksci`` in many shapes, and names there what its author has pushed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess

import pytest

from aksci import steps
from aksci.core.errors import AksciError
from aksci.core.process import Runner
from aksci.oci.references import ImageRef
from aksci.pipelines.build import build, push, sign
from aksci.pipelines.deploy import deploy
from aksci.testing.memory_environment import open_environment
from aksci.testing.sample_images import push_sample

ALONE = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}
TOML = """\
schema = 1
[project]
name = "shop"
[discover]
dockerfiles = ["*/Dockerfile"]
[build]
validate = false
[environments.local]
registry = "shop.example"
namespace = "shop"
platform = "external"
"""


def git(folder, *words):
    name = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    subprocess.run(["git", "-C", folder, *name, *words], env=ALONE, check=True)


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "shop"
    (root / "web").mkdir(parents=True)
    (root / "web/Dockerfile").write_text("FROM debian:12\nCOPY . /\n")
    (root / "aksci.toml").write_text(TOML)
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message=x")
    return root


def opened(root, **given):
    variables = dict(ALONE) | given.pop("variables", {})
    runner = Runner(environment=variables, log=lambda _line: None)
    return open_environment(root, work=root / ".aksci", variables=variables, runner=runner, **given)


def tracked(root):
    git(root, "add", "--force", ".aksci")


def bare(root):
    """git, asked in ``.aksci``, finds this repository, which tracks nothing."""
    for name in ("objects", "refs"):
        (root / ".aksci" / name).mkdir()
        (root / ".aksci" / name / "keep").write_text("")
    (root / ".aksci/HEAD").write_text("ref: refs/heads/main\n")
    tracked(root)


def submodule(root):
    """What git leaves of another branch's submodule, in a folder that a runner keeps."""
    (root / ".aksci/.git").write_text("gitdir: ../.git/modules/x\n")


def no_repository(root):
    """An archive of the sources."""
    shutil.rmtree(root / ".git")


def unpacked_elsewhere(root):
    """The same, below a repository of something else."""
    no_repository(root)
    git(root.parent, "init", "--quiet")


def of_another_owner(root):
    if os.geteuid() == 0:
        for path in (root, *root.rglob("*")):
            os.chown(path, 12345, 12345)
    else:  # git can't read it, either
        (root / ".git/HEAD").unlink()


def damaged(root):
    (root / ".git/HEAD").write_text("x")


def link(root):
    (root / ".aksci").rename(root / "state")
    (root / ".aksci").symlink_to("state")
    git(root, "add", "--force", "state", ".aksci")


def linked_files(root):
    for path in (root / ".aksci").glob("*.json"):
        path.rename(root / path.name)
        path.symlink_to(f"../{path.name}")
    git(root, "add", "--force", ".aksci", "*.json")


def other_case(root):
    """On a file system that does not tell cases apart, this is the same folder."""
    (root / ".AKSCI").mkdir()
    (root / ".AKSCI/built.json").write_text("{}")
    git(root, "add", "--force", ".AKSCI")
    git(root, "update-index", "--skip-worktree", ".AKSCI/built.json")
    shutil.rmtree(root / ".AKSCI")


SHAPES = (
    tracked,
    bare,
    submodule,
    no_repository,
    unpacked_elsewhere,
    of_another_owner,
    damaged,
    link,
    linked_files,
    other_case,
)


def plant(env):
    """Push another image under the tag of the input key, and let ``.aksci`` name it as ours."""
    record = json.loads((env.work / "build.json").read_text())["images"]["web"]
    good = ImageRef.parse(record["ref"])
    registry = env.world.connect(good.registry)
    kept = json.loads(registry.manifest(good.repository, good.digest).content)
    evil = push_sample(
        registry,
        good.repository,
        f"in-{record['inputKey']}",
        runs={"Cmd": ["/evil"]},
        annotations=kept.get("annotations", {}),
    )
    for name in ("build.json", "built.json"):
        path = env.work / name
        path.write_text(path.read_text().replace(good.digest, evil.digest))
    return evil


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_what_a_planted_work_folder_says_is_neither_signed_nor_published(root, shape):
    with opened(root) as first:
        build(first, until="build")
        evil = plant(first)
        shape(root)
        with opened(root, world=first.world, run_id="r2") as env:
            for session in (sign, push, build):
                with contextlib.suppress(AksciError):
                    session(env)
        assert evil not in first.world.signer.signed
        registry = first.world.connect("shop.example")
        assert registry.resolve("shop/web", "latest") != evil.digest


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_a_planted_release_is_not_the_one_that_is_deployed(root, shape):
    """An older one, correctly signed."""
    with opened(root) as env:
        build(env)
        old = (env.work / "release.json").read_text()
        (root / "web/new").write_text("new")
        build(env.next_run())
        assert (env.work / "release.json").read_text() != old
        (env.work / "release.json").write_text(json.dumps(json.loads(old) | {"run": "x"}))
        shape(root)
        with opened(root, world=env.world, run_id="r3") as last:
            with pytest.raises(AksciError) as caught:
                deploy(last)
            assert caught.value.exit_status in {2, 9}


def test_the_hand_over_of_the_folder_to_a_job_elsewhere_goes_on_working(root, tmp_path):
    """By git's word; or, without git, by a key that all jobs share."""
    secret = {"AKSCI_STATE_KEY": "s" * 40}
    for variables, prepare in (({}, lambda _: None), (secret, no_repository)):
        with opened(root, variables=variables) as env:
            build(env, until="scan")
            elsewhere = tmp_path / f"job-{len(variables)}"
            shutil.copytree(root, elsewhere)
            prepare(elsewhere)
            with opened(elsewhere, world=env.world, variables=variables, run_id="r2") as signing:
                steps.sign(signing, signing.last_build(), steps.scan(signing, signing.last_build()))
            assert env.world.signer.signed
        shutil.rmtree(root / ".aksci")
