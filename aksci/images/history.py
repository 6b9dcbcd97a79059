"""What an image is made of now, beside what the registry remembers of its last build."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

from aksci.images.dockerfile.contexts import DOCKER_IMAGE, OUR_IMAGE, normalised_contexts
from aksci.images.keys import KEY_SCHEMA
from aksci.images.lineage import Lineage, Step, read_files, read_lineage
from aksci.images.reasons import changed_files, failed_before, reasons_between
from aksci.oci.names import parse_reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.images.build.failures import Failure
    from aksci.images.context.hasher import TreeHasher
    from aksci.images.dockerfile.parser import Instruction
    from aksci.images.graph import Graph, Image
    from aksci.images.inputs import Inputs
    from aksci.images.reasons import Reason
    from aksci.oci.registry import Registry

__all__ = ["edges_of", "files_of", "find_reasons", "lineage_of"]

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
        edges=edges_of(graph, name, inputs),
        steps=_steps(inputs.image),
    )


def files_of(image: Image, hasher: TreeHasher) -> dict[str, str]:
    """Return what the tree's hash was made of: path -> kind, mode and a short hash or a target.

    Before paths in a folder that is a named context, its name stands: ``docs: a/b``.
    """
    spec = image.spec
    found = dict(hasher.entries(spec.context, spec.dockerfile, image.recipe.sources))
    for name, value in normalised_contexts(spec.contexts).items():
        if not value.startswith((OUR_IMAGE, DOCKER_IMAGE)):
            entries = hasher.entries(value, None)
            found |= {f"{name}: {path}": text for path, text in entries.items()}
    return {path: _HASH.sub(r"\1", text) for path, text in found.items()}


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
    spec = graph.images[name].spec
    repository = spec.repository
    previous = read_lineage(registry, repository, spec.tags[0])
    now = lineage_of(graph, name, inputs)

    def files() -> list[dict[str, str]] | None:
        before = read_files(registry, repository, previous) if previous else None
        return None if before is None else changed_files(before, files_of(inputs.image, hasher))

    reasons = reasons_between(previous, now, files=files, opaque=inputs.image.recipe.opaque)
    return (*reasons, *failed_before(failures.get(name), now.input_key))


def edges_of(graph: Graph, name: str, inputs: Inputs) -> dict[str, dict[str, str]]:
    """Return the type of each parent, and which image of this project it is."""
    types: dict[str, str] = {}
    for need in inputs.image.recipe.needs:  # from outside's ONBUILD, too
        if not need.reference.startswith(OUR_IMAGE):
            reference = need.reference.removeprefix(DOCKER_IMAGE)
            types[str(parse_reference(reference))] = need.type
    types |= {one.reference: one.type for one in graph.external_of[name]}
    types |= {edge.reference: edge.type for edge in graph.edges_to[name]}
    return {
        reference: {"type": types.get(reference, "runtime")}
        | ({"image": inputs.internal[reference]} if reference in inputs.internal else {})
        for reference in inputs.parents
    }


def _steps(image: Image) -> tuple[Step, ...]:
    """Return the instructions that count. Those of a base's ONBUILD are on no line of the file."""
    own = {one.line: one for one in image.dockerfile.instructions}
    return tuple(_step(one, own.get(one.line) == one) for one in image.recipe.instructions)


def _step(one: Instruction, own: bool) -> Step:
    content = [one.keyword, [list(flag) for flag in one.flags], one.text, list(one.heredocs)]
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
    lines = (one.line, max(one.line, one.end_line)) if own else (0, 0)
    return Step(keyword=one.keyword, hash=digest, lines=lines)
