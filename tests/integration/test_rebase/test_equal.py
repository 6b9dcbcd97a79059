"""A rebased image is the image that a rebuild gives: files and configuration, times aside."""

from __future__ import annotations

import random

import pytest

LINES = [
    "COPY --link one /app/one", "COPY --link d /app/d", "COPY --link d/ one two /app/all/",
    "COPY --link --chown=1000 two /app/owned", "COPY --link --chown=1000:2000 d /app/owned2",
    "COPY --link --from=side /side /side", "COPY --link <<E /app/doc\n$KEEP ${PATH}\nE",
    "COPY --link one relative", "COPY --link *o /app/some/", 'COPY --link ["one", "/app/x y"]',
    "ENV PATH=/app/bin:$PATH", "ENV NEW=own KEEP=1", "ENV A=$KEEP B='c d' C=\"$A\"",
    "ENV OLD form $A",
    "LABEL own=$KEEP changed=own", 'LABEL a="b c" d.e=<f>&', "LABEL legacy one two",
    'CMD ["/run", "é", "<&>"]', "CMD run it", 'ENTRYPOINT ["/app/one"]', "ENTRYPOINT one $KEEP",
    "CMD []", "ENTRYPOINT []", "USER 1:2", "EXPOSE 80 8080-8082/tcp 53/UDP", "VOLUME /data /new",
    'VOLUME ["/one", "/two"]', "STOPSIGNAL SIGQUIT", "HEALTHCHECK NONE",
    "HEALTHCHECK --interval=5s --retries=2 CMD /app/one || exit 1", 'HEALTHCHECK CMD ["/app/one"]',
    'SHELL ["/bin/other", "-c"]', "ARG X=$KEEP", "ARG TARGETARCH", "LABEL arch=$TARGETARCH x=$X",
    "MAINTAINER me",
]  # fmt: skip
CASES = 8


def generated(seed):
    """Return a Dockerfile of one to three stages on the base, and one beside it.

    All cases together have each line.
    """
    chooser = random.Random(seed)  # noqa: S311 - not for secrets
    lines = ["FROM scratch AS side", "COPY one /side", "FROM basis AS s0"]
    stages = chooser.randint(0, 2)
    chosen = list({*LINES[seed::CASES], *chooser.sample(LINES, 8)})
    chosen.sort()
    chooser.shuffle(chosen)
    breaks = sorted(chooser.sample(range(len(chosen)), stages))
    for number, line in enumerate(chosen):
        if number in breaks:
            at = breaks.index(number)
            lines.append(f"FROM s{at} AS s{at + 1}")
        lines.append(line)
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("seed", range(CASES))
def test_a_rebased_image_is_what_a_rebuild_gives(lab, bases, seed):
    dockerfile = generated(seed)
    context = lab.context(dockerfile)
    old, new = (
        {"parents": {"basis": ("base", one)}, "annotations": lab.notes(one)}
        for one in (bases.old, bases.new)
    )
    image = lab.build(context, "app", **old)
    rebased = lab.rebase(lab.check(lab.facts(context), image, bases.old, bases.new))
    rebuilt = lab.build(context, "app", fresh=True, **new)
    assert lab.content(rebased) == lab.content(rebuilt), dockerfile
    assert lab.raw(rebased) == lab.raw(rebuilt)
    assert lab.content(rebased) != lab.content(image)


def test_an_index_is_rebased_platform_by_platform(lab):
    both = ("linux/amd64", "linux/arm64")
    old, new = (
        lab.base(f"FROM scratch\nCOPY file /{name}\nARG TARGETARCH\nENV ON=$TARGETARCH\n",
                 platforms=both)
        for name in ("old", "new")
    )  # fmt: skip
    context = lab.context("FROM basis\nCOPY --link one /app/one\nENV MY=1\n")
    options = {"platforms": both, "parents": {"basis": ("base", old)}}
    image = lab.build(context, "app", annotations=lab.notes(old), **options)
    facts = lab.facts(context, platforms=both)
    rebased = lab.rebase(lab.check(facts, image, old, new, platforms=both))
    options["parents"] = {"basis": ("base", new)}
    rebuilt = lab.build(context, "app", annotations=lab.notes(new), **options)
    assert lab.raw(rebased) == lab.raw(rebuilt)
    assert lab.content(rebased) == lab.content(rebuilt)
    one = lab.build(context, "app", {"basis": ("base", old)}, platforms=("linux/arm64",))
    rebased = lab.rebase(lab.check(facts, one, old, new, platforms=("linux/arm64",)))
    assert "arm64" in str(lab.content(rebased))


def test_a_rebased_image_is_a_base_for_the_next_rebase(lab, bases):
    first, second = (
        lab.context(f"FROM basis\nCOPY --link {name} /app/{name}\nENV {name.upper()}=1\n")
        for name in ("one", "two")
    )
    below = lab.build(first, "app", {"basis": ("base", bases.old)})
    above = lab.build(second, "app", {"basis": ("app", below)})
    moved = lab.rebase(lab.check(lab.facts(first), below, bases.old, bases.new))
    check = lab.check(
        lab.facts(second), above, below, moved,
        where=lambda _reference: (lab.registry, f"{lab.project}/app"),
        annotations={},
    )  # fmt: skip
    rebased, rebuilt = lab.rebase(check), lab.build(second, "app", {"basis": ("app", moved)})
    assert lab.raw(rebased) == lab.raw(rebuilt)
    assert lab.content(rebased) == lab.content(rebuilt)
