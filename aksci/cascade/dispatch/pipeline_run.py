"""Azure Pipelines: a run of one pipeline, with template parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from aksci.core.errors import DispatchError
from aksci.core.reporting import sanitise

if TYPE_CHECKING:
    from aksci.cascade.dispatch.ask import Ask
    from aksci.cascade.dispatch.post import Poster
    from aksci.config.cascade_models import AzurePipelinesTarget

__all__ = ["AzurePipelinesDispatcher"]

_VERSION = "7.1"
_DONE = 200
_SIGN_IN = frozenset({203, 301, 302, 303, 307, 308, 401})
"""To a token that is wrong it answers 401, or with a page to sign in: by 203 or a redirect."""
_LONGEST = 500  # characters of an address
_REFUSALS = {
    400: "it does not accept the parameters",
    403: "the token may not do this",
    404: "there is no such pipeline, or the token may not see it",
}


@dataclass(frozen=True, kw_only=True)
class AzurePipelinesDispatcher:
    """Run a pipeline; implements ``Dispatcher``.

    Source: Azure DevOps Services REST API 7.1, "Pipelines", "Runs - Run Pipeline". Parameters that
    the pipeline does not declare are refused, so it is told no more than ``bases`` and ``chain``.
    """

    target: AzurePipelinesTarget
    poster: Poster

    def ask(self, ask: Ask) -> str:
        """Start a run, and return its address."""
        target = self.target
        answer = self.poster.post(
            f"{target.api.rstrip('/')}/{target.organization}/{quote(target.project, safe='')}"
            f"/_apis/pipelines/{target.pipeline}/runs?api-version={_VERSION}",
            {"Accept": "application/json"},
            {
                "resources": {"repositories": {"self": {"refName": target.branch}}},
                # An empty text may be refused; the pipeline's own default stands for it.
                "templateParameters": {
                    "bases": ask.words,
                    **({"chain": ask.chain} if ask.chain else {}),
                },
            },
        )
        name = f"pipeline {target.pipeline} of {target.organization}/{target.project}"
        if answer.status in _SIGN_IN:
            raise DispatchError(
                f"The {name} was not asked to run: Azure DevOps answered {answer.status}, "
                "the token is wrong or has expired.",
                hint=self._token_hint(),
            )
        run = answer.document if isinstance(answer.document, dict) else {}
        if answer.status != _DONE or not isinstance(run.get("id"), int):
            reason = _REFUSALS.get(answer.status, "that is no answer to it")
            raise DispatchError(
                f"The {name} was not asked to run: Azure DevOps answered {answer.status}, "
                f"{reason}{answer.words}.",
                hint=self._hint(answer.status),
            )
        return _address(run)

    def _hint(self, status: int) -> str:
        if status == 400:  # noqa: PLR2004 - Bad Request
            return "its YAML must declare the parameters 'bases' and 'chain', both of type string."
        return self._token_hint() if status in {403, 404} else "run again; it may pass."

    def _token_hint(self) -> str:
        kind = "a personal access token" if self.target.token == "pat" else "a token of Entra"  # noqa: S105
        return f"{self.target.token_env} needs {kind} with the scope Build, read and execute."


def _address(run: dict[str, Any]) -> str:
    """Return where people see the run; its number where the answer holds no address."""
    links = run.get("_links")
    web = links.get("web") if isinstance(links, dict) else None
    href = web.get("href") if isinstance(web, dict) else None
    if isinstance(href, str) and urlsplit(href).scheme in {"http", "https"}:
        return sanitise(href)[:_LONGEST]
    return f"run {run['id']}"
