"""Verdicts as JUnit XML, in the form that Azure Pipelines and GitLab read."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from aksci.core.text import one_line, spelled
from aksci.report.markup import LONGEST
from aksci.report.verdict_report import finding_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aksci.supply.scan.verdict import Finding, Verdict

__all__ = ["verdicts_junit"]

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML 1.0 document may hold, even escaped (2.2, "Characters")."""


def verdicts_junit(verdicts: Mapping[str, Verdict]) -> str:
    """Return one test suite an image, and one test case a rule; a failing rule fails.

    An ignored one is skipped with its reason; what the policy tolerates passes.
    """
    root = ET.Element("testsuites", name="aksci scan")
    for name, verdict in sorted(verdicts.items()):
        root.append(_suite(name, verdict))
    for key in ("tests", "failures", "skipped"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    root.set("errors", "0")
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode")


def _suite(name: str, verdict: Verdict) -> ET.Element:
    suite = ET.Element("testsuite", name=_text(name))
    # In any case: an image without a finding has passed, and is seen to have.
    image = _case(suite, name, "image", "the image as a whole")
    if verdict.problems:
        _fail(image, "image", verdict.problems)
    for rule, findings in _rules(verdict.failing).items():
        severity = findings[0].severity
        _fail(_rule_case(suite, name, rule, findings), severity, map(finding_text, findings))
    ignored: dict[tuple[str, str], list[str]] = defaultdict(list)
    for entry in verdict.ignored:
        until = f"until {entry.expires}, " if entry.expires else ""
        text = f"{spelled(entry.finding.package)}: {until}{entry.owner}: {entry.reason}"
        ignored[entry.finding.kind, entry.finding.id].append(text)
    for rule, texts in ignored.items():
        case = _case(suite, name, rule[0], f"{spelled(rule[1])} (ignored)")
        ET.SubElement(case, "skipped", message=_text("; ".join(texts)))
    for rule, findings in _rules(verdict.tolerated).items():
        case = _rule_case(suite, name, rule, findings)
        ET.SubElement(case, "system-out").text = _lines(map(finding_text, findings))
    for key, tag in (("tests", "testcase"), ("failures", "failure"), ("skipped", "skipped")):
        suite.set(key, str(sum(1 for _ in suite.iter(tag))))
    suite.set("errors", "0")
    return suite


def _rules(findings: Iterable[Finding]) -> dict[tuple[str, str], list[Finding]]:
    found: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        found[finding.kind, finding.id].append(finding)
    return found


def _rule_case(
    suite: ET.Element, image: str, rule: tuple[str, str], findings: list[Finding]
) -> ET.Element:
    packages = ", ".join(dict.fromkeys(spelled(finding.package) for finding in findings))
    return _case(suite, image, rule[0], f"{spelled(rule[1])} in {packages}")


def _case(suite: ET.Element, image: str, kind: str, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=_text(f"{image}.{kind}"), name=_text(name))


def _fail(case: ET.Element, kind: str, lines: Iterable[str]) -> None:
    texts = [_text(line) for line in lines]
    ET.SubElement(case, "failure", type=_text(kind), message=texts[0]).text = "\n".join(texts)


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(map(_text, lines))


def _text(text: str) -> str:
    return _NOT_XML.sub("\ufffd", one_line(text, LONGEST))
