"""OpenVEX documents: what their authors say about vulnerabilities of products.

Specification: OpenVEX 0.2.0. Of several statements on one finding, the latest counts.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.core.strict_json import parse_downloaded_json
from aksci.core.text import short_line
from aksci.supply.scan.purls import covers, parse_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packageurl import PackageURL

    from aksci.oci.references import ImageRef
    from aksci.supply.scan.verdict import Finding

__all__ = ["Product", "Statement", "decide", "read_vex"]

_CONTEXT = "https://openvex.dev/ns/v0.2.0"
_STATUSES = frozenset({"not_affected", "affected", "fixed", "under_investigation"})
_JUSTIFICATIONS = frozenset(
    {
        "component_not_present",
        "vulnerable_code_not_present",
        "vulnerable_code_not_in_execute_path",
        "vulnerable_code_cannot_be_controlled_by_adversary",
        "inline_mitigations_already_exist",
    }
)


@dataclass(frozen=True, kw_only=True)
class Product:
    """What a statement is about: an image (an ``oci`` purl), a package, or packages of an image."""

    purl: PackageURL
    parts: tuple[PackageURL, ...] = ()
    """Its subcomponents; empty: all of it."""

    def holds(self, finding: Finding, images: Iterable[ImageRef]) -> bool:
        """Tell whether a finding in an image is in this product.

        :param images: the manifest that was scanned, and the index that lists it.
        """
        if self.purl.type == "oci":
            inside = any(_is_image(self.purl, image, finding.platform) for image in images)
            return inside and (not self.parts or any(covers(p, finding.purl) for p in self.parts))
        # Which packages another package contains is not known, so its parts name nothing here.
        return not self.parts and covers(self.purl, finding.purl)


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement of a document."""

    vulnerabilities: frozenset[str]
    """Its name and its aliases."""
    products: tuple[Product, ...]
    status: str
    author: str
    reason: str
    timestamp: dt.datetime

    def applies(self, finding: Finding, images: Iterable[ImageRef]) -> bool:
        """Tell whether this is about a finding."""
        return finding.id in self.vulnerabilities and any(
            product.holds(finding, images) for product in self.products
        )


def decide(
    statements: Iterable[Statement], finding: Finding, images: Iterable[ImageRef]
) -> Statement | None:
    """Return the statement by which a finding does not matter, if its latest one says so."""
    if finding.kind != "vulnerability":
        return None
    images = tuple(images)
    latest: Statement | None = None
    for statement in statements:
        newer = latest is None or statement.timestamp >= latest.timestamp
        if newer and statement.applies(finding, images):
            latest = statement
    return latest if latest and latest.status in {"not_affected", "fixed"} else None


def read_vex(content: bytes) -> tuple[Statement, ...]:
    """Read one document.

    :raises ValueError: it is no OpenVEX 0.2.0, or lacks what the specification requires.
    """
    document = parse_downloaded_json(content)
    if not isinstance(document, dict) or document.get("@context") != _CONTEXT:
        msg = f"its @context is not {_CONTEXT}"
        raise ValueError(msg)
    statements = document.get("statements")
    if not isinstance(statements, list) or not statements:
        msg = "it has no statements"
        raise ValueError(msg)
    return tuple(_statement(each, document, n) for n, each in enumerate(statements, 1))


def _statement(entry: Any, document: dict[str, Any], number: int) -> Statement:
    try:
        return _read(entry, document)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"statement {number} lacks or misplaces {error}") from None
    except ValueError as error:
        raise ValueError(f"statement {number}: {error}") from None


def _read(entry: dict[str, Any], document: dict[str, Any]) -> Statement:
    status = entry["status"]
    if status not in _STATUSES:
        raise ValueError(f"unknown status {short_line(status)!r}")
    products = tuple(_product(each) for each in entry["products"])
    if not products:
        raise ValueError("it names no product, so it would be about everything")
    if status == "fixed" and not all(map(_exact, products)):
        raise ValueError("a product that is fixed needs a version: an older one still is not")
    return Statement(
        vulnerabilities=_names(entry["vulnerability"]),
        products=products,
        status=status,
        author=short_line(_text(document["author"])),
        reason=_reason(entry) if status == "not_affected" else short_line(status),
        timestamp=_time(entry.get("timestamp") or document["timestamp"]),
    )


def _names(vulnerability: dict[str, Any]) -> frozenset[str]:
    return frozenset(map(_text, (vulnerability["name"], *vulnerability.get("aliases", []))))


def _product(entry: dict[str, Any]) -> Product:
    return Product(purl=_purl(entry), parts=tuple(map(_purl, entry.get("subcomponents") or ())))


def _purl(entry: dict[str, Any]) -> PackageURL:
    return parse_pattern(_text((entry.get("identifiers") or {}).get("purl") or entry["@id"]))


def _exact(product: Product) -> bool:
    return bool(product.purl.version or (product.parts and all(p.version for p in product.parts)))


def _reason(entry: dict[str, Any]) -> str:
    justification = entry.get("justification")
    impact = short_line(entry.get("impact_statement"))
    if justification is not None and justification not in _JUSTIFICATIONS:
        raise ValueError(f"unknown justification {short_line(justification)!r}")
    if not justification and not impact:
        raise ValueError("not_affected needs a justification or an impact_statement")
    return ": ".join(filter(None, (justification, impact)))


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{short_line(value)!r} should be a text")
    return value


def _time(value: Any) -> dt.datetime:
    moment = dt.datetime.fromisoformat(_text(value))
    if moment.tzinfo is None:
        raise ValueError(f"the timestamp {short_line(value)!r} has no time zone")
    return moment


def _is_image(purl: PackageURL, image: ImageRef, platform: str) -> bool:
    """Tell whether an ``oci`` purl names an image.

    purl-spec, "oci": the name is the repository's last part, the version a manifest's digest. What
    a qualifier narrows it to must be known to hold: no tag tells a digest.

    :param platform: ``os/arch`` of the manifest in an index; empty: no index lists it.
    """
    qualifiers = dict(purl.qualifiers) if isinstance(purl.qualifiers, dict) else {}
    address, arch = qualifiers.pop("repository_url", None), qualifiers.pop("arch", None)
    exact = purl.version == image.digest
    return (
        purl.name == image.repository.rpartition("/")[2]
        and (exact or (purl.version is None and not qualifiers))
        and address in {None, image.name, image.repository}
        and (arch is None or arch in platform.split("/")[1:2] or (exact and not platform))
    )
