"""Keys: what an image is made of (source key), and that with its parents' digests (input key)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.images.dockerfile.contexts import DOCKER_IMAGE, OUR_IMAGE, normalised_contexts
from aksci.images.platforms import platform_args

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from aksci.images.context.hasher import TreeHasher
    from aksci.images.discovery.specs import ImageSpec
    from aksci.images.dockerfile.recipe import Sources
    from aksci.images.graph import Graph, Image

__all__ = [
    "KEY_SCHEMA",
    "PROXY_ARGS",
    "Source",
    "counting_args",
    "in_tag",
    "input_key",
    "source_of",
    "state_of",
    "trees_of",
    "unchecked_tag",
]

KEY_SCHEMA = 3
"""Raised when keys, or what a build does with its input, change: all is built again then."""
PROXY_ARGS = frozenset({"http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"})
"""In lower case: the build arguments that every RUN gets without an ARG."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """The parts of a source key, apart so that a plan can say which of them changed."""

    recipe: str
    """Hash of the instructions that count: comments, unreachable stages and their names don't."""
    args: Mapping[str, str]
    """Those configured that are used. All, where nobody can be sure; but proxies count only where
    they are declared, as in BuildKit's own cache. And what is asked of the builder's platform
    (``BUILDARCH``…): a compiler may write other bytes on another machine."""
    target: str | None
    """Its name, where that counts; which stage it is, the recipe says."""
    platforms: tuple[str, ...]
    tree: str
    """Hash of what is read of its context, and of folders that are named contexts."""
    attestations: tuple[str, ...] = ()
    """What is attached to the image: the one without is another."""

    @property
    def key(self) -> str:
        """The source key: 64 hexadecimal digits."""
        return _hash({"schema": KEY_SCHEMA, **self.document()})

    def document(self) -> dict[str, Any]:
        """Return the parts as JSON."""
        return {
            "recipe": self.recipe,
            "args": dict(self.args),
            "target": self.target,
            "platforms": list(self.platforms),
            "tree": self.tree,
            "attestations": list(self.attestations),
        }


def source_of(image: Image, hasher: TreeHasher) -> Source:
    """Compute what an image is made of, without the network.

    :raises ConfigError: what it is made of can't be read.
    """
    # Which stage it is, the instructions say.
    named = image.recipe.names_count or bool(image.recipe.opaque)
    return Source(
        recipe=_hash_recipe(image),
        args=counting_args(image),
        target=image.spec.target if named else None,
        platforms=image.spec.platforms,
        tree=_hash_trees(image, hasher),
        attestations=image.spec.attestations.words,
    )


def state_of(image: Image, hasher: TreeHasher) -> tuple[bytes, ...]:
    """Return what changes when a file that ``source_of`` counts is written, be it the same again.

    A key can't tell that a file was changed and changed back while an engine read it; this can.

    The Dockerfile itself is not among them.
    """
    spec = image.spec
    main = hasher.state(spec.context, spec.dockerfile, image.recipe.sources)
    return (main, *(hasher.state(value, None) for value in _named_folders(spec).values()))


def _named_folders(spec: ImageSpec) -> dict[str, str]:
    return {
        name: value
        for name, value in normalised_contexts(spec.contexts).items()
        if not value.startswith((OUR_IMAGE, DOCKER_IMAGE))
    }


def counting_args(image: Image) -> dict[str, str]:
    """Return the build arguments that count, by name, as ``Source.args`` has them."""
    configured, recipe = image.spec.args, image.recipe
    if recipe.used_args is None:
        counting = frozenset(
            name for name in configured if name in recipe.declared or name.lower() not in PROXY_ARGS
        )
    else:
        counting = recipe.used_args
    # A build argument takes the place of BuildKit's own value, as it does in BuildKit.
    values = {**_builder_args(image), **configured}
    return {name: values[name] for name in sorted(counting & values.keys())}


def _builder_args(image: Image) -> dict[str, str]:
    """Return BUILDPLATFORM and its parts. Those of the target follow from ``platforms``."""
    spec = image.spec
    # Any target will do: of its arguments none is taken.
    everything = platform_args(build=spec.builder_platform, target=spec.platforms[0])
    return {name: value for name, value in everything.items() if name.startswith("BUILD")}


def _hash_trees(image: Image, hasher: TreeHasher) -> str:
    """Hash what is read of the context, and all of each folder that is a named context."""
    spec = image.spec
    tree = hasher.hash(spec.context, spec.dockerfile, image.recipe.sources)
    folders = {name: hasher.hash(value, None) for name, value in _named_folders(spec).items()}
    return _hash({"context": tree, "named": folders}) if folders else tree


def trees_of(graph: Graph, names: Iterable[str]) -> Iterator[tuple[str, str, Sources]]:
    """Yield the arguments of ``TreeHasher.hash`` for some images, for ``TreeHasher.prepare``."""
    for name in names:
        image = graph.images[name]
        yield image.spec.context, image.spec.dockerfile, image.recipe.sources


def input_key(source: Source, parents: Mapping[str, str]) -> str:
    """Return the input key, 64 hexadecimal digits.

    :param parents: each reference that the Dockerfile needs, in full -> the digest it means.
    """
    # By name: two bases that change places are another image, though the digests are the same.
    return _hash({"schema": KEY_SCHEMA, "source": source.key, "parents": dict(parents)})


def in_tag(key: str) -> str:
    """Return the tag that marks a finished build of an input key."""
    return f"in-{key}"


def unchecked_tag(key: str) -> str:
    """Return the tag under which an engine pushes that can't do so without one.

    Nothing looks for it: only ``in_tag``, set once all is checked, says that a build is finished.
    """
    return f"unchecked-{key}"


def _hash_recipe(image: Image) -> str:
    if image.recipe.opaque:  # nobody knows which lines count, so all of them do
        return _hash({"text": image.dockerfile.text})
    return _hash(
        {
            "syntax": image.dockerfile.syntax,
            "escape": image.dockerfile.escape,
            # Which name stands for which image: the parents' digests don't say that.
            "contexts": {
                name: value
                for name, value in normalised_contexts(image.spec.contexts).items()
                if value.startswith((OUR_IMAGE, DOCKER_IMAGE))
            },
            # Without their lines: a comment above them moves those.
            "instructions": [
                [one.keyword, [list(flag) for flag in one.flags], one.text, list(one.heredocs)]
                for one in image.recipe.meaning
            ],
        }
    )


def _hash(document: Any) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))  # ASCII: any bytes survive
    return hashlib.sha256(text.encode()).hexdigest()
