"""Reports of cascades: nothing moved, a mixed one, a failure, a plan, a large and a hostile one."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from aksci.cascade.base_policy import EdgePolicy
from aksci.cascade.cascade_report import (
    Cascade,
    Dependent,
    EnvironmentOutcome,
    FindingMove,
    ImageOutcome,
    Spent,
)
from aksci.cascade.drift import EdgeDrift
from aksci.images.build.stable_tags import MovedTag

DEBIAN = "docker.io/library/debian:bookworm-slim"
GOLANG = "docker.io/library/golang:1.23"
SYNTAX = "docker.io/docker/dockerfile:1"


def digest(word):
    return f"sha256:{hashlib.sha256(word.encode('utf-8', 'replace')).hexdigest()}"


def edge(image, reference, kind="runtime", *, new="", state="same", **more):
    return EdgeDrift(
        image=image,
        reference=reference,
        type=kind,
        recorded=digest("old"),
        current=digest(new or "old"),
        state=state,
        **more,
    )


def drifted(reference, kind="runtime"):
    old, new = digest("old"), digest("new")
    reason = {"code": "BASE_DRIFT", "reference": reference, "edge": kind, "old": old, "new": new}
    return (reason,)


def parent(image, kind="runtime"):
    return (
        {
            "code": "PARENT",
            "image": image,
            "reference": f"shop/{image}:latest",
            "edge": kind,
            "old": digest(f"{image}1"),
            "new": digest(f"{image}2"),
        },
    )


def made(image, action, reasons, needs=(), spent=(1.0, 1.0), **more):
    return ImageOutcome(
        image=image,
        action=action,
        reasons=reasons,
        needs=needs,
        before=digest(f"{image}1"),
        after=digest(f"{image}2"),
        spent=Spent(make=spent[0], gate=spent[1]),
        **more,
    )


def kept(image, needs=()):
    same = digest(f"{image}1")
    return ImageOutcome(image=image, action="kept", needs=needs, before=same, after=same)


def report(**fields):
    base = Cascade(
        project="shop",
        environment="local",
        run="20261124-120000-abcd",
        created="2026-11-24T12:00:00Z",
        planned=False,
    )
    return replace(base, **fields)


def nothing():
    images = tuple(kept(name) for name in ("base", "python", "catalog"))
    drift = (edge("base", DEBIAN), edge("python", DEBIAN, "stage"))
    return report(images=images, drift=drift, steps={"look": 0.2}, seconds=0.2)


def mixed():
    """Two bases moved, one is batched; other repositories are asked."""
    rule = EdgePolicy(update="now", tags="1.23.x", rule="cascade.bases[0]")
    batch = EdgePolicy(update="batch", rule="cascade.edges.syntax")
    return report(
        drift=(
            edge("base", DEBIAN, new="new", state="drifted"),
            edge("postgres", DEBIAN, new="new", state="drifted"),
            edge(
                "go",
                GOLANG,
                new="new",
                state="drifted",
                policy=rule,
                tag="1.23.9",
            ),
            edge("go", SYNTAX, "syntax", new="new", state="batched", policy=batch),
            edge("catalog", SYNTAX, "syntax"),
        ),
        images=(
            made("base", "rebuilt", drifted(DEBIAN), spent=(6.0, 2.0)),
            made("go", "rebuilt", drifted(GOLANG, "stage"), spent=(9.0, 1.0)),
            kept("docs"),
            made("postgres", "rebuilt", drifted(DEBIAN), spent=(0.5, 2.0)),
            made("python", "rebuilt", parent("base"), ("base",), (20.0, 2.0)),
            made("catalog", "rebuilt", parent("python"), ("python",), (0.6, 2.0)),
            made("recommend", "reused", parent("python"), ("python",), (0.0, 0.0)),
        ),
        findings=(
            FindingMove(
                image="base",
                change="fixed",
                id="CVE-2026-1111",
                package="openssl",
                severity="HIGH",
                title="Overflow",
            ),
            FindingMove(
                image="base",
                change="fixed",
                id="CVE-2026-1112",
                package="zlib",
                severity="CRITICAL",
                title="Worse overflow",
            ),
            FindingMove(
                image="catalog",
                change="fixed",
                id="CVE-2026-1111",
                package="openssl",
                severity="HIGH",
                title="Overflow",
            ),
            FindingMove(
                image="catalog",
                change="introduced",
                id="CVE-2026-2222",
                package="curl",
                severity="LOW",
                title="Redirect",
            ),
        ),
        tags=(
            MovedTag(
                image="base",
                repository="shop/base",
                tag="latest",
                old=digest("base1"),
                new=digest("base2"),
            ),
            MovedTag(
                image="catalog",
                repository="shop/catalog",
                tag="1.4",
                old=None,
                new=digest("catalog2"),
            ),
        ),
        release_before="shop/release:41",
        release_after="shop/release:42",
        environments=(
            EnvironmentOutcome(
                name="local", outcome="deployed", services=("catalog", "recommend"), seconds=9.25
            ),
            EnvironmentOutcome(name="prod", outcome="waits", detail="It deploys after 20:00."),
        ),
        dependents=(
            Dependent(
                repository="payments/api",
                tag="2.0",
                digest=digest("api"),
                reference="registry.test/shop/base:latest",
                recorded=digest("base1"),
                current=digest("base2"),
                action="asked",
                target="payments",
                detail="repository_dispatch",
            ),
        ),
        steps={"look": 0.4, "images": 34.0, "tags": 0.3, "release": 0.5, "deploy": 9.3},
        seconds=44.5,
    )


def failure():
    """The base fails, and with it all that is based on it; another chain goes on."""
    error = "BuildKit: process apt-get install did not complete successfully: exit code 100"
    blocked = {"action": "blocked", "blocked_by": ("base",)}
    return report(
        drift=(
            edge("base", DEBIAN, new="new", state="drifted"),
            edge("go", GOLANG, "stage", new="new", state="drifted"),
        ),
        images=(
            ImageOutcome(
                image="base",
                action="failed",
                reasons=drifted(DEBIAN),
                before=digest("base1"),
                error=error,
            ),
            made("go", "rebuilt", drifted(GOLANG, "stage"), spent=(9.0, 1.0), withheld=True),
            ImageOutcome(image="python", needs=("base",), before=digest("python1"), **blocked),
            ImageOutcome(image="catalog", needs=("python",), **blocked),
            ImageOutcome(image="recommend", needs=("python", "base"), **blocked),
        ),
        steps={"look": 0.4, "images": 10.5},
        seconds=10.9,
    )


def plan():
    waits = {"code": "PARENT", "image": "base", "edge": "runtime", "waiting": True}
    old = {"before": digest("x")}
    return report(
        planned=True,
        drift=(edge("base", DEBIAN, new="new", state="drifted"),),
        images=(
            ImageOutcome(image="base", action="rebuild", reasons=drifted(DEBIAN), **old),
            ImageOutcome(
                image="python", action="rebuild", reasons=(waits,), needs=("base",), **old
            ),
            ImageOutcome(
                image="static", action="rebuild", reasons=(waits,), needs=("base",), **old
            ),
            kept("docs"),
        ),
        environments=(EnvironmentOutcome(name="local", outcome="would deploy"),),
        dependents=(
            Dependent(
                repository="payments/api",
                tag="2.0",
                digest=digest("api"),
                reference="registry.test/shop/base:latest",
                recorded=digest("base1"),
                current=digest("base2"),
                action="ask",
                target="payments",
            ),
        ),
        steps={"look": 0.4},
        seconds=0.4,
    )


def large(count=300):
    """One base, and very many that are based on it."""
    names = [f"service-{number:03}" for number in range(count)]
    moves = [
        FindingMove(image=name, change="fixed", id="CVE-2026-1", package="openssl", severity="HIGH")
        for name in names
    ]
    return report(
        drift=(edge("base", DEBIAN, new="new", state="drifted"),),
        images=(
            made("base", "rebuilt", drifted(DEBIAN)),
            *(made(name, "rebuilt", parent("base"), ("base",)) for name in names),
        ),
        findings=tuple(moves),
        tags=tuple(
            MovedTag(image=name, repository=f"shop/{name}", tag="1", old=None, new=digest(name))
            for name in names
        ),
        seconds=30.0,
    )


def hostile(text):
    """Put a text wherever somebody else's text may be."""
    policy = EdgePolicy(update="now", tags=text, rule=text)
    return report(
        project=text,
        environment=text,
        run=text,
        created=text,
        drift=(
            replace(
                edge(text, text, new="new", state="drifted", policy=policy, tag=text, note=text),
                recorded=text,
                current=text,
            ),
        ),
        images=(
            replace(made(text, "rebuilt", (), (text,)), after=text),
            ImageOutcome(
                image=f"{text}2",
                action="failed",
                error=text,
                reasons=(
                    {"code": "BASE_DRIFT", "reference": text, "old": text, "new": text},
                    {"code": "PREVIOUSLY_FAILED", "run": text, "error": text},
                    {"code": text},
                ),
            ),
            ImageOutcome(image=f"{text}3", action="blocked", blocked_by=(f"{text}2",)),
            ImageOutcome(image=f"{text}4", action="kept"),
        ),
        findings=(
            FindingMove(
                image=text, change="fixed", id=text, package=text, severity=text, title=text
            ),
        ),
        tags=(MovedTag(image=text, repository=text, tag=text, old=text, new=text),),
        release_before=text,
        release_after=f"{text}2",
        environments=(
            EnvironmentOutcome(name=text, outcome="failed", detail=text, services=(text,)),
        ),
        dependents=(
            Dependent(
                repository=text,
                tag=text,
                digest=text,
                reference=text,
                recorded=text,
                current=text,
                action="asked",
                target=text,
                detail=text,
            ),
        ),
        steps={text: 1.0},
        seconds=2.0,
    )


REPORTS = {
    "nothing": nothing,
    "mixed": mixed,
    "failure": failure,
    "plan": plan,
    "large": large,
}


@pytest.fixture(params=sorted(REPORTS))
def each(request):
    """Return each typical report, by its name."""
    return request.param, REPORTS[request.param]()


@pytest.fixture
def reports():
    """Return the functions that make reports, by name."""
    return {**REPORTS, "hostile": hostile, "of": report}
