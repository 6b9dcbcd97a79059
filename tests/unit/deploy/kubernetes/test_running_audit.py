"""What runs against what is signed: every outcome, and nothing verified by accident."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from aksci.core.errors import DamagedInRegistry, RegistryError, TrustError
from aksci.deploy.kubernetes.running_audit import (
    Evidence,
    audit_containers,
    images_to_open,
    refs_to_judge,
    running_digest,
)
from aksci.deploy.kubernetes.running_containers import Container
from aksci.oci.manifest import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from aksci.oci.references import ImageRef
from aksci.report.audit_report import audit_markdown, audit_text
from aksci.supply.scan.stored_verdict import VERDICT_TYPE
from aksci.supply.scan.verdict import SEVERITIES
from aksci.supply.sign.signer import (
    BindingError,
    NotSignedError,
    Proof,
    UntrustedError,
    image_claims,
    kind_claims,
)
from aksci.supply.verify.audit import Audit, Row
from aksci.supply.verify.judge import Judge, Judgement, Outcome, Subject
from aksci.supply.verify.named_audit import audit_named
from aksci.testing.memory_registry import MemoryRegistry
from aksci.testing.sample_images import MANIFEST

HOST = "localhost:5000"
HEX = "0123456789abcdef"


def ref(digit, repository="shop/web", registry=HOST):
    return ImageRef(registry, repository, "sha256:" + digit * 64)


WEB, OLD, BAD, INSIDE, CONFIG = (ref(digit) for digit in "12345")


def judgement(one, outcome=Outcome.VERIFIED, reason=""):
    return Judgement(subject=Subject(ref=one), outcome=outcome, reason=reason, by=("notation: me",))


def evidence(**changes):
    given = {
        "registry": HOST,
        "release": (WEB,),
        "services": ("web",),
        "judgements": {
            WEB: judgement(WEB),
            OLD: judgement(OLD),
            BAD: judgement(BAD, Outcome.UNSIGNED, "it is not signed"),
        },
    }
    return Evidence(**given | changes)


def container(image=str(WEB), running=str(WEB), **changes):
    given = {"place": "Pod/web-1", "name": "container main", "pod": True, "service": "web"}
    return Container(**given | {"image": str(image), "running": str(running)} | changes)


def workload(image):
    return container(image, "", pod=False, place="Deployment/web")


def audit(*containers, known=None, foreign=()):
    rows = audit_containers(containers, known or evidence(), foreign=foreign)
    return [row for row in rows if row.kind != "service"]


def outcome(*containers, **more):
    (row,) = audit(*containers, **more)
    return row.outcome


def test_an_image_of_the_release_is_verified_without_a_warning():
    (row,) = audit(container())
    assert (row.outcome, row.warnings, row.by) == (Outcome.VERIFIED, (), ("notation: me",))


def test_an_older_image_that_is_signed_by_itself_is_verified_and_told():
    (row,) = audit(container(OLD, OLD))
    assert row.outcome is Outcome.VERIFIED
    assert row.warnings == ("not in the release that is deployed here",)


def test_an_unsigned_image_is_told_by_its_place():
    (row,) = audit(container(BAD, BAD))
    assert (row.outcome, row.where) == (Outcome.UNSIGNED, "Pod/web-1, container main")


def test_what_runs_counts_and_not_what_the_tag_says():
    tag = f"{HOST}/shop/web:latest"
    assert outcome(container(tag, BAD)) is Outcome.UNSIGNED
    (row,) = audit(container(tag, WEB))
    assert row.outcome is Outcome.VERIFIED
    assert row.warnings == ("named by a tag: at its next start it may be another image",)


def test_what_runs_counts_though_the_specification_names_a_signed_digest():
    (row,) = audit(container(WEB, BAD))
    assert row.outcome is Outcome.UNSIGNED
    assert row.digest == BAD.digest


def test_what_would_run_at_the_next_start_counts_too():
    (row,) = audit(container(BAD, WEB))
    assert (row.outcome, row.digest) == (Outcome.UNSIGNED, BAD.digest)


@pytest.mark.parametrize(
    "running",
    [
        str(INSIDE),
        f"docker-pullable://{INSIDE}",
        f"mirror.example/other@{INSIDE.digest}",
        CONFIG.digest,
        f"docker://{CONFIG.digest}",
        CONFIG.digest.removeprefix("sha256:"),
    ],
)
def test_a_platform_or_configuration_inside_a_signed_index_is_covered_by_it(running):
    inside = evidence(contents={WEB: {WEB.digest, INSIDE.digest, CONFIG.digest}})
    (row,) = audit(container(WEB, running), known=inside)
    assert (row.outcome, row.warnings) == (Outcome.VERIFIED, ())
    assert outcome(container(WEB, running)).bad, "and without knowing its contents it is not"


def test_a_runtime_may_report_the_index_of_the_platform_that_is_named():
    inside = evidence(contents={OLD: {OLD.digest, INSIDE.digest}})
    assert outcome(container(INSIDE, OLD), known=inside) is Outcome.VERIFIED
    assert outcome(container(INSIDE, OLD)).bad
    assert images_to_open([container(INSIDE, WEB)], evidence()) == {WEB, INSIDE}
    assert images_to_open([container(INSIDE, OLD)], evidence()) == {WEB, INSIDE, OLD}


def test_being_inside_an_unsigned_index_covers_nothing():
    inside = evidence(contents={BAD: {BAD.digest, INSIDE.digest}})
    assert outcome(container(BAD, INSIDE), known=inside) is Outcome.UNSIGNED


def test_the_release_is_recognised_whatever_name_the_runtime_reports():
    alias = f"127.0.0.1:5000/else@{WEB.digest}"
    assert outcome(container(alias, alias)) is Outcome.VERIFIED


@pytest.mark.parametrize("running", ["garbage", "@", f"@{WEB.digest}", "x@sha256:12", "sha256:g"])
def test_an_image_id_that_is_not_understood_is_not_verified(running):
    assert outcome(container(WEB, running)) is Outcome.UNKNOWN


def test_what_does_not_run_yet_is_judged_by_its_digest_and_refused_by_tag():
    assert outcome(container(WEB, "")) is Outcome.VERIFIED
    assert outcome(container(BAD, "")) is Outcome.UNSIGNED
    assert outcome(container(f"{HOST}/shop/web:1", "")) is Outcome.UNKNOWN
    assert outcome(container("", "")) is Outcome.UNKNOWN


def test_an_image_of_another_registry_is_unsigned_unless_it_is_allowed():
    other = ref("9", "oss/proxy", "mcr.example")
    proxy = container(other, other)
    assert outcome(proxy) is Outcome.UNSIGNED
    assert outcome(proxy, foreign=["mcr.example/oss/*"]) is Outcome.FOREIGN
    assert outcome(proxy, foreign=["oss/*", "mcr.example/os", "example/*"]) is Outcome.UNSIGNED


@pytest.mark.parametrize("image", ["nginx", "nginx:1.27", "docker.io/library/nginx"])
def test_an_allowed_name_is_the_full_name(image):
    one = container(image, f"docker.io/library/nginx@sha256:{'9' * 64}")
    assert outcome(one, foreign=["docker.io/library/nginx"]) is Outcome.FOREIGN
    assert outcome(one, foreign=["nginx"]).bad


def test_a_workload_is_refused_though_no_pod_of_it_runs():
    assert outcome(workload(BAD)) is Outcome.UNSIGNED
    assert outcome(workload(f"{HOST}/shop/web:latest")) is Outcome.UNKNOWN
    assert outcome(workload(WEB)) is Outcome.VERIFIED


def test_a_workload_by_tag_is_what_all_of_its_pods_run():
    tag = f"{HOST}/shop/web:latest"
    first, *_ = audit(workload(tag), container(tag, WEB))
    assert first.outcome is Outcome.VERIFIED
    assert first.warnings
    first, *_ = audit(workload(tag), container(tag, WEB), container(tag, BAD))
    assert first.outcome is Outcome.UNKNOWN


def test_a_pod_of_no_service_and_a_service_without_pods_are_told():
    rows = audit_containers([container(service="")], evidence())
    assert rows[0].warnings == ("belongs to no service of the release",)
    assert [(row.where, row.outcome) for row in rows[1:]] == [("web", Outcome.ABSENT)]


def test_without_a_verified_release_images_stand_by_themselves():
    alone = evidence(release=(), services=())
    assert outcome(container(), known=alone) is Outcome.VERIFIED
    assert outcome(container(), known=evidence(release=(), judgements={})) is Outcome.UNKNOWN


def test_only_what_is_needed_is_asked_for():
    assert images_to_open([container()], evidence()) == set()
    assert images_to_open([container(OLD, INSIDE)], evidence()) == {WEB, OLD, INSIDE}
    assert refs_to_judge([container()], evidence()) == set()
    assert refs_to_judge([container(OLD, BAD)], evidence()) == {OLD, BAD}
    elsewhere = ref("9", registry="mcr.example")
    assert refs_to_judge([container(elsewhere, elsewhere)], evidence()) == set()


@given(st.text(), st.text())
def test_no_text_makes_something_verified_that_is_not(image, running):
    known = evidence(judgements={})
    for one in (container(image, running), workload(image)):
        assert outcome(one, known=known).bad


@given(st.text(alphabet=HEX, min_size=64, max_size=64))
def test_a_digest_is_read_from_every_form_of_an_image_id(digits):
    digest = f"sha256:{digits}"
    for text in (digest, digits, f"docker://{digest}", f"a/b@{digest}", f"x://a:5/b@{digest}"):
        assert running_digest(text) == digest


HOSTILE = "web\x1b[31m\r\n##vso[task.complete]\n::error::x|<b>`"


def whole(*containers, **more):
    rows = audit_containers(containers, evidence(), **more)
    return Audit(environment="test", registry=HOST, release=str(WEB), rows=rows)


def test_hostile_names_are_harmless_wherever_they_are_shown():
    found = whole(container(HOSTILE, HOSTILE, place=f"Pod/{HOSTILE}", name=HOSTILE))
    with pytest.raises(TrustError) as error:
        found.require()
    for text in (audit_text(found), error.value.message, json.dumps(found.as_json())):
        assert "\x1b" not in text
        assert "##vso" not in text
        assert not any(line.lstrip().startswith("::") for line in text.splitlines())
    table = audit_markdown(found).splitlines()
    assert len([line for line in table if line.startswith("| **")]) == 1
    assert "<b>" not in audit_markdown(found)


def test_every_offender_is_named_and_the_counts_are_at_the_end():
    found = whole(
        container(), container(BAD, BAD, place="Pod/bad"), container(WEB, "x", place="Pod/odd")
    )
    assert not found.passed
    assert audit_text(found).splitlines()[-1] == "1 verified, 1 UNSIGNED, 1 UNKNOWN"
    with pytest.raises(TrustError) as error:
        found.require()
    assert "2 things are not verified" in error.value.message
    assert "UNSIGNED  Pod/bad, container main" in error.value.message
    assert "UNKNOWN  Pod/odd" in error.value.message
    assert "Pod/web-1" not in error.value.message


def test_nothing_at_all_is_not_verified():
    empty = Audit(environment="test", registry=HOST, rows=())
    assert not empty.passed
    with pytest.raises(TrustError, match="nothing to verify"):
        empty.require()


@pytest.mark.parametrize("each", Outcome)
def test_the_json_is_as_its_schema_says_and_capitals_fail(each):
    schema = json.loads((files("aksci.report") / "schemas/verify.schema.json").read_text())
    row = Row(kind="pod", where="Pod/x", image=str(WEB), digest=WEB.digest, outcome=each)
    found = Audit(environment="test", registry=HOST, rows=(row,))
    Draft202012Validator(schema).validate(json.loads(json.dumps(found.as_json())))
    assert found.passed is str(each).islower()


# The judge, with a registry and signers in memory


def put(registry, document):
    """Store a manifest, whatever is in it; return its digest."""
    media_type = OCI_INDEX if "manifests" in document else MANIFEST
    return registry.plant("shop/web", json.dumps(document).encode(), media_type=media_type)


class Seals:
    """A signer: the claims that it has signed, by reference; or the error that it raises."""

    name = "seals"

    def __init__(self):
        self.claims = {}
        self.error = None

    def verify(self, one, claims):
        if self.error:
            raise self.error
        signed = self.claims.get(one)
        if signed is None:
            raise NotSignedError(f"{one} is not signed.")
        if not claims.items() <= signed.items():
            raise BindingError(f"{one} is signed for something else.")
        return (Proof(signer=self.name, identity="me", claims=signed),)


@pytest.fixture
def registry():
    return MemoryRegistry(HOST)


@pytest.fixture
def seals():
    return Seals()


@pytest.fixture
def judge(registry, seals):
    return Judge(signer=seals, registry=registry)


@pytest.fixture
def image(registry):
    config = {"mediaType": OCI_CONFIG, "digest": CONFIG.digest}
    return ImageRef(HOST, "shop/web", put(registry, {"config": config}))


@pytest.fixture
def verdict(registry, image):
    """Store a verdict as the gate does, and return its digest."""
    from aksci.supply.scan.verdict import Verdict

    def store(*, passed=True, on=image, subject=image):
        made = Verdict(
            image=on,
            passed=passed,
            problems=() if passed else ("end of life",),
            notes=(),
            counts=dict.fromkeys(SEVERITIES, 0),
            failing=(),
            ignored=(),
            scanner="t",
            database="d",
            test_database=False,
            policy="sha256:" + "e" * 64,
        )
        layer = registry.put_blob("shop/web", json.dumps(made.document()).encode())
        about, layers = {"digest": subject.digest}, [{"digest": layer}]
        document = {"artifactType": VERDICT_TYPE, "subject": about, "layers": layers}
        return put(registry, document)

    return store


def sign(seals, image, digest):
    origin = {"dev.aksci.commit": "c1", "dev.aksci.run": "r1"}
    seals.claims[image] = {**image_claims(image, verdict=digest, input_key="k"), **origin}


def test_a_signed_image_tells_who_signed_it_and_what_it_passed(judge, seals, image, verdict):
    digest = verdict()
    sign(seals, image, digest)
    found = judge.judge(Subject(ref=image))
    assert found.verified
    assert (found.by, found.commit, found.run) == (("seals: me",), "c1", "r1")
    assert (found.verdict, found.policy) == (digest, "sha256:" + "e" * 64)


def test_an_image_must_have_the_verdict_and_the_key_that_its_release_says(
    judge, seals, image, verdict
):
    digest = verdict()
    sign(seals, image, digest)
    assert judge.judge(Subject(ref=image, verdict=digest, input_key="k")).verified
    for wrong in ({"verdict": digest, "input_key": "x"}, {"verdict": CONFIG.digest}):
        assert judge.judge(Subject(ref=image, **wrong)).outcome is Outcome.UNBOUND


def test_a_signature_whose_verdict_is_no_good_is_refused(judge, seals, image, verdict):
    other = ref("9")
    for digest in (
        verdict(passed=False),
        verdict(on=other),
        verdict(subject=other),
        ref("8").digest,
        put(judge.registry, {"no": "verdict"}),
    ):
        sign(seals, image, digest)
        found = judge.judge(Subject(ref=image))
        assert found.outcome is Outcome.REFUSED, found


def test_a_verdict_that_is_bound_by_a_tag_is_none(judge, registry, seals, image, verdict):
    """A tag can be moved after the signature was made."""
    registry.move_tag("shop/web", "latest", verdict())
    sign(seals, image, "latest")
    assert judge.judge(Subject(ref=image)).outcome is Outcome.UNBOUND


def test_the_signature_of_a_chart_is_none_of_an_image_and_the_other_way(
    judge, seals, image, verdict
):
    seals.claims[image] = kind_claims(image, "chart")
    assert judge.judge(Subject(ref=image, kind="chart")).verified
    assert judge.judge(Subject(ref=image, kind="release")).outcome is Outcome.UNBOUND
    found = judge.judge(Subject(ref=image))
    assert found.outcome is Outcome.UNBOUND
    assert "binds no verdict" in found.reason
    sign(seals, image, verdict())
    assert judge.judge(Subject(ref=image, kind="chart")).outcome is Outcome.UNBOUND


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UntrustedError("x"), Outcome.UNTRUSTED),
        (NotSignedError("x"), Outcome.UNSIGNED),
        (BindingError("x"), Outcome.UNBOUND),
        (TrustError("x"), Outcome.UNKNOWN),
    ],
)
def test_each_way_to_fail_has_its_outcome(judge, seals, image, error, expected):
    seals.error = error
    found = judge.judge(Subject(ref=image))
    assert (found.outcome, found.reason) == (expected, "x")


def test_a_registry_that_does_not_answer_is_an_error(judge, registry, image):
    registry.fail("*", RegistryError("it does not answer"))
    with pytest.raises(RegistryError):
        judge.judge_all([Subject(ref=image)])
    with pytest.raises(RegistryError):
        judge.all_contents([image])


def test_what_is_not_in_the_registry_is_not_verified(judge, seals):
    seals.claims[WEB] = kind_claims(WEB, "chart")
    assert judge.judge(Subject(ref=WEB, kind="chart")).outcome is Outcome.UNKNOWN


def test_each_digest_is_verified_once(judge, seals, image, verdict, monkeypatch):
    sign(seals, image, verdict())
    asked = []
    monkeypatch.setattr(Judge, "judge", lambda _self, one: asked.append(one))
    judge.judge_all([Subject(ref=image)] * 5)
    assert asked == [Subject(ref=image)]


def test_an_index_contains_its_platforms_and_their_configurations(judge, registry, image):
    gone = ref("7").digest
    entries = [{"digest": image.digest}, {"digest": gone}]
    index = ImageRef(HOST, "shop/web", put(registry, {"manifests": entries}))
    assert judge.contents_of(index) == {index.digest, image.digest, CONFIG.digest, gone}
    assert judge.contents_of(image) == {image.digest, CONFIG.digest}


def test_an_index_does_not_contain_what_nothing_has_scanned(judge, registry, image):
    """An attestation is no image; who starts it by its digest runs what was never looked at."""
    attestation = {
        "digest": ref("8").digest,
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
    }
    entries = [{"digest": image.digest}, attestation]
    index = ImageRef(HOST, "shop/web", put(registry, {"manifests": entries}))
    assert judge.contents_of(index) == {index.digest, image.digest, CONFIG.digest}


@pytest.mark.parametrize("kind", [OCI_INDEX, "application/vnd.cncf.helm.config.v1+json", ""])
def test_only_an_images_configuration_stands_for_it(judge, registry, kind):
    config = {"mediaType": kind, "digest": CONFIG.digest}
    one = ImageRef(HOST, "shop/web", put(registry, {"config": config}))
    assert judge.contents_of(one) == {one.digest}


@pytest.mark.parametrize(
    "document",
    [
        {"config": {"mediaType": OCI_CONFIG, "digest": CONFIG.digest}, "artifactType": ["x"]},
        {"config": {"mediaType": OCI_CONFIG, "digest": CONFIG.digest}, "manifests": []},
        {"config": {"mediaType": OCI_MANIFEST, "digest": CONFIG.digest}},
        {"schemaVersion": 1},
    ],
)
def test_what_can_be_read_in_two_ways_is_verified_as_nothing(judge, registry, seals, document):
    """However it is signed."""
    one = ImageRef(HOST, "shop/web", put(registry, document))
    seals.claims[one] = {"dev.aksci.repository": "shop/web", "dev.aksci.kind": "chart"}
    with pytest.raises(DamagedInRegistry, match=one.digest):
        audit_named([one], judge=judge)


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"manifests": 3},
        {"manifests": [{}]},
        {"config": "x"},
        {"manifests": ["x"]},
        {"manifests": [{"digest": "sha512:" + "0" * 128}]},
    ],
)
def test_a_damaged_manifest_contains_itself_only(judge, registry, document):
    one = ImageRef(HOST, "shop/web", put(registry, document))
    assert judge.contents_of(one) == {one.digest}


def test_what_is_no_json_contains_itself_only(judge, registry, image):
    registry.plant("shop/web", b"\xff", digest=image.digest)
    assert judge.contents_of(image) == {image.digest}
