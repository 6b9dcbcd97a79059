"""Whether an image in a registry may be put on another base."""

from __future__ import annotations

import json

import pytest

from aksci.core.errors import RegistryError
from aksci.images.rebase.conditions import BaseCache, check_rebase
from aksci.images.rebase.recorded import Blocker, RebaseFacts
from aksci.oci.references import ImageRef

BASE = "docker.io/library/base:1"
GONE = f"sha256:{'0' * 64}"


def test_an_image_on_a_base_that_moved_may_be_rebased(world, failing):
    old, new = world.base("old"), world.base("new", "more")
    check = world.check(world.app("old"), old, new)
    assert failing(check) == []
    assert len({one.name for one in check.conditions}) == len(check.conditions)


def test_the_registry_is_not_asked_where_the_dockerfile_forbids_it(world, failing):
    old, new, image = world.base("old"), world.base("new"), world.app("old")
    world.registry.asked.clear()
    check = world.check(image, old, new, dockerfile="FROM base:1\nRUN x\n")
    assert failing(check) == ["no-run"]
    assert "line 2: RUN" in next(one.detail for one in check.conditions if not one.holds)
    assert failing(world.check(image, old, old)) == ["only-base-moved"]
    assert world.registry.asked == []


@pytest.mark.parametrize(
    ("recorded", "now"),
    [({"go": "1"}, {"go": "2"}), ({"go": "1"}, {}), ({}, {"go": "1"}), ({BASE: "latest"}, {})],
)
def test_every_other_parent_that_moved_is_named(world, failing, recorded, now):
    old, new, image = world.base("old"), world.base("new"), world.app("old")
    check = world.check(image, old, new, recorded={BASE: old, **recorded}, now={BASE: new, **now})
    assert failing(check) == ["only-base-moved"]
    assert next(iter(recorded | now)) in check.conditions[-1].detail


def test_what_is_gone_is_a_condition_and_what_can_not_be_asked_is_an_error(world, failing):
    old, new, image = world.base("old"), world.base("new"), world.app("old")
    assert failing(world.check(image, GONE, new)) == ["old-base-readable"]
    assert failing(world.check(image, old, GONE)) == ["new-base-readable"]
    assert failing(world.check(GONE, old, new)) == ["image-readable"]
    world.registry.broken = True
    with pytest.raises(RegistryError, match="503"):
        world.check(image, old, new)


@pytest.mark.parametrize(
    ("old", "new", "condition"),
    [
        ({}, {"OnBuild": ["RUN x"]}, "no-onbuild"),
        ({"OnBuild": ["RUN x"]}, {}, "no-onbuild"),
        ({}, {"top": {"os.version": "2"}}, "same-platform"),
        ({}, {"layer": {"annotations": {"a": "b"}}}, "new-base-readable"),
        ({}, {"layer": {"mediaType": "application/vnd.oci.image.layer.v1.tar+zstd"}},
         "base-is-prefix"),
        ({}, {"layer": {"mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar"}},
         "new-base-readable"),
        ({}, {"layer": {"digest": "latest"}}, "new-base-readable"),
        ({}, {"layer": {"size": True}}, "new-base-readable"),
        ({}, {"history": []}, "new-base-readable"),
        ({}, {"history": [{"created": "soon"}]}, "new-base-readable"),
        ({}, {"content": b"{}"}, "new-base-readable"),
        ({}, {"content": b'{"os": "linux", "os": "linux"}'}, "new-base-readable"),
        ({}, {"content": b"[" * 100_000}, "new-base-readable"),
        ({}, {"content": b'{"author": "\\ud800"}'}, "new-base-readable"),
        ({}, {"content": b'{"author": NaN}'}, "new-base-readable"),
        ({}, {"content": b"\xff"}, "new-base-readable"),
        ({}, {"top": {"OS": "linux"}}, "new-base-readable"),
        ({}, {"ENV": ["A=1"]}, "new-base-readable"),
        ({}, {"Env": ["A=1", "A=2"]}, "new-base-readable"),
        ({}, {"Env": ["A"]}, "new-base-readable"),
        ({}, {"Env": [1]}, "new-base-readable"),
        ({}, {"Labels": {"a": 1}}, "new-base-readable"),
        ({}, {"ExposedPorts": ["80"]}, "new-base-readable"),
        ({}, {"WorkingDir": "app/"}, "new-base-readable"),
        ({}, {"Healthcheck": {"Interval": 1.5}}, "new-base-readable"),
        ({"top": {"architecture": "arm64"}}, {}, "platforms"),
        ({}, {"top": {"variant": "v2"}}, "platforms"),
    ],
)  # fmt: skip
def test_a_base_that_is_not_provably_like_the_old_one_is_refused(
    world, failing, old, new, condition
):
    def base(name, more):
        if "layer" not in more:
            return world.base(name, **more)
        digest = world.base(name)
        document = json.loads(world.registry.manifests["base", digest][1])
        document["layers"][0] |= more["layer"]
        kind = document["mediaType"]
        content = json.dumps(document).encode()
        digest = world.descriptor(world.registry, "base", content, kind)["digest"]
        world.registry.manifests["base", digest] = (kind, content)
        return digest

    check = world.check(world.app("old"), base("old", old), base("new", new))
    assert failing(check) == [condition]


@pytest.mark.parametrize(
    ("image", "conditions"),
    [
        ({"top": {"moby.buildkit.cache.v0": "x"}}, ["config-explained"]),
        ({"Hostname": "h"}, ["config-explained"]),
        ({"Labels": {"made-by": "hand"}}, ["config-explained"]),
        ({"User": "1"}, ["config-explained"]),
        ({"Env": ["A=1", "PATH=/bin"]}, ["config-explained"]),
        ({"Env": ["PATH=/bin"]}, ["config-explained"]),
        ({"Env": ["PATH=/other", "A=1"]}, ["config-explained"]),
        ({"Cmd": ["x"]}, ["config-explained"]),
        ({"Healthcheck": {}}, ["config-explained"]),
        ({"top": {"author": "me"}}, ["config-explained"]),
        ({"own": [{"created_by": "COPY app"}]}, ["own-layers"]),
        ({"own": [{"created_by": "RUN x"}, {"created_by": "ENV A", "empty_layer": True}]},
         ["own-layers"]),
        ({"below": [{"created_by": "other"}]}, ["own-layers"]),
        ({"manifest": {"subject": {}}}, ["image-readable"]),
        ({"manifest": {"annotations": []}}, ["image-readable"]),
        ({"manifest": {"mediaType": "x"}}, ["image-readable"]),
        ({"top": {"rootfs": {"diff_ids": [GONE]}}}, ["image-readable"]),
        ({"top": {"rootfs": {"diff_ids": [GONE, GONE]}}}, ["base-is-prefix"]),
        ({"top": {"architecture": "arm64"}}, ["platforms"]),
    ],
)  # fmt: skip
def test_an_image_that_base_and_dockerfile_do_not_explain_is_refused(
    world, failing, image, conditions
):
    old, new = world.base("old"), world.base("new")
    assert failing(world.check(world.app("old", **image), old, new)) == conditions


def test_an_image_on_another_base_and_with_more_layers_is_refused(world, failing):
    old, new = world.base("old"), world.base("new")
    assert failing(world.check(world.app("other"), old, new)) == ["base-is-prefix", "own-layers"]
    assert failing(world.check(world.app("old", "x"), old, new)) == ["own-layers"]


def test_a_new_base_that_has_the_images_own_layer_is_refused(world, failing):
    check = world.check(world.app("old"), world.base("old"), world.base("new", "own"))
    assert failing(check) == ["own-layers"]


def test_a_variable_that_both_bases_lack_or_share_is_no_obstacle(world, failing):
    dockerfile = "FROM base:1\nCOPY --link app /app/\nENV A=$B\n"
    image = world.app("old")
    old, new, other = world.base("old"), world.base("new"), world.base("x", Env=["PATH=/b", "B=1"])
    assert failing(world.check(image, old, new, dockerfile=dockerfile)) == []
    assert failing(world.check(image, old, other, dockerfile=dockerfile)) == ["same-variables"]


def test_the_default_shell_is_the_shell_of_a_base_that_names_none(world, failing):
    dockerfile = "FROM base:1\nCOPY --link app /app/\nCMD x\nENV A=1\n"
    own = [{"created_by": "COPY a"}, {"created_by": "CMD x", "empty_layer": True},
           {"created_by": "ENV A", "empty_layer": True}]  # fmt: skip
    image = world.app("old", own=own, Cmd=["/bin/sh", "-c", "x"], ArgsEscaped=True)
    old = world.base("old")
    same, other = (world.base("new", Shell=[shell, "-c"]) for shell in ("/bin/sh", "/bin/bash"))
    assert failing(world.check(image, old, same, dockerfile=dockerfile)) == []
    assert failing(world.check(image, old, other, dockerfile=dockerfile)) == ["same-shell"]


def test_a_fact_of_a_later_version_stands_in_the_way(world, failing):
    unknown = Blocker(condition="new-in-2027", line=1, instruction="X", why="it is new")
    check = check_rebase(
        RebaseFacts(blockers=(unknown,)),
        image=ImageRef("r:1", "app", GONE), runtime=BASE, recorded={BASE: GONE},
        now={BASE: f"sha256:{'1' * 64}"},
        registry=world.registry, where=lambda _: (world.registry, "base"), platforms=(),
        annotations={},
    )  # fmt: skip
    assert failing(check) == ["plain-recipe"]


def platforms_of(world, repository, make, *names):
    machines = ("amd64", "arm64")
    return {
        f"linux/{machine}": make(*(f"{name}-{machine}" for name in names),
                                 top={"architecture": machine})
        for machine in machines
    }  # fmt: skip


def test_an_index_is_compared_platform_by_platform(world, failing):
    both = ("linux/arm64/v8", "linux/amd64")
    old, new = (
        world.index("base", platforms_of(world, "base", world.base, name))
        for name in ("old", "new")
    )
    entries = platforms_of(world, "app", world.app, "old")
    image = world.index("app", entries)
    assert failing(world.check(image, old, new, platforms=both)) == []
    assert failing(world.check(image, old, new, platforms=())) == []
    assert failing(world.check(image, old, new)) == ["platforms"]
    one = entries["linux/arm64"]
    assert failing(world.check(one, old, new, platforms=("linux/arm64",))) == []
    assert failing(world.check(image, old, world.base("new"), platforms=both)) == ["platforms"]
    swapped = dict(zip(entries, reversed(entries.values()), strict=True))
    image = world.index("app", swapped)
    assert failing(world.check(image, old, new, platforms=both)) == ["image-readable"]


def test_an_index_with_attestations_nested_or_with_two_of_a_platform_is_refused(world, failing):
    old, new, image = world.base("old"), world.base("new"), world.app("old")
    mark = {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}

    def changed(repository, digest, change):
        index = world.index(repository, {"linux/amd64": digest})
        document = json.loads(world.registry.manifests[repository, index][1])
        document["manifests"] += [{**document["manifests"][0], **change}]
        content = json.dumps(document).encode()
        return world.registry.put_manifest(repository, content, document["mediaType"])

    assert failing(world.check(changed("app", image, mark), old, new)) == ["no-attestations"]
    assert failing(world.check(changed("app", image, {}), old, new)) == ["platforms"]
    assert failing(world.check(image, old, changed("base", new, {}))) == ["platforms"]
    assert failing(world.check(image, old, changed("base", new, mark))) == []
    nested = world.index("app", {"linux/amd64": world.index("app", {"linux/amd64": image})})
    assert failing(world.check(nested, old, new)) == ["image-readable"]


def test_a_base_that_could_not_be_read_once_is_read_anew(world):
    cache = BaseCache()
    old, new, image = world.base("old"), world.base("new"), world.app("old")
    world.registry.broken = True
    with pytest.raises(RegistryError):
        world.check(image, old, new, cache=cache)
    world.registry.broken = False
    assert world.check(image, old, new, cache=cache).plan
