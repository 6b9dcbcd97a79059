"""What all models of aksci.toml share: strictness, and the forms of names and paths."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from aksci.oci.references import is_repository

__all__ = [
    "InsidePath",
    "Label",
    "Name",
    "OwnPart",
    "OwnTables",
    "PartName",
    "Seconds",
    "StrictModel",
    "Tag",
]


def _inside(value: str) -> str:
    path = PurePosixPath(value)
    # A pull request may change aksci.toml: it must not pack a runner's own files into an image.
    if path.is_absolute() or ".." in path.parts:
        msg = f"{value!r} must be a path inside the project, relative to aksci.toml"
        raise ValueError(msg)
    return str(path)


def _repository(value: str) -> str:
    if not is_repository(value):
        msg = f"{value!r} can't be the name of a repository"
        raise ValueError(msg)
    return value


Name = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9]([a-z0-9._/-]*[a-z0-9])?$", max_length=128),
    AfterValidator(_repository),
]
"""An image's name, as the OCI distribution specification asks of repositories ("Pulling
manifests"): files are called so as well, and ``a/../b`` would be one elsewhere."""
Label = Annotated[str, StringConstraints(pattern=r"^[a-z]([a-z0-9-]*[a-z0-9])?$", max_length=53)]
"""A service's, environment's or step's name: a DNS label (RFC 1035) that fits a Helm release."""
PartName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*$", max_length=64)]
"""The name of a part: one that is built in, or one that an installed package offers."""
Tag = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")]
InsidePath = Annotated[str, AfterValidator(_inside)]
Seconds = Annotated[int, Field(gt=0, le=86_400)]


class StrictModel(BaseModel):
    """A table of aksci.toml: no key that it does not know, no value of another type."""

    # strict: "false" for false, or 1.0 for 1, is a mistake that must not pass unseen.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class OwnTables(StrictModel):
    """A table in which a part of one's own may have a table of its name, with its options.

    Whether there is such a part is ``load_config``'s to check.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, dict[str, Any]]

    @property
    def own_tables(self) -> dict[str, dict[str, Any]]:
        """The tables beside the keys that are ours: name -> options."""
        return dict(self.model_extra or {})


class OwnPart(StrictModel):
    """``{ kind = "NAME", … }``: a part that an installed package offers, and its options."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Any]
    kind: PartName

    @property
    def own_options(self) -> dict[str, Any]:
        """What stands beside ``kind``, as it is."""
        return dict(self.model_extra or {})
