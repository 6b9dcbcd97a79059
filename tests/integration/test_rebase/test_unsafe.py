"""What a rebuild might make differently is not rebased, and the right condition says so."""

from __future__ import annotations

import pytest

from aksci.images.engines.builder import Attestations

BASE = "FROM scratch\nCOPY file /old\n"
LINKED = "FROM basis\nCOPY --link one /app/one\n"


def failing(check):
    assert check.plan is None
    return [one.name for one in check.conditions if not one.holds]


def refused(lab, dockerfile, old, new, **options):
    """Build an image on the old base; return the conditions that forbid the new one."""
    context = lab.context(dockerfile)
    image = lab.build(context, "app", {"basis": ("base", old)})
    return failing(lab.check(lab.facts(context), image, old, new, **options))


@pytest.mark.parametrize(
    ("change", "line", "condition"),
    [
        ("ENV APP=/new", "ENV PATH=$APP:$PATH", "same-variables"),
        ("ENV APP=/new", "ARG APP=/a\nFROM s\nLABEL a=$APP", "same-variables"),
        ('SHELL ["/bin/new", "-c"]', "CMD run", "same-shell"),
        ("WORKDIR /new", "COPY --link one here", "same-workdir"),
        ("WORKDIR /var/lib", "COPY --link one dpkg/status", "package-database"),
        ("ONBUILD ENV A=1", "ENV B=1", "no-onbuild"),
    ],
)
def test_what_the_new_base_says_forbids_a_rebase(lab, change, line, condition):
    old, new = lab.base(BASE), lab.base(f"{BASE}{change}\n")
    assert condition in refused(lab, f"FROM basis AS s\n{line}\n", old, new)
    if condition != "no-onbuild":  # the same image moves to a base that leaves that as it was
        context = lab.context(f"FROM basis AS s\n{line}\n")
        image = lab.build(context, "app", {"basis": ("base", old)})
        other = lab.base(f"{BASE}LABEL other=1\n")
        assert lab.check(lab.facts(context), image, old, other).plan


def test_a_copy_with_a_mode_is_not_linked_so_it_depends_on_links_in_the_base(lab):
    old = lab.base(BASE)
    tree = lab.context("FROM scratch\nCOPY d /\nCOPY file /x/f\n", {"file": "1", "d/app": "->x"})
    new = lab.build(tree, "base")
    dockerfile = "FROM basis\nCOPY --link --chmod=700 one /app/one\n"
    assert refused(lab, dockerfile, old, new) == ["only-linked-copies"]
    context = lab.context(dockerfile)
    rebuilt = lab.content(lab.build(context, "app", {"basis": ("base", new)}))
    assert "x/one" in [member[0] for member in rebuilt["layers"][-1][1]]  # not app/one


def test_an_image_that_was_squashed_or_stands_on_another_base_is_not_rebased(lab):
    old, new = lab.base(BASE), lab.base(f"{BASE}LABEL new=1\n")
    other = lab.base("FROM scratch\nCOPY file /other\n")
    context = lab.context(LINKED)
    image = lab.build(context, "app", {"basis": ("base", other)})
    assert "base-is-prefix" in failing(lab.check(lab.facts(context), image, old, new))


def test_an_image_of_another_dockerfile_is_not_rebased(lab):
    old, new = lab.base(BASE), lab.base(f"{BASE}LABEL new=1\n")
    image = lab.build(lab.context(f"{LINKED}ENV A=1\n"), "app", {"basis": ("base", old)})
    facts = lab.facts(lab.context(LINKED))
    assert failing(lab.check(facts, image, old, new)) == ["own-layers", "config-explained"]
    context = lab.context(f"{LINKED}RUN --mount=type=tmpfs,target=/t true\n")
    assert failing(lab.check(lab.facts(context), image, old, new)) == ["no-run"]


def test_an_attested_image_and_another_platform_are_not_rebased(lab):
    old, new = lab.base(BASE), lab.base(f"{BASE}LABEL new=1\n")
    context = lab.context(LINKED)
    facts = lab.facts(context)
    wanted = Attestations(provenance="min")
    image = lab.build(context, "app", {"basis": ("base", old)}, attestations=wanted)
    assert failing(lab.check(facts, image, old, new)) == ["no-attestations"]
    plain = lab.build(context, "app", {"basis": ("base", old)})
    other = lab.base(BASE, platforms=("linux/s390x",))
    assert failing(lab.check(facts, plain, old, other)) == ["platforms"]
    check = lab.check(facts, plain, old, new, platforms=("linux/s390x",))
    assert failing(check) == ["platforms"]


def test_a_base_that_is_gone_or_a_stage_that_moved_forbids_a_rebase(lab):
    old, new = lab.base(BASE), lab.base(f"{BASE}LABEL new=1\n")
    context = lab.context(LINKED)
    facts = lab.facts(context)
    image = lab.build(context, "app", {"basis": ("base", old)})
    gone = f"sha256:{'0' * 64}"
    assert failing(lab.check(facts, image, gone, new)) == ["old-base-readable"]
    assert failing(lab.check(facts, image, old, gone)) == ["new-base-readable"]
    assert failing(lab.check(facts, gone, old, new)) == ["image-readable"]
    stage = "docker.io/library/golang:1"
    check = lab.check(facts, image, old, new, recorded={stage: gone}, now={stage: old})
    assert failing(check) == ["only-base-moved"]
    assert stage in check.conditions[-1].detail
