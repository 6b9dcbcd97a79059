"""The scan's page in a real browser: it draws its rows, and hostile text stays text."""

from __future__ import annotations

import html
import re
from dataclasses import replace

import pytest

from aksci.oci.references import ImageRef
from aksci.report.verdict_page import verdicts_page
from aksci.supply.scan.verdict import Finding, Verdict
from aksci.tools.debian import ensure_packages

OLD = ImageRef("localhost:5000", "shop/web", "sha256:" + "b" * 64)
HOSTILE = (
    "</script><script>document.title='taken'</script><img src=x onerror=document.title='taken'>"
)


def finding(**changes):
    given = {
        "kind": "vulnerability",
        "id": "CVE-2024-5535",
        "package": "libssl3",
        "installed": "3.0.11",
        "fixed": "3.0.15",
        "severity": "CRITICAL",
        "title": HOSTILE,
        "layer": "",
        "platform": "",
        "origin": "own",
        "url": "https://avd.aquasec.com/nvd/cve-2024-5535",
    }
    return Finding(**{**given, **changes})


def verdict(*failing, tolerated=()):
    severities = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "UNKNOWN")
    found = [*failing, *tolerated]
    return Verdict(
        image=ImageRef("localhost:5000", "shop/web", "sha256:" + "a" * 64),
        passed=not failing,
        problems=(),
        notes=(),
        counts={name: sum(one.severity == name for one in found) for name in severities},
        failing=failing,
        ignored=(),
        tolerated=tolerated,
        scanner="trivy 0.72.0",
        database="public@2026-11-23T00:00:00Z",
        test_database=False,
        policy="sha256:" + "c" * 64,
    )


@pytest.fixture
def drawn(runner, reporter, tmp_path):
    """Open a page in Chromium, and return the document as its script has left it."""
    ensure_packages(("chromium",), runner, reporter)

    def draw(text):
        path = tmp_path / "page.html"
        path.write_text(text)
        words = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
        words += ["--disable-background-networking", "--disable-component-update"]
        words += [f"--user-data-dir={tmp_path / 'browser'}", "--dump-dom", path.as_uri()]
        return runner.run(["chromium", *words], timeout=120, quiet=True).stdout

    return draw


def test_the_page_draws_what_fails_first_and_hostile_text_as_text(drawn):
    low = finding(id="CVE-2011-3374", severity="LOW", title="minor", url="javascript:alert(1)")
    old = {"web": replace(verdict(finding(id="CVE-1")), image=OLD)}
    page = drawn(verdicts_page({"web": verdict(finding(), low), "api": verdict()}, old))
    body = page.split('<tbody id="rows">')[1].split("</tbody>")[0]
    rows = re.findall(r"<tr>(.*?)</tr>", body)
    names = [re.search(r"CVE-[0-9-]+", row)[0] for row in rows]
    assert sorted(names[:2]) == ["CVE-1", "CVE-2024-5535"]
    assert names[2:] == ["CVE-2011-3374"]
    assert "<title>Scan</title>" in page
    assert html.escape(HOSTILE, quote=False) in body
    assert "javascript:" not in body
    assert "1 of 2 images fail" in page
    assert ">introduced</span>" in body


def test_a_page_without_findings_says_so(drawn):
    page = drawn(verdicts_page({"web": verdict()}))
    assert "There is no finding." in page
    assert "all 1 images pass" in page
