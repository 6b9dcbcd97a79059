from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from aksci.oci.references import ImageRef
from aksci.supply.scan.database import TrivyDatabase

REF = ImageRef("localhost:5000", "shop/catalog", "sha256:" + "a" * 64)
NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)


@pytest.fixture
def now():
    return NOW


@pytest.fixture
def ref():
    return REF


@pytest.fixture
def database():
    return TrivyDatabase(
        folder=Path("/none"), updated_at=NOW, name="public", identity="public@x", test=False
    )


@pytest.fixture
def report():
    """A report as Trivy 0.72 writes it, with one vulnerability that fails the default policy."""
    return {
        "SchemaVersion": 2,
        "ArtifactType": "container_image",
        "ArtifactName": str(REF),
        "Metadata": {
            "OS": {"Family": "debian", "Name": "12.12"},
            "RepoDigests": [str(REF)],
            "DiffIDs": ["sha256:" + "b" * 64, "sha256:" + "d" * 64],
        },
        "Results": [
            {
                "Target": "debian",
                "Class": "os-pkgs",
                "Packages": [{"Name": "libssl3", "Version": "3.0.11", "Release": "1~deb12u1"}],
                "Vulnerabilities": [
                    {
                        "VulnerabilityID": "CVE-2024-5535",
                        "PkgName": "libssl3",
                        "PkgIdentifier": {
                            "PURL": "pkg:deb/debian/libssl3@3.0.11-1~deb12u1?arch=amd64"
                        },
                        "InstalledVersion": "3.0.11-1~deb12u1",
                        "FixedVersion": "3.0.15-1~deb12u1",
                        "Severity": "CRITICAL",
                        "PrimaryURL": "https://avd.aquasec.com/nvd/cve-2024-5535",
                        "Title": "reads past its buffer",
                        "Layer": {"DiffID": "sha256:" + "b" * 64},
                    }
                ],
            }
        ],
    }
