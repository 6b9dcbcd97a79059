"""A verdict: the gate's decision about one digest, as a value and as JSON (``schema: 2``).

The document's JSON Schema is ``report/schemas/verdict.schema.json``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from aksci.core.errors import GateError
from aksci.core.text import short_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from aksci.oci.references import ImageRef

__all__ = [
    "KINDS",
    "SEVERITIES",
    "Finding",
    "IgnoredFinding",
    "Verdict",
    "exact_text",
    "merge_verdicts",
    "rank",
]

SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "UNKNOWN")
_SCHEMA = 2
_LONGEST = 10_000
KINDS = frozenset({"vulnerability", "secret", "misconfiguration"})
_KEYS = frozenset(
    {
        "schema",
        "image",
        "passed",
        "problems",
        "notes",
        "counts",
        "failing",
        "ignored",
        "tolerated",
        "licences",
        "reports",
        "bills",
        "scanner",
        "database",
        "testDatabase",
        "policy",
        "base",
    }
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One vulnerability, secret or misconfiguration.

    ``id``, ``package``, ``installed``, ``fixed`` and ``purl`` are what the scanner wrote, to the
    character: ignores, VEX statements and catalogues are compared with them. Who shows them cleans
    them. All other texts have passed the sanitiser.
    """

    kind: Literal["vulnerability", "secret", "misconfiguration"]
    id: str
    package: str
    """The package; for a secret or a misconfiguration, the file."""
    installed: str
    """Its version; for a secret or a misconfiguration, the line, such as ``line 3``, or nothing."""
    fixed: str = ""
    """Empty where no fixed version exists."""
    severity: str
    """``CRITICAL``, ``HIGH``, ``MEDIUM``, ``LOW`` or ``UNKNOWN``."""
    title: str = ""
    layer: str = ""
    """DiffID of the layer that brought it; empty: it is in the image's configuration."""
    platform: str = ""
    """``os/arch``; empty for an image of one platform."""
    purl: str = ""
    """The package's URL."""
    origin: str = ""
    """``base``: a layer of the base image brought it; ``own``: one of ours; empty: not known."""
    kev: bool = False
    """It is known to be exploited."""
    epss: float | None = None
    """The probability that it will be exploited within 30 days; None: nobody knows."""
    url: str = ""
    """A page about it."""
    aliases: tuple[str, ...] = field(default=(), compare=False)
    """Its other identifiers, but in a verdict only those that the policy names: an ignore or a VEX
    statement holds for a finding by ``id`` alone."""


@dataclass(frozen=True, kw_only=True)
class IgnoredFinding:
    """A finding that would fail, and who accepts it until when."""

    finding: Finding
    owner: str
    """For a VEX statement, its author."""
    reason: str
    expires: str
    """ISO date; empty for a VEX statement: it holds until another one is made."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the gate decided. The same inputs give the same JSON: there is no time in it."""

    image: ImageRef
    passed: bool
    problems: tuple[str, ...]
    """What fails the image as a whole, such as an operating system at its end of life."""
    notes: tuple[str, ...]
    counts: Mapping[str, int]
    """All findings by severity: failing, ignored and tolerated."""
    failing: tuple[Finding, ...]
    """The worst first: exploited ones, then likely ones, then by severity."""
    ignored: tuple[IgnoredFinding, ...]
    tolerated: tuple[Finding, ...] = ()
    """Found, but below the policy's bar."""
    licences: Mapping[str, int] = field(default_factory=dict)
    """Licence -> packages that it is said of."""
    reports: tuple[str, ...] = ()
    """Digests of the stored reports, artifacts in the image's repository: one a platform."""
    sboms: tuple[str, ...] = ()
    """Digests of the stored bills of materials, likewise."""
    scanner: str
    database: str
    """Its identity."""
    test_database: bool
    policy: str
    """Hash of the policy."""
    base: str = ""
    """Digest of the base image by which origins were told; empty: none."""
    stored: ImageRef | None = field(default=None, compare=False)
    """The artifact in the registry that holds this verdict."""

    def document(self) -> dict[str, Any]:
        """Return the JSON document, without where it is stored."""
        return {
            "schema": _SCHEMA,
            "image": f"{self.image.repository}@{self.image.digest}",
            "passed": self.passed,
            "problems": list(self.problems),
            "notes": list(self.notes),
            "counts": dict(self.counts),
            "failing": list(map(_document, self.failing)),
            "ignored": [
                {**asdict(entry), "finding": _document(entry.finding)} for entry in self.ignored
            ],
            "tolerated": list(map(_document, self.tolerated)),
            "licences": dict(sorted(self.licences.items())),
            "reports": list(self.reports),
            "bills": list(self.sboms),
            "scanner": self.scanner,
            "database": self.database,
            "testDatabase": self.test_database,
            "policy": self.policy,
            "base": self.base,
        }

    @classmethod
    def load(cls, document: Any, image: ImageRef) -> Verdict:
        """Read ``document()`` back.

        :raises ValueError: it is damaged, contradicts itself, or is about another image.
        """
        if not isinstance(document, dict) or document.keys() != _KEYS:
            msg = "it does not have the fields of a verdict"
            raise ValueError(msg)
        if type(document["schema"]) is not int or document["schema"] != _SCHEMA:
            raise ValueError(f"schema {short_line(document['schema'], 20)!r}")
        if document["image"] != f"{image.repository}@{image.digest}":
            raise ValueError("it is about another image")
        verdict = cls(
            image=image,
            passed=_flag(document["passed"]),
            problems=_texts(document["problems"]),
            notes=_texts(document["notes"]),
            counts=_counts(document["counts"]),
            failing=tuple(map(_finding, _list(document["failing"]))),
            ignored=tuple(map(_ignored, _list(document["ignored"]))),
            tolerated=tuple(map(_finding, _list(document["tolerated"]))),
            licences=_licences(document["licences"]),
            reports=_texts(document["reports"]),
            sboms=_texts(document["bills"]),
            scanner=_text(document["scanner"]),
            database=_text(document["database"]),
            test_database=_flag(document["testDatabase"]),
            policy=_text(document["policy"]),
            base=_text(document["base"]),
        )
        verdict._require_sense()
        return verdict

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All of them: failing, ignored and tolerated."""
        return (*self.failing, *(entry.finding for entry in self.ignored), *self.tolerated)

    def _require_sense(self) -> None:
        agrees = all(
            self.counts[name] == sum(finding.severity == name for finding in self.findings)
            for name in SEVERITIES
        )
        if self.passed is not (not self.failing and not self.problems) or not agrees:
            msg = "it contradicts itself"
            raise ValueError(msg)


def _document(finding: Finding) -> dict[str, Any]:
    """Return a finding as JSON; without aliases it is what it was before there were any."""
    found = asdict(finding)
    aliases = found.pop("aliases")
    return {**found, "aliases": list(aliases)} if aliases else found


def rank(finding: Finding) -> tuple[Any, ...]:
    """Return the key by which findings are sorted: the worst first, the same order every time."""
    return (
        not finding.kev,
        -(finding.epss or 0.0),
        SEVERITIES.index(finding.severity),
        finding.kind,
        finding.id,
        finding.package,
        finding.installed,
        finding.platform,
        finding.layer,
        finding.purl,
    )


def merge_verdicts(verdicts: Sequence[Verdict], image: ImageRef) -> Verdict:
    """Make the verdict on an index out of those on each of its platforms.

    :raises GateError: there is no platform to judge.
    """
    if not verdicts:
        raise GateError(f"{image} has no image for any platform, so it does not pass.")
    ignored = (entry for verdict in verdicts for entry in verdict.ignored)
    return replace(
        verdicts[0],
        image=image,
        passed=all(verdict.passed for verdict in verdicts),
        problems=_union(verdict.problems for verdict in verdicts),
        notes=_union(verdict.notes for verdict in verdicts),
        counts={name: sum(verdict.counts[name] for verdict in verdicts) for name in SEVERITIES},
        failing=_ranked(finding for verdict in verdicts for finding in verdict.failing),
        ignored=tuple(sorted(ignored, key=lambda entry: rank(entry.finding))),
        tolerated=_ranked(finding for verdict in verdicts for finding in verdict.tolerated),
        licences=dict(sum((Counter(verdict.licences) for verdict in verdicts), Counter())),
        reports=_union(verdict.reports for verdict in verdicts),
        sboms=_union(verdict.sboms for verdict in verdicts),
    )


def _ranked(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=rank))


def _union(groups: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for group in groups for text in group))


# Reading strictly: what anybody may have put in the registry


_EXACT = ("id", "package", "installed", "fixed", "purl")
_CLEAN = tuple(f.name for f in fields(Finding) if f.type == "str" and f.name not in _EXACT)
_NAMES = frozenset(f.name for f in fields(Finding))


def _finding(entry: Any) -> Finding:
    if not isinstance(entry, dict) or entry.keys() | {"aliases"} != _NAMES:
        msg = "a finding does not have its fields"
        raise ValueError(msg)
    aliases = tuple(map(exact_text, _list(entry.get("aliases", []))))
    for name in _EXACT:
        exact_text(entry[name])
    for name in _CLEAN:
        _text(entry[name])
    score = entry["epss"]
    if (
        entry["kind"] not in KINDS
        or entry["severity"] not in SEVERITIES
        or entry["origin"] not in {"", "base", "own"}
        or not (score is None or (isinstance(score, (int, float)) and 0 <= score <= 1))
        or isinstance(score, bool)
    ):
        msg = "a finding has an unknown value"
        raise ValueError(msg)
    _flag(entry["kev"])
    return Finding(**{**entry, "aliases": aliases})


def _licences(value: Any) -> dict[str, int]:
    if not isinstance(value, dict) or not all(type(n) is int and n > 0 for n in value.values()):
        msg = "its licences are not counted"
        raise ValueError(msg)
    return {_text(name): number for name, number in value.items()}


def _ignored(entry: Any) -> IgnoredFinding:
    if not isinstance(entry, dict) or entry.keys() != {"finding", "owner", "reason", "expires"}:
        msg = "an ignored finding does not have its fields"
        raise ValueError(msg)
    return IgnoredFinding(
        finding=_finding(entry["finding"]),
        owner=_text(entry["owner"]),
        reason=_text(entry["reason"]),
        expires=_text(entry["expires"]),
    )


def _counts(value: Any) -> dict[str, int]:
    if not isinstance(value, dict) or value.keys() != set(SEVERITIES):
        msg = "its counts are not those of the severities"
        raise ValueError(msg)
    if any(type(count) is not int or count < 0 for count in value.values()):
        msg = "a count is no number"
        raise ValueError(msg)
    return {name: value[name] for name in SEVERITIES}


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(map(_text, _list(value)))


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{short_line(value, 40)!r} is no list")  # noqa: TRY004 - the document's fault
    return value


def exact_text(value: Any) -> str:
    """Return a text that others wrote as it is: to be compared, and not to be shown.

    :raises ValueError: it is none, is longer than any name, or can't be stored as it is.
    """
    if not isinstance(value, str):
        raise ValueError(f"{short_line(value, 40)!r} is no text")  # noqa: TRY004 - the document's fault
    if len(value) > _LONGEST:
        raise ValueError(f"{short_line(value, 40)!r} has more than {_LONGEST:,} characters")
    value.encode()  # half of a surrogate pair: UnicodeEncodeError, a ValueError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{short_line(value, 40)!r} is no text")  # noqa: TRY004 - the document's fault
    if short_line(value, _LONGEST) != value:  # it is printed: ours have passed the sanitiser
        raise ValueError(f"{short_line(value, 40)!r} holds what no verdict of ours does")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{short_line(value, 40)!r} is no flag")  # noqa: TRY004 - the document's fault
    return value
