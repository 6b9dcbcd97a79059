"""Nobody gets our signature for what he wrote beside an image."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from aksci.cascade.dependents import remake
from aksci.cascade.dependents.survey_result import Found, Move
from aksci.images.keys import Source, input_key
from aksci.images.lineage import Lineage
from aksci.images.rebase.recorded import SEAL, RebaseFacts
from aksci.oci.names import parse_reference

BASE, TOOL = "docker.io/mid/base:1", "docker.io/mid/tool:1"
NOTE = "org.opencontainers.image.base."
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
FACTS = RebaseFacts(steps=("COPY",), layers=1)


@pytest.fixture
def lab(world, registry, monkeypatch):
    """An image on ``mid/base`` that takes a file from ``mid/tool``; all conditions hold."""
    old, tool = (world.image(f"mid/{name}:1", name) for name in ("base", "tool"))
    new = world.image("mid/base:1", "new")
    source = Source(recipe="r", args={}, target=None, platforms=("linux/amd64",), tree="t")
    parents = {BASE: old.digest, TOOL: tool.digest}
    lineage = Lineage(
        image="api", key_schema=1, input_key=input_key(source, parents), source=source.document(),
        parents=parents, revision="", edges={BASE: {"type": "runtime"}, TOOL: {"type": "copy"}},
        rebase=FACTS.document(),
    )  # fmt: skip
    notes = {
        SEAL: FACTS.seal,
        f"{NOTE}name": f"{world.host}/mid/base:1",
        f"{NOTE}digest": old.digest,
    }
    ref = world.image("pay/api:1", annotations=notes)
    move = Move(reference=BASE, type="runtime", recorded=old.digest, current=new.digest)
    found = Found(ref=ref, tags=("1",), moves=(move,), annotations=notes, lineage=lineage)
    signed = {(ref, lineage.input_key)}
    monkeypatch.setattr(
        remake,
        "check_rebase",
        lambda *_args, **given: remake.RebaseCheck(conditions=(), plan=given["now"]),
    )
    remaker = remake.Remaker(
        registry=registry,
        where=lambda reference: (registry, parse_reference(reference).repository),
        vouched=lambda ref, key: (ref, key) in signed,
        now=lambda: NOW,
        run="run",
    )
    return SimpleNamespace(
        remaker=remaker, found=found, signed=signed, old=old, new=new, world=world
    )


def failing(check):
    assert check.plan is None
    return [one.name for one in check.conditions if not one.holds]


def test_an_image_that_somebody_trusted_has_signed_may_be_rebased(lab):
    assert lab.remaker.check(lab.found, {BASE: lab.new.digest}).plan[BASE] == lab.new.digest
    lab.signed.clear()
    assert failing(lab.remaker.check(lab.found, {BASE: lab.new.digest})) == ["believable-image"]


def test_an_edge_that_somebody_wrote_puts_no_image_on_what_it_only_copies_from(lab):
    edges = {BASE: {"type": "copy"}, TOOL: {"type": "runtime"}}
    found = replace(lab.found, lineage=replace(lab.found.lineage, edges=edges))
    assert failing(lab.remaker.check(found, {TOOL: lab.new.digest})) == ["believable-image"]


@pytest.mark.parametrize("name", ["", "UPPER/x", "mid/base:2", "mid/tool:1"])
def test_what_the_manifest_names_as_its_base_counts(lab, name):
    notes = {**lab.found.annotations, f"{NOTE}name": name}
    check = lab.remaker.check(replace(lab.found, annotations=notes), {BASE: lab.new.digest})
    assert failing(check) == ["believable-image"]


def test_a_base_that_was_signed_is_left_only_for_one_that_is(lab):
    lab.world.record(lab.old, {}, now=NOW)  # with the key "k"
    lab.signed.add((lab.old, "k"))
    moves = {BASE: lab.new.digest}
    assert failing(lab.remaker.check(lab.found, moves)) == ["believable-base"]
    lab.world.record(lab.new, {}, now=NOW)
    assert failing(lab.remaker.check(lab.found, moves)) == ["believable-base"]
    lab.signed.add((lab.new, "k"))
    assert lab.remaker.check(lab.found, moves).plan
