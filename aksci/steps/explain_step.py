"""The step ``explain``: why one image would be built, or why it was."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from aksci.images.build.build_record import recorded_reasons
from aksci.images.explain import Explanation, explain_image
from aksci.images.selection import names_of, require_images, select
from aksci.steps.graph_step import graph
from aksci.steps.plan_step import plan_graph

if TYPE_CHECKING:
    from collections.abc import Collection

    from aksci.environment import Environment

__all__ = ["explain"]


def explain(env: Environment, image: str, *, force: Collection[str] = ()) -> Explanation:
    """Explain an image: down to the first cause, and back to its last build.

    >>> explain(env, "web").reasons  # doctest: +SKIP
    ({'code': 'SOURCE', …},)

    It changes and starts nothing.

    :param force: images that would be built even if they are published.
    :raises ConfigError: there is no such image.
    :raises UndecidedError: its bases can't be determined.
    :raises RegistryError: the registry does not answer; it is not started.
    """
    forced = names_of(force, "force")
    found = graph(env)
    require_images(found, [image, *forced])
    selected = select(found, [image])
    planned = plan_graph(env, found, force=forced & selected, selected=selected)
    recorded = partial(recorded_reasons, env.work_folder)
    document = explain_image(planned, image, env.looking.registry, recorded=recorded)
    return Explanation(document=document)
