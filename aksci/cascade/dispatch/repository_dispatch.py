"""GitHub: a ``repository_dispatch`` event, which a workflow of the repository waits for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.core.errors import DispatchError

if TYPE_CHECKING:
    from aksci.cascade.dispatch.ask import Ask
    from aksci.cascade.dispatch.post import Poster
    from aksci.config.cascade_models import GithubTarget

__all__ = ["GithubDispatcher"]

_API = "https://api.github.com"
_ENTERPRISE = "/api/v3"
_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
_DONE = 204
_REFUSALS = {
    401: "the token is wrong or has expired",
    403: "the token may not do this",
    404: "there is no such repository, or the token may not see it",
    422: "it does not accept the event",
}


@dataclass(frozen=True, kw_only=True)
class GithubDispatcher:
    """Create repository dispatch events; implements ``Dispatcher``.

    Source: GitHub, "REST API endpoints for repositories", "Create a repository dispatch event":
    ``client_payload`` has at most 10 keys; the answer is 204, and names no run.
    """

    target: GithubTarget
    poster: Poster

    def ask(self, ask: Ask) -> str:
        """Create an event, and return the address where the repository's runs are."""
        target = self.target
        answer = self.poster.post(
            f"{target.api.rstrip('/')}/repos/{target.repository}/dispatches",
            _HEADERS,
            {
                "event_type": target.event,
                "client_payload": {"bases": ask.words, "chain": ask.chain, "key": ask.key},
            },
        )
        if answer.status != _DONE:
            reason = _REFUSALS.get(answer.status, "that is no answer to it")
            raise DispatchError(
                f"{target.repository} was not asked to run: GitHub answered {answer.status}, "
                f"{reason}{answer.words}.",
                hint=self._hint(answer.status),
            )
        return self._address()

    def _hint(self, status: int) -> str:
        if status in {401, 403, 404}:
            return (
                f"{self.target.token_env} needs a token with contents: write on "
                f"{self.target.repository}."
            )
        if 300 <= status < 400:  # noqa: PLR2004 - 3xx
            return "the repository was renamed or moved: correct 'repository'; the token stays."
        return "run again; it may pass."

    def _address(self) -> str:
        repository, api = self.target.repository, self.target.api.rstrip("/")
        if api == _API:
            return f"https://github.com/{repository}/actions"
        if api.endswith(_ENTERPRISE):
            return f"{api.removesuffix(_ENTERPRISE)}/{repository}/actions"
        return repository
