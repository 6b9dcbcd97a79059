"""aksci.toml as frozen models: what a user may write, and what each key means."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, StringConstraints, model_validator
from pydantic import Tag as UnionTag

from aksci.config.cascade_models import CascadeConfig, Variable
from aksci.config.deploy_models import (
    EnvironmentConfig,
    ServiceConfig,
)
from aksci.config.strict_model import InsidePath, Label, Name, Seconds, StrictModel, Tag
from aksci.config.supply_models import ScanConfig, SignConfig

__all__ = [
    "CacheConfig",
    "Config",
    "Discover",
    "ImageConfig",
    "Project",
    "SecretFile",
    "ValidateConfig",
]


ComposeFiles = Annotated[
    Annotated[InsidePath, UnionTag("=file")]
    | Annotated[tuple[InsidePath, ...], UnionTag("=files")],
    # Else a mistake would be told of both kinds.
    Discriminator(lambda value: "=file" if isinstance(value, str) else "=files"),
]
"""A Compose file of the project; or, where there are several projects, the files of one."""


class Project(StrictModel):
    """[project]: what the whole repository is called."""

    name: Label
    """Prefix of every image repository: ``<registry>/<name>/<image>``."""
    source: str = ""
    """Address of the source repository, for ``org.opencontainers.image.source``."""


Untagged = Annotated[str, StringConstraints(pattern=r"^[^\s@]*[^\s@:/]+/[^\s@:]+$")]
"""An image's name with its registry, without tag and digest."""


class Discover(StrictModel):
    """[discover]: which Dockerfiles are images without a table of their own."""

    dockerfiles: tuple[str, ...] = ()
    """Globs relative to aksci.toml, such as ``services/*/Dockerfile``."""
    exclude: tuple[str, ...] = ()
    """Globs of Dockerfiles that are no images of this project, such as ``**/testdata/**``."""
    bake: tuple[InsidePath, ...] = ()
    """docker-bake files (HCL or JSON), merged in this order as ``docker buildx bake -f`` does."""
    bake_targets: tuple[str, ...] = ("default",)
    """The bake targets and groups that are images."""
    compose: tuple[ComposeFiles, ...] = ()
    """Compose files, merged in this order as ``docker compose -f -f`` does: each service with
    ``build:`` is an image. Of several projects, a list for each: ``[["a/compose.yaml"], …]``."""
    skaffold: tuple[InsidePath, ...] = ()
    """skaffold.yaml files: each artifact that a Dockerfile builds is an image."""
    variables: tuple[Variable, ...] = ()
    """Environment variables that these files may read though they are called like secrets, such as
    ``SORT_KEY``. Build arguments are published: no password belongs there."""

    @model_validator(mode="after")
    def _files_or_projects(self) -> Discover:
        if len({isinstance(one, str) for one in self.compose}) > 1:
            msg = (
                "'compose' names the files of one project, or has a list for each of several: "
                "not both"
            )
            raise ValueError(msg)
        return self

    @property
    def compose_projects(self) -> tuple[tuple[str, ...], ...]:
        """The Compose files of each project."""
        together = tuple(one for one in self.compose if isinstance(one, str))
        lists = tuple(one for one in self.compose if isinstance(one, tuple) and one)
        return (together,) if together else lists

    @property
    def imported(self) -> tuple[str, ...]:
        """All files of other tools."""
        compose = (file for files in self.compose_projects for file in files)
        return (*self.bake, *compose, *self.skaffold)


class SecretFile(StrictModel):
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


class CacheConfig(StrictModel):
    """[build.cache]: BuildKit's layer cache, shared by everyone who reaches the registry."""

    type: Literal["none", "registry"] = "none"
    """``registry``: kept beside each image, under the tag ``cache-<image>``."""
    mode: Literal["min", "max"] = "max"
    """``max``: the layers of all stages; ``min``: those of the result."""
    read_only: bool = False
    """Use the cache and don't write it: for builds of pull requests."""


class BuildConfig(StrictModel):
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
    standard_frontends: tuple[Untagged, ...] = ()
    """Images that are docker/dockerfile from a mirror, without a tag, such as
    ``mirror.example/docker/dockerfile``: what a Dockerfile names so after ``# syntax=`` is read as
    BuildKit's own grammar. Any other frontend makes its images opaque: built in every run."""
    cache: CacheConfig = CacheConfig()
    provenance: Literal["off", "min", "max"] = "off"
    """Attach BuildKit's SLSA provenance to the image itself. It is always stored beside it."""
    sbom: str | None = None
    """Attach an SBOM made by this scanner image (BuildKit's ``--sbom=generator=…``)."""
    source_date_epoch: Annotated[int, Field(ge=0)] = 0
    """Seconds since 1970: the time that the image's configuration says it was created at."""
    validate_images: Annotated[bool, Field(alias="validate")] = True
    """Run each image after its build, before it and what is built on it count as finished."""


class ValidateConfig(StrictModel):
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


class ImageConfig(StrictModel):
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


class LocalConfig(StrictModel):
    """[local]: the embedded platform."""

    seeds: dict[str, tuple[str, ...]] = {}
    """What to put in the registry mirror where the public registry can't be reached: reference of
    an image on docker.io -> Debian packages to include beyond the minimal variant. The tag's first
    word names the suite: ``"debian:bookworm-slim" = ["ca-certificates"]``."""


class Config(StrictModel):
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
