"""Building through the real BuildKit into the real registry."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import signal
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from aksci.core.errors import BuildError, RegistryError
from aksci.images.bases import RegistryBases
from aksci.images.build_plan import plan_document
from aksci.images.keys import in_tag
from aksci.oci.artifact import push_image
from aksci.oci.client import RegistryClient
from aksci.oci.copy import copy_image
from aksci.oci.referrers import list_referrers
from aksci.report.plan_report import plan_text

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
BASE = "FROM debian:bookworm-slim\nCOPY hello.txt /hello.txt\n"


def actions(images):
    return {name: image.action for name, image in images.items()}


def reasons(plan):
    return {one.image: [reason["code"] for reason in one.reasons] for one in plan.work}


def test_a_build_is_in_order_by_digest_and_the_second_one_does_nothing(shop):
    first = shop.build()
    assert actions(first) == dict.fromkeys(("app", "base", "tool"), "built")
    for image in first.values():
        tag = in_tag(image.input_key)
        assert shop.registry.resolve(image.ref.repository, tag) == image.ref.digest
        assert shop.registry.resolve(image.ref.repository, "latest") is None
    manifest = json.loads(
        shop.registry.manifest(f"{shop.name}/app", first["app"].ref.digest).content
    )
    assert manifest["annotations"] == {
        "org.opencontainers.image.base.name": f"{shop.registry.host}/{shop.name}/base:latest",
        "org.opencontainers.image.base.digest": first["base"].ref.digest,
    }
    again = shop.build()
    assert actions(again) == dict.fromkeys(first, "reused")
    assert {name: image.ref for name, image in again.items()} == {
        name: image.ref for name, image in first.items()
    }


def test_lineage_and_provenance_are_beside_the_image(shop):
    image = shop.build()["app"]
    (entry,) = list_referrers(shop.registry, image.ref)
    assert entry["annotations"]["org.opencontainers.image.revision"] == "abc"
    manifest = json.loads(shop.registry.manifest(image.ref.repository, entry["digest"]).content)
    lineage, provenance = (
        json.loads(shop.registry.blob(image.ref.repository, layer["digest"]))
        for layer in manifest["layers"]
        if layer["mediaType"].endswith("+json")
    )
    assert lineage["inputKey"] == image.input_key
    parents = {value for key, value in lineage["parents"].items() if "base" in key}
    assert f"sha256:{next(iter(parents)).removeprefix('sha256:')}" in str(provenance)


def test_a_rebuild_to_the_same_bytes_stops_the_cascade(shop):
    first = shop.build()
    dockerfile = shop.root / "base/Dockerfile"
    dockerfile.write_text(BASE + "ENV A=1\n")
    assert actions(shop.build()) == {"app": "built", "base": "built", "tool": "reused"}
    dockerfile.write_text(BASE)
    assert actions(shop.build()) == dict.fromkeys(first, "reused")
    shop.configure('[images.base.args]\nBUILDKIT_NOTHING = "1"\n')  # BuildKit might obey it
    third = shop.build()
    assert actions(third) == {"app": "reused", "base": "built", "tool": "reused"}
    assert third["base"].ref == first["base"].ref
    assert third["base"].input_key != first["base"].input_key


def test_a_plan_tells_why_and_a_build_does_the_same(shop):
    assert reasons(shop.plan()) == {
        "base": ["MISSING"],
        "tool": ["MISSING"],
        "app": ["MISSING", "PARENT", "PARENT"],
    }
    images = shop.build()
    assert shop.plan().to_build == ()
    assert [one.tag for one in shop.publish(images)] == ["latest"] * 3
    (shop.root / "base/hello.txt").write_text("changed")
    plan = shop.plan()
    assert reasons(plan) == {"base": ["SOURCE"], "tool": [], "app": ["PARENT"]}
    document = json.loads(json.dumps(plan_document(plan)))
    (reason,) = document["work"][0]["reasons"]
    assert (reason["code"], reason["count"]) == ("SOURCE", 1)
    assert "files in its context changed" in plan_text(plan)
    built = shop.build()
    assert [reason["code"] for reason in built["base"].reasons] == ["SOURCE"]
    assert [reason["code"] for reason in built["app"].reasons] == ["PARENT"]
    assert reasons(shop.plan(force=frozenset({"tool"})))["tool"] == ["FORCED"]


def test_a_moved_base_is_drift(shop):
    shop.publish(shop.build())
    moved = shop.registry.resolve(f"{shop.name}/base", "latest")

    class Moved(RegistryBases):
        """What knows that all images from outside have moved."""

        def digest(self, _reference):
            return moved

        def onbuild(self, *_):
            return ()

    plan = shop.plan(bases=Moved(mirror=None, connect=RegistryClient))
    (reason,) = next(one for one in plan.work if one.image == "base").reasons
    assert (reason["code"], reason["new"]) == ("BASE_DRIFT", moved)


def test_a_base_of_several_platforms_is_compared_index_with_index(shop):
    """A platform's digest would always differ from the index's: drift for ever, or never seen."""
    repository = f"{shop.name}-outside/multi"

    def push(*machines):
        entries = []
        for machine in machines:
            config = {"architecture": machine, "os": "linux", "config": {"User": "1"}}
            one = push_image(shop.registry, repository, machine, layers=[], config=config)
            content = shop.registry.manifest(repository, one.digest).content
            platform = {"architecture": machine, "os": "linux"}
            size = {"size": len(content), "digest": one.digest}
            entries.append({"mediaType": MANIFEST, "platform": platform, **size})
        index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
        return shop.registry.put_manifest(repository, index, INDEX, tag="1")

    first = push("amd64", "arm64")
    base = f"{shop.registry.host}/{repository}:1"
    (shop.root / "tool/Dockerfile").write_text(f"FROM {base}\nCOPY tool /tool\n")
    bases = RegistryBases(mirror=None, connect=lambda _: shop.registry)
    image = shop.build(only=frozenset({"tool"}), bases=bases)["tool"]
    manifest = shop.registry.manifest(image.ref.repository, image.ref.digest)
    annotations = json.loads(manifest.content)["annotations"]
    assert annotations["org.opencontainers.image.base.digest"] == first
    shop.publish({"tool": image})

    def plan():
        bases = RegistryBases(mirror=None, connect=lambda _: shop.registry)
        return shop.plan(selected=frozenset({"tool"}), bases=bases)

    assert plan().to_build == ()
    second = push("amd64", "s390x")
    (work,) = plan().work
    assert [(one["code"], one["old"], one["new"]) for one in work.reasons] == [
        ("BASE_DRIFT", first, second)
    ]


def test_publishing_moves_tags_once(shop):
    images = shop.build()
    moved = shop.publish(images)
    assert {(one.image, one.old, one.new) for one in moved} == {
        (name, None, image.ref.digest) for name, image in images.items()
    }
    assert shop.publish(images) == ()
    assert shop.registry.resolve(f"{shop.name}/app", "latest") == images["app"].ref.digest


def test_publishing_to_another_registry_is_refused(shop):
    images = shop.build(only=frozenset({"tool"}))
    elsewhere = dataclasses.replace(images["tool"].ref, registry="r.io")
    other = {"tool": dataclasses.replace(images["tool"], ref=elsewhere)}
    with pytest.raises(RegistryError, match=r"built for r\.io"):
        shop.publish(other)


def test_only_builds_an_image_and_what_it_needs(shop):
    assert set(shop.build(only=frozenset({"base"}))) == {"base"}
    assert set(shop.build(only=frozenset({"app"}))) == {"app", "base", "tool"}


def test_a_failure_stops_descendants_keeps_the_rest_and_ends_in_the_failing_steps_output(shop):
    (shop.root / "base/Dockerfile").write_text(BASE + "RUN echo the cause; exit 7\n")
    with pytest.raises(BuildError) as caught:
        shop.build()
    message = caught.value.message
    assert "did not build: base." in message
    assert "Blocked: app (base did not build)." in message
    assert "Done, and kept: tool." in message
    *_, cause, last = message.splitlines()
    assert cause.strip() == "the cause"
    assert "exit code: 7" in last
    (shop.root / "base/Dockerfile").write_text(BASE)
    assert actions(shop.build()) == {"app": "built", "base": "built", "tool": "reused"}


def test_ctrl_c_ends_the_build_at_once_leaves_no_tag_and_the_next_run_succeeds(shop):
    dockerfile = shop.root / "base/Dockerfile"
    dockerfile.write_text(BASE + "RUN echo begun; sleep 120\n")
    done = threading.Event()

    def press():
        def begun():
            finished = any(tag.startswith("in-") for tag in shop.tags("tool"))
            return finished and any("begun" in line for line in shop.reporter.lines)

        while not done.is_set() and not begun():
            time.sleep(0.05)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    watcher = threading.Thread(target=press, daemon=True)
    watcher.start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        shop.build()
    done.set()
    watcher.join()
    assert time.monotonic() - started < 30
    assert not [one for one in threading.enumerate() if one.name.startswith("aksci")]
    assert shop.plan().to_build == ("base", "app")
    dockerfile.write_text(BASE)
    assert set(actions(shop.build())) == {"app", "base", "tool"}


def test_sources_that_change_while_they_are_built_leave_no_tag(shop):
    """The step tells when BuildKit has the old files; the key is then no longer true."""
    dockerfile = shop.root / "base/Dockerfile"
    dockerfile.write_text(BASE + "RUN echo begun; sleep 3\n")
    done = threading.Event()

    def change():
        while not done.is_set() and not any("begun" in line for line in shop.reporter.lines):
            time.sleep(0.05)
        (shop.root / "base/hello.txt").write_text("changed")

    watcher = threading.Thread(target=change, daemon=True)
    watcher.start()
    with pytest.raises(BuildError, match="sources of base changed while it was built"):
        shop.build(only=frozenset({"base"}))
    done.set()
    watcher.join()
    assert "base" in shop.plan().to_build
    assert actions(shop.build(only=frozenset({"base"}))) == {"base": "built"}


def test_each_name_of_a_parent_means_what_was_just_built(shop):
    """The name that is not pinned would be asked of docker.io, where it does not exist."""
    with (shop.root / "aksci.toml").open("a") as file:
        file.write('[images.base]\ndockerfile = "base/Dockerfile"\ntags = ["latest", "v1"]\n')
    (shop.root / "app/Dockerfile").write_text(
        f"FROM {shop.name}/base AS a\nFROM {shop.name}/base:v1 AS b\nFROM scratch\n"
        "COPY --from=a /hello.txt /a\nCOPY --from=b /hello.txt /b\n"
    )
    assert actions(shop.build(only=frozenset({"app"}))) == {"app": "built", "base": "built"}


def test_an_unreachable_buildkit_says_what_to_do(shop, tmp_path):
    started = time.monotonic()
    with pytest.raises(BuildError, match=r"does not answer at unix://.*no\.sock") as caught:
        shop.build(endpoint=f"unix://{tmp_path}/no.sock", only=frozenset({"tool"}))
    assert time.monotonic() - started < 5
    assert caught.value.hint == "nox -s up"


def test_a_base_that_no_registry_has_names_it_and_how_to_get_it(shop):
    (shop.root / "base/Dockerfile").write_text("FROM debian:nosuch\n")

    def connect(host):
        assert host == "registry-1.docker.io"
        return RegistryClient("127.0.0.1:1", plain_http=True, sleep=lambda _: None)

    resolver = RegistryBases(mirror=shop.registry, connect=connect)
    with pytest.raises(
        RegistryError, match=r"docker\.io/library/debian:nosuch can't be resolved"
    ) as caught:
        shop.build(bases=resolver)
    assert '"debian:nosuch" = []' in caught.value.hint


def test_secrets_reach_the_build_and_neither_argv_nor_image(shop):
    with (shop.root / "aksci.toml").open("a") as file:
        file.write('[build.secrets.token]\nenv = "TOKEN"\n')
    (shop.root / "base/Dockerfile").write_text(
        BASE + "RUN --mount=type=secret,id=token sha256sum /run/secrets/token | cut -c1-8 > /sum\n"
        "RUN --mount=type=secret,id=token echo it is $(cat /run/secrets/token)\n"
    )
    shop.build(only=frozenset({"base"}))
    assert any("it is ***" in line for line in shop.reporter.lines)
    assert not [line for line in shop.reporter.lines if "hunter2" in line]


def test_forcing_builds_again_without_cache(shop):
    (shop.root / "tool/Dockerfile").write_text(
        "FROM debian:bookworm-slim\nRUN head -c 8 /dev/urandom > /tool\n"
    )
    only = frozenset({"tool"})
    first = shop.build(only=only)["tool"]
    again = shop.build(only=only, force=only)["tool"]
    assert again.reasons == ({"code": "FORCED"},)
    assert again.ref != first.ref
    assert shop.build(only=only)["tool"].ref == again.ref


def test_reporters_lines_are_prefixed_by_image(shop):
    with contextlib.suppress(BuildError):
        shop.build()
    prefixes = ("[app] ", "[base] ", "[tool] ")
    assert shop.reporter.lines
    assert all(line.startswith(prefixes) for line in shop.reporter.lines)


def test_our_own_state_is_in_no_image_though_the_context_is_the_projects_own_folder(shop):
    shop.configure('[images.whole]\ndockerfile = "whole/Dockerfile"\ncontext = "."\n')
    (shop.root / "whole").mkdir()
    whole = shop.root / "whole/Dockerfile"
    whole.write_text("FROM scratch\nCOPY . /\n")
    (shop.root / ".dockerignore").write_text("tool\n")
    (shop.root / ".aksci/runs").mkdir(parents=True)
    (shop.root / ".aksci/runs/1.json").write_text("{}")
    image = shop.build(only=frozenset({"whole"}))["whole"]
    manifest = json.loads(shop.registry.manifest(image.ref.repository, image.ref.digest).content)
    layer = shop.registry.blob(image.ref.repository, manifest["layers"][0]["digest"])
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        names = {name.split("/")[0] for name in archive.getnames()}
    assert names == {".dockerignore", "aksci.toml", "app", "base", "whole"}
    (shop.root / ".aksci/runs/2.json").write_text("{}")
    assert shop.build(only=frozenset({"whole"}))["whole"].action == "reused"


def test_two_runs_of_the_same_input_end_with_one_image_and_no_error(shop):
    """The one that finishes first counts, though the other's bytes differ."""
    (shop.root / "base/Dockerfile").write_text(
        "FROM debian:bookworm-slim\nRUN sleep 1 && head -c 16 /dev/urandom > /random\n"
    )
    only = frozenset({"base"})
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: shop.build(only=only)["base"], range(2))
    assert first.input_key == second.input_key
    published = shop.registry.resolve(first.ref.repository, in_tag(first.input_key))
    assert published in {first.ref.digest, second.ref.digest}
    assert shop.build(only=only)["base"].ref.digest == published


def test_one_build_by_three_names_is_built_once_and_whole_in_each_repository(shop):
    """With an index of two platforms and attestations: all of it is mounted, none is lost."""
    tables = "".join(
        f'[images.{name}]\ndockerfile = "tool/Dockerfile"\n' for name in ("web", "job")
    )
    shop.configure(
        f'exclude = ["base", "app"]\n{tables}'
        '[build]\nplatforms = ["linux/amd64", "linux/arm64"]\nprovenance = "min"\n'
    )
    (shop.root / "tool/tool").write_text(shop.name)
    images = shop.build()
    assert sorted(images) == ["job", "web"]
    assert len({image.ref.digest for image in images.values()}) == 1
    assert sum(bool(image.same_as) for image in images.values()) == 1
    for image in images.values():
        index = shop.registry.manifest(image.ref.repository, image.ref.digest)
        assert len(index.entries) == 4  # two images, and what is attested of each
        for entry in index.entries:
            child = json.loads(shop.registry.manifest(image.ref.repository, entry.digest).content)
            for blob in (child["config"], *child["layers"]):
                assert shop.registry.has_blob(image.ref.repository, blob["digest"])
    assert shop.plan().to_build == ()
    assert {image.action for image in shop.build().values()} == {"reused"}


def test_a_base_of_another_repository_that_lacks_the_platform_is_refused(shop):
    """It is one manifest, no index: BuildKit would put its layers into the arm64 half, too."""
    base = shop.build(only=frozenset({"base"}))["base"]
    outside = f"{shop.name}-outside"
    # The platform's registry is Docker Hub's mirror.
    copy_image(
        shop.registry,
        shop.registry,
        base.ref,
        reporter=shop.reporter,
        repository=f"library/{outside}",
        tags=("latest",),
    )
    shop.configure(
        'exclude = ["app", "base"]\n[build]\nplatforms = ["linux/amd64", "linux/arm64"]\n'
    )
    (shop.root / "tool/Dockerfile").write_text(f"FROM {outside}\nCOPY tool /tool\n")
    with pytest.raises(BuildError, match=r"tool is to be for linux/arm64, and its base .*amd64"):
        shop.build()
    named = f"FROM --platform=linux/amd64 {outside}\nCOPY tool /tool\n"
    (shop.root / "tool/Dockerfile").write_text(named)
    assert shop.build()["tool"].action == "built"
