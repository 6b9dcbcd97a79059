"""A release that continues another: what it keeps, what it changes, and whose signature says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aksci.config.models import Config
from aksci.core.errors import NotFoundInRegistry, TrustError, UnreachableError, UsageError
from aksci.images.build.build_record import Base, Build, BuiltImage
from aksci.oci.references import ImageRef
from aksci.supply.release.continued import chain_of, continue_release, continues, publish_continued
from aksci.supply.release.make_release import load_release, make_release, read_charts
from aksci.supply.release.sign_release import publish_release, sign_release
from aksci.supply.scan.verdict import Verdict
from aksci.supply.sign.make_signer import RememberingSigner
from aksci.supply.sign.signer import (
    CONTINUES,
    AllSigners,
    BindingError,
    NotSignedError,
    Origin,
    Proof,
    kind_claims,
)
from aksci.testing.memory_registry import MemoryRegistry

HOST = "localhost:5000"
CONFIG = Config.model_validate(
    {
        "schema": 1,
        "project": {"name": "shop", "source": "https://example.com/shop"},
        "images": {"base": {"dockerfile": "Dockerfile"}, "web": {"dockerfile": "Dockerfile"}},
        "services": {
            "web": {"chart": "chart", "images": {"image": "web"}, "migrations": ["db/*.sql"]},
        },
    },
    strict=False,
)


def writes(registry):
    return len(registry.asked("put_blob", "put_manifest"))


class Seals:
    """A signer that keeps its signatures in memory, and shows one of them, as notation does."""

    def __init__(self, name="notation"):
        self.name, self.signed, self.gone = name, [], None

    def sign(self, ref, claims):
        self.signed.insert(0, (ref.digest, dict(claims)))

    def verify(self, ref, claims):
        if self.gone and ref == self.gone[0]:
            raise self.gone[1]
        own = [found for digest, found in self.signed if digest == ref.digest]
        if not own:
            raise NotSignedError(f"{ref} is not signed.")
        for found in own:
            if claims.items() <= found.items():
                return (Proof(signer=self.name, identity="me", claims=found),)
        raise BindingError(f"{ref} is signed with other claims.")


def digest(number):
    return f"sha256:{number:064x}"


def verdict(ref, **changes):
    stored = ImageRef(ref.registry, ref.repository, digest(int(ref.digest[7:], 16) + 1000))
    given = {
        "image": ref,
        "passed": True,
        "counts": {},
        "problems": (),
        "notes": (),
        "failing": (),
        "ignored": (),
        "scanner": "trivy",
        "database": "public@2026-11-24T00:00:00Z",
        "test_database": False,
        "policy": digest(7),
        "stored": stored,
    }
    return Verdict(**{**given, **changes})


def built(name, number, *, base=1):
    return BuiltImage(
        name=name,
        ref=ImageRef(HOST, f"shop/{name}", digest(number)),
        input_key=f"key-{number}",
        tags=("latest",),
        action="built",
        reasons=(),
        seconds=1,
        bases=(Base(reference="docker.io/library/debian:12", digest=digest(base), type="runtime"),),
    )


@pytest.fixture
def registry():
    return MemoryRegistry(HOST)


@pytest.fixture
def seals():
    return Seals()


@pytest.fixture
def root(tmp_path):
    (tmp_path / "chart").mkdir()
    (tmp_path / "chart/Chart.yaml").write_text("apiVersion: v2\nname: web\nversion: 1.0.0\n")
    (tmp_path / "db").mkdir()
    (tmp_path / "db/1_first.sql").write_text("create table t ()")
    return tmp_path


@pytest.fixture
def before(root, registry):
    images = {name: built(name, number) for name, number in (("base", 10), ("web", 11))}
    return make_release(
        Build(run_id="1", commit="c" * 40, environment="local", images=images),
        config=CONFIG,
        root=root,
        charts=read_charts(CONFIG, root),
        verdicts={name: verdict(image.ref) for name, image in images.items()},
        registry=registry,
    )


def go_on(registry, before, *images):
    return continue_release(
        before,
        {image.name: image for image in images},
        {image.name: verdict(image.ref) for image in images},
        registry=registry,
    )


# -- what it is made of --


def test_only_the_images_differ_though_the_checkout_has_gone_on(registry, before, root):
    (root / "chart/Chart.yaml").write_text("apiVersion: v2\nname: web\nversion: 2.0.0\n")
    (root / "db/2_second.sql").write_text("drop table t")
    image = built("web", 12, base=2)
    found = go_on(registry, before, image)
    assert found.id != before.id
    assert replace(found, ref=before.ref, images=before.images) == before
    assert found.images["base"] == before.images["base"]
    web = found.images["web"]
    assert (web.ref, web.input_key) == (image.ref, "key-12")
    assert (web.verdict, web.policy, web.database) == (
        verdict(image.ref).stored.digest,
        digest(7),
        "public@2026-11-24T00:00:00Z",
    )
    assert [base.digest for base in web.bases] == [digest(2)]
    assert load_release(registry, found.ref) == found
    assert registry.resolve("shop/release", found.tag) == found.id


def test_it_is_what_a_build_of_the_same_images_would_have_made(registry, before, root):
    images = {"base": built("base", 10), "web": built("web", 12)}
    again = make_release(
        Build(run_id="2", commit="c" * 40, environment="local", images=images),
        config=CONFIG,
        root=root,
        charts=read_charts(CONFIG, root),
        verdicts={name: verdict(image.ref) for name, image in images.items()},
        registry=registry,
    )
    assert go_on(registry, before, images["web"]) == again


def test_the_same_images_make_the_same_release_also_by_way_of_another(registry, before):
    base, web = built("base", 20), built("web", 21)
    once = go_on(registry, before, base, web)
    assert go_on(registry, before, web, base) == once
    assert go_on(registry, go_on(registry, before, base), web) == once
    read = load_release(registry, before.ref)
    assert go_on(registry, read, base, web) == once


def test_where_nothing_differs_it_is_the_release_before_and_nothing_is_written(registry, before):
    written = writes(registry)
    assert go_on(registry, before, built("web", 11)) is before
    assert go_on(registry, before) is before
    assert writes(registry) == written


def test_an_image_that_no_release_has_yet_is_left_out(registry, before):
    assert go_on(registry, before, built("new", 30)) is before
    found = go_on(registry, before, built("new", 30), built("web", 12))
    assert set(found.images) == {"base", "web"}


def test_only_images_with_stored_passing_verdicts_are_taken(registry, before):
    image = built("web", 12)
    good = verdict(image.ref)
    for bad in (
        {},
        {"web": replace(good, passed=False)},
        {"web": replace(good, stored=None)},
        {"web": verdict(built("web", 13).ref)},
    ):
        with pytest.raises(TrustError, match="no stored, passing verdict"):
            continue_release(before, {"web": image}, bad, registry=registry)


def test_what_is_in_another_registry_is_refused_with_what_to_do(registry, before):
    elsewhere = replace(before, ref=replace(before.ref, registry="other.example"))
    with pytest.raises(
        UsageError, match=r"other\.example/shop/release@.* is not in localhost:5000"
    ):
        go_on(registry, elsewhere, built("web", 12))
    image = built("web", 12)
    moved = replace(image, ref=replace(image.ref, registry="other.example"))
    with pytest.raises(UsageError, match=r"other\.example/shop/web@"):
        go_on(registry, before, moved)


# -- whose signature says so --


@pytest.fixture
def chain(registry, seals, before):
    """Three releases, each of which continues the one before it."""
    first = Origin(commit=before.commit, run="1")
    publish_release(before, registry=registry, signer=seals, origin=first)
    releases = [before]
    for number in (12, 13):
        made = go_on(registry, releases[-1], built("web", number))
        publish_continued(made, before=releases[-1], registry=registry, signer=seals, run="2")
        releases.append(made)
    return releases


def test_a_release_continues_those_that_its_signatures_name_nearest_first(chain, seals):
    first, second, third = (release.ref for release in chain)
    assert chain_of(third, signer=seals) == (second, first)
    assert chain_of(third, signer=RememberingSigner(seals)) == (second, first)
    assert chain_of(third, signer=seals, most=1) == (second,)
    assert chain_of(first, signer=seals) == ()
    assert continues(third, first, signer=seals)
    assert not continues(third, first, signer=seals, most=1)
    assert not continues(first, third, signer=seals)
    seals.sign(third, {**kind_claims(third, "release"), CONTINUES: third.digest})
    assert not continues(third, third, signer=seals)
    assert not continues(third, replace(second, registry="other.example"), signer=seals)


def test_a_signature_tells_commit_run_and_what_is_continued_and_a_charts_does_not(chain, seals):
    (told,) = (claims for digest, claims in seals.signed if digest == chain[1].id)
    assert told[CONTINUES] == chain[0].id
    assert (told["dev.aksci.commit"], told["dev.aksci.run"]) == ("c" * 40, "2")
    chart = chain[0].services["web"].chart.digest
    (of_chart,) = (claims for digest, claims in seals.signed if digest == chart)
    assert CONTINUES not in of_chart


def test_a_release_that_a_build_had_signed_already_is_signed_again_with_what_it_continues(
    registry, seals, chain
):
    made = go_on(registry, chain[2], built("web", 14))
    sign_release(made, signer=seals)
    remembering = RememberingSigner(seals)
    remembering.verify(made.ref, kind_claims(made.ref, "release"))
    given = {"before": chain[2], "registry": registry, "signer": remembering, "run": "3"}
    assert publish_continued(made, **given)
    assert not publish_continued(made, **given)
    assert chain_of(made.ref, signer=seals)[0] == chain[2].ref


def test_a_release_made_twice_continues_both_though_one_signature_is_shown(registry, seals, chain):
    first, second, third = chain
    other = go_on(registry, first, built("base", 20))
    publish_continued(other, before=first, registry=registry, signer=seals, run="4")
    seals.sign(third.ref, {**kind_claims(third.ref, "release"), CONTINUES: other.id})
    assert chain_of(third.ref, signer=seals) == (other.ref, first.ref)
    assert continues(third.ref, second.ref, signer=seals)
    assert continues(third.ref, other.ref, signer=seals)


def test_latest_moves_from_the_release_before_only(registry, seals, chain, before):
    def latest():
        return registry.resolve("shop/release", "latest")

    assert latest() == chain[2].id
    late = go_on(registry, before, built("base", 40))
    publish_continued(late, before=before, registry=registry, signer=seals, run="5")
    assert latest() == chain[2].id
    signed = len(seals.signed)
    publish_continued(before, before=before, registry=registry, signer=seals, run="5")
    assert (latest(), len(seals.signed)) == (chain[2].id, signed)


def test_a_release_that_nobody_signed_ends_the_chain(registry, seals, chain):
    unsigned = go_on(registry, chain[0], built("base", 50))
    made = go_on(registry, unsigned, built("web", 51))
    publish_continued(made, before=unsigned, registry=registry, signer=seals, run="6")
    assert chain_of(made.ref, signer=seals) == ()
    assert not continues(made.ref, unsigned.ref, signer=seals)
    with pytest.raises(NotSignedError):
        chain_of(unsigned.ref, signer=seals)


@pytest.mark.parametrize(
    "changes",
    [{"dev.aksci.repository": "other/release"}, {"dev.aksci.kind": "chart"}],
    ids=["another repository", "another kind"],
)
def test_a_signature_over_something_else_does_not_link(registry, seals, chain, changes):
    """The same bytes may be signed for another project, or as something else."""
    made = go_on(registry, chain[2], built("web", 60))
    claims = {**kind_claims(made.ref, "release"), CONTINUES: chain[2].id}
    seals.sign(made.ref, {**claims, **changes})
    with pytest.raises(BindingError):
        chain_of(made.ref, signer=seals)
    seals.sign(made.ref, kind_claims(made.ref, "release"))
    assert chain_of(made.ref, signer=seals) == ()
    assert not continues(made.ref, chain[2].ref, signer=seals)


def test_every_signer_must_vouch_for_a_link(registry, seals, chain):
    other = Seals("cosign")
    for release in chain:
        sign_release(release, signer=other)
    both = AllSigners((seals, other))
    assert chain_of(chain[2].ref, signer=both) == ()
    assert not continues(chain[2].ref, chain[1].ref, signer=both)
    origin = Origin(continues=chain[1].id)
    sign_release(chain[2], signer=both, origin=origin)
    assert chain_of(chain[2].ref, signer=both) == (chain[1].ref,)


def test_a_loop_ends_by_itself(seals, chain):
    first, second, third = (release.ref for release in chain)
    seals.sign(first, {**kind_claims(first, "release"), CONTINUES: third.digest})
    seals.sign(second, {**kind_claims(second, "release"), CONTINUES: second.digest})
    assert chain_of(third, signer=seals) == (second,)
    assert chain_of(first, signer=seals) == (third, second)


@pytest.mark.parametrize(
    "text", ["", "latest", "sha256:" + "A" * 64, "sha512:0", "../../x", "\x1b"]
)
def test_a_strange_value_ends_the_chain(seals, chain, text):
    ref = chain[2].ref
    seals.sign(ref, {**kind_claims(ref, "release"), CONTINUES: text})
    assert chain_of(ref, signer=seals) == ()


def test_a_release_that_is_no_longer_there_ends_the_chain_and_a_failing_registry_does_not(
    seals, chain
):
    first, second, third = (release.ref for release in chain)
    seals.gone = (first, NotFoundInRegistry("gone"))
    assert chain_of(third, signer=seals) == (second,)
    seals.gone = (first, UnreachableError("away"))
    with pytest.raises(UnreachableError):
        chain_of(third, signer=seals)
