"""VEX statements that hold for nothing that was found: most often, a product that is misspelt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.text import short_line, spelled
from aksci.supply.scan.knowledge import load_vex

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from aksci.config.supply_models import ScanConfig
    from aksci.supply.scan.verdict import Finding, Verdict
    from aksci.supply.scan.vex import Statement

__all__ = ["vex_notes"]

_NAMED = 3
_CATALOGUE = 20
"""From so many statements on, a document is about more products than this project's, as a vendor's
is: that most of them meet nothing is no news."""
_ACCEPTING = frozenset({"not_affected", "fixed"})


def vex_notes(policy: ScanConfig, root: Path, verdicts: Collection[Verdict]) -> list[str]:
    """Return a line for each statement that misses a finding by its product or by its name.

    And one for each document that has statements about nothing in any image. Of what is fixed,
    Trivy finds nothing if all is well.

    :param verdicts: on all images of the project: what one of them lacks, another may have.
    """
    found = [(verdict, finding) for verdict in verdicts for finding in verdict.findings]
    notes = []
    for source in load_vex(policy, root):
        name = source.path.relative_to(root).as_posix()
        unmet = []
        statements: Sequence[Statement] = source.statements
        for number, one in enumerate(statements, 1):
            if one.status not in _ACCEPTING or any(_holds(one, *each) for each in found):
                continue
            if missed := _missed(one, [finding for _, finding in found]):
                notes.append(f"{name}, statement {number}: {missed}")
            elif one.status == "not_affected":
                unmet.append(min(one.vulnerabilities))
        if unmet and (len(statements) <= _CATALOGUE or len(unmet) == len(statements)):
            notes.append(f"{name}: no image has what it is about: {_listed(unmet)}")
    return notes


def _holds(statement: Statement, verdict: Verdict, finding: Finding) -> bool:
    if statement.applies(finding, (verdict.image,)):
        return True
    # Of an index, the verdict does not say which manifest a finding is in: a product that is named
    # by its digest may be that one.
    return (
        bool(finding.platform)
        and finding.id in statement.vulnerabilities
        and any(one.purl.type == "oci" and one.purl.version for one in statement.products)
    )


def _missed(statement: Statement, findings: Iterable[Finding]) -> str | None:
    """Say which findings a statement would be about, if it named them as the scanner does."""
    names = {name.casefold() for name in statement.vulnerabilities}
    places, called = set(), set()
    for one in findings:
        if one.id in statement.vulnerabilities:
            places.add(one.purl or one.package)
        elif names & {one.id.casefold(), *(alias.casefold() for alias in one.aliases)}:
            called.add(one.id)
    if places:
        products = _listed([each.purl.to_string() for each in statement.products])
        return f"its product {products} is not where that was found: {_listed(sorted(places))}"
    if called:
        return f"the scanner calls {min(statement.vulnerabilities)} {_listed(sorted(called))}"
    return None


def _listed(words: Sequence[str]) -> str:
    more = len(words) - _NAMED
    shown = ", ".join(short_line(spelled(word)) for word in words[:_NAMED])
    return shown + (f" and {more} more" if more > 0 else "")
