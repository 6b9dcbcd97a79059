"""What a cascade knows of an image: what is published, what it was built from, what moved since."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from aksci.images.dockerfile.recipe import EdgeType
    from aksci.images.lineage import Lineage
    from aksci.oci.references import ImageRef

__all__ = ["EdgeDrift", "EdgePolicy", "EdgeState", "Published"]

EdgeState = Literal["same", "drifted", "batched", "ignored", "waiting"]
"""``same``: as recorded. ``drifted``: another digest is meant now, and the cascade takes it.
``batched``, ``ignored``: another is meant, and the policy leaves it. ``waiting``: the parent, an
image of this project, is itself to be made again."""


@dataclass(frozen=True, kw_only=True)
class EdgePolicy:
    """What aksci.toml says of one edge to an image from outside."""

    update: Literal["now", "batch", "ignore"] = "now"
    digest: str | None = None
    """This digest is meant, whatever the tag means."""
    tags: str | None = None
    """The newest tag in this range of versions is meant."""
    rule: str = "default"
    """Where that stands, for people: ``cascade.bases[0]``, ``cascade.edges.syntax``."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """What the registry has under an image's first stable tag, and what that was made of."""

    image: str
    ref: ImageRef
    lineage: Lineage | None
    """None: nothing is recorded, or a record that can't be trusted."""
    problem: str = ""
    """Why the record can't be trusted, as a clause; empty: it can, or there is none."""
    identity: str = ""
    """What it counts as in the keys of what needs it: see ``content_identity``."""


@dataclass(frozen=True, kw_only=True)
class EdgeDrift:
    """One recorded edge of one image, compared with the registry now."""

    image: str
    reference: str
    """In full, as recorded."""
    type: EdgeType
    parent: str = ""
    """The image of this project that it leads to; empty: it comes from outside."""
    recorded: str
    """Digest."""
    current: str | None
    """Digest that is meant now; None while the parent is to be made again."""
    state: EdgeState
    policy: EdgePolicy = field(default_factory=EdgePolicy)
    tag: str = ""
    """The tag that the policy's range has led to, where it isn't the reference's own."""
    note: str = ""
    """What a person should know, as a sentence: that the Dockerfile pins a digest whose tag has
    moved, for example."""
