"""What an image is made of now, beside what the registry remembers of its last build."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from aksci.images.keys import KEY_SCHEMA
from aksci.images.lineage import Lineage, Step, read_files, read_lineage
from aksci.images.reasons import changed_files, failed_before, reasons_between

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.images.dockerfile import Instruction
    from aksci.images.failures import Failure
    from aksci.images.graph import Graph, Image
    from aksci.images.inputs import Inputs
    from aksci.images.reasons import Reason
    from aksci.images.tree import TreeHasher
    from aksci.registry import Registry

__all__ = ["files_of", "find_reasons", "lineage_of"]

_HASH = re.compile(r"\b([0-9a-f]{16})[0-9a-f]{24,}\b")


def lineage_of(
    graph: Graph, name: str, inputs: Inputs, *, revision: str = "", run: str = ""
) -> Lineage:
    """Return what an image is made of in this run, as it is stored beside it."""
    return Lineage(
        image=name,
        key_schema=KEY_SCHEMA,
        input_key=inputs.key or "",
        source=inputs.source.document(),
        parents=inputs.parents,
        revision=revision,
        run=run,
        edges=_edges(graph, name, inputs),
        steps=tuple(map(_step, graph.images[name].recipe.instructions)),
    )


def files_of(image: Image, hasher: TreeHasher) -> dict[str, str]:
    """Return what the tree's hash was made of: path -> kind, mode and a short hash or a target."""
    spec = image.spec
    entries = _entries(hasher)(spec.context, spec.dockerfile, image.recipe.sources)
    return {path: _HASH.sub(r"\1", text) for path, text in entries.items()}


def find_reasons(
    registry: Registry,
    graph: Graph,
    name: str,
    inputs: Inputs,
    *,
    hasher: TreeHasher,
    failures: Mapping[str, Failure],
) -> tuple[Reason, ...]:
    """Say why an image is to be built, though nobody forces it.

    It is compared with the last build that was published under its first tag.

    :param failures: of the last runs; they add a reason, and decide nothing.
    """
    image = graph.images[name]
    repository = image.spec.repository
    previous = read_lineage(registry, repository, image.spec.tags[0])
    now = lineage_of(graph, name, inputs)

    def files() -> list[dict[str, str]] | None:
        before = read_files(registry, repository, previous) if previous else None
        return None if before is None else changed_files(before, files_of(image, hasher))

    reasons = reasons_between(previous, now, files=files, opaque=image.recipe.opaque)
    return (*reasons, *failed_before(failures.get(name), now.input_key))


def _entries(hasher: TreeHasher) -> Any:
    """Return the method that tells the files."""
    return getattr(hasher, "entries", lambda *_: {})


def _edges(graph: Graph, name: str, inputs: Inputs) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for edge in graph.edges:
        if edge.to == name:
            found.setdefault(edge.reference, {"type": edge.type, "image": edge.base})
    for one in graph.external:
        if one.image == name and one.reference in inputs.parents:
            found.setdefault(one.reference, {"type": one.type})
    return found


def _step(one: Instruction) -> Step:
    content = [one.keyword, [list(flag) for flag in one.flags], one.text, list(one.heredocs)]
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
    return Step(keyword=one.keyword, hash=digest, lines=(one.line, max(one.line, one.end_line)))
