"""Images: their graph, what must be built and why, and building it."""

from __future__ import annotations

from aksci.images.bases import BaseResolver
from aksci.images.build import BuildSettings, build_images, load_secrets
from aksci.images.builder import Builder, BuildOutput, BuildRequest, BuildSecret
from aksci.images.buildx import ENGINE_BUILDER, BuildxBuilder
from aksci.images.graph import Graph, build_graph, graph_document
from aksci.images.plan import BuildPlan, plan_build, plan_document, plan_text
from aksci.images.publish import MovedTag, publish_tags
from aksci.images.record import BuildRecord, BuiltImage, read_build_record, write_build_record

__all__ = [
    "ENGINE_BUILDER",
    "BaseResolver",
    "BuildOutput",
    "BuildPlan",
    "BuildRecord",
    "BuildRequest",
    "BuildSecret",
    "BuildSettings",
    "Builder",
    "BuildxBuilder",
    "BuiltImage",
    "Graph",
    "MovedTag",
    "build_graph",
    "build_images",
    "graph_document",
    "load_secrets",
    "plan_build",
    "plan_document",
    "plan_text",
    "publish_tags",
    "read_build_record",
    "write_build_record",
]
