"""Releases that continue each other, in the real registry, signed by notation and by cosign."""

from __future__ import annotations

import datetime as dt
import secrets

import pytest

from aksci.config.supply_models import CosignConfig, NotationConfig
from aksci.core.errors import TrustError
from aksci.images.build.build_record import BuiltImage
from aksci.oci.client import RegistryClient
from aksci.oci.copy import copy_image
from aksci.oci.references import ImageRef
from aksci.supply.release.continued import chain_of, continue_release, publish_continued
from aksci.supply.release.find_release import latest_release
from aksci.supply.release.make_release import load_release, store_release
from aksci.supply.release.release import Release, ReleaseImage
from aksci.supply.release.release_document import release_document
from aksci.supply.release.sign_release import publish_release
from aksci.supply.scan.verdict import Verdict
from aksci.supply.sign.cosign.cosign_signer import cosign_signer
from aksci.supply.sign.make_signer import RememberingSigner
from aksci.supply.sign.notation.notation_signer import notation_signer
from aksci.supply.sign.signer import AllSigners
from aksci.testing.reporter import RecordingReporter


@pytest.fixture
def registry(platform):
    client = RegistryClient(platform.registry, plain_http=True)
    yield client
    client.close()


@pytest.fixture
def make_signer(toolbox, registry, runner, tmp_path):
    """Both signers as one, with test keys of their own in each state folder."""

    def make(state="state"):
        common = {
            "runner": runner,
            "registry": registry,
            "root": tmp_path,
            "state": tmp_path / state,
            "local": True,
            "plain_http": True,
            "now": dt.datetime.now(dt.UTC),
        }
        notation = notation_signer(
            NotationConfig(),
            notation=toolbox.ensure("notation"),
            user_config=tmp_path / "nobody",
            **common,
        )
        cosign = cosign_signer(
            CosignConfig(), cosign=toolbox.ensure("cosign"), variables={}, **common
        )
        return RememberingSigner(AllSigners((notation, cosign)))

    return make


@pytest.fixture
def project():
    return f"t-{secrets.token_hex(4)}"


def digest(number):
    return f"sha256:{number:064x}"


def first_release(registry, project) -> Release:
    image = ReleaseImage(
        name="web",
        ref=ImageRef(registry.host, f"{project}/web", digest(1)),
        input_key="key-1",
        verdict=digest(101),
        policy=digest(7),
        database="public@2026-11-24T00:00:00Z",
    )
    document = release_document(
        project=project, source="", commit="c" * 40, images={"web": image}, services={}
    )
    return store_release(document, registry=registry)


def go_on(registry, before, number):
    ref = ImageRef(registry.host, f"{before.project}/web", digest(number))
    image = BuiltImage(
        name="web",
        ref=ref,
        input_key=f"key-{number}",
        tags=(),
        action="built",
        reasons=(),
        seconds=1,
    )
    verdict = Verdict(
        image=ref,
        passed=True,
        counts={},
        scanner="trivy",
        database="public@2026-11-24T00:00:00Z",
        test_database=False,
        policy=digest(7),
        problems=(),
        notes=(),
        failing=(),
        ignored=(),
        stored=ImageRef(ref.registry, ref.repository, digest(number + 100)),
    )
    return continue_release(before, {"web": image}, {"web": verdict}, registry=registry)


def test_both_signers_vouch_for_a_chain_and_nobody_else_does(registry, make_signer, project):
    signer = make_signer()
    first = first_release(registry, project)
    publish_release(first, registry=registry, signer=signer)
    second = go_on(registry, first, 2)
    publish_continued(second, before=first, registry=registry, signer=signer, run="1")
    third = go_on(registry, second, 3)
    publish_release(third, registry=registry, signer=signer)  # as a build would have
    publish_continued(third, before=second, registry=registry, signer=signer, run="2")
    assert go_on(registry, load_release(registry, second.ref), 3) == third
    assert latest_release(registry, project) == third.ref

    assert chain_of(third.ref, signer=make_signer()) == (second.ref, first.ref)

    stranger = make_signer("stranger")
    forged = go_on(registry, third, 4)
    publish_continued(forged, before=third, registry=registry, signer=stranger, run="3")
    with pytest.raises(TrustError):
        chain_of(forged.ref, signer=make_signer())

    other = f"{project}-other/release"
    copy_image(registry, registry, third.ref, reporter=RecordingReporter(), repository=other)
    with pytest.raises(TrustError):
        chain_of(ImageRef(registry.host, other, third.id), signer=make_signer())
