"""Whose word counts when a cascade, or a build under its policy, reads what an image recorded."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from aksci.cascade import cascade_plan as choose
from aksci.cascade import chosen_bases as bases
from aksci.cascade.cascade_plan import Chooser
from aksci.cascade.chosen_bases import PolicyBases
from aksci.cascade.drift import PolicyDigests
from aksci.cascade.published import Published
from aksci.config.cascade_models import CascadeConfig
from aksci.core.errors import BuildError
from aksci.images.bases import RegistryBases
from aksci.images.lookup import Lookup
from aksci.images.reasons import lineage_of
from aksci.oci.references import ImageRef
from aksci.testing.memory_registry import MemoryRegistry

OLD, NEW = (f"sha256:{digit * 64}" for digit in "12")
DEBIAN = "docker.io/library/debian:12"
FILES = {
    "app/Dockerfile": "FROM debian:12\nCOPY app /\n",
    "app/app": "app",
    "tool/Dockerfile": "FROM debian:12\nCOPY tool /\n",
    "tool/tool": "tool",
    "twin/Dockerfile": "FROM debian:12\nCOPY app /\n",
    "twin/app": "app",
}


@pytest.fixture
def shop(project, monkeypatch):
    """A graph whose published images are all based on an old Debian."""
    graph = project(FILES)
    registry = MemoryRegistry("r:1")
    registry.move_tag("library/debian", "12", NEW)
    lookup = Lookup(graph=graph, registry=registry, bases=project.outside(lambda _reference: OLD))
    policy_digests = PolicyDigests(RegistryBases(mirror=registry, connect=lambda _host: registry))

    def record(name):
        return lineage_of(graph, name, lookup.inputs(name, built={}, identities={}))

    def publish(recorded):
        def read(_registry, spec, _key_of):
            ref = ImageRef("r:1", spec.repository, OLD)
            return Published(image=spec.name, ref=ref, lineage=record(recorded))

        for module in (bases, choose):
            monkeypatch.setattr(module, "read_published", read)

    publish("app")
    return SimpleNamespace(
        graph=graph, lookup=lookup, policy_digests=policy_digests, publish=publish
    )


def choice(shop, *, trusted=True, released=None):
    chooser = Chooser(
        lookup=shop.lookup,
        config=CascadeConfig.model_validate({"edges": {"runtime": "ignore"}}),
        policy_digests=shop.policy_digests,
        failures={},
        trusted=lambda *_: trusted,
        released=lambda _: released,
    )
    return chooser.choose("app", {})


@pytest.mark.parametrize(("trusted", "digest"), [(True, OLD), (False, NEW)])
def test_a_build_stays_on_an_old_base_only_if_somebody_trusted_has_recorded_it(
    shop, trusted, digest
):
    """Whoever may push could otherwise have the next build based on a version with holes."""
    asked = []

    def is_trusted(ref, key):
        asked.append((ref.digest, key))
        return trusted

    policy = PolicyBases(
        graph=shop.graph,
        registry=shop.lookup.registry,
        config=CascadeConfig.model_validate({"edges": {"runtime": "ignore"}}),
        policy_digests=shop.policy_digests,
        otherwise=shop.lookup.bases,
        trusted=is_trusted,
    )
    assert policy.for_image("app").digest(DEBIAN) == digest
    ((ref, key),) = asked
    assert (ref, key.isalnum()) == (OLD, True)


def test_an_image_is_kept_where_nothing_that_counts_has_moved(shop):
    assert choice(shop).kept
    assert [one["code"] for one in choice(shop, trusted=False).reasons] == ["UNSIGNED"]


def test_another_image_of_the_project_under_its_tag_is_no_baseline_though_it_is_signed(shop):
    shop.publish("tool")
    ((reason),) = choice(shop).reasons
    assert reason == {"code": "BASELINE", "why": "its tag means another image of the project"}


def test_the_same_build_under_another_name_is_a_baseline(shop):
    """Two images of one repository may be the same bytes, with the record of one of them."""
    shop.publish("twin")
    assert choice(shop).kept


def test_a_parent_that_is_called_otherwise_now_is_the_same_parent(project, monkeypatch):
    """Else its children would be found drifted, and finished, in every run."""
    files = {
        "base/Dockerfile": "FROM scratch\nCOPY f /\n",
        "base/f": "f",
        "app/Dockerfile": "FROM shop/base:latest\nCOPY f /\n",
        "app/f": "f",
    }
    graph = project(files)
    lookup = Lookup(
        graph=graph,
        registry=MemoryRegistry("r:1"),
        bases=project.outside(lambda _reference: OLD),
    )
    inputs = lookup.inputs("app", built={"base": OLD}, identities={"base": OLD})
    lineage = lineage_of(graph, "app", inputs)
    (reference,) = lineage.parents
    renamed = {reference: {"type": "runtime", "image": "old-base"}}
    published = Published(
        image="app",
        ref=ImageRef("r:1", "shop/app", OLD),
        lineage=replace(lineage, edges=renamed),
    )
    monkeypatch.setattr(choose, "read_published", lambda *_: published)
    chooser = Chooser(
        lookup=lookup,
        config=CascadeConfig(),
        policy_digests=PolicyDigests(RegistryBases(mirror=None, connect=lambda _host: None)),
        failures={},
    )
    assert chooser.choose("app", {"base": OLD}).kept
    assert [one["code"] for one in chooser.choose("app", {"base": NEW}).reasons] == ["PARENT"]


# Whose word: a record's kinds of edges, and the name of its image


def forge(shop, monkeypatch, name="app", **changed):
    """Let the registry have a record whose unsigned parts somebody has changed."""
    inputs = shop.lookup.inputs(name, built={}, identities={})
    record = replace(lineage_of(shop.graph, name, inputs), **changed)

    def read(_registry, spec, _key_of):
        ref = ImageRef("r:1", spec.repository, OLD)
        return Published(image=spec.name, ref=ref, lineage=record)

    monkeypatch.setattr(choose, "read_published", read)


def test_a_base_that_is_recorded_as_a_frontend_is_not_left_for_a_batch(shop, monkeypatch):
    forge(shop, monkeypatch, edges={DEBIAN: {"type": "syntax"}})
    chooser = Chooser(
        lookup=shop.lookup,
        config=CascadeConfig.model_validate({"edges": {"syntax": "batch"}}),
        policy_digests=shop.policy_digests,
        failures={},
    )
    found = chooser.choose("app", {})
    assert [(edge.type, edge.state) for edge in found.edges] == [("runtime", "drifted")]
    assert [one["code"] for one in found.reasons] == ["BASE_DRIFT"]


TWO_IN_ONE = (
    '[images.app]\ndockerfile = "app/Dockerfile"\nrepository = "shop/all"\ntags = ["app"]\n'
    '[images.tool]\ndockerfile = "tool/Dockerfile"\nrepository = "shop/all"\ntags = ["tool"]\n'
)


def test_a_record_that_says_it_is_of_another_image_of_its_repository_is_not_believed(
    project, monkeypatch
):
    """Its key is signed, and so are its sources by that; for which image it was, nothing is."""
    graph = project(FILES, TWO_IN_ONE)
    registry = MemoryRegistry("r:1")
    registry.move_tag("library/debian", "12", OLD)
    lookup = Lookup(graph=graph, registry=registry, bases=project.outside(lambda _: OLD))
    shop = SimpleNamespace(
        graph=graph,
        lookup=lookup,
        policy_digests=PolicyDigests(RegistryBases(mirror=registry, connect=lambda _: registry)),
    )
    forge(shop, monkeypatch, name="tool", image="app")
    for released in (None, NEW):
        with pytest.raises(BuildError, match="it may be another one's"):
            choice(shop, released=released)
    forge(shop, monkeypatch, name="app")
    assert choice(shop).kept


def test_an_image_that_was_edited_and_not_built_is_kept_where_it_is_the_released_one(
    project, monkeypatch
):
    """Of several images of one repository, too: a cascade is not for what was not built yet."""
    registry = MemoryRegistry("r:1")
    registry.move_tag("library/debian", "12", OLD)

    def read():
        graph = project({**FILES, "app/app": text}, TWO_IN_ONE)
        bases = project.outside(lambda _: OLD)
        return SimpleNamespace(
            graph=graph,
            lookup=Lookup(graph=graph, registry=registry, bases=bases),
            policy_digests=PolicyDigests(
                RegistryBases(mirror=registry, connect=lambda _: registry)
            ),
        )

    text = "as it was built"
    forge(read(), monkeypatch)
    text = "edited"
    assert choice(read(), released=OLD).kept
    with pytest.raises(BuildError, match="it may be another one's"):
        choice(read(), released=NEW)


def test_the_kind_of_what_a_bases_onbuild_needs_is_asked_of_that_base(project, monkeypatch):
    """It stands in no Dockerfile of the project; and yet it is no word of the record's."""
    graph = project({"app/Dockerfile": "FROM r.io/parent:1\n"})
    tool = "r.io/tool:1"

    class Triggering(type(project.outside(None))):
        def onbuild(self, reference, *_):
            return (f"COPY --from={tool} /x /x",) if reference == "r.io/parent:1" else ()

    registry = MemoryRegistry("r.io")
    registry.move_tag("parent", "1", OLD)
    registry.move_tag("tool", "1", NEW)
    lookup = Lookup(graph=graph, registry=registry, bases=Triggering(lambda _: OLD))
    shop = SimpleNamespace(
        graph=graph,
        lookup=lookup,
        policy_digests=PolicyDigests(RegistryBases(mirror=None, connect=lambda _: registry)),
    )
    forge(shop, monkeypatch)
    for kind, state in (("copy", "batched"), ("syntax", "drifted")):
        chooser = Chooser(
            lookup=lookup,
            config=CascadeConfig.model_validate({"edges": {kind: "batch"}}),
            policy_digests=shop.policy_digests,
            failures={},
        )
        edges = {edge.reference: edge for edge in chooser.choose("app", {}).edges}
        assert (edges[tool].type, edges[tool].state) == ("copy", state)
