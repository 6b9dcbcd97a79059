"""What must hold between an image, its old base and its new base, on one platform."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from aksci.images.rebase.facts import masks_packages
from aksci.images.rebase.merge import differences, merged, missing
from aksci.images.rebase.settings import DEFAULT_SHELL, env_of
from aksci.images.rebase.stored import convert_layer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from aksci.images.rebase.recorded import RebaseFacts
    from aksci.images.rebase.settings import Settings
    from aksci.images.rebase.stored import PlatformImage

__all__ = ["PROOF"]

_GZIP = "gzip"


def _without_time(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry of a history without its time."""
    return {key: value for key, value in entry.items() if key != "created"}


def _no_onbuild(
    _image: PlatformImage, old: PlatformImage, new: PlatformImage, _facts: RebaseFacts
) -> Iterator[str]:
    for name, base in (("old", old), ("new", new)):
        if base.settings.config.get("OnBuild"):
            yield f"the {name} base has an ONBUILD"


def _same_platform(
    image: PlatformImage, old: PlatformImage, new: PlatformImage, _facts: RebaseFacts
) -> Iterator[str]:
    if old.settings.platform != new.settings.platform:
        yield f"the old base says {_told(old.settings)}, the new one {_told(new.settings)}"
    if image.settings.platform.get("os") != "linux":
        yield f"it is for {image.platform}: only Linux images are rebased"


def _told(settings: Settings) -> str:
    return ", ".join(f"{key} {value}" for key, value in settings.platform.items())[:200]


def _base_is_prefix(
    image: PlatformImage, old: PlatformImage, new: PlatformImage, _facts: RebaseFacts
) -> Iterator[str]:
    count = len(old.layers)
    below = [convert_layer(layer, image.media_type) for layer in old.layers]
    lowest = [dict(layer) for layer in image.layers[:count]]
    if lowest != below:
        number = sum(1 for one, other in zip(lowest, below, strict=False) if one == other)
        yield f"only {number} of the old base's {count} layers are the image's lowest"
    elif image.settings.diff_ids[:count] != old.settings.diff_ids:
        yield "the image has other diff_ids than its old base"
    kept = {_compression(layer) for layer in old.layers} | {_GZIP}
    if others := sorted({_compression(layer) for layer in new.layers} - kept):
        # BuildKit keeps a base's layers as they are; only the kinds seen so are sure to stay.
        yield f"the new base's layers are packed in another way ({', '.join(others)})"


def _compression(layer: Mapping[str, Any]) -> str:
    ending = str(layer["mediaType"]).rpartition("tar")[2].lstrip("+.")
    return ending or "not at all"


def _own_layers(
    image: PlatformImage, old: PlatformImage, new: PlatformImage, facts: RebaseFacts
) -> Iterator[str]:
    own = len(image.layers) - len(old.layers)
    if own != facts.layers:
        yield f"the image has {own} layers of its own, and the Dockerfile makes {facts.layers}"
    # BuildKit's merge of layers need not keep one that is there twice.
    if set(image.settings.diff_ids[len(old.layers) :]) & set(new.settings.diff_ids):
        yield "the new base has a layer of the image's own already"
    below = len(old.settings.history)
    mine = [_without_time(one) for one in image.settings.history[:below]]
    if mine != [_without_time(one) for one in old.settings.history]:
        yield "the image's history does not begin with its old base's"
    own_history = image.settings.history[below:]
    steps = [str(one.get("created_by", "")).partition(" ")[0] for one in own_history]
    empty = [bool(one.get("empty_layer")) for one in own_history]
    if steps != list(facts.steps) or empty != [step != "COPY" for step in facts.steps]:
        yield (
            f"its history says {' '.join(steps)[:200] or 'nothing'}, and the Dockerfile "
            f"{' '.join(facts.steps) or 'nothing'}"
        )


def _same_variables(
    _image: PlatformImage, old: PlatformImage, new: PlatformImage, facts: RebaseFacts
) -> Iterator[str]:
    before, now = env_of(old.settings.config), env_of(new.settings.config)
    changed = [name for name in facts.base_variables if before.get(name) != now.get(name)]
    if changed:
        yield f"the Dockerfile uses {', '.join(changed)}, which the base has changed"


def _same_shell(
    _image: PlatformImage, old: PlatformImage, new: PlatformImage, facts: RebaseFacts
) -> Iterator[str]:
    before, now = (one.settings.config.get("Shell") or DEFAULT_SHELL for one in (old, new))
    if facts.base_shell and before != now:
        yield f"a CMD or ENTRYPOINT holds the base's SHELL, which was {before} and is {now}"[:300]


def _same_workdir(
    _image: PlatformImage, old: PlatformImage, new: PlatformImage, facts: RebaseFacts
) -> Iterator[str]:
    before, now = (one.settings.config.get("WorkingDir") or "/" for one in (old, new))
    if facts.relative and before != now:
        yield (
            f"COPY to {', '.join(facts.relative)} goes to the base's WORKDIR, which was {before} "
            f"and is {now}"
        )[:300]


def _package_database(
    _image: PlatformImage, old: PlatformImage, new: PlatformImage, facts: RebaseFacts
) -> Iterator[str]:
    folders = {one.settings.config.get("WorkingDir") or "/" for one in (old, new)}
    for destination in facts.relative:
        for folder in sorted(folders):
            if masks_packages(posixpath.join(folder, destination)):
                yield f"COPY to {destination} in {folder} may hide the base's package database"


def _config_explained(
    image: PlatformImage, old: PlatformImage, _new: PlatformImage, facts: RebaseFacts
) -> Iterator[str]:
    """Put the image's own keys on its OLD base: exactly the image must come out."""
    config, author = merged(old.settings, image.settings, facts)
    wrong = differences(config, image.settings.config)
    wrong += ["author"] * (author != image.settings.author)
    wrong += missing(image.settings, facts)
    wrong += image.settings.unknown
    if wrong:
        yield f"its old base and the Dockerfile do not explain {', '.join(wrong)}"[:400]


PROOF: Mapping[
    str, Callable[[PlatformImage, PlatformImage, PlatformImage, RebaseFacts], Iterator[str]]
] = {
    "no-onbuild": _no_onbuild,
    "same-platform": _same_platform,
    "base-is-prefix": _base_is_prefix,
    "own-layers": _own_layers,
    "same-variables": _same_variables,
    "same-shell": _same_shell,
    "same-workdir": _same_workdir,
    "package-database": _package_database,
    "config-explained": _config_explained,
}
"""Name of a condition -> the problems of an image, its old base and its new base."""
