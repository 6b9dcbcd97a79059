"""What a cascade may put into the release that goes on from the last one, and when."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from aksci.cascade.cascade_release import Publishing
from aksci.core.errors import RegistryError
from aksci.images.build.build_record import Build, BuiltImage
from aksci.images.build.stable_tags import publish_tags
from aksci.oci.references import ImageRef
from aksci.testing.memory_registry import MemoryRegistry
from aksci.testing.reporter import RecordingReporter
from aksci.testing.sample_images import MANIFEST

PARENTS = {"base": frozenset(), "app": frozenset({"base"}), "lone": frozenset()}


def shelf(*references):
    """Return a registry that has some digests, in their repositories."""
    registry = MemoryRegistry("r:1")
    for one in references:
        registry.plant(one.repository, b"{}", digest=one.digest, media_type=MANIFEST)
    return registry


def ref(name, number):
    return ImageRef("r:1", name, f"sha256:{number:064x}")


def made(name, number, tags=("latest",)):
    return BuiltImage(
        name=name,
        ref=ref(name, number),
        input_key="k",
        tags=tags,
        action="built",
        reasons=(),
        seconds=0,
    )


def publishing(published, *, released=None, codes=None, commit="abc", before="abc"):
    """Return what publishes, the last release, and the warnings.

    :param published: image -> number of its digest when the cascade looked.
    :param released: the same, of the last release.
    """
    choices = {
        name: SimpleNamespace(
            published=SimpleNamespace(ref=ref(name, number)),
            reasons=({"code": (codes or {}).get(name, "BASE_DRIFT")},),
        )
        for name, number in published.items()
    }
    reporter = RecordingReporter()
    images = {
        name: SimpleNamespace(ref=ref(name, number))
        for name, number in (released or published).items()
    }
    last = SimpleNamespace(images=images, commit=before)
    found = Publishing(
        build=Build(run_id="run", commit=commit, environment="local", images={}),
        graph=SimpleNamespace(order=tuple(PARENTS), parents=PARENTS),
        choices=choices,
        verdicts={},
        registry=shelf(),
        signer=lambda: None,
        work=None,
        reporter=reporter,
    )
    return found, last, reporter.warnings


def released(found, last, *images):
    return set(found._released(last, {one.name: one for one in images}))


def test_what_was_made_again_takes_the_place_of_what_was_released():
    found, last, warnings = publishing({"base": 1, "app": 1, "lone": 1})
    assert released(found, last, made("base", 2), made("app", 2)) == {"base", "app"}
    assert released(found, last, made("app", 2)) == {"app"}
    assert not warnings


def test_what_stands_on_an_image_that_is_not_released_is_not_released_either():
    """``build --only base`` has published sources that nobody has released."""
    found, last, warnings = publishing(
        {"base": 5, "app": 1, "lone": 1}, released={"base": 1, "app": 1, "lone": 1}
    )
    assert released(found, last, made("app", 2), made("lone", 2)) == {"lone"}
    (warning,) = warnings
    assert warning.startswith("app needs base, which is not released as it is")
    # Whether the base itself is made again or not.
    assert released(found, last, made("base", 6), made("app", 2)) == set()


def test_a_run_that_died_after_its_release_is_gone_on_from():
    found, last, warnings = publishing(
        {"base": 1, "app": 1, "lone": 1}, released={"base": 2, "app": 2, "lone": 1}
    )
    assert released(found, last, made("base", 2), made("app", 2)) == {"base", "app"}
    # Its tags had moved in part.
    found, last, _ = publishing({"base": 2, "app": 1, "lone": 1}, released={"base": 2, "app": 1})
    assert released(found, last, made("app", 2)) == {"app"}
    assert not warnings


@pytest.mark.parametrize(
    ("code", "commit", "before", "taken"),
    [
        ("BASELINE", "abc", "abc", True),
        ("BASELINE", "def", "abc", False),
        ("UNSIGNED", "def", "abc", False),
        ("UNSIGNED", "abc-dirty", "abc-dirty", False),
        ("UNSIGNED", "", "", False),
        ("BASE_DRIFT", "def", "abc", True),
    ],
)
def test_sources_that_could_not_be_compared_are_released_of_the_released_commit_only(
    code, commit, before, taken
):
    """Whoever may push could damage a record, and so have sources rolled out before their time."""
    found, last, warnings = publishing(
        {"base": 1, "app": 1, "lone": 1}, codes={"lone": code}, commit=commit, before=before
    )
    assert released(found, last, made("lone", 2)) == ({"lone"} if taken else set())
    assert len(warnings) == (not taken)


def test_a_tag_that_somebody_else_moved_stops_the_release_too():
    found, last, _ = publishing({"lone": 1})
    found.registry.move_tag("lone", "latest", ref("lone", 9).digest)
    moving = {"lone": made("lone", 2)}
    for publish in (lambda: found.go_on(last, moving), lambda: found.move_tags(moving)):
        with pytest.raises(RegistryError, match="by somebody else"):
            publish()
    assert found.registry.asked("put_manifest") == []


def test_an_image_without_stable_tags_is_no_mistake():
    found, _, _ = publishing({"lone": 1})
    assert found.move_tags({"lone": made("lone", 2, tags=())}) == ()


def test_the_tag_that_tells_what_is_published_moves_last():
    """A run that dies in between is found to have died: ADR 11."""
    image = made("lone", 2, tags=("latest", "1", "1.2"))
    registry = shelf(image.ref)
    record = Build(run_id="", commit="", environment="", images={"lone": image})
    publish_tags(record, registry)
    tags = registry.asked("put_manifest")
    assert tags[-1] == "latest"
    assert sorted(tags) == ["1", "1.2", "latest"]
