"""The step ``verify``: several things at once, or all that runs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from aksci import steps
from aksci.core.errors import RegistryError, TrustError, UsageError
from aksci.oci.references import ImageRef
from aksci.report.rendering import render
from aksci.testing.sample_images import push_sample


def test_several_things_are_verified_at_once_each_one_time(site):
    release = site.release()
    image = release.images["web"].ref
    site.staging.registry.move_tag("shop/web", "stable", image.digest)
    audit = steps.verify(site.staging, release, image, "shop/web:stable", str(release.ref))
    assert [(row.kind, row.outcome) for row in audit.rows] == [
        ("release", "verified"),
        ("chart", "verified"),
        ("image", "verified"),
        ("image", "verified"),
    ]
    audit.require()
    assert f"staging.example/shop/web:stable is {image.digest}" in site.told
    assert site.staging.notes["verify"] == {
        "passed": True,
        "counts": {"verified": 4},
        "release": "",
    }


def test_one_offender_among_several_is_told_and_required_by_name(site):
    release = site.release()
    stranger = push_sample(site.staging.registry, "shop/other")
    audit = steps.verify(site.staging, release, stranger)
    assert audit.counts == {"verified": 3, "UNSIGNED": 1}
    with pytest.raises(TrustError, match=f"UNSIGNED  shop/other: {stranger}"):
        audit.require()
    assert "3 verified, 1 UNSIGNED" in render(audit, "text")
    assert json.loads(render(audit, "json"))["passed"] is False
    assert "NOT VERIFIED" in render(audit, "markdown")


def test_what_is_elsewhere_not_there_or_no_such_thing_is_no_subject(site):
    elsewhere = ImageRef("live.example", "shop/web", "sha256:" + "1" * 64)
    with pytest.raises(UsageError, match=r"is not in staging\.example"):
        steps.verify(site.staging, elsewhere)
    with pytest.raises(RegistryError, match="is not there"):
        steps.verify(site.staging, replace(elsewhere, registry="staging.example"))
    with pytest.raises(UsageError):
        steps.verify(site.staging, "Not A Name")


def test_all_that_runs_is_verified_where_nothing_is_named(site):
    with pytest.raises(UsageError, match="Nothing runs in 'staging'"):
        steps.verify(site.staging)
    release = site.release()
    site.deploy(release)
    audit = steps.verify(site.staging)
    assert audit.release == str(release.ref)
    assert audit.counts == {"verified": 4, "absent": 1}  # no pod of the CronJob runs
    site.keys.signed.clear()
    assert not steps.verify(site.staging).passed
