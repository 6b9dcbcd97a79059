"""[services] and [environments]: what is deployed, by which steps, and where."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator

from aksci.config.strict_model import (
    InsidePath,
    Label,
    Name,
    OwnPart,
    PartName,
    Seconds,
    StrictModel,
)

__all__ = [
    "BuilderConfig",
    "EnvironmentConfig",
    "GatesConfig",
    "HttpStep",
    "JobStep",
    "ServiceConfig",
    "Step",
]


class JobStep(StrictModel):
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


class HttpStep(StrictModel):
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


def _kind_of_target(value: Any) -> str:
    return "=own" if isinstance(value, dict | OwnPart) else "=name"


_Target = Annotated[
    Annotated[PartName, Tag("=name")] | Annotated[OwnPart, Tag("=own")],
    Discriminator(_kind_of_target),
]


class ServiceConfig(StrictModel):
    """[services.NAME]: one Helm release, or what another target makes of the chart."""

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
    target: _Target | None = None
    """What applies it, where that is not what applies the environment's other services."""
    timeout: Seconds = 300
    """For the rollout, in seconds."""
    migrations: tuple[str, ...] = ()
    """Globs of the files that change its database's schema, one file a version, relative to
    aksci.toml. A release names them."""


class BuilderConfig(StrictModel):
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


def _kind_of_builder(value: Any) -> str:
    if isinstance(value, dict):
        return "=own" if "kind" in value else "=buildx"
    if isinstance(value, OwnPart):
        return "=own"
    return "=buildx" if isinstance(value, BuilderConfig) else "=name"


# The form is chosen before it is read, so that errors are about the one that was meant. pydantic
# puts these tags into their locations: by the ``=``, ``load_config`` tells them from keys.
_Builder = Annotated[
    Annotated[str, Tag("=name")]
    | Annotated[BuilderConfig, Tag("=buildx")]
    | Annotated[OwnPart, Tag("=own")],
    Discriminator(_kind_of_builder),
]


class GatesConfig(StrictModel):
    """[environments.NAME.gates]: what a release must have, beyond signatures, to come here."""

    min_age: Annotated[int, Field(ge=0)] = 0
    """Hours since the release was signed."""
    soak: Annotated[int, Field(ge=0)] = 0
    """Hours that it has run, healthy and unchanged, in the environment that it comes from."""
    verdict_max_age: Annotated[int, Field(gt=0)] | None = None
    """Hours: no older may the database be that an image's verdict was made with."""


class EnvironmentConfig(StrictModel):
    """[environments.NAME]: where releases go."""

    platform: Literal["embedded", "docker", "external"] = "external"
    """``embedded``: the local platform, started when it is needed. ``docker``: build with the
    running Docker Engine. ``external``: registry, builder and cluster all exist already."""
    registry: str | None = None
    """``host[:port]``. Required unless ``platform = "embedded"``."""
    plain_http: bool = False
    """The registry speaks HTTP without TLS (loopback only)."""
    builder: _Builder | None = None
    """The name of a buildx builder that exists, or one to make, or ``{ kind = "NAME", … }``: one
    that an installed package offers, with its options. Default: the platform's."""
    validate_in: Literal["docker", "cluster", "containerd"] | None = None
    """Where images are run to validate them. ``containerd``: on the embedded platform, and its
    default; a cluster is not needed for it. Default elsewhere: ``docker``."""
    kubeconfig: str | None = None
    context: str | None = None
    """kubeconfig context. Default: the current one; for ``embedded``, the platform's."""
    namespace: Label
    create_namespace: bool = False
    target: _Target = "helm"
    """What applies releases: ``helm``, or a target that an installed package offers, by its name
    or, with its options, as ``{ kind = "NAME", … }``."""
    values: tuple[str, ...] = ()
    """Values files, applied in order, relative to aksci.toml; ``{service}`` stands for the
    service's name. Each must exist."""
    promote_from: Label | None = None
    """The environment that releases are promoted from."""
    gates: GatesConfig = GatesConfig()
    artifacts: tuple[str, ...] = ()
    """Types of further artifacts that a promotion brings here with an image that they refer to,
    such as ``application/vnd.acme.note``. Nothing proves who has stored them."""
    foreign: tuple[str, ...] = ()
    """Globs of images that may run here though we don't build and sign them, such as
    ``mcr.microsoft.com/oss/*``: for ``verify``."""
    cascade: bool = False
    """A cascade deploys here what it has made of the release that runs here; where
    ``promote_from`` is given, it is promoted, through the gates."""
    urls: dict[str, str] = {}
    """What to print after a deployment: label -> address."""

    @property
    def buildx(self) -> str | BuilderConfig | None:
        """What is said of a buildx builder."""
        return None if isinstance(self.builder, OwnPart) else self.builder

    def target_of(self, service: ServiceConfig) -> tuple[str, dict[str, Any]]:
        """Return the name of what applies a service here, and its options."""
        chosen = service.target or self.target
        if isinstance(chosen, OwnPart):
            return chosen.kind, chosen.own_options
        return chosen, {}

    @model_validator(mode="after")
    def _registry_given(self) -> EnvironmentConfig:
        # The embedded platform has its own.
        if self.platform != "embedded" and not self.registry:
            msg = f"'registry' is required when platform is {self.platform!r}"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _containerd_is_ours(self) -> EnvironmentConfig:
        if self.platform != "embedded" and self.validate_in == "containerd":
            msg = "validate_in: only the embedded platform has a 'containerd' of ours"
            raise ValueError(msg)
        return self
