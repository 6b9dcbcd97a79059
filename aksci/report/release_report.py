"""One release, and the list of them, as text, as Markdown and as JSON (``schema: 1``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aksci.core.text import escape_markdown, one_line, safe_json
from aksci.report.markup import markdown_table
from aksci.supply.sign.signer import COMMIT, RUN

if TYPE_CHECKING:
    from collections.abc import Callable

    from aksci.supply.release.find_release import ListedRelease, ReleaseList
    from aksci.supply.release.release import ReleaseImage, ReleaseService
    from aksci.supply.release.verify_release import CheckedRelease
    from aksci.supply.sign.signer import Proof

__all__ = [
    "RELEASE_FORMATS",
    "RELEASE_LIST_FORMATS",
    "list_document",
    "list_markdown",
    "list_text",
    "release_markdown",
    "release_text",
    "release_view",
]

_LIST = ("release", "state", "signed", "commit", "run", "images", "services")


def release_view(shown: CheckedRelease) -> dict[str, Any]:
    """Return a release as schemas/release-view.schema.json describes it."""
    release = shown.release
    return {
        "schema": 1,
        "ref": str(release.ref),
        "tag": release.tag,
        "project": release.project,
        "source": release.source,
        "commit": release.commit,
        "verified": not shown.problem,
        "problem": shown.problem,
        "signatures": [_proof_document(proof) for proof in shown.proofs],
        "images": {
            name: {
                "ref": str(image.ref),
                "inputKey": image.input_key,
                "verdict": image.verdict,
                "policy": image.policy,
                "database": image.database,
                "bases": [
                    {
                        "name": base.name,
                        "internal": base.internal,
                        "digest": base.digest,
                        "type": base.type,
                    }
                    for base in image.bases
                ],
            }
            for name, image in release.images.items()
        },
        "services": {
            name: {
                "chart": str(service.chart),
                "chartName": service.chart_name,
                "chartVersion": service.chart_version,
                "images": dict(service.images),
                "migrations": [migration.version for migration in service.migrations],
            }
            for name, service in release.services.items()
        },
    }


def release_text(shown: CheckedRelease) -> str:
    """Return a release as text; first, loudly, whether it is verified."""
    release = shown.release
    lines = [f"release {release.tag}  {release.ref}", *_trust_lines(shown)]
    lines.append(f"commit {release.commit or 'not known'}")
    lines += [f"source {release.source}"] if release.source else []
    lines.append(f"images: {len(release.images)}")
    for name, image in release.images.items():
        lines.append(f"  {name}  {image.ref.repository}@{image.ref.digest}")
        lines += [f"    {base.type}: {base.name} {base.digest}" for base in image.bases]
        lines.append(f"    verdict {image.verdict}, database {image.database}")
    lines.append(f"services: {len(release.services)}")
    for name, service in release.services.items():
        lines.append(f"  {name}  chart {service.chart_name} {service.chart_version}")
        lines += [f"    {key}: {image}" for key, image in service.images.items()]
        lines += [f"    schema {_schema(service)}"] if service.migrations else []
    return "\n".join(lines)


def release_markdown(shown: CheckedRelease) -> str:
    """Return a release as Markdown."""
    release = shown.release
    lines = [
        f"## Release {escape_markdown(release.tag)}",
        "",
        escape_markdown(str(release.ref)),
        "",
    ]
    lines += [f"- {escape_markdown(line)}" for line in _trust_lines(shown)]
    lines.append(f"- commit {escape_markdown(release.commit or 'not known')}")
    images = ((name, *_image_cells(image)) for name, image in release.images.items())
    services = ((name, *_service_cells(service)) for name, service in release.services.items())
    lines += markdown_table(("image", "digest", "bases", "database"), images)
    lines += markdown_table(("service", "chart", "images", "schema"), services)
    return "\n".join(lines) + "\n"


def _image_cells(image: ReleaseImage) -> tuple[str, ...]:
    bases = ", ".join(f"{base.name} ({base.type})" for base in image.bases)
    return (image.ref.digest, bases, image.database)


def _service_cells(service: ReleaseService) -> tuple[str, ...]:
    images = ", ".join(f"{key}: {image}" for key, image in service.images.items())
    return (f"{service.chart_name} {service.chart_version}", images, _schema(service))


def list_document(listed: ReleaseList) -> dict[str, Any]:
    """Return the list as schemas/release-list.schema.json describes it."""
    return {
        "schema": 1,
        "releases": [
            {
                "tag": entry.tag,
                "digest": entry.digest,
                "state": entry.state,
                "problem": entry.why,
                "commit": entry.release.commit if entry.release else None,
                "images": len(entry.release.images) if entry.release else None,
                "services": len(entry.release.services) if entry.release else None,
                "signatures": [_proof_document(proof) for proof in entry.proofs],
            }
            for entry in listed.releases
        ],
    }


def list_text(listed: ReleaseList) -> str:
    """Return one line a release, in columns; below each that is not trusted, why."""
    if not listed.releases:
        return "There is no release."
    rows = [_LIST, *(_row(entry) for entry in listed.releases)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_LIST))]
    lines = []
    for row, why in zip(rows, ["", *(entry.why for entry in listed.releases)], strict=True):
        words = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        lines += ["  ".join(words).rstrip(), *([f"    {one_line(why)}"] if why else [])]
    return "\n".join(lines)


def list_markdown(listed: ReleaseList) -> str:
    """Return the list as a table."""
    _, *lines = markdown_table(
        (*_LIST, "problem"), ((*_row(one), one.why) for one in listed.releases)
    )
    return "\n".join(lines) + "\n"


def _row(entry: ListedRelease) -> tuple[str, ...]:
    """Return the cells; commit and run are what the signature says, and nothing else."""
    claims = entry.proofs[0].claims if entry.proofs else {}
    times = [proof.signed_at for proof in entry.proofs if proof.signed_at]
    release = entry.release
    return (
        entry.tag,
        entry.state,
        f"{min(times):%Y-%m-%d %H:%M:%SZ}" if times else "-",
        one_line(claims.get(COMMIT, ""))[:12] or "-",
        one_line(claims.get(RUN, "")) or "-",
        str(len(release.images)) if release else "-",
        str(len(release.services)) if release else "-",
    )


def _trust_lines(shown: CheckedRelease) -> list[str]:
    if shown.problem:
        return [f"NOT VERIFIED: {one_line(shown.problem)}"]
    return [f"signed {_proof_text(proof)}" for proof in shown.proofs]


def _proof_text(proof: Proof) -> str:
    when = f" at {proof.signed_at:%Y-%m-%d %H:%M:%SZ}" if proof.signed_at else ""
    run = proof.claims.get(RUN, "")
    return one_line(f"by {proof.identity} ({proof.signer}){when}" + (f", run {run}" if run else ""))


def _proof_document(proof: Proof) -> dict[str, Any]:
    return {
        "signer": proof.signer,
        "identity": proof.identity,
        "signedAt": proof.signed_at.isoformat() if proof.signed_at else None,
        "commit": proof.claims.get(COMMIT),
        "run": proof.claims.get(RUN),
    }


def _schema(service: ReleaseService) -> str:
    found = service.schema_range
    return f"{found[0]}…{found[1]} ({len(service.migrations)})" if found else ""


RELEASE_FORMATS: dict[str, Callable[[CheckedRelease], str]] = {
    "text": release_text,
    "json": lambda shown: safe_json(release_view(shown)),
    "markdown": release_markdown,
}
RELEASE_LIST_FORMATS: dict[str, Callable[[ReleaseList], str]] = {
    "text": list_text,
    "json": lambda listed: safe_json(list_document(listed)),
    "markdown": list_markdown,
}
