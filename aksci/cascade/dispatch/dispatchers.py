"""Ask GitHub or Azure Pipelines to run another project's pipeline, as [cascade.targets] says."""

from __future__ import annotations

import base64
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from aksci.cascade.dispatch.post import Poster, require_safe
from aksci.core.errors import ConfigError, DispatchError
from aksci.core.http import ca_bundle, proxies_for
from aksci.core.secret import Secret
from aksci.core.text import sanitise

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aksci.cascade.dispatch.dispatch_request import Dispatcher, DispatchRequest
    from aksci.config.cascade_models import AzurePipelinesTarget, GithubTarget

__all__ = ["AzurePipelinesDispatcher", "GithubDispatcher", "make_dispatcher"]

# In a header, the end of a line would begin another header.
_TOKEN = re.compile(r"[\x21-\x7e]+")


def make_dispatcher(
    target: GithubTarget | AzurePipelinesTarget,
    *,
    variables: Mapping[str, str],
    sleep: Callable[[float], None] = time.sleep,
) -> Dispatcher:
    """Return what asks a target. Nothing is sent yet.

    :param variables: hold the token; and, as for registries, the proxy (``HTTPS_PROXY``,
        ``NO_PROXY``) and the certificates to trust (``REQUESTS_CA_BUNDLE``, ``SSL_CERT_FILE``).
    :raises ConfigError: the token is not set, or its way there would not be safe.
    """
    # Before the token is even read.
    require_safe(target.api)
    token = _token(target.token_env, variables)
    poster = Poster(
        authorization=_authorization(target, token),
        proxies=proxies_for(target.api, variables),
        verify=ca_bundle(variables) or True,
        sleep=sleep,
    )
    if target.kind == "github":
        return GithubDispatcher(target=target, poster=poster)
    return AzurePipelinesDispatcher(target=target, poster=poster)


def _token(name: str, variables: Mapping[str, str]) -> str:
    token = variables.get(name, "").strip()
    if not token:
        raise ConfigError(
            f"{name} is not set: it holds the token for [cascade.targets].",
            hint=f"export {name}, from a secret of the CI system, say.",
        )
    if not _TOKEN.fullmatch(token):
        raise ConfigError(f"{name} does not hold a token: it has spaces or other odd characters.")
    return token


def _authorization(target: GithubTarget | AzurePipelinesTarget, token: str) -> Secret:
    """Return the header: a personal access token of Azure DevOps is a password without a name."""
    if target.kind == "azure-pipelines" and target.token == "pat":  # noqa: S105 - a kind of token
        return Secret(f"Basic {base64.b64encode(f':{token}'.encode()).decode()}")
    return Secret(f"Bearer {token}")


_API = "https://api.github.com"
_ENTERPRISE = "/api/v3"
_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
_CREATED = 204
_GITHUB_REFUSALS = {
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

    def ask(self, ask: DispatchRequest) -> str:
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
        if answer.status != _CREATED:
            reason = _GITHUB_REFUSALS.get(answer.status, "that is no answer to it")
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


_VERSION = "7.1"
_STARTED = 200
_SIGN_IN = frozenset({203, 301, 302, 303, 307, 308, 401})
"""To a token that is wrong it answers 401, or with a page to sign in: by 203 or a redirect."""
_LONGEST = 500  # characters of an address
_WEB = re.compile(r"https?://[a-z0-9.-]+(:[0-9]+)?(/[!-~]*)?", re.IGNORECASE)
_AZURE_REFUSALS = {
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

    def ask(self, ask: DispatchRequest) -> str:
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
        if answer.status != _STARTED or type(run.get("id")) is not int:  # True is an int, too
            reason = _AZURE_REFUSALS.get(answer.status, "that is no answer to it")
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
    # It becomes a link in reports: another scheme could be a script.
    if isinstance(href, str) and _WEB.fullmatch(href):
        return sanitise(href)[:_LONGEST]
    return f"run {run['id']}"
