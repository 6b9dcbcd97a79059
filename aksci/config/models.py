"""aksci.toml as frozen models: what a user may write, and what each key means."""

from __future__ import annotations

from datetime import date  # noqa: TC003 - pydantic reads it at run time
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints, model_validator

from aksci.config.base import STRICT, InsidePath, Label, Name, Seconds, Tag
from aksci.config.cascade_models import CascadeConfig

__all__ = [
    "BuilderConfig",
    "CacheConfig",
    "Config",
    "CosignConfig",
    "DctConfig",
    "Discover",
    "EnvironmentConfig",
    "GatesConfig",
    "HttpStep",
    "ImageConfig",
    "JobStep",
    "NotationConfig",
    "Project",
    "ScanConfig",
    "ScanIgnore",
    "SecretFile",
    "ServiceConfig",
    "SignConfig",
    "Step",
    "ValidateConfig",
]


Severity = Literal["UNKNOWN", "LOW", "MEDIUM", "HIGH", "CRITICAL"]


class _Model(BaseModel):
    model_config = STRICT


class Project(_Model):
    """[project]: what the whole repository is called."""

    name: Label
    """Prefix of every image repository: ``<registry>/<name>/<image>``."""
    source: str = ""
    """Address of the source repository, for ``org.opencontainers.image.source``."""


class Discover(_Model):
    """[discover]: which Dockerfiles are images without a table of their own."""

    dockerfiles: tuple[str, ...] = ()
    """Globs relative to aksci.toml, such as ``services/*/Dockerfile``."""
    exclude: tuple[str, ...] = ()
    """Globs of Dockerfiles that are no images of this project, such as ``**/testdata/**``."""
    bake: tuple[InsidePath, ...] = ()
    """docker-bake files (HCL or JSON), merged in this order as ``docker buildx bake -f`` does."""
    bake_targets: tuple[str, ...] = ("default",)
    """The bake targets and groups that are images."""
    compose: tuple[InsidePath, ...] = ()
    """Compose files, merged in this order: each service with ``build:`` is an image."""
    skaffold: tuple[InsidePath, ...] = ()
    """skaffold.yaml files: each artifact that a Dockerfile builds is an image."""


class SecretFile(_Model):
    """[build.secrets.ID]: a BuildKit secret, read from a file or a variable at the build."""

    file: str | None = None
    """A path; absolute, or relative to aksci.toml."""
    env: str | None = None
    """The name of an environment variable."""
    optional: bool = False
    """Go without it where it does not exist."""

    @model_validator(mode="after")
    def _one_source(self) -> SecretFile:
        if (self.file is None) == (self.env is None):
            msg = "give exactly one of 'file' and 'env'"
            raise ValueError(msg)
        return self


class CacheConfig(_Model):
    """[build.cache]: BuildKit's layer cache, shared by everyone who reaches the registry."""

    type: Literal["none", "registry"] = "none"
    """``registry``: kept beside each image, under the tag ``cache-<image>``."""
    mode: Literal["min", "max"] = "max"
    """``max``: the layers of all stages; ``min``: those of the result."""
    read_only: bool = False
    """Use the cache and don't write it: for builds of pull requests."""


class BuildConfig(_Model):
    """[build]: how images are built."""

    concurrency: Annotated[int, Field(ge=1, le=64)] = 2
    """How many images build at once."""
    platforms: tuple[str, ...] = ()
    """Such as ``linux/amd64``; empty: ``linux/`` and this machine's architecture."""
    timeout: Seconds = 3600
    """For one image, in seconds."""
    secrets: dict[str, SecretFile] = {}
    ssh: dict[str, tuple[str, ...]] = {}
    """For RUN --mount=type=ssh: id -> key files; empty: the agent of SSH_AUTH_SOCK."""
    cache: CacheConfig = CacheConfig()
    provenance: Literal["off", "min", "max"] = "off"
    """Attach BuildKit's SLSA provenance to the image itself. It is always stored beside it."""
    sbom: str | None = None
    """Attach an SBOM made by this scanner image (BuildKit's ``--sbom=generator=…``)."""
    source_date_epoch: Annotated[int, Field(ge=0)] = 0
    """Seconds since 1970: the time that the image's configuration says it was created at."""
    validate_images: Annotated[bool, Field(alias="validate")] = True
    """Run each image after its build, before anything is built on it."""


class ValidateConfig(_Model):
    """[images.NAME.validate]: what a freshly built image must be able to do."""

    skip: bool = False
    """Don't run it."""
    command: tuple[str, ...] = ()
    """Run this in place of the image's ENTRYPOINT and CMD; it must end with status 0."""
    health: tuple[str, ...] = ()
    """Run this beside the image's own process, in place of its HEALTHCHECK, until it ends with
    status 0. Not together with ``command``."""
    env: dict[str, str] = {}
    timeout: Seconds = 60

    @model_validator(mode="after")
    def _one_way(self) -> ValidateConfig:
        if self.command and self.health:
            msg = "give 'command' or 'health', not both"
            raise ValueError(msg)
        return self


class ImageConfig(_Model):
    """[images.NAME]: one image, where discovery would not say enough."""

    dockerfile: InsidePath | None = None
    """Required, unless a file that [discover] reads has an image of this name: then the table's
    keys take the place of what that file says; ``args`` and ``contexts`` add to it."""
    context: InsidePath | None = None
    """Default: the Dockerfile's folder."""
    target: str | None = None
    args: dict[str, str] = {}
    platforms: tuple[str, ...] = ()
    repository: Name | None = None
    """Without the registry. Default: ``<project>/<image>``."""
    tags: Annotated[tuple[Tag, ...], Field(min_length=1)] = ("latest",)
    """Stable tags, moved by ``push`` when the gates have passed."""
    requires: tuple[Name, ...] | dict[str, Name] = ()
    """Images of this project that it needs. A table gives each as a build argument:
    ``{BASE = "base"}`` sets ARG BASE to the reference of the image ``base``."""
    contexts: dict[str, str] = {}
    """Named contexts (BuildKit's ``--build-context``): name -> ``image:NAME`` of this project,
    ``docker-image://REFERENCE``, or a folder inside the project."""
    validation: Annotated[ValidateConfig, Field(alias="validate")] = ValidateConfig()


class ScanIgnore(_Model):
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


class ScanConfig(_Model):
    """[scan]: the policy of the gate."""

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
    database: Literal["public", "small", "auto"] = "public"
    """The vulnerability database. ``public``: downloaded by Trivy. ``small``: a test database of a
    few vulnerabilities, made here, for the embedded platform only. ``auto``: on the embedded
    platform, ``small`` where ``public`` can't be downloaded."""
    database_max_age: Annotated[int, Field(gt=0)] = 168
    """Hours."""
    java: bool = False
    """Fetch the public index of Java archives, several hundred MB: without it, an image with Java
    archives can't be scanned, and does not pass."""
    sbom: Literal["cyclonedx", "spdx"] = "cyclonedx"
    """The format of the bill of materials that is stored beside each image."""
    ignore: tuple[ScanIgnore, ...] = ()
    ignore_warning_days: Annotated[int, Field(ge=0)] = 14
    """An ignore that lapses within so many days is warned of."""

    @model_validator(mode="after")
    def _scores_given(self) -> ScanConfig:
        if self.epss_at_least is not None and self.epss is None:
            msg = "'epss_at_least' needs 'epss', the file with the scores"
            raise ValueError(msg)
        return self


class NotationConfig(_Model):
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


class CosignConfig(_Model):
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
        if self.identity and (self.key or self.public_key):
            msg = "give a key, or 'identity' and 'issuer', not both"
            raise ValueError(msg)
        if (self.key is None) != (self.public_key is None):
            msg = "'key' and 'public_key' belong together"
            raise ValueError(msg)
        return self


class DctConfig(_Model):
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


class SignConfig(_Model):
    """[sign]: who signs."""

    signers: tuple[Literal["notation", "dct", "cosign"], ...] = ("notation",)
    """All of them sign, and all of them must verify."""
    notation: NotationConfig = NotationConfig()
    cosign: CosignConfig = CosignConfig()
    dct: DctConfig = DctConfig()

    @model_validator(mode="after")
    def _some(self) -> SignConfig:
        if not self.signers or len(set(self.signers)) != len(self.signers):
            msg = "'signers' names at least one, and each once"
            raise ValueError(msg)
        return self


class JobStep(_Model):
    """A step that runs a Kubernetes Job from one of our images and waits for it."""

    name: Label
    kind: Literal["job"]
    image: Name
    command: tuple[str, ...]
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    env_from_secrets: tuple[str, ...] = ()
    """Kubernetes Secrets whose keys become environment variables."""
    timeout: Seconds = 300


class HttpStep(_Model):
    """A step that asks a Service over HTTP until it answers as expected.

    It goes through the API server's service proxy, so it works from wherever the kubeconfig does.
    """

    name: Label
    kind: Literal["http"]
    service: Label
    """The Kubernetes Service's name."""
    port: Annotated[int, Field(ge=1, le=65535)] = 80
    path: Annotated[str, StringConstraints(pattern=r"^/")] = "/"
    expect_status: Annotated[int, Field(ge=100, le=599)] = 200
    expect_text: str | None = None
    timeout: Seconds = 60


Step = Annotated[JobStep | HttpStep, Field(discriminator="kind")]


class ServiceConfig(_Model):
    """[services.NAME]: one Helm release."""

    chart: InsidePath
    """The chart's folder."""
    images: dict[str, Name] = {}
    """Values key -> image: ``{image = "catalog"}`` sets ``image.repository`` and ``.digest``."""
    needs: tuple[Label, ...] = ()
    """Services that are rolled out before this one's pre steps."""
    pre: tuple[Step, ...] = ()
    """Steps before Helm touches Kubernetes, such as database migrations."""
    post: tuple[Step, ...] = ()
    """Steps after the rollout, such as a smoke test."""
    timeout: Seconds = 300
    """For the rollout, in seconds."""
    migrations: tuple[str, ...] = ()
    """Globs of the files that change its database's schema, one file a version, relative to
    aksci.toml. A release names them."""


class BuilderConfig(_Model):
    """[environments.NAME.builder]: a buildx builder that aksci makes and keeps."""

    driver: Literal["docker-container", "kubernetes", "remote"]
    endpoints: tuple[str, ...] = ()
    """Addresses of running BuildKits, such as ``tcp://buildkit:1234`` or ``unix:///…``; images are
    spread over them. Driver ``remote`` only."""
    options: dict[str, str] = {}
    """``--driver-opt``: ``image``, ``namespace``, ``replicas``, ``cacert``…"""
    config: InsidePath | None = None
    """A buildkitd.toml for the drivers that start BuildKit themselves."""

    @model_validator(mode="after")
    def _endpoints_given(self) -> BuilderConfig:
        if (self.driver == "remote") != bool(self.endpoints):
            msg = "'endpoints' belong to the driver 'remote', which needs at least one"
            raise ValueError(msg)
        if self.driver == "remote" and self.config:
            msg = "'config' belongs to the drivers that start BuildKit; a remote one has its own"
            raise ValueError(msg)
        return self


class GatesConfig(_Model):
    """[environments.NAME.gates]: what a release must have, beyond signatures, to come here."""

    min_age: Annotated[int, Field(ge=0)] = 0
    """Hours since the release was signed."""
    soak: Annotated[int, Field(ge=0)] = 0
    """Hours that it has run, healthy and unchanged, in the environment that it comes from."""
    verdict_max_age: Annotated[int, Field(gt=0)] | None = None
    """Hours: no older may the database be that an image's verdict was made with."""


class EnvironmentConfig(_Model):
    """[environments.NAME]: where releases go."""

    platform: Literal["embedded", "docker", "external"] = "external"
    """``embedded``: the local platform, started when it is needed. ``docker``: build with the
    running Docker Engine. ``external``: registry, builder and cluster all exist already."""
    registry: str | None = None
    """``host[:port]``. Required unless ``platform = "embedded"``."""
    plain_http: bool = False
    """The registry speaks HTTP without TLS (loopback only)."""
    builder: str | BuilderConfig | None = None
    """The name of a buildx builder that exists, or one to make. Default: the platform's."""
    validate_in: Literal["docker", "cluster"] | None = None
    """Where images are run to validate them. Default: ``cluster`` on the embedded platform, else
    ``docker``."""
    kubeconfig: str | None = None
    context: str | None = None
    """kubeconfig context. Default: the current one; for ``embedded``, the platform's."""
    namespace: Label
    create_namespace: bool = False
    values: tuple[str, ...] = ()
    """Values files, applied in order, relative to aksci.toml; ``{service}`` stands for the
    service's name. Each must exist."""
    promote_from: Label | None = None
    """The environment that releases are promoted from."""
    gates: GatesConfig = GatesConfig()
    foreign: tuple[str, ...] = ()
    """Globs of images that may run here though we don't build and sign them, such as
    ``mcr.microsoft.com/oss/*``: for ``verify``."""
    cascade: bool = False
    """A cascade deploys here what it has made of the release that runs here; where
    ``promote_from`` is given, it is promoted, through the gates."""
    urls: dict[str, str] = {}
    """What to print after a deployment: label -> address."""

    @model_validator(mode="after")
    def _registry_given(self) -> EnvironmentConfig:
        if self.platform != "embedded" and not self.registry:
            msg = f"'registry' is required when platform is {self.platform!r}"
            raise ValueError(msg)
        return self


class LocalConfig(_Model):
    """[local]: the embedded platform."""

    seeds: dict[str, tuple[str, ...]] = {}
    """What to put in the registry mirror where the public registry can't be reached: reference of
    an image on docker.io -> Debian packages to include beyond the minimal variant. The tag's first
    word names the suite: ``"debian:bookworm-slim" = ["ca-certificates"]``."""


class Config(_Model):
    """The whole of aksci.toml."""

    version: Literal[1] = Field(alias="schema")
    """Version of this format."""
    project: Project
    discover: Discover = Discover()
    build: BuildConfig = BuildConfig()
    images: dict[Name, ImageConfig] = {}
    scan: ScanConfig = ScanConfig()
    sign: SignConfig = SignConfig()
    cascade: CascadeConfig = CascadeConfig()
    services: dict[Label, ServiceConfig] = {}
    environments: dict[Label, EnvironmentConfig] = {}
    local: LocalConfig = LocalConfig()
