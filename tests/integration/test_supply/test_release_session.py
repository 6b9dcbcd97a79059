"""The session ``release`` over two releases in the real registry, signed with notation."""

from __future__ import annotations

import datetime as dt
import json
import os
import time
import uuid
from dataclasses import replace
from importlib.resources import files as resources

import pytest
from jsonschema import Draft202012Validator

from aksci.cli.arguments import read_arguments
from aksci.cli.options import OPTIONS
from aksci.config.deploy_models import EnvironmentConfig
from aksci.config.models import Config
from aksci.core.errors import TrustError, UsageError
from aksci.environment import Environment
from aksci.images.build.build_record import Base, Build, BuiltImage
from aksci.local.endpoints import Endpoints
from aksci.oci.artifact import push_artifact
from aksci.pipelines.show_release import release as session
from aksci.supply.release.make_release import make_release, read_charts
from aksci.supply.release.release_file import write_release_file
from aksci.supply.release.sign_release import publish_release
from aksci.supply.scan.scan_images import scan_images
from aksci.supply.sign.make_signer import SignerMaker
from aksci.supply.sign.signer import Origin, sign_image
from aksci.testing.reporter import RecordingReporter

NAMES = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com"}
NAMES |= {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.com"}


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "project"
    (root / "chart" / "templates").mkdir(parents=True)
    (root / "chart" / "Chart.yaml").write_text("apiVersion: v2\nname: catalog\nversion: 0.1.0\n")
    (root / "db").mkdir()
    (root / "db" / "1_first.sql").write_text("create table a ();")
    return root


@pytest.fixture
def env(root, runner, toolbox, tmp_path):
    """A project of its own, which no other test's releases are in."""
    config = Config.model_validate(
        {
            "schema": 1,
            "project": {"name": f"supply-{uuid.uuid4().hex[:12]}"},
            "images": {"catalog": {"dockerfile": "Dockerfile"}},
            "services": {
                "catalog": {
                    "chart": "chart",
                    "images": {"image": "catalog"},
                    "migrations": ["db/*.sql"],
                }
            },
            "scan": {"ignore": []},
        },
        strict=False,
    )
    return Environment(
        root=root,
        config=config,
        name="local",
        settings=EnvironmentConfig(platform="embedded", namespace="x"),
        variables=dict(os.environ),
        now=lambda: dt.datetime.now(dt.UTC),
        runner=runner,
        reporter=RecordingReporter(),
        cache=toolbox.cache,
        state=tmp_path / "state",
        run_id="run-0",
    )


@pytest.fixture
def signer(env, toolbox, registry):
    found = Endpoints(
        registry=registry.host,
        plain_http=True,
        embedded=True,
        buildkit=None,
        kubeconfig=env.platform / "kubeconfig",
        kube_context=None,
    )
    maker = SignerMaker(
        config=env.config.sign,
        found=found,
        registry=registry,
        toolbox=toolbox,
        runner=env.runner,
        root=env.root,
        state=env.state,
        variables=env.variables,
        now=env.now,
        platform=env.platform,
        offered=lambda name: pytest.fail(f"nobody asked for {name}"),
    )
    return maker.make(env.config.sign.signers)


@pytest.fixture
def commit(root, runner):
    """Commit what the project's folder holds, and return the commit."""

    def git(*words):
        return runner.run(["git", "-C", root, *words], env=NAMES, quiet=True).stdout.strip()

    git("init", "--quiet")

    def make(message):
        git("add", ".")
        git("commit", "--quiet", "--allow-empty", f"--message={message}")
        return git("rev-parse", "HEAD")

    return make


@pytest.fixture
def build(env, root, registry, scanner, signer, make_image, notes, commit):
    """Make a release of an image with these files: signed, unless told otherwise."""

    def make(files, message, *, base="d", sign=True, run="run-1"):
        image = BuiltImage(
            name="catalog",
            ref=make_image(files, name=env.config.project.name),
            input_key=f"key-{message}",
            tags=(),
            action="built",
            reasons=(),
            seconds=1.0,
            bases=(
                Base(
                    reference="docker.io/library/debian:bookworm-slim",
                    digest="sha256:" + base * 64,
                    type="runtime",
                ),
            ),
        )
        record = Build(
            run_id=run, commit=commit(message), environment="local", images={"catalog": image}
        )
        verdicts = scan_images(
            {"catalog": image.ref},
            scanner=scanner,
            policy=env.config.scan.model_copy(update={"severities": ()}),
            registry=registry,
            reporter=notes,
            now=env.now(),
            root=root,
        )
        made = make_release(
            record,
            config=env.config,
            root=root,
            charts=read_charts(env.config, root),
            verdicts=verdicts,
            registry=registry,
        )
        if sign:
            origin = Origin(commit=record.commit, run=run)
            sign_image(
                image.ref,
                verdicts["catalog"],
                input_key=image.input_key,
                signer=signer,
                origin=origin,
            )
            publish_release(made, registry=registry, signer=signer, origin=origin)
        return made

    return make


@pytest.fixture
def run(env, capsys):
    """Run the session and return what it wrote to stdout."""

    def call(*words):
        session(env, **read_arguments(words, OPTIONS).values)
        return capsys.readouterr().out

    return call


def valid(text, schema):
    path = resources("aksci.report").joinpath(f"schemas/{schema}.schema.json")
    document = json.loads(text)
    Draft202012Validator(json.loads(path.read_text())).validate(document)
    return document


def test_two_releases_are_listed_shown_and_compared(build, run, root, files):
    old = build(files.package("openssl", "3.0.11-1~deb12u1"), "one", run="run-1")
    time.sleep(1.1)  # a signature's time is in whole seconds
    (root / "db" / "2_second.sql").write_text("create table b ();")
    fixed = files.package("openssl", "3.0.17-1~deb12u3")
    new = build(fixed | files.wheel("requests", "2.32.0"), "two", base="e", run="run-2")

    listed = valid(run("list", "--format", "json"), "release-list")["releases"]
    assert [entry["tag"] for entry in listed] == [new.tag, old.tag]
    assert [entry["signatures"][0]["run"] for entry in listed] == ["run-2", "run-1"]
    assert {entry["state"] for entry in listed} == {"signed"}
    line = run("list").splitlines()[1].split()
    assert line[:2] == [new.tag, "signed"]
    assert line[-4:] == [new.commit[:12], "run-2", "1", "1"]

    shown = valid(run("show", old.tag, "--format", "json"), "release-view")
    assert (shown["ref"], shown["verified"], shown["commit"]) == (str(old.ref), True, old.commit)
    assert run("show").splitlines()[0] == f"release {new.tag}  {new.ref}"
    assert ", run run-2" in run("show", "latest")

    difference = valid(
        run("diff", old.id[:20], str(new.ref), "--format", "json"), "release-comparison"
    )
    (image,) = difference["images"]
    assert image["why"] == ["base"]
    assert {(one["name"], one["change"]) for one in image["packages"]} == {
        ("openssl", "upgraded"),
        ("requests", "added"),
    }
    assert "CVE-2024-5535" in {one["id"] for one in image["findings"]["fixed"]}
    assert [one["subject"] for one in difference["commits"]["added"]] == ["two"]
    (service,) = difference["services"]
    assert service["schema"] == [{"version": "2_second", "change": "added"}]
    assert "no difference" in run("diff", new.tag, "latest")
    assert "| catalog |" in run("show", "--format", "markdown")
    assert "- catalog changed: a base differs" in run(
        "diff", old.tag, new.tag, "--format", "markdown"
    )


def test_the_last_build_of_this_folder_comes_before_the_registrys_last(build, run, env, files):
    first = build(files.clean, "one")
    second = build(files.clean, "two")
    assert second.tag in run("show")
    write_release_file(env.work_folder, first, run="run-1")
    assert first.tag in run("show")


def test_an_unsigned_release_is_shown_as_not_verified_and_ends_in_a_trust_error(
    build, run, capsys, files
):
    good = build(files.clean, "one")
    bad = build(files.clean, "two", sign=False)
    with pytest.raises(TrustError, match="not verified"):
        run("show", bad.tag)
    assert "NOT VERIFIED: " in capsys.readouterr().out
    with pytest.raises(TrustError, match=str(bad.ref)):
        run("diff", good.tag, bad.tag)
    assert "catalog changed: its own inputs differ" in capsys.readouterr().out
    assert run("list").splitlines()[-2].split()[:2] == [bad.tag, "UNSIGNED"]


def test_a_release_that_others_signed_is_untrusted(build, run, env, registry, files):
    made = build(files.clean, "one")
    other = replace(env, state=env.state / "other")
    session(env, words=("list",))
    with pytest.raises(TrustError, match="not verified"):
        session(other, words=("show", made.tag))


def test_a_damaged_release_and_a_moved_tag_are_listed_as_damaged(build, run, registry, files):
    made = build(files.clean, "one")
    junk = push_artifact(registry, made.ref.repository, artifact_type="application/x.junk")
    manifest = registry.manifest(junk.repository, junk.digest)
    for tag in ("r-" + junk.digest[7:19], "r-" + "0" * 12):
        registry.put_manifest(junk.repository, manifest.content, manifest.media_type, tag=tag)
    listed = valid(run("list", "--format", "json"), "release-list")["releases"]
    states = {entry["tag"]: (entry["state"], entry["problem"]) for entry in listed}
    assert states[made.tag] == ("signed", "")
    assert "is not a release" in states["r-" + junk.digest[7:19]][1]
    assert "was moved" in states["r-" + "0" * 12][1]
    with pytest.raises(UsageError, match="There is no release 'r-000000000000'"):
        run("show", "r-" + "0" * 12)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["show", "latest"], "There is no release 'latest'"),
        (["show", "abcdef"], "There is no release 'abcdef'"),
        (["show", "x:y"], "names no release"),
        (["show", "a@b"], "names no release"),
        (["show", "a", "b"], "takes 1 references at most"),
        (["diff"], "Which release"),
        (["drop"], "'drop' is nothing that can be done"),
        (["list", "--format", "html"], "can't be shown as 'html'"),
        ([], "There is no release yet"),
    ],
)
def test_a_mistake_is_told_as_one(run, platform, words, told):
    with pytest.raises(UsageError, match=told):
        run(*words)


def test_no_release_is_an_empty_list(run, platform):
    assert run("list") == "There is no release.\n"
    assert valid(run("list", "--format", "json"), "release-list")["releases"] == []
