"""Scan a digest once, by however many names a run publishes it."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict, defaultdict
from typing import TYPE_CHECKING, Any

from aksci.core.strict_json import parse_json

if TYPE_CHECKING:
    from aksci.oci.references import ImageRef
    from aksci.supply.scan.sbom import SbomFormat
    from aksci.supply.scan.scanner import Database, Scanner

__all__ = ["SameDigestScanner"]

_KEPT = 32
"""Reports, as text: images that are the same build come to the gate one after another."""


class SameDigestScanner:
    """A scanner that answers for a digest once more as it did before; implements ``Scanner``."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner
        self._lock = threading.Lock()
        self._turns: dict[object, threading.Lock] = defaultdict(threading.Lock)
        self._known: OrderedDict[object, tuple[ImageRef, str]] = OrderedDict()

    @property
    def version(self) -> str:
        """Name and version of the scanner."""
        return self._scanner.version

    @property
    def database(self) -> Database:
        """What it compares with."""
        return self._scanner.database

    def scan(self, ref: ImageRef, *, scanners: frozenset[str]) -> dict[str, Any]:
        """Return the report on a manifest; one of another repository says so in its place."""
        key = (ref.digest, scanners)
        with self._lock:
            turn = self._turns[key]
        with turn:
            known = self._known.get(key)
            if known is None:
                report = self._scanner.scan(ref, scanners=scanners)
                with self._lock:
                    self._known[key] = ref, json.dumps(report)
                    if len(self._known) > _KEPT:
                        self._known.popitem(last=False)
                return report
        first, text = known
        # By digest, so that it is nothing but the name of what was scanned, wherever it stands.
        found: dict[str, Any] = parse_json(text.replace(str(first), str(ref)))
        return found

    def make_sbom(self, report: dict[str, Any], form: SbomFormat) -> dict[str, Any]:
        """Return a report's packages as a bill of materials."""
        return self._scanner.make_sbom(report, form)
