"""The gate: scan, verdict, signature, release."""

from __future__ import annotations

from aksci.supply.chart import Chart, fetch_chart, package_chart, push_chart, read_chart
from aksci.supply.database import (
    Database,
    DatabaseSource,
    check_database,
    ensure_database,
    make_database,
)
from aksci.supply.gate import scan_image, scan_images
from aksci.supply.notation import NotationSigner, notation_signer
from aksci.supply.policy import evaluate, require_pass
from aksci.supply.release import (
    Release,
    ReleaseImage,
    ReleaseService,
    load_release,
    make_release,
    read_release_file,
    sign_release,
    verify_release,
    write_release_file,
)
from aksci.supply.render import verdicts_document, verdicts_markdown, verdicts_table
from aksci.supply.signing import (
    BindingError,
    NotSignedError,
    Signer,
    UntrustedError,
    sign_image,
    verify_image,
)
from aksci.supply.trivy import Scanner, TrivyScanner, read_release
from aksci.supply.verdict import Finding, IgnoredFinding, Verdict

__all__ = [
    "BindingError",
    "Chart",
    "Database",
    "DatabaseSource",
    "Finding",
    "IgnoredFinding",
    "NotSignedError",
    "NotationSigner",
    "Release",
    "ReleaseImage",
    "ReleaseService",
    "Scanner",
    "Signer",
    "TrivyScanner",
    "UntrustedError",
    "Verdict",
    "check_database",
    "ensure_database",
    "evaluate",
    "fetch_chart",
    "load_release",
    "make_database",
    "make_release",
    "notation_signer",
    "package_chart",
    "push_chart",
    "read_chart",
    "read_release",
    "read_release_file",
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
]
