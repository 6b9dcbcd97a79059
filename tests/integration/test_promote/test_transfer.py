"""Copying between two real registries: everything, byte for byte, and nothing twice."""

from __future__ import annotations

import datetime as dt
import json
import secrets
import urllib.request

import pytest

from aksci.config.supply_models import SignConfig
from aksci.core.errors import NotFoundInRegistry, RegistryError, TrustError
from aksci.oci.copy import apply_transfer, copy_image
from aksci.oci.copy_plan import plan_transfer
from aksci.oci.references import ImageRef
from aksci.oci.referrers import list_referrers

SBOM, SIGNATURE = "application/vnd.example.sbom.v1", "application/vnd.example.signature.v1"


def at(target, ref):
    return ImageRef(target.host, ref.repository, ref.digest)


def types(registry, ref):
    return sorted(entry["artifactType"] for entry in list_referrers(registry, ref))


@pytest.fixture
def everything(make):
    return make_everything(make)


def make_everything(make):
    """Make an index with an SBOM on one image, signatures on all, and one on the SBOM."""
    arm = make.manifest(secrets.token_bytes(1000), secrets.token_bytes(1000))
    amd = make.manifest(secrets.token_bytes(1000))
    index = make.index(amd, arm)
    sbom = make.manifest(b'{"sbom": 1}', subject=arm, kind=SBOM)
    make.manifest(b"signature of the sbom", subject=sbom, kind=SIGNATURE)
    make.manifest(b"signature", subject=index, kind=SIGNATURE)
    make.manifest(b"another signature", subject=index, kind=SIGNATURE)
    return {"index": index, "arm": arm, "amd": amd, "sbom": sbom}


def test_an_index_comes_with_its_platforms_and_all_that_refers_to_any_of_them(
    source, target, everything, notes
):
    done = copy_image(source, target, everything["index"], reporter=notes, tags=("v1",))
    assert (done.manifests, done.tags) == (7, 1)
    for ref in everything.values():
        here = source.manifest(ref.repository, ref.digest)
        there = target.manifest(ref.repository, ref.digest)
        assert (there.content, there.media_type) == (here.content, here.media_type)
        for blob in json.loads(here.content).get("layers", []):
            assert target.blob(ref.repository, blob["digest"])
    index = at(target, everything["index"])
    assert types(target, index) == [SIGNATURE, SIGNATURE]
    assert types(target, at(target, everything["arm"])) == [SBOM]
    assert types(target, at(target, everything["sbom"])) == [SIGNATURE]
    assert target.resolve(index.repository, "v1") == index.digest
    assert notes.warnings == []


def test_a_second_copy_writes_and_reads_no_blob_at_all(
    connect, difficult, maker, repository, notes
):
    """Counted by both registries."""
    before, after = difficult(), difficult()
    source, target = connect(before.host), connect(after.host)
    ref = make_everything(maker(source, repository))["index"]
    assert copy_image(source, target, ref, reporter=notes, tags=("v1",)).manifests == 7
    for server in (before, after):
        server.asked.clear()
    assert copy_image(source, target, ref, reporter=notes, tags=("v1",)).manifests == 0
    asked = set(before.counts()) | set(after.counts())
    assert {line.split()[0] for line in asked} <= {"GET", "HEAD"}
    assert not any(line.endswith((" blobs", " blobs/uploads")) for line in asked)


def test_each_blob_is_sent_once_and_mounted_where_it_is_needed_again(
    source, target, maker, notes, repository
):
    layer = secrets.token_bytes(5000)
    refs = [maker(source, f"{repository}/{number}").manifest(layer) for number in range(4)]
    plan = plan_transfer(source, target, refs, reporter=notes)
    done = apply_transfer(plan, source, target, reporter=notes)
    assert (done.streamed, done.mounted) == (5, 3)  # four configs and the layer; the layer
    for ref in refs:
        assert target.resolve(ref.repository, ref.digest) == ref.digest


def test_in_one_registry_another_repository_gets_it_by_mounts_alone(source, make, notes):
    ref = make.manifest(secrets.token_bytes(5000))
    copy = copy_image(source, source, ref, reporter=notes, repository=f"{ref.repository}/copy")
    assert (copy.manifests, copy.streamed, copy.mounted) == (1, 0, 2)
    assert source.resolve(f"{ref.repository}/copy", ref.digest) == ref.digest


def test_what_refers_to_the_image_at_the_target_already_stays(source, target, make, maker, notes):
    ref = make.manifest(b"layer")
    make.manifest(b"1", subject=ref, kind=SIGNATURE)
    copy_image(source, target, ref, reporter=notes)
    maker(target, ref.repository).manifest(b"2", subject=at(target, ref), kind=SBOM)
    make.manifest(b"3", subject=ref, kind=SIGNATURE)
    copy_image(source, target, ref, reporter=notes)
    assert types(target, at(target, ref)) == [SBOM, SIGNATURE, SIGNATURE]


def test_a_list_of_referrers_is_not_believed(source, target, make, notes):
    """Whoever may push can enter anything in a fallback tag: what is gone, what is another's."""
    ref, stranger = make.manifest(b"layer"), make.manifest(b"stranger")
    make.manifest(b"1", subject=ref, kind=SIGNATURE)
    tag = ref.digest.replace(":", "-")
    found = source.manifest(ref.repository, tag)
    document = json.loads(found.content)
    gone = make.manifest(b"2")
    document["manifests"] += [make.descriptor(gone), make.descriptor(stranger)]
    source.put_manifest(ref.repository, json.dumps(document).encode(), found.media_type, tag=tag)
    _delete(gone)
    copy_image(source, target, ref, reporter=notes)
    assert types(target, at(target, ref)) == [SIGNATURE]
    assert target.resolve(ref.repository, stranger.digest) is None
    assert sorted("does not exist" in text for text in notes.warnings) == [False, True]


def test_tags_of_cosign_come_along_and_replace_none_at_the_target(source, target, make, notes):
    ref, signature = make.manifest(b"layer"), make.manifest(b"signature")
    tag = ref.digest.replace(":", "-") + ".sig"
    _tag(source, signature, tag)
    _tag(source, make.manifest(b"other"), "sha256-" + "0" * 64 + ".sig")
    copy_image(source, target, ref, reporter=notes)
    assert target.resolve(ref.repository, tag) == signature.digest
    assert sorted(target.tags(ref.repository)) == [tag]
    newer = make.manifest(b"newer signature")
    _tag(source, newer, tag)
    copy_image(source, target, ref, reporter=notes)
    assert target.resolve(ref.repository, tag) == signature.digest
    assert "signatures of its own" in notes.warnings[0]


def _delete(ref):
    url = f"http://{ref.registry}/v2/{ref.repository}/manifests/{ref.digest}"
    with urllib.request.urlopen(urllib.request.Request(url, method="DELETE")) as answer:
        assert answer.status == 202


def _tag(registry, ref, tag):
    found = registry.manifest(ref.repository, ref.digest)
    registry.put_manifest(ref.repository, found.content, found.media_type, tag=tag)


def test_a_tag_that_moves_meanwhile_changes_nothing(source, target, make, notes):
    ref = make.manifest(b"first")
    _tag(source, ref, "latest")
    plan = plan_transfer(source, target, [ref], reporter=notes, tags={"latest": ref})
    _tag(source, make.manifest(b"second"), "latest")
    apply_transfer(plan, source, target, reporter=notes)
    assert target.resolve(ref.repository, "latest") == ref.digest


def test_layers_that_are_kept_elsewhere_stay_there(start_registry, connect, maker, notes):
    source, target = connect(start_registry()), connect(start_registry())
    elsewhere = {
        "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "digest": "sha256:" + "7" * 64,
        "size": 7,
        "urls": ["https://layers.example/7"],
    }
    ref = maker(source, "windows").manifest(layers=[elsewhere])
    copy_image(source, target, ref, reporter=notes)
    assert target.resolve(ref.repository, ref.digest) == ref.digest


def test_what_is_missing_at_the_source_is_an_error_and_no_tag_is_set(source, target, make, notes):
    ref = ImageRef(source.host, make.repository, "sha256:" + "1" * 64)
    with pytest.raises(NotFoundInRegistry):
        copy_image(source, target, ref, reporter=notes, tags=("v1",))
    assert target.tags(make.repository) == []


def test_a_reference_to_a_third_registry_is_refused(source, target, notes):
    with pytest.raises(RegistryError, match="not in"):
        copy_image(source, target, ImageRef("third:1", "a", "sha256:" + "1" * 64), reporter=notes)


def test_a_manifest_that_no_registry_need_take_is_refused_in_words(source, make):
    with pytest.raises(RegistryError, match=r"has [\d,]+ bytes") as caught:
        make.manifest(b"layer", annotations={"x": "y" * (5 << 20)})
    assert "4 MiB" in caught.value.hint


@pytest.fixture
def make_signer(toolbox, runner, tmp_path):
    from aksci.supply.sign.notation.notation_signer import notation_signer

    def make(registry, state="state"):
        return notation_signer(
            SignConfig().notation,
            notation=toolbox.ensure("notation"),
            runner=runner,
            registry=registry,
            root=tmp_path,
            state=tmp_path / state,
            user_config=tmp_path / "nobody",
            local=True,
            plain_http=True,
            now=dt.datetime.now(dt.UTC),
        )

    return make


def test_a_signature_of_notation_is_valid_where_it_has_come_to(
    source, target, make, notes, make_signer
):
    ref = make.manifest(secrets.token_bytes(100))
    claims = {"dev.aksci.repository": ref.repository}
    make_signer(source).sign(ref, claims)
    copy_image(source, target, ref, reporter=notes)
    proofs = make_signer(target).verify(at(target, ref), claims)
    assert proofs[0].claims["dev.aksci.repository"] == ref.repository
    with pytest.raises(TrustError):
        make_signer(target, "stranger").verify(at(target, ref), claims)
