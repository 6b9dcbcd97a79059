"""Dependents in other repositories are found by what they recorded, and nothing else is."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from aksci.core.errors import RegistryError
from aksci.images.build.finished import content_identity

DEBIAN = "docker.io/library/debian:12"
OLD, NEW = "sha256:" + "0" * 64, "sha256:" + "1" * 64
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
LATER = datetime(2026, 11, 25, tzinfo=UTC)
BASE = "org.opencontainers.image.base."


def names(survey):
    return [f"{one.ref.repository}:{','.join(one.tags)}" for one in survey.found]


def test_an_image_is_found_by_the_lineage_that_it_recorded(world):
    ref = world.image("pay/api:1", parents={DEBIAN: OLD})
    world.image("pay/new:1", "n", parents={DEBIAN: NEW})
    world.image("pay/other:1", "o", parents={"docker.io/library/alpine:3": OLD})
    (one,) = (survey := world.find({DEBIAN: NEW})).found
    assert (one.ref, one.tags, one.parents) == (ref, ("1",), ())
    assert (one.reference, one.recorded, one.current) == (DEBIAN, OLD, NEW)
    assert one.moves[0].type == "runtime"
    assert survey.problems == ()
    assert survey.complete


def test_an_image_without_lineage_is_found_by_the_annotations_that_other_tools_write(world):
    notes = {f"{BASE}name": DEBIAN, f"{BASE}digest": OLD}
    world.image("pay/api:1", annotations=notes)
    world.image("pay/new:1", annotations={**notes, f"{BASE}digest": NEW})
    (one,) = world.find({DEBIAN: NEW}).found
    assert (one.ref.repository, one.recorded) == ("pay/api", OLD)


def test_annotations_may_be_on_the_platforms_of_an_index_only(world):
    notes = {f"{BASE}name": DEBIAN, f"{BASE}digest": OLD}
    child, other = world.image("pay/api", annotations=notes), world.image("pay/api", "other")
    listed = {"mediaType": MANIFEST, "digest": child.digest, "size": 1}
    kind = {"vnd.docker.reference.type": "attestation-manifest"}
    nowhere = {"os": "unknown", "architecture": "unknown"}
    attestation = {**listed, "digest": other.digest, "annotations": kind, "platform": nowhere}
    index = world.put("pay/api:1", {"manifests": [attestation, listed]}, INDEX)
    assert [one.ref for one in world.find({DEBIAN: NEW}).found] == [index]


def test_the_lineage_counts_where_it_and_the_annotations_differ(world):
    notes = {f"{BASE}name": DEBIAN, f"{BASE}digest": OLD}
    world.image("pay/api:1", annotations=notes, parents={DEBIAN: NEW})
    assert world.find({DEBIAN: NEW}).found == ()


def test_a_base_without_a_digest_is_told_of_because_nobody_can_compare_it(world):
    world.image("pay/api:1", annotations={f"{BASE}name": DEBIAN})
    survey = world.find({DEBIAN: NEW})
    assert survey.found == ()
    (problem,) = survey.problems
    assert "nobody can tell" in problem.text
    assert survey.complete


def test_the_projects_own_repositories_are_not_looked_at(world, server):
    world.image("shop/web:1", parents={DEBIAN: OLD})
    server.asked.clear()
    assert world.find({DEBIAN: NEW}).found == ()
    assert server.lines() == ["GET /v2/_catalog"]


def test_one_platforms_digest_is_compared_with_the_platforms_of_the_index(world):
    """EDGE-CASES.md: a platform digest against an index digest always looks like drift."""
    child = world.image("library/debian")
    listed = {"mediaType": MANIFEST, "digest": child.digest, "size": 1}
    now = world.put("library/debian:12", {"manifests": [listed]}, INDEX).digest
    notes = {f"{BASE}name": DEBIAN, f"{BASE}digest": child.digest}
    world.image("pay/api:1", annotations=notes)
    assert world.find({DEBIAN: now}).found == ()
    world.image("pay/api:2", annotations={**notes, f"{BASE}digest": OLD})
    assert names(world.find({DEBIAN: now})) == ["pay/api:2"]


def test_a_projects_own_base_is_compared_by_what_it_counts_as_in_keys(world, registry):
    """Attestations have another digest in each build: ``content_identity`` has not."""
    platforms = [
        {
            "mediaType": MANIFEST,
            "digest": world.image("mid/base", name).digest,
            "platform": {"os": "linux", "architecture": name},
        }
        for name in ("amd64", "arm64")
    ]
    attestation = {
        **platforms[0],
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
    }
    now = world.put("mid/base:1", {"manifests": [*platforms, attestation]}, INDEX)
    identity = content_identity(registry.manifest("mid/base", now.digest))
    assert identity not in {now.digest, platforms[0]["digest"], platforms[1]["digest"]}
    world.image("mid/app:1", "a", parents={"docker.io/mid/base:1": identity})
    world.image("mid/old:1", "o", parents={"docker.io/mid/base:1": OLD})
    assert names(world.find({f"{world.host}/mid/base:1": now.digest})) == ["mid/old:1"]


def test_what_is_pinned_by_digest_follows_no_tag(world):
    """EDGE-CASES.md: digest-pinned users of an internal image don't cascade by tag."""
    world.image("pay/api:1", parents={f"{DEBIAN}@{OLD}": OLD})
    assert world.find({DEBIAN: NEW}).found == ()


def test_tags_and_manifests_that_are_no_images_are_left_out(world, server):
    parents = {DEBIAN: OLD}
    image = world.image("pay/api:1", parents=parents)
    for tag in (
        f"in-{'a' * 64}",
        f"unchecked-{'a' * 64}",
        f"verdict-{'a' * 16}",
        f"asked-{'a' * 32}",
        f"sha256-{'a' * 64}",
        f"sha256-{'a' * 64}.sig",
        f"sha256-{'a' * 64}.att",
    ):
        server.registry.move_tag("pay/api", tag, image.digest)
    cache = {"mediaType": "application/vnd.buildkit.cacheconfig.v0", "digest": OLD, "size": 1}
    chart = {"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": OLD, "size": 1}
    image_config = {"mediaType": "application/vnd.oci.image.config.v1+json"}
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": OLD, "size": 1}
    for ref in (
        world.put("pay/api:cache-api", {"manifests": [layer, cache]}, INDEX),
        world.put("pay/charts/api:1.0", {"config": chart}),
        world.put("pay/release:v1", {"artifactType": "application/vnd.aksci.release.v1+json"}),
        world.put("pay/empty:v1", {"manifests": []}, INDEX),
        world.put("pay/typed:v1", {"artifactType": "a/b", "config": {**chart, **image_config}}),
    ):
        world.record(ref, parents)
    server.asked.clear()
    survey = world.find({DEBIAN: NEW})
    assert names(survey) == ["pay/api:1"]
    assert survey.problems == ()
    assert not any("in-" in line or "sha256-" in line for line in server.lines())


def test_a_tag_that_only_looks_like_a_mark_is_an_images(world):
    world.image("pay/api:in-progress", parents={DEBIAN: OLD})
    world.image("pay/api:cache-warmer", "c", parents={DEBIAN: OLD})
    assert sorted(names(world.find({DEBIAN: NEW}))) == [
        "pay/api:cache-warmer",
        "pay/api:in-progress",
    ]


def test_all_stable_tags_of_a_digest_are_told(world, server):
    ref = world.image("pay/api:1", parents={DEBIAN: OLD})
    server.registry.move_tag("pay/api", "latest", ref.digest)
    assert names(world.find({DEBIAN: NEW})) == ["pay/api:1,latest"]


def test_a_reference_is_the_same_however_it_was_written(world):
    port = world.host.rpartition(":")[2]
    world.image("shop/web:latest", "now")
    for number, name in enumerate(
        (
            "shop/web",
            "docker.io/shop/web:latest",
            f"localhost:{port}/shop/web",
            f"{world.host}/shop/web",
        )
    ):
        world.image(f"pay/a{number}:1", str(number), parents={name: OLD})
    assert len(world.find({"docker.io/shop/web:latest": NEW}).found) == 4
    assert len(world.find({f"{world.host}/shop/web:latest": NEW}).found) == 4


def test_a_name_of_docker_hub_is_not_this_registrys_where_it_has_no_such_repository(world):
    world.image("pay/api:1", parents={f"{world.host}/library/debian:12": OLD})
    assert world.find({DEBIAN: NEW}).found == ()
    world.image("library/debian:12", "now")
    assert names(world.find({DEBIAN: NEW})) == ["pay/api:1"]


def test_another_tag_registry_or_repository_is_another_image(world):
    for number, name in enumerate(
        ("docker.io/library/debian:13", "quay.io/library/debian:12", "docker.io/team/debian:12")
    ):
        world.image(f"pay/a{number}:1", str(number), parents={name: OLD})
    assert world.find({DEBIAN: NEW}).found == ()


def test_what_stands_on_a_dependent_is_found_with_it_and_comes_after_it(world):
    base = world.image("zed/base:1", "b", parents={DEBIAN: OLD})
    middle = world.image("mid/app:1", "m", parents={f"{world.host}/zed/base:1": base.digest})
    top = world.image("api/top:1", "t", parents={"docker.io/mid/app:1": middle.digest, DEBIAN: OLD})
    world.image("api/else:1", "e", parents={"docker.io/mid/app:2": middle.digest})
    survey = world.find({DEBIAN: NEW})
    assert [one.ref for one in survey.found] == [base, middle, top]
    assert [one.parents for one in survey.found] == [(), (base,), (middle,)]
    moves = {move.reference: move for move in survey.found[2].moves}
    assert (moves[DEBIAN].current, moves[DEBIAN].parent) == (NEW, None)
    assert moves["docker.io/mid/app:1"].recorded == middle.digest


def test_what_moved_may_itself_have_to_be_made_again_first(world):
    base = world.image("platform/base:1", "b", parents={DEBIAN: OLD})
    here = f"{world.host}/platform/base:1"
    fresh = world.image("pay/fresh:1", "f", parents={here: base.digest})
    stale = world.image("pay/stale:1", "s", parents={here: OLD})
    survey = world.find({DEBIAN: NEW, here: base.digest})
    assert [one.ref for one in survey.found] == [base, fresh, stale]
    assert [one.parents for one in survey.found] == [(), (base,), (base,)]


def test_an_image_that_only_bears_the_name_of_what_moved_elsewhere_is_not_waited_for(world):
    """Anybody who may push can put a ``library/debian`` here: NEW is what the reference means."""
    world.image("library/debian:12", "e", parents={"docker.io/library/other:1": OLD})
    world.image("pay/api:1", parents={DEBIAN: OLD})
    survey = world.find({DEBIAN: NEW, "docker.io/library/other:1": NEW})
    (api,) = [one for one in survey.found if one.ref.repository == "pay/api"]
    assert (api.current, api.parents) == (NEW, ())


def test_an_image_that_takes_from_its_own_last_version_is_no_circle(world):
    world.image("pay/api:1", parents={DEBIAN: OLD, f"{world.host}/pay/api:1": OLD})
    survey = world.find({DEBIAN: NEW})
    assert names(survey) == ["pay/api:1"]
    assert survey.found[0].parents == ()
    assert survey.problems == ()


def test_images_that_stand_on_each_other_end_and_are_told_of(world):
    world.image("a/one:1", "1", parents={"docker.io/b/two:1": OLD, DEBIAN: OLD})
    world.image("b/two:1", "2", parents={"docker.io/a/one:1": OLD})
    survey = world.find({DEBIAN: NEW})
    assert names(survey) == ["a/one:1", "b/two:1"]
    assert survey.found[0].parents == ()
    assert "each other" in survey.problems[0].text
    assert survey.complete


def test_the_second_time_what_was_seen_is_not_asked_again(world, server):
    for number in range(6):
        world.image(f"pay/a{number}:1", str(number), parents={"docker.io/library/other:1": OLD})
    world.image("pay/found:1", "f", parents={DEBIAN: OLD})
    world.image("pay/plain:1", "p")
    server.asked.clear()
    first = world.find({DEBIAN: NEW})
    before = len(server.lines())
    server.asked.clear()
    again = world.find({DEBIAN: NEW})
    assert again == first
    counts = server.counts()
    assert counts["GET tags"] == counts["GET /v2/_catalog"] * 8 == 8
    heads = [line for line in server.lines() if line.startswith("HEAD") and "sha256:" not in line]
    assert len(heads) == 8
    # What isn't known yet, and what is found: that an image has no lineage is not remembered.
    others = [line for line in server.lines() if "/a" in line and "/tags/" not in line]
    assert len(others) == 6
    assert len(server.lines()) < before / 2 + 5


def test_lineage_that_comes_later_is_seen(world):
    ref = world.image("pay/api:1")
    assert world.find({DEBIAN: NEW}).found == ()
    world.record(ref, {DEBIAN: OLD})
    assert names(world.find({DEBIAN: NEW})) == ["pay/api:1"]


def test_a_build_that_gave_the_same_bytes_from_the_new_base_is_no_dependent_any_more(world):
    """Else its owner would be asked for ever: the digest, and so what is remembered, stays."""
    ref = world.image("pay/api:1", parents={DEBIAN: OLD})
    assert names(world.find({DEBIAN: NEW})) == ["pay/api:1"]
    world.record(ref, {DEBIAN: NEW}, now=LATER)
    assert world.find({DEBIAN: NEW}).found == ()


def test_no_more_than_eight_requests_are_under_way(world, server):
    for number in range(24):
        world.image(f"pay/a{number}:1", str(number), parents={DEBIAN: OLD})
    server.registry.delay = 0.01
    server.most = 0
    assert len(world.find({DEBIAN: NEW}).found) == 24
    assert 2 <= server.most <= 8


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_a_repository_that_can_not_be_read_is_an_error_beside_what_was_found(world, server, status):
    world.image("pay/api:1", parents={DEBIAN: OLD})
    world.image("bad/api:1", parents={DEBIAN: OLD})
    server.answers["GET /v2/bad/api/tags/list?n=1000"] = [(status, {}, b"")]
    survey = world.find({DEBIAN: NEW})
    assert names(survey) == ["pay/api:1"]
    assert not survey.complete
    (problem,) = survey.problems
    assert problem.error
    assert problem.where == "bad/api"
    assert str(status) in problem.text


def test_an_image_whose_lineage_can_not_be_read_is_an_error_and_not_unrelated(world, server):
    ref = world.image("bad/api:1", parents={DEBIAN: OLD})
    server.answers[f"GET /v2/bad/api/referrers/{ref.digest}"] = [(500, {}, b"")]
    survey = world.find({DEBIAN: NEW})
    assert (survey.found, survey.complete) == ((), False)
    server.answers.clear()
    assert names(world.find({DEBIAN: NEW})) == ["bad/api:1"]


def test_a_dependent_that_is_remembered_is_kept_when_it_can_not_be_asked_for_again(world, server):
    ref = world.image("pay/api:1", parents={DEBIAN: OLD})
    world.find({DEBIAN: NEW})
    server.answers[f"GET /v2/pay/api/referrers/{ref.digest}"] = [(503, {}, b"")]
    survey = world.find({DEBIAN: NEW})
    assert names(survey) == ["pay/api:1"]
    assert not survey.complete


def test_what_goes_away_while_it_is_read_is_a_warning(world, server):
    world.image("pay/api:1", parents={DEBIAN: OLD})
    world.image("pay/tag:1", "t")
    image = world.image("pay/image:1", "i")
    for line in (
        "HEAD /v2/pay/tag/manifests/1",
        f"GET /v2/pay/image/manifests/{image.digest}",
    ):
        server.answers[line] = [(404, {}, b"")]
    survey = world.find({DEBIAN: NEW})
    assert names(survey) == ["pay/api:1"]
    assert [one.where for one in survey.problems] == [f"{image.name}@{image.digest}", "pay/tag:1"]
    assert survey.complete


@pytest.mark.parametrize(
    "damaged",
    [
        {"manifests": 5},
        {"manifests": [5]},
        {"manifests": [{"mediaType": MANIFEST, "annotations": 5}]},
        {"manifests": [{"mediaType": MANIFEST, "digest": 5}]},
        {"manifests": [{"mediaType": ["x"]}]},
        {"config": {"mediaType": {}}},
    ],
)
def test_a_damaged_manifest_is_a_warning_and_stops_nothing(world, damaged):
    world.image("pay/api:1", parents={DEBIAN: OLD})
    world.put("bad/api:1", damaged, INDEX)
    survey = world.find({DEBIAN: NEW})
    assert names(survey) == ["pay/api:1"]
    assert [problem.error for problem in survey.problems] == [False]


@pytest.mark.parametrize(
    "parents",
    [
        {DEBIAN: 5},
        {DEBIAN: None},
        {DEBIAN: "sha256:../../x"},
        {"": OLD},
        {"UPPER/../x": OLD},
        {"[::::]:5/x": OLD},
        {"x:99999999/y:1": OLD},
        {"\ud800": OLD},
    ],
)
def test_lineage_with_nonsense_in_it_is_no_dependents_and_stops_nothing(world, parents, server):
    ref = world.image("bad/api:1")
    world.record(ref, {"docker.io/a/b:1": OLD})
    (old,) = [one for one in blobs(server) if b"keySchema" in one]
    document = {**json.loads(old), "parents": parents, "edges": {DEBIAN: {"type": ["x"]}}}
    replace_blob(server, ref, document)
    world.image("pay/api:1", "p", parents={DEBIAN: OLD})
    for _ in range(2):
        assert names(world.find({DEBIAN: NEW})) == ["pay/api:1"]


def blobs(server):
    return [one for kept in server.registry.store.blobs.values() for one in kept.values()]


def replace_blob(server, ref, document):
    """Let what refers to an image be whatever somebody has pushed."""
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    registry = server.registry
    (entry,) = registry.referrers(ref.repository, ref.digest)
    manifest = json.loads(registry.manifest(ref.repository, entry["digest"]).content)
    registry.delete(ref.repository, entry["digest"])
    manifest["layers"][0]["digest"] = registry.put_blob(ref.repository, content)
    registry.put_manifest(ref.repository, json.dumps(manifest).encode(), entry["mediaType"])


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b"3", b"\xff", {"steps": [["RUN", "h", float("inf"), 1]]}]
)
def test_a_damaged_lineage_stops_nothing(world, server, content):
    ref = world.image("bad/api:1", parents={DEBIAN: OLD})
    if isinstance(content, dict):  # JSON has Infinity in Python
        (whole,) = [one for one in blobs(server) if b"keySchema" in one]
        content = {**json.loads(whole), **content}
    replace_blob(server, ref, content)
    world.image("pay/api:1", "p", parents={DEBIAN: OLD})
    survey = world.find({DEBIAN: NEW})
    assert names(survey) == ["pay/api:1"]
    assert survey.complete


def test_a_repository_with_an_impossible_name_is_told_of_and_not_asked_for(world, server):
    world.image("pay/api:1", parents={DEBIAN: OLD})
    server.extra = ["../../etc", "UPPER", "a b", "##vso[x]"]
    survey = world.find({DEBIAN: NEW})
    assert names(survey) == ["pay/api:1"]
    assert sorted(one.where for one in survey.problems) == sorted(server.extra)


def test_a_registry_that_lists_nothing_is_an_error_because_the_token_may_see_too_little(world):
    survey = world.find({DEBIAN: NEW})
    assert survey.found == ()
    assert not survey.complete
    assert "registry:catalog:*" in survey.problems[0].hint


def test_a_registry_without_a_list_is_an_error(world, server):
    server.answers["GET /v2/_catalog"] = [(500, {}, b"")]
    with pytest.raises(RegistryError, match="500"):
        world.find({DEBIAN: NEW})


def test_a_registry_that_is_down_is_not_asked_for_all_the_rest(world, server):
    world.image("pay/api:1", parents={DEBIAN: OLD})
    server.extra = [f"bad/a{number:03}" for number in range(300)]
    for name in server.extra:
        server.answers[f"GET /v2/{name}/tags/list?n=1000"] = [(500, {}, b"")]
    server.asked.clear()
    survey = world.find({DEBIAN: NEW})
    assert not survey.complete
    assert any("the rest was not asked" in one.text for one in survey.problems)
    assert len({line for line in server.lines() if "/tags/" in line}) < 40


def test_more_tags_than_are_looked_at_are_an_error(world):
    for number in range(5):
        world.image("pay/api:" + str(number), str(number), parents={DEBIAN: OLD})
    survey = world.find({DEBIAN: NEW}, most=3)
    assert sorted(names(survey)) == ["pay/api:0", "pay/api:1", "pay/api:2"]
    assert not survey.complete
