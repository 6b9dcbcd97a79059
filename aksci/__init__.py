"""CI/CD pipeline steps and task runner for microservices on Azure Kubernetes Service.

A pipeline is a function of an environment that calls steps::

    from aksci import Environment, steps

    def release(env: Environment) -> None:
        build = steps.build(env)
        steps.validate(env, build)
        verdicts = steps.scan(env, build)
        steps.sign(env, build, verdicts)
        steps.deploy(env, steps.publish(env, build, verdicts))

Public, and so promised to stay: this module, ``aksci.steps``, ``aksci.values``, ``aksci.errors``,
``aksci.parts``, ``aksci.nox``, ``aksci.pipelines`` and ``aksci.testing``. All else is ours to
change.
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers take it for typing's, whose import is all that ours costs
if TYPE_CHECKING:
    from aksci import steps
    from aksci.environment import Environment

__all__ = ["Environment", "__version__", "steps"]

__version__ = "0.1.0"


if not TYPE_CHECKING:  # else a type checker would accept any name

    def __getattr__(name: str) -> object:
        # Imported when they are asked for: `nox -l` reads this file, too.
        if name == "Environment":
            from aksci.environment import Environment

            return Environment
        if name == "steps":
            from importlib import import_module

            return import_module("aksci.steps")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
