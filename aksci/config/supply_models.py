"""[scan] and [sign]: the policy of the gate, and who signs."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from aksci.config.strict_model import InsidePath, OwnTables, PartName, StrictModel
from aksci.core.errors import ConfigError
from aksci.oci.references import parse_reference

__all__ = [
    "BUILT_IN_SCANNERS",
    "BUILT_IN_SIGNERS",
    "CosignConfig",
    "DctConfig",
    "NotationConfig",
    "ScanConfig",
    "ScanIgnore",
    "Severity",
    "SignConfig",
]


BUILT_IN_SCANNERS = frozenset({"trivy"})
BUILT_IN_SIGNERS = frozenset({"notation", "cosign", "dct"})
"""What there is without an installed package."""
Severity = Literal["UNKNOWN", "LOW", "MEDIUM", "HIGH", "CRITICAL"]


_KINDS = frozenset({"public", "small", "auto"})


def _mirrors(given: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """Require full names of images: "publik" is a slip, and no repository of Docker Hub."""
    for text in (given,) if isinstance(given, str) else given:
        try:
            parse_reference(text)
        except ConfigError as error:
            raise ValueError(error.message) from None
        host, slash, _ = text.partition("/")
        if not slash or not ("." in host or ":" in host or host == "localhost"):
            msg = f"{text!r} names no registry: write it as host/repository:tag"
            raise ValueError(msg)
    return given


def _database(given: str | tuple[str, ...]) -> str | tuple[str, ...]:
    if given == ():
        msg = "no mirror is in the list"
        raise ValueError(msg)
    if isinstance(given, str) and "/" not in given and given not in _KINDS:
        msg = "it is 'public', 'small' or 'auto', or mirrors as host/repository:tag"
        raise ValueError(msg)
    return given if given in _KINDS else _mirrors(given)


class ScanIgnore(StrictModel):
    """[[scan.ignore]]: accept one finding for a while."""

    id: Annotated[str, StringConstraints(min_length=3)]
    """CVE or other identifier, exactly as the scanner names it."""
    owner: Annotated[str, StringConstraints(min_length=1)]
    reason: Annotated[str, StringConstraints(min_length=10)]
    expires: date
    """Lapses at 00:00 UTC of this date."""
    package: str | None = None
    """Only in this package, as the scanner names it."""
    purl: str | None = None
    """Only in this package, as a package URL such as ``pkg:deb/debian/openssl``; one without a
    version is every version. It must name a type and a name."""


class ScanConfig(OwnTables):
    """[scan]: the policy of the gate, and who scans."""

    scanner: PartName = "trivy"
    """``trivy``, or a scanner that an installed package offers; its options are the table
    [scan.NAME]."""

    severities: tuple[Severity, ...] = ("CRITICAL", "HIGH")
    """Findings of these severities fail the build."""
    fixed_only: bool = True
    """Only findings for which a fixed version exists."""
    secrets: bool = True
    """A secret found in a layer fails the build."""
    misconfigurations: tuple[Severity, ...] = ()
    """Misconfigurations of these severities, in the image's configuration and files, fail."""
    end_of_life: bool = True
    """An operating system past its end of life fails the build."""
    empty: Literal["fail", "note"] = "fail"
    """An image in which the scanner knows nothing (no system, no packages), or whose system lists
    no package, fails, or is noted."""
    kev: InsidePath | None = None
    """CISA's catalogue of known exploited vulnerabilities (its JSON file). What is listed there
    fails whatever its severity, and comes first."""
    epss: InsidePath | None = None
    """FIRST's exploit prediction scores (its CSV file, or that gzipped): ranks findings."""
    epss_at_least: Annotated[float, Field(ge=0, le=1)] | None = None
    """A score from here on fails whatever its severity."""
    vex: tuple[InsidePath, ...] = ()
    """OpenVEX documents: what they say is not affected, or fixed, does not fail."""
    database: Annotated[
        str | tuple[str, ...],
        AfterValidator(_database),
        Field(examples=["public", "small", "auto", "mirror.example/aquasecurity/trivy-db:2"]),
    ] = "public"
    """The vulnerability database. ``public``: downloaded by Trivy. ``small``: a test database of a
    few vulnerabilities, made here, for the embedded platform only. ``auto``: on the embedded
    platform, ``small`` where ``public`` can't be downloaded. A reference such as
    ``mirror.example/aquasecurity/trivy-db:2``, or several that are tried in order: a copy of
    Trivy's in a registry, pulled with the logins that images have."""
    database_max_age: Annotated[int, Field(gt=0)] = 168
    """Hours."""
    java: bool = False
    """Fetch the public index of Java archives, several hundred MB: without it, an image with Java
    archives can't be scanned, and does not pass."""
    java_database: Annotated[str | tuple[str, ...], AfterValidator(_mirrors)] = ()
    """Where that index is instead, such as ``mirror.example/aquasecurity/trivy-java-db:1``, or
    several that are tried in order. A mirrored ``database`` needs it where ``java`` is set."""
    sbom: Literal["cyclonedx", "spdx"] = "cyclonedx"
    """The format of the bill of materials that is stored beside each image."""
    ignore: tuple[ScanIgnore, ...] = ()
    ignore_warning_days: Annotated[int, Field(ge=0)] = 14
    """An ignore that lapses within so many days is warned of."""

    @model_validator(mode="after")
    def _index_given(self) -> ScanConfig:
        # Where the database comes from a mirror, Trivy's own addresses can't be reached, as a rule.
        if self.java and self.database not in _KINDS and not self.java_database:
            msg = "'java' with a mirrored 'database' needs 'java_database', where the index is"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _scores_given(self) -> ScanConfig:
        # Without the file no finding has a score, and the limit would silently pass all of them.
        if self.epss_at_least is not None and self.epss is None:
            msg = "'epss_at_least' needs 'epss', the file with the scores"
            raise ValueError(msg)
        return self


class NotationConfig(StrictModel):
    """[sign.notation]: Notary Project signatures."""

    key: str | None = None
    """notation's key name. Default: the local test key that ``up`` makes."""
    plugin: str | None = None
    """Sign by a plugin with ``key_id`` in place of a named key, such as ``azure-kv``."""
    key_id: str | None = None
    """The key's identifier for the plugin, such as an Azure Key Vault key's address."""
    plugin_config: dict[str, str] = {}
    """What else the plugin wants, such as ``self_signed = "true"``."""
    trust_store: str | None = None
    """Folder with the root certificates (PEM) to trust. Default: the local test certificate."""
    identities: tuple[str, ...] = ("*",)
    """notation's trustedIdentities."""

    @model_validator(mode="after")
    def _one_key(self) -> NotationConfig:
        if (self.plugin is None) != (self.key_id is None):
            msg = "'plugin' and 'key_id' belong together"
            raise ValueError(msg)
        if self.plugin and self.key:
            msg = "give 'key', or 'plugin' with 'key_id', not both"
            raise ValueError(msg)
        return self


class CosignConfig(StrictModel):
    """[sign.cosign]: Sigstore signatures, by a key or keyless."""

    key: str | None = None
    """The private key: a file, or a KMS address such as ``azurekms://…``. Default: a local test
    key, on the embedded platform only."""
    public_key: str | None = None
    """The public key to trust: a file or a KMS address. Required with ``key``."""
    password_env: str = "COSIGN_PASSWORD"  # noqa: S105 - a variable's name
    """The environment variable that holds the key file's password."""
    identity: str | None = None
    """Keyless: the certificate's identity that is trusted; then no key is given."""
    issuer: str | None = None
    """Keyless: the OIDC issuer that is trusted."""
    transparency_log: bool = False
    """Enter signatures in the transparency log, and require that of them."""

    @model_validator(mode="after")
    def _one_way(self) -> CosignConfig:
        if (self.identity is None) != (self.issuer is None):
            msg = "'identity' and 'issuer' belong together"
            raise ValueError(msg)
        # Which of the two is trusted must be said, and not be left to cosign.
        if self.identity and (self.key or self.public_key):
            msg = "give a key, or 'identity' and 'issuer', not both"
            raise ValueError(msg)
        # What is signed by a key that nobody verifies with would be refused at the deployment.
        if (self.key is None) != (self.public_key is None):
            msg = "'key' and 'public_key' belong together"
            raise ValueError(msg)
        return self


class DctConfig(StrictModel):
    """[sign.dct]: Docker Content Trust, by a Notary (v1) server."""

    server: str | None = None
    """The server's address. Default: the registry's (ACR serves it under the registry's own name);
    on the embedded platform, its own server."""
    server_ca: str | None = None
    """A CA certificate (PEM) to trust for the server beside the usual ones."""
    keys: str | None = None
    """The folder of the keys (Docker's ``trust/private``). Default: the local test keys, on the
    embedded platform only."""
    role: Annotated[str, StringConstraints(pattern=r"^targets(/[a-z0-9._-]+)?$")] = "targets"
    """The role that signs: ``targets``, or a delegation such as ``targets/ci``."""
    roots: dict[str, tuple[str, ...]] = {}
    """Pinned roots: repository, or ``*`` -> identifiers of root keys that are trusted."""
    root_passphrase_env: str = "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE"  # noqa: S105 - a variable's name
    """The environment variable with the root key's passphrase, for new repositories."""
    passphrase_env: str = "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE"  # noqa: S105 - a variable's name
    """The environment variable with the passphrase of the signing role's key."""


class SignConfig(OwnTables):
    """[sign]: who signs."""

    signers: tuple[Annotated[PartName, Field(examples=["notation", "cosign", "dct"])], ...] = (
        "notation",
    )
    """All of them sign, and all of them must verify: ``notation``, ``cosign``, ``dct``, or one that
    an installed package offers; its options are the table [sign.NAME]."""
    notation: NotationConfig = NotationConfig()
    cosign: CosignConfig = CosignConfig()
    dct: DctConfig = DctConfig()

    @property
    def needs_notary(self) -> bool:
        """Whether a Notary server takes part: Docker Content Trust signs."""
        return "dct" in self.signers

    @model_validator(mode="after")
    def _some(self) -> SignConfig:
        # "All of them verify" holds of none, too: everything would pass.
        if not self.signers or len(set(self.signers)) != len(self.signers):
            msg = "'signers' names at least one, and each once"
            raise ValueError(msg)
        return self
