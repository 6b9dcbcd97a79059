"""The step ``draw``: the graph, and what is to be built of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.errors import RegistryError, UndecidedError
from aksci.steps.graph_step import graph
from aksci.steps.plan_step import plan_graph

if TYPE_CHECKING:
    from aksci.environment import Environment
    from aksci.images.build_plan import Work
    from aksci.images.graph import Graph
    from aksci.report.graph_drawing import Drawing

__all__ = ["draw"]


def draw(env: Environment) -> Drawing:
    """Return the graph as a drawing, with what a plan says of each image.

    >>> show(env, draw(env), format="html", output="graph.html")  # doctest: +SKIP

    Where the registry does not answer, or a base can't be resolved, there is a warning, and what
    is not known is drawn so.

    :raises ConfigError: aksci.toml, a Dockerfile or a file that [discover] names is wrong.
    """
    from aksci.report.graph_drawing import drawing_of

    found = graph(env)
    return drawing_of(found, _work(env, found))


def _work(env: Environment, found: Graph) -> tuple[Work, ...]:
    try:
        return plan_graph(env, found).work
    except UndecidedError as error:
        env.reporter.warning(error.message)
        known: tuple[Work, ...] = error.plan.work
        return known
    except RegistryError as error:
        env.reporter.warning(f"What is to be built is not known. {error.message}")
        return ()
