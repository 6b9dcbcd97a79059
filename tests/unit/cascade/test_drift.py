"""Every recorded edge against what it means now; what is not asked or can't be is never "same"."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from aksci.cascade.base_policy import EdgePolicy
from aksci.cascade.drift import PolicyDigests, SourceEdge, compare_edges
from aksci.cascade.published import Published
from aksci.config.cascade_models import CascadeConfig
from aksci.core.errors import ConfigError, RegistryError
from aksci.images.bases import RegistryBases
from aksci.images.context.hasher import TreeHasher
from aksci.images.inputs import inputs_of
from aksci.images.lineage import Lineage
from aksci.images.reasons import lineage_of
from aksci.oci.references import ImageRef
from aksci.testing.memory_registry import MemoryRegistry

OLD, NEW, NEWER, PLATFORM = (f"sha256:{digit * 64}" for digit in "1234")
PYTHON, DEBIAN, BASE = (
    "docker.io/library/python:3.12.4-slim",
    "docker.io/library/debian:12",
    "docker.io/shop/base:latest",
)
KINDS = ["runtime", "stage", "copy", "mount", "syntax", "context"]


def make_hub(**repositories):
    """Return a registry of tags alone: repository, its slash as _ -> tag -> digest."""
    hub = MemoryRegistry("r.io")
    for name, tags in repositories.items():
        for tag, digest in tags.items():
            hub.move_tag(name.replace("_", "/"), tag, digest)
    return hub


def asked(hub):
    return [":".join(filter(None, (call.repository, call.reference))) for call in hub.calls]


def policy_digests_of(hub):
    return PolicyDigests(RegistryBases(mirror=None, connect=lambda _host: hub))


def published(parents, edges=None, image="app"):
    lineage = Lineage(
        image=image,
        key_schema=3,
        input_key="k",
        source={},
        parents=parents,
        revision="",
        edges=edges or {reference: {"type": "runtime"} for reference in parents},
    )
    return Published(image=image, ref=ImageRef("r:1", f"shop/{image}", OLD), lineage=lineage)


def compare(baseline, hub=None, *, sources=None, config=None, parents=None, only=None, batch=False):
    """Compare as if the sources named what was recorded, unless others are given."""
    recorded = baseline.lineage.edges if baseline.lineage else {}
    edges = {name: SourceEdge(one["type"], one.get("image", "")) for name, one in recorded.items()}
    return compare_edges(
        baseline,
        edges=edges if sources is None else sources,
        graph_parents=parents or {},
        policy_digests=policy_digests_of(hub or make_hub()),
        config=CascadeConfig.model_validate(config or {}),
        only=only,
        batch=batch,
    )


def test_every_recorded_edge_from_outside_is_compared_whatever_its_kind():
    parents = {f"r.io/{kind}:1": OLD for kind in KINDS}
    edges = {f"r.io/{kind}:1": {"type": kind} for kind in KINDS}
    hub = make_hub(**{kind: {"1": OLD if kind == "copy" else NEW} for kind in KINDS})
    found = compare(published(parents, edges), hub)
    assert [edge.reference for edge in found] == sorted(parents)
    for edge in found:
        assert edge.type == edge.reference.removeprefix("r.io/").removesuffix(":1")
        assert (edge.recorded, edge.parent, edge.image) == (OLD, "", "app")
        moved = edge.type != "copy"
        assert edge.state == ("drifted" if moved else "same")
        assert edge.current == (NEW if moved else OLD)


@pytest.mark.parametrize("kind", ["runtime", "stage", "copy", "mount", "context", "requires"])
def test_a_parent_of_this_project_counts_by_what_it_is_in_this_run(kind):
    baseline = published({BASE: OLD}, {BASE: {"type": kind, "image": "base"}})
    for identity, state in ((OLD, "same"), (NEW, "drifted"), (None, "waiting")):
        [edge] = compare(baseline, parents={"base": identity})
        assert (edge.state, edge.current, edge.parent) == (state, identity, "base")


def test_no_policy_and_no_choice_of_bases_keeps_a_parent_of_ours_back():
    baseline = published({BASE: OLD}, {BASE: {"type": "runtime", "image": "base"}})
    config = {"edges": {"runtime": "ignore"}, "bases": ({"base": "*", "update": "ignore"},)}
    [edge] = compare(baseline, config=config, parents={"base": NEW}, only=frozenset({"x"}))
    assert edge.state == "drifted"


def test_a_parent_of_ours_that_the_image_needs_no_more_is_no_reason_to_keep_it():
    """Nor is the registry asked what its name means outside."""
    hub = make_hub()
    baseline = published({BASE: OLD}, {BASE: {"type": "runtime", "image": "base"}})
    [edge] = compare(baseline, hub, parents={"other": OLD})
    assert (edge.state, edge.current) == ("drifted", None)
    assert edge.note == "It does not need the image base any more."
    assert asked(hub) == []


def test_a_frontend_is_from_outside_even_if_the_project_has_an_image_of_its_name():
    baseline = published({BASE: OLD}, {BASE: {"type": "syntax", "image": "base"}})
    hub = make_hub(shop_base={"latest": NEW})
    sources = {BASE: SourceEdge("syntax")}
    [edge] = compare(baseline, hub, sources=sources, parents={"base": OLD})
    assert (edge.state, edge.current, edge.parent) == ("drifted", NEW, "")


def test_an_image_without_a_believable_record_has_no_edges():
    ref = ImageRef("r:1", "shop/app", OLD)
    assert compare(Published(image="app", ref=ref, lineage=None, problem="it is damaged")) == ()


# Policy


def test_now_batch_and_ignore_by_kind_of_edge():
    hub = make_hub(library_debian={"12": NEW})
    for update, batch, state in [
        ("now", False, "drifted"),
        ("now", True, "drifted"),
        ("batch", False, "batched"),
        ("batch", True, "drifted"),
        ("ignore", False, "ignored"),
        ("ignore", True, "ignored"),
    ]:
        [edge] = compare(
            published({DEBIAN: OLD}), hub, config={"edges": {"runtime": update}}, batch=batch
        )
        assert (edge.state, edge.current) == (state, NEW)
        assert edge.policy.rule == "cascade.edges.runtime"


def test_what_has_not_moved_is_the_same_under_every_policy():
    hub = make_hub(library_debian={"12": OLD})
    for update in ("now", "batch", "ignore"):
        config = {"bases": ({"base": "debian", "update": update},)}
        [edge] = compare(published({DEBIAN: OLD}), hub, config=config)
        assert (edge.state, edge.policy.rule) == ("same", "cascade.bases[0]")


def test_a_pinned_digest_is_meant_and_the_registry_is_not_asked():
    hub = make_hub(library_debian={"12": NEWER})
    for pinned, state in ((OLD, "same"), (NEW, "drifted")):
        config = {"bases": ({"base": "debian", "digest": pinned},)}
        [edge] = compare(published({DEBIAN: OLD}), hub, config=config)
        assert (edge.state, edge.current) == (state, pinned)
    assert asked(hub) == []


def test_a_newer_tag_in_the_range_is_drift_though_the_dockerfiles_tag_stands_still():
    tags = {"3.12.4-slim": OLD, "3.12.9-slim": NEW, "3.12.10-slim": NEWER, "3.12.11": PLATFORM}
    config = {"bases": ({"base": "python", "tags": "3.12.x"},)}
    [edge] = compare(published({PYTHON: OLD}), make_hub(library_python=tags), config=config)
    assert (edge.state, edge.current, edge.tag) == ("drifted", NEWER, "3.12.10-slim")
    assert edge.note == ""


def test_the_dockerfiles_tag_that_is_the_newest_still_drifts_by_digest():
    hub = make_hub(library_python={"3.12.4-slim": NEW, "3.12.3-slim": NEWER})
    config = {"bases": ({"base": "python", "tags": "3.12.x"},)}
    [edge] = compare(published({PYTHON: OLD}), hub, config=config)
    assert (edge.state, edge.current, edge.tag, edge.note) == ("drifted", NEW, "", "")


def test_a_range_without_a_tag_leads_to_the_dockerfiles_own_and_says_so():
    hub = make_hub(library_python={"3.12.4-slim": OLD, "3.13.1": NEW})
    config = {"bases": ({"base": "python", "tags": "3.13.x"},)}
    [edge] = compare(published({PYTHON: OLD}), hub, config=config)
    assert (edge.state, edge.current, edge.tag) == ("same", OLD, "")
    assert edge.note == (
        "No tag of docker.io/library/python that is like 3.12.4-slim is in the range 3.13.x "
        "(cascade.bases[0]): 3.12.4-slim itself counts."
    )


def test_a_range_that_is_none_is_an_error():
    config = {"bases": ({"base": "python", "tags": "newest"},)}
    with pytest.raises(ConfigError, match="'newest' is no range of versions"):
        compare(
            published({PYTHON: OLD}), make_hub(library_python={"3.12.4-slim": OLD}), config=config
        )


def test_only_what_was_asked_for_counts_by_reference_or_by_image():
    parents = {DEBIAN: OLD, "r.io/tool:1": OLD, "r.io/same:1": OLD}
    hub = make_hub(library_debian={"12": NEW}, tool={"1": NEW}, same={"1": OLD})

    def states(only):
        return {edge.reference: edge for edge in compare(published(parents), hub, only=only)}

    found = states(frozenset({DEBIAN}))
    assert found[DEBIAN].state == "drifted"
    assert (found["r.io/tool:1"].state, found["r.io/tool:1"].current) == ("ignored", NEW)
    assert found["r.io/tool:1"].note == f"Only changes of {DEBIAN} count in this run."
    assert (found["r.io/same:1"].state, found["r.io/same:1"].note) == ("same", "")
    of_image = states(frozenset({"app"}))
    assert {of_image[DEBIAN].state, of_image["r.io/tool:1"].state} == {"drifted"}
    assert states(frozenset({"other"}))[DEBIAN].state == "ignored"


# Whose word: the record is unsigned but for its names and digests


@pytest.mark.parametrize("update", ["batch", "ignore"])
@pytest.mark.parametrize("forged", [kind for kind in KINDS if kind != "runtime"])
def test_an_edge_that_is_recorded_as_another_kind_stays_what_the_sources_say(forged, update):
    """Else a policy for frontends, say, would keep an image on its old base."""
    hub = make_hub(library_debian={"12": NEW})
    baseline = published({DEBIAN: OLD}, {DEBIAN: {"type": forged}})
    sources = {DEBIAN: SourceEdge("runtime")}
    [edge] = compare(baseline, hub, sources=sources, config={"edges": {forged: update}})
    assert (edge.type, edge.state, edge.current) == ("runtime", "drifted", NEW)


def test_an_edge_to_an_image_of_ours_can_not_be_recorded_as_one_from_outside():
    """A policy holds back what is from outside only."""
    hub = make_hub(shop_base={"latest": OLD})
    baseline = published({BASE: OLD}, {BASE: {"type": "runtime"}})
    sources = {BASE: SourceEdge("runtime", "base")}
    config = {"edges": {"runtime": "ignore"}}
    [edge] = compare(baseline, hub, sources=sources, config=config, parents={"base": NEW})
    assert (edge.state, edge.parent) == ("drifted", "base")
    assert asked(hub) == []


def test_an_edge_from_outside_can_not_be_recorded_as_one_to_an_image_of_ours():
    hub = make_hub(library_debian={"12": NEW})
    baseline = published({DEBIAN: OLD}, {DEBIAN: {"type": "runtime", "image": "base"}})
    sources = {DEBIAN: SourceEdge("runtime")}
    [edge] = compare(baseline, hub, sources=sources, parents={"base": OLD})
    assert (edge.state, edge.parent, edge.current) == ("drifted", "", NEW)


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_sources_name_no_more_follows_the_policy_that_takes_it_the_soonest(kind):
    hub = make_hub(library_debian={"12": NEW})
    others = {each: "ignore" for each in KINDS if each != "stage"}
    baseline = published({DEBIAN: OLD}, {DEBIAN: {"type": kind}})
    for update, state in (("now", "drifted"), ("batch", "batched"), ("ignore", "ignored")):
        config = {"edges": {**others, "stage": update}}
        [edge] = compare(baseline, hub, sources={}, config=config)
        assert edge.state == state


# Errors


@pytest.mark.parametrize("tags", [None, "3.12.x"])
@pytest.mark.parametrize("update", ["now", "batch", "ignore"])
def test_a_registry_error_is_an_error_and_not_no_drift(update, tags):
    hub = make_hub(library_python={"3.12.4-slim": OLD})
    hub.fail("*", RegistryError("r.io answered 503.", hint="later"))
    rule = {"base": "python", "update": update, "tags": tags}
    with pytest.raises(RegistryError, match="answered 503") as caught:
        compare(published({PYTHON: OLD}), hub, config={"bases": (rule,)})
    assert PYTHON in caught.value.message


def test_a_base_that_is_gone_is_an_error_and_not_no_drift():
    with pytest.raises(RegistryError, match=f"{DEBIAN} does not exist"):
        compare(published({DEBIAN: OLD}), make_hub(library_debian={"11": OLD}))


# Digests


def test_index_is_compared_with_index():
    """EDGE-CASES: a platform's digest against an index's always looks like drift.

    What is compared is what the tag itself answers; manifests are not even asked for.
    """
    hub = make_hub(library_debian={"12": OLD, "12-amd64": PLATFORM})
    [edge] = compare(published({DEBIAN: OLD}), hub)
    assert edge.state == "same"
    assert asked(hub) == ["library/debian:12"]
    [edge] = compare(published({DEBIAN: PLATFORM}), hub)
    assert (edge.state, edge.current) == ("drifted", OLD)


def lineage(project, text, built):
    toml = (
        '[images.base]\ndockerfile = "base/Dockerfile"\n'
        '[images.app]\ndockerfile = "app/Dockerfile"\n'
    )
    graph = project({"base/Dockerfile": "FROM scratch\n", "app/Dockerfile": text}, toml)
    inputs = inputs_of(
        graph,
        "app",
        hasher=TreeHasher(graph.root),
        registry_host="r:1",
        built=built,
        bases=project.outside(lambda _: OLD),
    )
    return lineage_of(graph, "app", inputs)


def test_digest_pinned_users_of_an_internal_image_dont_cascade_by_tag(project):
    """EDGE-CASES. Nor is anything asked of a registry for them."""
    hub = make_hub()
    record = lineage(project, f"FROM shop/base:latest@{OLD}\n", {})
    ref = ImageRef("r:1", "shop/app", OLD)
    baseline = Published(image="app", ref=ref, lineage=record)
    assert compare(baseline, hub, parents={"base": NEW}) == ()
    pinned = f"docker.io/shop/base@{OLD}"
    [edge] = compare(published({pinned: OLD}), hub, config={"edges": {"runtime": "now"}})
    assert (edge.state, edge.current) == ("same", OLD)
    assert asked(hub) == []


def test_names_that_docker_takes_for_one_image_are_one_edge(project):
    """EDGE-CASES: normalise library/, docker.io, index.docker.io, :latest, tag@digest."""
    text = (
        "FROM debian AS a\nFROM docker.io/debian:latest AS b\nFROM index.docker.io/library/debian\n"
        "COPY --from=a / /a\nCOPY --from=b / /b\n"
    )
    record = lineage(project, text, {})
    baseline = Published(image="app", ref=ImageRef("r:1", "shop/app", OLD), lineage=record)
    hub = make_hub(library_debian={"latest": NEW})
    [edge] = compare(baseline, hub, config={"bases": ({"base": "debian", "update": "batch"},)})
    assert (edge.reference, edge.state) == ("docker.io/library/debian:latest", "batched")
    assert asked(hub) == ["library/debian:latest"]


# Many images at once


def at_once(work, times=16):
    """Do something in so many threads that begin together."""
    barrier = threading.Barrier(times)

    def begin(number):
        barrier.wait(10)
        return work(number)

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(begin, range(times)))


def test_a_registry_is_asked_each_thing_once_however_many_images_need_it():
    hub = make_hub(
        library_python={"3.12.4-slim": OLD, "3.12.5-slim": NEW}, library_debian={"12": NEW}
    )
    hub.delay = 0.02
    policy_digests = policy_digests_of(hub)
    config = CascadeConfig.model_validate({"bases": ({"base": "python", "tags": "3.12.x"},)})

    def one(number):
        return compare_edges(
            published({PYTHON: OLD, DEBIAN: OLD}, image=f"app{number}"),
            edges={PYTHON: SourceEdge("runtime"), DEBIAN: SourceEdge("runtime")},
            graph_parents={},
            policy_digests=policy_digests,
            config=config,
            only=None,
            batch=False,
        )

    for edges in at_once(one):
        assert [edge.current for edge in edges] == [NEW, NEW]
    assert sorted(asked(hub)) == [
        "library/debian:12",
        "library/python",
        "library/python:3.12.5-slim",
    ]


def test_what_failed_is_not_asked_for_by_each_image_again():
    hub = make_hub()
    hub.delay = 0.02
    hub.fail("*", RegistryError("r.io does not answer."))
    policy_digests = policy_digests_of(hub)

    def one(number):
        policy = EdgePolicy(tags="3.12.x" if number % 2 else None)
        with pytest.raises(RegistryError, match="does not answer"):
            policy_digests.digest(PYTHON, policy)

    at_once(one)
    assert sorted(asked(hub)) == ["library/python", "library/python:3.12.4-slim"]


def test_two_ranges_of_one_repository_are_one_question():
    hub = make_hub(library_python={"3.12.4-slim": OLD, "3.12.5-slim": NEW, "3.13.1-slim": NEWER})
    policy_digests = policy_digests_of(hub)
    assert policy_digests.digest(PYTHON, EdgePolicy(tags="3.12.x")) == (NEW, "3.12.5-slim")
    assert policy_digests.digest(PYTHON, EdgePolicy(tags="3.x")) == (NEWER, "3.13.1-slim")
    assert policy_digests.digest(PYTHON, EdgePolicy()) == (OLD, "")
    assert asked(hub).count("library/python") == 1
