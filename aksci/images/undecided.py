"""Images that can't be planned, since nobody can tell now what their bases from outside are."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aksci.core.errors import RegistryError
from aksci.images.bases import BaseImageError
from aksci.oci.names import parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from aksci.images.dockerfile.onbuild import Bases
    from aksci.images.plan import BuildPlan

__all__ = ["Noting", "Undecided", "UndecidedError", "shown_reference", "undecided_error"]

_UNKNOWN = "sha256:" + "0" * 64
_SHOWN = 5
"""Images named for one base; more would hide the other bases."""
_HINTS = 3
_DIGEST = len("sha256:") + 12


@dataclass(frozen=True, kw_only=True)
class Undecided:
    """An image that can't be planned."""

    image: str
    failed: tuple[BaseImageError, ...]
    """Of its own bases, by reference."""
    waits: tuple[str, ...]
    """Images that it needs, and that can't be planned either."""
    published: bool
    """Whether its first tag is in the registry."""
    digest: None = field(default=None, init=False)
    identity: None = field(default=None, init=False)


class UndecidedError(RegistryError):
    """Some images can't be planned. It holds what is known of the others."""

    def __init__(
        self, message: str, *, plan: BuildPlan, undecided: tuple[Undecided, ...], hint: str
    ) -> None:
        super().__init__(message, hint=hint)
        self.plan = plan
        """Of the images that could be planned, and only those."""
        self.undecided = undecided


class Noting:
    """Answer for bases, and note all that can't be told, so that it can be told at once.

    Where something was noted, the answers are not to be used.
    """

    def __init__(self, bases: Bases) -> None:
        self._bases = bases
        self._failed: dict[str, BaseImageError] = {}

    @property
    def failed(self) -> tuple[BaseImageError, ...]:
        """What could not be told, by reference."""
        return tuple(self._failed[reference] for reference in sorted(self._failed))

    def __call__(self, reference: str) -> str:
        """Return the digest that a full reference means, or something of its form."""
        try:
            return self._bases(reference)
        except BaseImageError as error:
            self._failed[error.reference] = error
            return _UNKNOWN

    def onbuild(self, reference: str, digest: str, platforms: Iterable[str]) -> tuple[str, ...]:
        """Return the ONBUILD instructions of a digest; none where they can't be told."""
        if digest == _UNKNOWN:
            return ()
        try:
            return self._bases.onbuild(reference, digest, platforms)
        except BaseImageError as error:
            self._failed[error.reference] = error
            return ()


def shown_reference(reference: str) -> str:
    """Return a full reference as short as it is still clear."""
    parsed = parse_reference(reference)
    digest = f"@{parsed.digest[:_DIGEST]}…" if parsed.digest else ""
    return f"{parsed.familiar}{digest}"


def undecided_error(plan: BuildPlan, undecided: Sequence[Undecided]) -> UndecidedError:
    """Name every base that can't be resolved, why, and the images that need it."""
    images: dict[str, list[str]] = defaultdict(list)
    causes: dict[str, set[str]] = defaultdict(set)
    for one in undecided:
        for error in one.failed:
            images[error.reference].append(one.image)
            causes[error.why].add(error.reference)
    count = len(images)
    total = len(undecided) + len(plan.work)
    bases = "1 base image" if count == 1 else f"{count} base images"
    told = [f"{bases} can't be resolved, so {len(undecided)} of {total} images can't be planned."]
    for why in sorted(causes):
        told.append(why)
        told += [f"  {_needed_by(name, images)}" for name in sorted(causes[why])]
    hints = {error.hint for one in undecided for error in one.failed if error.hint}
    hint = "\n".join(sorted(hints)[:_HINTS])
    return UndecidedError(
        "\n".join(told),
        plan=plan,
        undecided=tuple(undecided),
        hint=f"{hint}\nnox -s graph needs no registry; plan -- --only IMAGE plans a part.".lstrip(),
    )


def _needed_by(reference: str, images: Mapping[str, Sequence[str]]) -> str:
    named = images[reference]
    more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
    return f"{shown_reference(reference)}, needed by {', '.join(named[:_SHOWN])}{more}"
