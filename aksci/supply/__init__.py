"""The gate: scan, verdict, signature, release."""

from __future__ import annotations

from aksci.supply.release.chart import Chart, fetch_chart, package_chart, push_chart, read_chart
from aksci.supply.release.commits import Commit, CommitRange, read_commits
from aksci.supply.release.compare import Comparison, compare_releases
from aksci.supply.release.evidence import ImageEvidence, load_evidence, release_verdicts
from aksci.supply.release.file import read_release_file, write_release_file
from aksci.supply.release.listing import (
    ListedRelease,
    find_release,
    last_release,
    list_releases,
)
from aksci.supply.release.model import Migration, Release, ReleaseBase, ReleaseImage, ReleaseService
from aksci.supply.release.release import NoReleaseError, load_release, make_release
from aksci.supply.release.signing import (
    prove_release,
    publish_release,
    sign_release,
    verify_release,
)
from aksci.supply.release.views import (
    ShownRelease,
    list_document,
    list_markdown,
    list_text,
    release_markdown,
    release_text,
    release_view,
)
from aksci.supply.release.wording import (
    comparison_document,
    comparison_markdown,
    comparison_text,
)
from aksci.supply.report.render import CODE_FORMATS, VERDICT_FORMATS, render_verdicts
from aksci.supply.report.table import verdicts_document, verdicts_markdown, verdicts_table
from aksci.supply.scan.database import (
    Database,
    DatabaseSource,
    check_database,
    ensure_database,
    make_database,
)
from aksci.supply.scan.evidence import Package, load_packages
from aksci.supply.scan.gate import scan_image, scan_images
from aksci.supply.scan.ignores import ignore_warnings
from aksci.supply.scan.policy import evaluate, require_pass
from aksci.supply.scan.record import made_here, write_verdict_record
from aksci.supply.scan.trivy import Scanner, TrivyScanner, read_release
from aksci.supply.scan.verdict import Finding, IgnoredFinding, Verdict
from aksci.supply.trust.cosign import CosignSigner
from aksci.supply.trust.cosign_keys import cosign_signer
from aksci.supply.trust.notation import NotationSigner, notation_signer
from aksci.supply.trust.remembering import RememberingSigner
from aksci.supply.trust.signing import (
    AllSigners,
    BindingError,
    NotSignedError,
    Origin,
    Proof,
    Signer,
    UntrustedError,
    build_claims,
    image_claims,
    kind_claims,
    sign_image,
    verify_image,
)

__all__ = [
    "CODE_FORMATS",
    "VERDICT_FORMATS",
    "AllSigners",
    "BindingError",
    "Chart",
    "Commit",
    "CommitRange",
    "Comparison",
    "CosignSigner",
    "Database",
    "DatabaseSource",
    "Finding",
    "IgnoredFinding",
    "ImageEvidence",
    "ListedRelease",
    "Migration",
    "NoReleaseError",
    "NotSignedError",
    "NotationSigner",
    "Origin",
    "Package",
    "Proof",
    "Release",
    "ReleaseBase",
    "ReleaseImage",
    "ReleaseService",
    "RememberingSigner",
    "Scanner",
    "ShownRelease",
    "Signer",
    "TrivyScanner",
    "UntrustedError",
    "Verdict",
    "build_claims",
    "check_database",
    "compare_releases",
    "comparison_document",
    "comparison_markdown",
    "comparison_text",
    "cosign_signer",
    "ensure_database",
    "evaluate",
    "fetch_chart",
    "find_release",
    "ignore_warnings",
    "image_claims",
    "kind_claims",
    "last_release",
    "list_document",
    "list_markdown",
    "list_releases",
    "list_text",
    "load_evidence",
    "load_packages",
    "load_release",
    "made_here",
    "make_database",
    "make_release",
    "notation_signer",
    "package_chart",
    "prove_release",
    "publish_release",
    "push_chart",
    "read_chart",
    "read_commits",
    "read_release",
    "read_release_file",
    "release_markdown",
    "release_text",
    "release_verdicts",
    "release_view",
    "render_verdicts",
    "require_pass",
    "scan_image",
    "scan_images",
    "sign_image",
    "sign_release",
    "verdicts_document",
    "verdicts_markdown",
    "verdicts_table",
    "verify_image",
    "verify_release",
    "write_release_file",
    "write_verdict_record",
]
