"""Plans of deployments and promotions, what a deployment did, and how an environment is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from aksci.core.text import safe_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from aksci.deploy.deploy_release import DeployResult

__all__ = ["DOCUMENT_FORMATS", "RESULT_FORMATS"]


class _Document(Protocol):
    def text(self) -> str: ...

    def as_json(self) -> dict[str, Any]: ...


def _result_text(result: DeployResult) -> str:
    """Return one line a service: what was done, and in what time."""
    width = max((len(each.service) for each in result.services), default=0)
    return "\n".join(
        f"{each.service:{width}}  {each.action:7}  revision {each.revision}"
        + ("" if each.action == "skip" else f"  {each.seconds:.1f} s")
        for each in result.services
    )


DOCUMENT_FORMATS: dict[str, Callable[[_Document], str]] = {
    "text": lambda value: value.text(),
    "json": lambda value: safe_json(value.as_json()),
}
RESULT_FORMATS: dict[str, Callable[[DeployResult], str]] = {
    "text": _result_text,
    "json": lambda result: safe_json(result.as_json()),
}
