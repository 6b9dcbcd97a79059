"""[cascade]: what a change of an image from outside means, and who is told of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from aksci.config.strict_model import Label, Seconds, StrictModel

__all__ = [
    "AzurePipelinesTarget",
    "BaseRule",
    "CascadeConfig",
    "GithubTarget",
    "OwnerRule",
    "ReceiverConfig",
    "Target",
    "Update",
    "Variable",
]

Update = Literal["now", "batch", "ignore"]
"""``now``: a cascade takes it. ``batch``: one with ``--batch`` does, or one that makes the image
again anyway. ``ignore``: the image stays on what it was built from."""
Edge = Literal["runtime", "stage", "copy", "mount", "syntax", "context"]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Glob = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Address = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")]


class BaseRule(StrictModel):
    """[[cascade.bases]]: what a change of some images from outside means. The first that fits."""

    base: Glob
    """A glob of references, such as ``docker.io/library/python:*`` or, shorter, ``python:*``."""
    edges: tuple[Edge, ...] = ()
    """Only where they are used so; empty: however they are used."""
    update: Update = "now"
    digest: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None
    """Pinned: this digest is meant, whatever the tag means."""
    tags: str | None = None
    """A range of versions, such as ``3.12.x`` or ``>=1.4 <2``: the newest tag of the repository in
    it, with the same suffix (``-slim``) as the Dockerfile's tag, is meant."""

    @model_validator(mode="after")
    def _one_meaning(self) -> BaseRule:
        # A pinned digest never moves, and a range always may: a base can't be both.
        if self.digest and self.tags:
            msg = "give 'digest' or 'tags', not both"
            raise ValueError(msg)
        return self


class GithubTarget(StrictModel):
    """[cascade.targets.NAME] with kind = "github": a repository_dispatch event."""

    kind: Literal["github"]
    repository: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$")]
    """``owner/name``."""
    event: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,100}$")] = "aksci-cascade"
    token_env: Variable = "AKSCI_GITHUB_TOKEN"  # noqa: S105 - a variable's name
    """The environment variable with the token (contents: write on that repository)."""
    api: Address = "https://api.github.com"


class AzurePipelinesTarget(StrictModel):
    """[cascade.targets.NAME] with kind = "azure-pipelines": a run of a pipeline."""

    kind: Literal["azure-pipelines"]
    organization: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]+$")]
    project: Annotated[str, StringConstraints(pattern=r"^[^/\\?#]+$")]
    pipeline: Annotated[int, Field(gt=0)]
    """The pipeline's number (``definitionId`` in its address)."""
    branch: Annotated[str, StringConstraints(pattern=r"^refs/\S+$")] = "refs/heads/main"
    token_env: Variable = "AKSCI_AZURE_DEVOPS_TOKEN"  # noqa: S105 - a variable's name
    """The environment variable with the token (scope: Build, read and execute)."""
    token: Literal["pat", "bearer"] = "pat"  # noqa: S105 - a kind of token
    """A personal access token, or one of Microsoft Entra."""
    api: Address = "https://dev.azure.com"


Target = Annotated[GithubTarget | AzurePipelinesTarget, Field(discriminator="kind")]


class OwnerRule(StrictModel):
    """[[cascade.owners]]: who sees to other repositories of the registry. The first that fits."""

    repositories: Annotated[tuple[Glob, ...], Field(min_length=1)]
    """Globs of repositories in the registry, such as ``payments/*``."""
    target: Label
    """The entry of [cascade.targets] that is asked to run."""


class ReceiverConfig(StrictModel):
    """[cascade.receiver]: the webhook receiver, ``nox -s receive``."""

    listen: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:\[\]-]+:[0-9]{1,5}$")] = (
        "127.0.0.1:8090"
    )
    """``host:port``."""
    secret_env: Variable = "AKSCI_WEBHOOK_SECRET"  # noqa: S105 - a variable's name
    """The environment variable with the secret that callers must show."""
    target: Label | None = None
    """The entry of [cascade.targets] that is asked to run. None: the cascade runs in the
    receiver's own checkout."""
    bases: tuple[Glob, ...] = ()
    """Globs of references whose pushes count; empty: all bases of this project from outside."""
    max_age: Seconds = 300
    """Events older than so many seconds, or as far in the future, are refused."""
    settle: Annotated[int, Field(ge=0, le=3600)] = 15
    """Seconds without another event before a cascade starts: several pushes become one."""
    attempts: Annotated[int, Field(ge=1, le=20)] = 5
    """Times that a cascade is tried before it is given up."""


class CascadeConfig(StrictModel):
    """[cascade]: what happens when an image from outside changes."""

    edges: dict[Edge, Update] = {}
    """What a change means by the kind of edge, where no rule of ``bases`` fits. Default: now."""
    bases: tuple[BaseRule, ...] = ()
    together: bool = False
    """Stable tags of images that need each other move all or not at all."""
    depth: Annotated[int, Field(ge=1, le=50)] = 5
    """Projects that may ask each other in a row."""
    ask_again: Annotated[int, Field(ge=1)] = 24
    """Hours after which a project is asked again for the same change."""
    targets: dict[Label, Target] = {}
    owners: tuple[OwnerRule, ...] = ()
    receiver: ReceiverConfig = ReceiverConfig()

    @model_validator(mode="after")
    def _targets_exist(self) -> CascadeConfig:
        # A name with a mistake in it would be found only when a base moves, by whoever waits for
        # the rebuild.
        named = [owner.target for owner in self.owners]
        for target in filter(None, [*named, self.receiver.target]):
            if target not in self.targets:
                known = ", ".join(sorted(self.targets)) or "none"
                msg = f"there is no [cascade.targets.{target}]; there are: {known}"
                raise ValueError(msg)
        return self
