"""The sessions ``plan`` and ``graph``: look, decide, say why; change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aksci.images import (
    BaseResolver,
    build_graph,
    graph_document,
    plan_build,
    plan_document,
    plan_text,
)
from pipelines.output import show, show_json
from pipelines.platform import locate
from pipelines.supplies import connect_registry, reach_registry

if TYPE_CHECKING:
    from aksci.context import Context
    from aksci.images import Graph
    from aksci.options import Options
    from aksci.registry import RegistryClient

__all__ = ["base_resolver", "graph", "plan"]


def plan(context: Context, options: Options) -> dict[str, Any]:
    """Show what ``build`` would do now. Starts nothing: the registry must be there."""
    registry = reach_registry(context, locate(context))
    planned = plan_build(
        build_graph(context.root, context.config),
        registry=registry,
        resolve_external=base_resolver(context, registry),
        force=frozenset(options.force),
    )
    document = plan_document(planned)
    if options.format == "json":
        show_json(document)
    else:
        show(plan_text(planned))
    return {"work": document["work"]}


def graph(context: Context, options: Options) -> dict[str, Any]:
    """Print the image graph."""
    found = build_graph(context.root, context.config)
    if options.format == "json":
        show_json(graph_document(found))
    else:
        show(_tree(found))
    return {}


def base_resolver(context: Context, registry: RegistryClient) -> BaseResolver:
    """Return what tells the digests of external images; the embedded registry mirrors docker.io."""
    embedded = context.environment.platform == "embedded"
    return BaseResolver(
        mirror=registry if embedded else None,
        connect=lambda host: (
            registry
            if host == registry.host
            else connect_registry(host, plain_http=False, variables=context.variables)
        ),
    )


def _tree(graph: Graph) -> str:
    """Return one line an image, below it what it is made from."""
    document = graph_document(graph)
    lines = []
    for image in document["images"]:
        name = image["name"]
        lines.append(name)
        lines += [
            f"  {edge['type']:8} {edge['from']}" for edge in document["edges"] if edge["to"] == name
        ]
        lines += [
            f"  {external['type']:8} {external['reference']} (external)"
            for external in document["external"]
            if external["image"] == name
        ]
    return "\n".join(lines)
