"""What several images share, said once: a base that moved is one cause, and not fourteen."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["SHARED", "Cause", "Causes", "share_causes"]

SHARED = 3
"""Images that make a cause a shared one; of fewer, each says its own."""


@dataclass(frozen=True, kw_only=True)
class Cause:
    """What is said once, and of which images."""

    texts: tuple[str, ...]
    images: tuple[str, ...]
    dependents: tuple[str, ...] = ()
    """Images without a cause of their own, which are built since these are."""


@dataclass(frozen=True, kw_only=True)
class Causes:
    """All that is said of some images."""

    shared: tuple[Cause, ...]
    """Of most images first."""
    own: Mapping[str, tuple[str, ...]]
    """What is said of one image alone, in the order of the images."""
    dependents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Image of ``own`` -> those that are built since it is."""


def share_causes(
    told: Mapping[str, Sequence[str]],
    *,
    roots: Mapping[str, str] | None = None,
    ways: Mapping[str, str] | None = None,
) -> Causes:
    """Sort what is said of images into what several share, and the rest.

    :param told: image -> texts, in the order of the images.
    :param roots: an image that has no text -> the image which it is built for.
    :param ways: what is said of such an image where its root has few of them.
    """
    images: dict[str, dict[str, None]] = defaultdict(dict)
    for image, texts in told.items():
        for text in texts:
            images[text][image] = None
    alike: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for text, its in images.items():
        if len(its) >= SHARED:
            alike[tuple(its)].append(text)
    shared = {text for texts in alike.values() for text in texts}
    own = {
        image: tuple(text for text in dict.fromkeys(texts) if text not in shared)
        for image, texts in told.items()
    }
    below = _below(roots or {}, own, sorted(alike, key=len))  # its largest is told first
    for few in [key for key, names in below.items() if len(names) < SHARED]:
        own.update({image: ((ways or {})[image],) for image in below.pop(few)})
    causes = [
        Cause(texts=tuple(texts), images=its, dependents=tuple(below.get(its, ())))
        for its, texts in alike.items()
    ]
    return Causes(
        shared=tuple(sorted(causes, key=lambda one: -len(one.images))),
        own={image: texts for image, texts in own.items() if texts},
        dependents={key: tuple(its) for key, its in below.items() if isinstance(key, str)},
    )


def _below(
    roots: Mapping[str, str], own: Mapping[str, Sequence[str]], shared: Sequence[tuple[str, ...]]
) -> dict[str | tuple[str, ...], list[str]]:
    """Return the images without a text by what stands for their root: itself, or what it shares."""
    place = {image: images for images in shared for image in images}
    found: dict[str | tuple[str, ...], list[str]] = defaultdict(list)
    for image, root in roots.items():
        found[root if own.get(root) else place[root]].append(image)
    return found
