"""What files outside the scanner tell of vulnerabilities: exploited ones, scores, VEX.

CISA's catalogue of known exploited vulnerabilities (KEV, its JSON), FIRST's exploit prediction
scores (EPSS, its CSV) and OpenVEX documents. They belong to the policy: their content is hashed.
"""

from __future__ import annotations

import csv
import hashlib
import math
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from aksci.core.errors import ConfigError
from aksci.core.inside import Inside
from aksci.core.strict_json import MALFORMED, parse_downloaded_json
from aksci.core.text import short_line
from aksci.core.unpack import unpack_gzip
from aksci.supply.scan.vex import read_vex

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aksci.config.supply_models import ScanConfig
    from aksci.supply.scan.vex import Statement

__all__ = ["NOTHING", "Knowledge", "KnowledgeFile", "load_knowledge", "load_vex"]

_CVE = re.compile(r"CVE-\d{4}-\d{4,}")
_DAMAGED = (*MALFORMED, csv.Error)
_LARGEST = 256 << 20
"""Bytes of scores, unpacked; the real file has about ten millions."""


@dataclass(frozen=True, kw_only=True)
class KnowledgeFile:
    """One file, as it was when it was read."""

    key: str
    """Where aksci.toml names it, such as ``scan.kev``."""
    path: Path
    content: bytes

    @cached_property
    def digest(self) -> str:
        """Of the content."""
        return "sha256:" + hashlib.sha256(self.content).hexdigest()

    @cached_property
    def statements(self) -> tuple[Statement, ...]:
        """Of a VEX document, in its order.

        :raises ConfigError: it is damaged.
        """
        found: tuple[Statement, ...] = self.read(read_vex)
        return found

    def read(self, reader: Callable[[bytes], Any]) -> Any:
        """Return what a reader makes of the content.

        :raises ConfigError: it is damaged.
        """
        try:
            return reader(self.content)
        except _DAMAGED as error:
            what = short_line(str(error) if isinstance(error, ValueError) else repr(error))
            raise ConfigError(
                f"{self.path} ({self.key}) can't be read: {what}.",
                hint="fetch or write the file again; where it is not needed, remove its key.",
            ) from None


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """All that such files say. They are parsed when they are first needed.

    A remembered verdict names the content by its hash: it was readable when that was made.
    """

    kev: KnowledgeFile | None = None
    epss: KnowledgeFile | None = None
    vex: tuple[KnowledgeFile, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the hashes, for the policy's."""
        return {
            "kev": self.kev.digest if self.kev else None,
            "epss": self.epss.digest if self.epss else None,
            "vex": [source.digest for source in self.vex],
        }

    def require_readable(self) -> None:
        """Parse all of it, also what no finding asks for.

        :raises ConfigError: a file is damaged.
        """
        _ = self.exploited, self.scores, self.statements

    @cached_property
    def exploited(self) -> frozenset[str]:
        """CVE identifiers that are known to be exploited."""
        return self.kev.read(_read_kev) if self.kev else frozenset()

    @cached_property
    def scores(self) -> dict[str, float]:
        """CVE identifier -> probability of exploitation, from 0 to 1."""
        return self.epss.read(_read_epss) if self.epss else {}

    @cached_property
    def statements(self) -> tuple[Statement, ...]:
        """Of all VEX documents, in their order."""
        return tuple(one for source in self.vex for one in source.statements)


NOTHING = Knowledge()


def load_knowledge(policy: ScanConfig, root: Path | None) -> Knowledge:
    """Read the files that a policy names.

    :param root: the project's folder.
    :raises ConfigError: one is missing, can't be read, or is outside the project.
    """
    return Knowledge(
        kev=_source("scan.kev", policy.kev, root) if policy.kev else None,
        epss=_source("scan.epss", policy.epss, root) if policy.epss else None,
        vex=load_vex(policy, root),
    )


def load_vex(policy: ScanConfig, root: Path | None) -> tuple[KnowledgeFile, ...]:
    """Read the VEX documents that a policy names; the parameters are those of ``load_knowledge``.

    :raises ConfigError: one is missing, can't be read, or is outside the project.
    """
    return tuple(_source("scan.vex", name, root) for name in policy.vex)


def _source(key: str, name: str, root: Path | None) -> KnowledgeFile:
    if root is None:
        raise ConfigError(f"{key} names {name!r}, but there is no project folder to find it in.")
    path = root / name
    try:
        content = Inside(root).read(name, where=f"aksci.toml: {key}", largest=_LARGEST)
        return KnowledgeFile(key=key, path=path, content=content)
    except OSError as error:
        raise ConfigError(
            f"{path} ({key}) can't be read: {error.strerror}.",
            hint="let a job fetch it before; paths are relative to aksci.toml.",
        ) from None


def _read_kev(content: bytes) -> frozenset[str]:
    """Read CISA's JSON: ``vulnerabilities[].cveID``."""
    entries = parse_downloaded_json(content)["vulnerabilities"]
    names = frozenset(_cve(entry["cveID"]) for entry in entries)
    if not names:
        msg = "it lists no vulnerability"
        raise ValueError(msg)
    return names


def _read_epss(content: bytes) -> dict[str, float]:
    """Read FIRST's CSV, gzipped or not: a comment, then ``cve,epss,percentile``."""
    lines = _unpack(content).decode("utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    if not {"cve", "epss"} <= set(rows.fieldnames or ()):
        msg = "it has no columns 'cve' and 'epss'"
        raise ValueError(msg)
    scores = {_cve(row["cve"]): _probability(row["epss"]) for row in rows}
    if not scores:
        msg = "it has no scores"
        raise ValueError(msg)
    return scores


def _unpack(content: bytes) -> bytes:
    if not content.startswith(b"\x1f\x8b"):
        return content
    return unpack_gzip(content, largest=_LARGEST)


def _cve(value: Any) -> str:
    if not isinstance(value, str) or not _CVE.fullmatch(value):
        raise ValueError(f"{str(value)[:40]!r} is no CVE identifier")
    return value


def _probability(value: Any) -> float:
    score = float(value)
    if not 0 <= score <= 1 or math.isnan(score):
        raise ValueError(f"{score} is no probability")
    return score
