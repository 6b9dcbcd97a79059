"""Releases and charts in the real registry, signed with notation and read by Helm."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files as resources
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from aksci.config.models import Config
from aksci.core.errors import NotFoundInRegistry, RegistryError, TrustError, UsageError
from aksci.core.git import Tracked
from aksci.core.work_folder import WorkFolder
from aksci.images.build.build_record import Base, Build, BuiltImage
from aksci.oci.artifact import Content, push_artifact
from aksci.oci.copy import copy_image
from aksci.oci.references import ImageRef
from aksci.supply.release.chart import fetch_chart, push_chart, read_chart
from aksci.supply.release.find_release import latest_release
from aksci.supply.release.make_release import (
    RELEASE_TYPE,
    NoReleaseError,
    load_release,
    make_release,
    read_charts,
)
from aksci.supply.release.release_evidence import load_evidence
from aksci.supply.release.release_file import read_release_file, write_release_file
from aksci.supply.release.sign_release import publish_release, sign_release
from aksci.supply.release.verify_release import prove_release, verify_release
from aksci.supply.scan.scan_images import scan_images
from aksci.supply.sign.signer import NotSignedError, Origin, kind_claims, sign_image

CONFIG = {
    "schema": 1,
    "project": {"name": "supply-test"},
    "images": {"catalog": {"dockerfile": "Dockerfile"}, "web": {"dockerfile": "Dockerfile"}},
    "services": {
        "catalog": {
            "chart": "charts/catalog",
            "images": {"image": "catalog"},
            "migrations": ["db/*.sql"],
        },
        "web": {"chart": "charts/web", "images": {"image": "web", "helper": "catalog"}},
    },
}


@pytest.fixture
def config():
    return Config.model_validate(CONFIG, strict=False)


@pytest.fixture
def root(tmp_path):
    for name in ("catalog", "web"):
        folder = tmp_path / "charts" / name
        (folder / "templates").mkdir(parents=True)
        (folder / "Chart.yaml").write_text(f"apiVersion: v2\nname: {name}\nversion: 0.1.0+a\n")
        (folder / "values.yaml").write_text("image:\n  digest: none\n")
        (folder / "templates" / "map.yaml").write_text(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n"
            "data:\n  digest: {{ .Values.image.digest | quote }}\n"
        )
    (tmp_path / "db").mkdir()
    for name in ("1_first", "2_second", "10_tenth"):
        (tmp_path / "db" / f"{name}.sql").write_text(name)
    return tmp_path


@pytest.fixture
def record(make_image, files):
    images = {
        name: BuiltImage(
            name=name,
            ref=make_image(files.clean, name=name),
            input_key=f"key-{name}",
            tags=("latest",),
            action="built",
            reasons=(),
            seconds=1.0,
            bases=(
                Base(
                    reference="docker.io/library/debian:bookworm-slim",
                    digest="sha256:" + "d" * 64,
                    type="runtime",
                    runtime=True,
                ),
                Base(
                    reference="localhost:5000/supply-test/base:latest",
                    digest="sha256:" + "e" * 64,
                    type="copy",
                    image="base",
                ),
            ),
        )
        for name in ("catalog", "web")
    }
    return Build(run_id="run-1", commit="c" * 40, environment="local", images=images)


@pytest.fixture
def verdicts(record, scanner, config, registry, notes, session_now):
    refs = {name: image.ref for name, image in record.images.items()}
    return scan_images(
        refs,
        scanner=scanner,
        policy=config.scan,
        registry=registry,
        reporter=notes,
        now=session_now,
        root=Path("/none"),
        trusted=lambda _verdict: True,
    )


@pytest.fixture
def make(record, config, root, verdicts, registry):
    def run(**changes):
        given = {"record": record, "verdicts": verdicts, **changes}
        return make_release(
            given["record"],
            config=config,
            root=root,
            charts=read_charts(config, root),
            verdicts=given["verdicts"],
            registry=registry,
        )

    return run


@pytest.fixture
def signed(make, record, verdicts, signer):
    release = make()
    for name, image in record.images.items():
        sign_image(image.ref, verdicts[name], input_key=image.input_key, signer=signer)
    sign_release(release, signer=signer)
    return release


def test_the_same_inputs_make_the_same_release_whatever_the_run(make, record, registry):
    first = make()
    again = make(record=replace(record, run_id="run-2", environment="other"))
    assert first == again
    assert registry.resolve("supply-test/release", first.tag) == first.id
    assert make(record=replace(record, commit="d" * 40)).id != first.id


def test_a_release_is_read_back_as_it_was_made_and_names_no_registry(make, registry):
    release = make()
    assert load_release(registry, release.ref) == release
    manifest = json.loads(registry.manifest(release.ref.repository, release.id).content)
    content = registry.blob(release.ref.repository, manifest["layers"][0]["digest"])
    assert registry.host.encode() not in content
    schema = resources("aksci.report").joinpath("schemas/release.schema.json")
    Draft202012Validator(json.loads(schema.read_text())).validate(json.loads(content))
    assert [(base.name, base.internal) for base in release.images["web"].bases] == [
        ("base", True),
        ("docker.io/library/debian:bookworm-slim", False),
    ]
    assert release.services["catalog"].schema_range == ("1_first", "10_tenth")
    assert release.service_images("web") == {
        "image": release.images["web"].ref,
        "helper": release.images["catalog"].ref,
    }


def test_a_signed_release_with_signed_images_is_trusted(signed, signer, registry):
    verify_release(load_release(registry, signed.ref), signer=signer, registry=registry)
    assert sign_release(signed, signer=signer) is False


def test_who_signed_a_release_when_and_in_which_run_is_told_by_its_signature(
    make, signer, registry
):
    release = make()
    origin = Origin(commit="c" * 40, run="run-1")
    assert publish_release(release, registry=registry, signer=signer, origin=origin) is True
    (proof,) = prove_release(release.ref, signer=signer)
    assert proof.claims["dev.aksci.run"] == "run-1"
    assert proof.claims["dev.aksci.commit"] == "c" * 40
    assert proof.signed_at is not None
    assert latest_release(registry, "supply-test") == release.ref


def test_a_chart_that_nobody_signed_is_named(signed, signer, registry, root, record, make):
    (root / "charts" / "web" / "values.yaml").write_text("other: true\n")
    release = make()
    signer.sign(release.ref, kind_claims(release.ref, "release"))
    with pytest.raises(NotSignedError, match="supply-test/charts/web@"):
        verify_release(release, signer=signer)


def test_a_signed_release_that_was_copied_from_another_project_is_refused(
    signed, signer, registry, notes
):
    copied = ImageRef(registry.host, "supply-other/release", signed.id)
    copy_image(registry, registry, signed.ref, reporter=notes, repository=copied.repository)
    assert registry.resolve(copied.repository, copied.digest) == signed.id
    with pytest.raises(TrustError):
        prove_release(copied, signer=signer)
    with pytest.raises(RegistryError, match="is not a release"):
        load_release(registry, copied)


def test_a_release_of_another_version_of_aksci_is_refused_and_named(registry):
    old = push_artifact(
        registry,
        "supply-test/release",
        artifact_type=RELEASE_TYPE,
        layers=[Content(media_type=RELEASE_TYPE, content=b'{"schema":1}')],
    )
    with pytest.raises(NoReleaseError, match="another version of aksci: schema '1'"):
        load_release(registry, old)


def test_an_unsigned_release_is_refused(make, signer):
    release = make()
    with pytest.raises(NotSignedError, match="supply-test/release@"):
        verify_release(release, signer=signer)


def test_every_unsigned_image_of_a_release_is_named(make, signer):
    release = make()
    sign_release(release, signer=signer)
    with pytest.raises(TrustError, match="2 images or charts") as caught:
        verify_release(release, signer=signer)
    assert "supply-test/catalog@" in str(caught.value)
    assert "supply-test/web@" in str(caught.value)


def test_an_image_signed_with_another_verdict_is_refused(signed, signer, make_signer):
    image = replace(signed.images["web"], verdict="sha256:" + "0" * 64)
    forged = replace(signed, images={**signed.images, "web": image})
    with pytest.raises(TrustError, match="supply-test/web@"):
        verify_release(forged, signer=signer)
    with pytest.raises(TrustError, match="no signature is valid and by a trusted identity"):
        verify_release(signed, signer=make_signer("other"))


def test_a_release_changed_in_hand_is_not_the_one_that_was_signed(signed, signer, registry):
    service = replace(signed.services["web"], chart=signed.services["catalog"].chart)
    forged = replace(signed, services={**signed.services, "web": service})
    with pytest.raises(TrustError, match="is not the one"):
        verify_release(forged, signer=signer, registry=registry)


def test_only_images_with_stored_passing_verdicts_are_released(make, verdicts):
    for bad in (
        {"catalog": verdicts["catalog"]},
        {**verdicts, "web": replace(verdicts["web"], passed=False)},
        {**verdicts, "web": replace(verdicts["web"], stored=None)},
        {**verdicts, "web": verdicts["catalog"]},
    ):
        with pytest.raises(TrustError, match="no stored, passing verdict"):
            make(verdicts=bad)


def test_a_service_whose_image_was_not_built_is_named(make, record):
    images = {"catalog": record.images["catalog"]}
    with pytest.raises(UsageError, match="'web' needs the image 'web', which was not built"):
        make(record=replace(record, images=images))


def test_what_is_no_release_is_refused(record, registry):
    image = record.images["web"].ref
    with pytest.raises(RegistryError, match="is not a release"):
        load_release(registry, image)
    with pytest.raises(NotFoundInRegistry):
        load_release(registry, ImageRef(image.registry, image.repository, "sha256:" + "0" * 64))


def test_the_release_file_names_the_last_release(make, tmp_path):
    work = WorkFolder(tmp_path / ".aksci", tracked=Tracked)
    with pytest.raises(UsageError, match="no release yet"):
        read_release_file(work)
    release = make()
    path = write_release_file(work, release, run="run-1")
    assert read_release_file(work) == release.ref
    for damage in ("", "[]", '{"schema": 1, "ref": "x:latest"}', '{"schema": 2}'):
        path.write_text(damage)
        with pytest.raises(UsageError, match="is damaged"):
            read_release_file(work)


def test_helm_pulls_and_renders_what_we_packed(registry, root, toolbox, runner, tmp_path):
    helm = toolbox.ensure("helm")
    chart = read_chart(root / "charts" / "catalog")
    ref = push_chart(registry, "supply-test/charts/catalog", chart)
    assert push_chart(registry, "supply-test/charts/catalog", chart) == ref
    ours = fetch_chart(registry, ref, tmp_path / "ours")
    pulled = tmp_path / "pulled"
    for reference in ((f"oci://{ref.name}", "--version", "0.1.0+a"), (f"oci://{ref}",)):
        pulled.mkdir(exist_ok=True)
        runner.run(
            [helm, "pull", *reference, "--plain-http", "--destination", pulled],
            env={"HOME": str(tmp_path / "home"), "HELM_CACHE_HOME": str(tmp_path / "helm")},
        )
        (theirs,) = pulled.iterdir()
        assert theirs.read_bytes() == ours.read_bytes()
        theirs.unlink()
    shown = runner.run([helm, "template", "shop", ours, "--set", "image.digest=sha256:abc"])
    assert 'digest: "sha256:abc"' in shown.stdout
    assert runner.run([helm, "show", "chart", ours]).stdout.startswith("apiVersion: v2")


def test_what_is_no_chart_is_not_fetched(record, registry, tmp_path):
    with pytest.raises(RegistryError, match="is not a Helm chart"):
        fetch_chart(registry, record.images["web"].ref, tmp_path)


def test_a_verdict_that_is_gone_or_is_no_verdict_is_told_and_not_raised(make, registry):
    release = make()
    web, catalog = release.images["web"], release.images["catalog"]
    gone = replace(web, verdict="sha256:" + "0" * 64)
    wrong = replace(catalog, verdict=catalog.ref.digest)
    found = load_evidence(registry, replace(release, images={"web": gone, "catalog": wrong}))
    for name in ("web", "catalog"):
        assert (found[name].verdict, found[name].packages) == (None, None)
        assert found[name].note
    assert "is damaged" in found["catalog"].note
    good = load_evidence(registry, release)
    assert "openssl" in {package.name for package in good["web"].packages}
    assert load_evidence(registry, release, other=release) == {}
