"""Images: their graph, what must be built and why, and building it."""

from __future__ import annotations

from aksci.images.bases import BaseResolver
from aksci.images.building.build import BuildResult, BuildSettings, build_images
from aksci.images.building.credentials import load_secrets, load_ssh
from aksci.images.building.failures import Failure, read_failures, update_failures
from aksci.images.building.own import OwnBuilds, read_own_builds, write_own_builds
from aksci.images.building.publish import MovedTag, publish_tags
from aksci.images.building.record import (
    Base,
    BuildRecord,
    BuiltImage,
    read_build_record,
    write_build_record,
)
from aksci.images.discovery.sources import Importer
from aksci.images.engines.builder import (
    Builder,
    BuildOutput,
    BuildRequest,
    BuildSecret,
    LazyBuilder,
)
from aksci.images.engines.buildx import ENGINE_BUILDER, BuildxBuilder
from aksci.images.engines.kubeconfig import one_context
from aksci.images.engines.pool import PoolBuilder
from aksci.images.engines.store import BuilderSpec, BuilderStore, own_name
from aksci.images.graph import Graph, build_graph, graph_document
from aksci.images.planning.compare import (
    compare_plans,
    comparison_markdown,
    comparison_text,
    load_plan,
    save_plan,
)
from aksci.images.planning.matrix import make_matrices, matrix_document, matrix_value
from aksci.images.planning.plan import BuildPlan, plan_build, plan_document
from aksci.images.planning.report import plan_markdown, plan_text, undecided_text
from aksci.images.planning.undecided import UndecidedError
from aksci.images.planning.why import explain_image, why_markdown, why_text
from aksci.images.selection import require_images, select

__all__ = [
    "ENGINE_BUILDER",
    "Base",
    "BaseResolver",
    "BuildOutput",
    "BuildPlan",
    "BuildRecord",
    "BuildRequest",
    "BuildResult",
    "BuildSecret",
    "BuildSettings",
    "Builder",
    "BuilderSpec",
    "BuilderStore",
    "BuildxBuilder",
    "BuiltImage",
    "Failure",
    "Graph",
    "Importer",
    "LazyBuilder",
    "MovedTag",
    "OwnBuilds",
    "PoolBuilder",
    "UndecidedError",
    "build_graph",
    "build_images",
    "compare_plans",
    "comparison_markdown",
    "comparison_text",
    "explain_image",
    "graph_document",
    "load_plan",
    "load_secrets",
    "load_ssh",
    "make_matrices",
    "matrix_document",
    "matrix_value",
    "one_context",
    "own_name",
    "plan_build",
    "plan_document",
    "plan_markdown",
    "plan_text",
    "publish_tags",
    "read_build_record",
    "read_failures",
    "read_own_builds",
    "require_images",
    "save_plan",
    "select",
    "undecided_text",
    "update_failures",
    "why_markdown",
    "why_text",
    "write_build_record",
    "write_own_builds",
]
