"""What differs between two releases."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from jsonschema import Draft202012Validator

from aksci.oci.references import ImageRef
from aksci.report.release_comparison import (
    comparison_document,
    comparison_markdown,
    comparison_text,
)
from aksci.supply.release.commits import Commit, CommitRange
from aksci.supply.release.compare import compare_releases
from aksci.supply.release.release import (
    Migration,
    Release,
    ReleaseBase,
    ReleaseImage,
    ReleaseService,
)
from aksci.supply.release.release_evidence import ImageEvidence


def digest(char):
    return "sha256:" + char * 64


def image(name="catalog", char="1", **changes):
    given = {
        "ref": ImageRef("localhost:5000", f"shop/{name}", digest(char)),
        "input_key": f"key-{char}",
        "verdict": digest("2"),
        "policy": digest("3"),
        "database": "public@2026-11-23T00:00:00Z",
    }
    return ReleaseImage(name=name, **{**given, **changes})


def base(char, name="docker.io/library/debian:bookworm-slim"):
    return ReleaseBase(name=name, digest=digest(char), type="runtime", internal=False)


def service(name="catalog", chart="6", version="1.0.0", migrations=(), images=None):
    return ReleaseService(
        name=name,
        chart=ImageRef("localhost:5000", f"shop/charts/{name}", digest(chart)),
        chart_name=name,
        chart_version=version,
        images=images or {"image": name},
        migrations=tuple(Migration(version=key, digest=digest(value)) for key, value in migrations),
    )


def release(char, *images, services=()):
    return Release(
        ref=ImageRef("localhost:5000", "shop/release", digest(char)),
        project="shop",
        commit=char * 40,
        images={one.name: one for one in images},
        services={one.name: one for one in services},
    )


@pytest.fixture
def compare(schema):
    """Compare two releases; whatever comes of it is shown in every form, by its schema."""

    def run(old, new, before=None, after=None, commits=None):
        found = compare_releases(
            old,
            new,
            evidence_before=before or {},
            evidence_after=after or {},
            commits=commits or CommitRange(),
        )
        Draft202012Validator(schema("release-comparison")).validate(
            json.loads(json.dumps(comparison_document(found)))
        )
        assert comparison_text(found)
        assert comparison_markdown(found)
        return found

    return run


def package(name, version):
    return SimpleNamespace(name=name, version=version, purl=f"pkg:deb/debian/{name}", licences=())


def evidence(verdict, *packages):
    return ImageEvidence(verdict=verdict, packages=tuple(packages))


def test_a_release_does_not_differ_from_itself(compare):
    one = release("a", image(), services=[service()])
    found = compare(one, one)
    assert found.same
    assert (found.images, found.services) == ((), ())
    assert comparison_text(found).startswith("no difference: both are localhost:5000/shop/release@")


def test_images_that_came_and_went_are_told(compare):
    found = compare(release("a", image("old", "1")), release("b", image("new", "2")))
    assert [(one.name, one.change) for one in found.images] == [
        ("new", "added"),
        ("old", "removed"),
    ]


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        (image(bases=(base("4"),)), image(char="9", bases=(base("5"),)), ("base",)),
        (image(bases=(base("4"),)), image(char="9", bases=(base("4"),)), ("inputs",)),
        (image(), image(char="9", input_key="key-1"), ("bytes",)),
    ],
)
def test_why_an_image_differs_is_told_from_its_lineage(compare, before, after, why):
    (found,) = compare(release("a", before), release("b", after)).images
    assert (found.change, found.why) == ("changed", why)


def test_a_base_that_was_replaced_is_one_that_went_and_one_that_came(compare):
    old = image(bases=(base("4"),))
    new = image(char="9", bases=(base("5", "docker.io/library/alpine:3"),))
    (found,) = compare(release("a", old), release("b", new)).images
    assert {(one.name, one.old, one.new) for one in found.bases} == {
        ("docker.io/library/debian:bookworm-slim", digest("4"), ""),
        ("docker.io/library/alpine:3", "", digest("5")),
    }


def test_the_same_bytes_under_another_name_were_renamed(compare):
    (found,) = compare(release("a", image("a")), release("b", image("b"))).images
    assert (found.name, found.change, found.old.name, found.why) == ("b", "renamed", "a", ())


def test_other_bytes_in_the_same_repository_under_another_name_were_renamed(compare):
    moved = replace(image("b", "9"), ref=ImageRef("localhost:5000", "shop/a", digest("9")))
    (found,) = compare(release("a", image("a")), release("b", moved)).images
    assert (found.change, found.why) == ("renamed", ("inputs",))


def test_of_several_equal_images_none_is_said_to_be_renamed(compare):
    old = release("a", image("a"), image("b"))
    new = release("b", image("c"), image("d"))
    assert {one.change for one in compare(old, new).images} == {"added", "removed"}


def test_findings_packages_and_ignores_of_a_changed_image_are_told(compare, make):
    accepted = make.ignored(make.finding(id="CVE-3"))
    old = make.verdict(failing=(make.finding(id="CVE-1"),), ignored=(accepted,))
    new = make.verdict(
        digest="b", tolerated=(make.finding(id="CVE-2"), make.finding(id="CVE-3", severity="LOW"))
    )
    found = compare(
        release("a", image()),
        release("b", image(char="9")),
        {"catalog": evidence(old, package("openssl", "3.0.9-1"), package("curl", "1"))},
        {"catalog": evidence(new, package("openssl", "3.0.11-1"))},
    )
    (one,) = found.images
    assert [item.id for item in one.findings.introduced] == ["CVE-2"]
    assert [item.id for item in one.findings.fixed] == ["CVE-1"]
    assert {(item.name, item.change) for item in one.packages} == {
        ("openssl", "upgraded"),
        ("curl", "removed"),
    }
    assert one.ignores_lapsed == (accepted,)
    text = comparison_text(found)
    assert "introduced: CRITICAL CVE-2 in libssl3" in text
    assert "package openssl upgraded: 3.0.9-1 → 3.0.11-1" in text
    assert "ignored no longer: CVE-3 in libssl3 until 2027-01-31 (ann@example.com: " in text


def test_what_is_not_known_is_said_to_be_not_known_and_not_to_be_nothing(compare, make):
    found = compare(
        release("a", image()),
        release("b", image(char="9")),
        {"catalog": ImageEvidence(verdict=None, packages=None, note="the verdict is gone")},
        {"catalog": evidence(make.verdict(digest="b"), package("a", "1"))},
    )
    assert (found.images[0].findings, found.images[0].packages) == (None, None)
    text = comparison_text(found)
    assert "findings: not known" in text
    assert "packages: not known" in text
    assert "not all is known: the verdict is gone" in text


def test_another_verdict_on_the_same_bytes_is_told_as_what_is_known_now(compare, make):
    found = compare(
        release("a", image()),
        release("b", image(verdict=digest("8"))),
        {"catalog": evidence(make.verdict())},
        {"catalog": evidence(make.verdict(tolerated=(make.finding(),)))},
    )
    assert found.images[0].change == "rescanned"
    assert "known now: CRITICAL CVE-2024-5535" in comparison_text(found)


def test_another_policy_is_told(compare, make):
    """VEX, KEV and EPSS files are in its hash: who changes one changes what passes."""
    known = {"catalog": evidence(make.verdict())}
    old, new = image(), image(verdict=digest("8"), policy=digest("9"))
    found = compare(release("a", old), release("b", new), known, known)
    assert "    policy: 333333333333 → 999999999999" in comparison_text(found)
    assert comparison_document(found)["images"][0]["new"]["policy"] == digest("9")
    found = compare(release("a", old), release("b", image(verdict=digest("8"))), known, known)
    assert "policy" not in comparison_text(found)


def test_a_rewritten_or_removed_migration_is_told_first_and_loudly(compare):
    old = service(migrations=[("1", "a"), ("2", "b"), ("3", "c")])
    new = service(migrations=[("1", "a"), ("2", "f"), ("4", "d")])
    found = compare(release("a", services=[old]), release("b", services=[new]))
    (change,) = found.services
    assert [(one.version, one.change) for one in change.schema] == [
        ("2", "rewritten"),
        ("3", "removed"),
        ("4", "added"),
    ]
    _, second, third, *_ = comparison_text(found).splitlines()
    assert second.startswith("MIGRATION REWRITTEN")
    assert third == "MIGRATION REMOVED: 3 of catalog"
    assert "schema: 1…3 → 1…4" in comparison_text(found)


def test_charts_and_what_images_services_are_given_are_compared(compare):
    old = service(chart="6", version="1.0.0")
    new = service(chart="7", version="1.1.0", images={"image": "other"})
    found = compare(
        release("a", services=[old, service("gone")]), release("b", services=[new, service("new")])
    )
    assert [(one.name, one.change) for one in found.services] == [
        ("catalog", "changed"),
        ("gone", "removed"),
        ("new", "added"),
    ]
    text = comparison_text(found)
    assert "chart catalog 1.0.0 → 1.1.0" in text
    assert "image for image: catalog → other" in text


def test_no_commit_subject_and_no_name_is_obeyed(compare, make):
    bad = "##vso[x] `a` [l](https://evil.example) <b> @team"
    commits = CommitRange(added=(Commit(hash="a" * 40, subject=bad),))
    accepted = make.ignored(make.finding(), reason=bad)
    found = compare(
        release("a", image()),
        release("b", image(char="9")),
        {"catalog": evidence(make.verdict())},
        {"catalog": evidence(make.verdict(digest="b", ignored=(accepted,)))},
        commits,
    )
    markdown = comparison_markdown(found).replace("<!-- -->", "")  # our own: nothing
    assert "##vso[" not in markdown
    assert not re.search(r"(?<!\\)[<>`\[\]@]", markdown)
    assert "https://" not in markdown


def test_a_name_of_several_lines_makes_no_line_of_its_own(compare, make):
    old, new = release("a", image()), release("b", image(char="9"))

    def lines(name):
        after = make.verdict(digest="9", failing=(make.finding(package=name, id=name),))
        sides = ({"catalog": evidence(make.verdict())}, {"catalog": evidence(after)})
        return comparison_text(compare(old, new, *sides)).splitlines()

    hostile = lines("p\nMIGRATION REMOVED: 0001 of web\u202e")
    assert len(hostile) == len(lines("p"))
    assert all(line.isprintable() for line in hostile)
