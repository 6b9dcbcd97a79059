"""What a rebase stores, and with how many requests."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from aksci.core.errors import BuildError, RegistryError
from aksci.images.build.materials import require_known_bases, used_images
from aksci.images.rebase.apply import apply_rebase
from aksci.images.rebase.conditions import BaseCache
from aksci.images.rebase.explain import explain_text
from aksci.images.rebase.model import Condition

NOTES = {"org.opencontainers.image.base.digest": "sha256:new"}


def stored(world, digest):
    """Return a manifest and the configuration that it names."""
    manifest = json.loads(world.registry.manifests["app", digest][1])
    return manifest, json.loads(world.registry.blobs["app", manifest["config"]["digest"]])


def test_the_new_base_is_put_under_the_images_own_layers_and_settings(world):
    old = world.base("old", Cmd=["old"], Labels={"a": "old", "b": "1"}, User="1")
    new = world.base("new", "more", Cmd=["new"], Labels={"a": "new"}, Env=["N=1", "PATH=/new"])
    notes = {"annotations": {"z": "kept", **dict.fromkeys(NOTES, "old")}}
    labels = {"a": "old", "b": "1"}
    image = world.app("old", Cmd=["old"], Labels=labels, User="1", manifest=notes)
    check = world.check(image, old, new, annotations=NOTES)
    rebased = apply_rebase(check.plan, world.registry)
    manifest, config = stored(world, rebased.digest)
    assert config["config"] == {
        "Env": ["N=1", "PATH=/new", "A=1"],
        "Cmd": ["new"],
        "WorkingDir": "/",
        "Labels": {"a": "new"},
    }
    assert [one["created_by"] for one in config["history"]] == [
        "COPY new", "COPY more", "COPY app /app/ # buildkit", "ENV A=1",
    ]  # fmt: skip
    before = stored(world, image)
    below = json.loads(world.registry.manifests["base", new][1])["layers"]
    assert manifest["layers"] == [*below, before[0]["layers"][-1]]
    assert len(config["rootfs"]["diff_ids"]) == 3
    assert config["rootfs"]["diff_ids"][-1] == before[1]["rootfs"]["diff_ids"][-1]
    assert manifest["annotations"] == {"z": "kept", **NOTES}


def test_what_the_dockerfile_sets_stays_its_own_even_if_the_old_base_said_the_same(world):
    old, new = world.base("old", Env=["PATH=/bin", "A=1"]), world.base("new", Env=["A=2", "B=1"])
    rebased = apply_rebase(world.check(world.app("old"), old, new).plan, world.registry)
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert stored(world, rebased.digest)[1]["config"]["Env"] == ["A=1", "B=1", path]


def test_an_entrypoint_takes_the_new_bases_command_away_and_other_settings_replace_it(world):
    lines = {
        'ENTRYPOINT ["/e"]': {"Entrypoint": ["/e"]},
        "USER 5": {"User": "5"},
        "STOPSIGNAL 9": {"StopSignal": "9"},
        "HEALTHCHECK NONE": {"Healthcheck": {"Test": ["NONE"]}},
        "VOLUME /v": {"Volumes": {"/b": {}, "/v": {}}},
        "EXPOSE 80": {"ExposedPorts": {"80/tcp": {}}},
        "LABEL z=<>": {"Labels": {"z": "<>"}},
        "ENV A=1": {"Env": ["PATH=/bin", "A=1"]},
    }
    own = [{"created_by": "COPY app"}]
    own += [{"created_by": line, "empty_layer": True} for line in lines]
    settings = {key: value for line in lines.values() for key, value in line.items()}
    old = world.base("old", Cmd=["old"], Volumes={"/b": {}})
    new = world.base("new", Cmd=["new"], User="1", Entrypoint=["/b"], StopSignal="1",
                     Volumes={"/c": {}}, ExposedPorts={"1/tcp": {}}, Labels={"z": "b", "a": "b"},
                     Healthcheck={"Test": ["CMD", "b"], "Retries": 1})  # fmt: skip
    dockerfile = "\n".join(["FROM base:1", "COPY --link app /app/", *lines])
    check = world.check(world.app("old", own=own, **settings), old, new, dockerfile=dockerfile)
    found = stored(world, apply_rebase(check.plan, world.registry).digest)[1]["config"]
    assert found == {
        **settings,
        "WorkingDir": "/",
        "Volumes": {"/c": {}, "/v": {}},
        "ExposedPorts": {"1/tcp": {}, "80/tcp": {}},
        "Labels": {"a": "b", "z": "<>"},
    }


def test_what_only_docker_knows_of_a_base_is_dropped_and_its_layers_become_oci(world):
    docker = "application/vnd.docker."
    old = world.base("old", family=docker, Hostname="h", top={"docker_version": "20"})
    new = world.base("new", family=docker, Image="x", top={"container_config": {}})
    rebased = apply_rebase(world.check(world.app("old"), old, new).plan, world.registry)
    manifest, config = stored(world, rebased.digest)
    assert {one["mediaType"] for one in manifest["layers"]} == {
        "application/vnd.oci.image.layer.v1.tar+gzip"
    }
    assert config.keys() == {"architecture", "config", "created", "history", "os", "rootfs"}
    assert "Image" not in config["config"]


def test_an_index_is_annotated_as_its_manifests_are(world):
    def both(make, name):
        return {
            f"linux/{one}": make(f"{name}-{one}", top={"architecture": one})
            for one in ("amd64", "arm64")
        }

    old, new = (world.index("base", both(world.base, name)) for name in ("old", "new"))
    image = world.index("app", both(world.app, "old"), annotations={"z": "kept"})
    check = world.check(image, old, new, platforms=(), annotations=NOTES)
    rebased = apply_rebase(check.plan, world.registry)
    index = json.loads(world.registry.manifests["app", rebased.digest][1])
    assert index["annotations"] == {"z": "kept", **NOTES}
    assert [one["platform"]["architecture"] for one in index["manifests"]] == ["amd64", "arm64"]
    for one in index["manifests"]:
        content = world.registry.manifests["app", one["digest"]][1]
        assert json.loads(content)["annotations"] == NOTES
        assert one["size"] == len(content)


def test_the_same_rebase_gives_the_same_digest_and_another_base_another(world):
    old, new, image = world.base("old"), world.base("new"), world.app("old")
    first, again = (world.check(image, old, new).plan for _ in range(2))
    assert apply_rebase(first, world.registry) == apply_rebase(again, world.registry)
    assert world.check(image, old, world.base("other")).plan.digest != first.digest


def test_many_dependents_of_one_base_take_few_requests_each(world):
    old, new = world.base("old", "kept"), world.base("new", "kept")
    images = [
        world.app("old", "kept", manifest={"annotations": {"n": str(number)}})
        for number in range(20)
    ]
    cache = BaseCache()
    world.registry.asked.clear()
    for image in images:
        apply_rebase(world.check(image, old, new, cache=cache).plan, world.registry)
    # The bases: two manifests and two configurations, once. Each image: its manifest, one mount,
    # its new configuration and its new manifest. They share a configuration here.
    assert len(world.registry.asked) == 4 + 1 + 20 * 4
    assert not [one for one in world.registry.asked if one[0] == "has"]


@pytest.mark.parametrize("mounts", [False, None])
def test_a_registry_that_does_not_mount_is_sent_the_layers(world, mounts):
    old, new, image = world.base("old"), world.base("new"), world.app("old")
    world.registry.mounts = mounts
    apply_rebase(world.check(image, old, new).plan, world.registry)
    assert [one[0] for one in world.registry.asked if one[0] in {"mount", "write"}] == [
        "mount", "write",
    ]  # fmt: skip


def test_layers_of_a_base_in_another_registry_are_copied_once(world, memory):
    world.base_registry = memory("other:1")
    old, new, image = world.base("old"), world.base("new"), world.app("old")
    for _ in range(2):
        apply_rebase(world.check(image, old, new).plan, world.registry)
    asked = [one[0] for one in world.registry.asked]
    assert (asked.count("write"), asked.count("mount")) == (1, 0)


def test_a_registry_that_fails_is_an_error(world):
    plan = world.check(world.app("old"), world.base("old"), world.base("new")).plan
    world.registry.broken = True
    with pytest.raises(RegistryError, match="503"):
        apply_rebase(plan, world.registry)


def test_the_provenance_names_only_the_new_base_as_an_image_that_was_used(world):
    old, new, image = world.base("old"), world.base("new"), world.app("old")
    provenance = apply_rebase(world.check(image, old, new).plan, world.registry).provenance
    assert [(str(name), digest) for name, digest in used_images(provenance)] == [
        ("docker.io/library/base:1", new)
    ]
    inputs = SimpleNamespace(unpinned={}, digests=frozenset({new}), reusable=True)
    require_known_bases("app", inputs, provenance)
    with pytest.raises(BuildError, match="in no key"):
        require_known_bases("app", SimpleNamespace(**{**vars(inputs), "digests": ()}), provenance)
    assert {one["digest"]["sha256"] for one in provenance["materials"]} == {
        digest.removeprefix("sha256:") for digest in (old, new, image)
    }
    assert json.loads(json.dumps(provenance)) == provenance


def test_explaining_names_each_condition_that_fails_and_what_helps(world):
    old, new, image = world.base("old"), world.base("new"), world.app("old")
    dockerfile = "FROM base:1\nRUN x\nWORKDIR /\n"
    text = explain_text(
        {
            "b": world.check(image, old, new, dockerfile=dockerfile).conditions,
            "a": world.check(image, old, new).conditions,
            "c": (Condition(name="x", holds=False, detail="##vso[task] \x1b[31mred"),),
            "d": (),
        }
    )  # fmt: skip
    blocks = text.split("\n\n")
    assert [block.partition(":")[0] for block in blocks] == ["a", "b", "c", "d"]
    assert blocks[0].startswith("a: can be rebased")
    assert blocks[1].splitlines()[1].startswith("  no-run: line 2: RUN: ")
    assert "COPY --link --from=" in blocks[1]
    assert "no-workdir: line 3" in blocks[1]
    assert "##vso[" not in blocks[2]
    assert "\x1b" not in blocks[2]
