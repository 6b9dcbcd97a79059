"""From an entry of [cascade.targets] to what asks it."""

from __future__ import annotations

import base64
import re
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aksci.cascade.dispatch.pipeline_run import AzurePipelinesDispatcher
from aksci.cascade.dispatch.post import Poster, require_safe
from aksci.cascade.dispatch.repository_dispatch import GithubDispatcher
from aksci.core.errors import ConfigError
from aksci.core.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aksci.cascade.dispatch.ask import Dispatcher
    from aksci.config.cascade_models import AzurePipelinesTarget, GithubTarget

__all__ = ["make_dispatcher"]

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
    require_safe(target.api)
    token = _token(target.token_env, variables)
    poster = Poster(
        authorization=_authorization(target, token),
        proxies=_proxies(target.api, variables),
        verify=variables.get("REQUESTS_CA_BUNDLE") or variables.get("SSL_CERT_FILE") or True,
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


def _proxies(url: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the proxy for an address, as curl's manual describes the variables."""
    parts = urlsplit(url)
    proxy = variables.get("https_proxy") or variables.get("HTTPS_PROXY")
    spared = variables.get("no_proxy") or variables.get("NO_PROXY") or ""
    names = [word.strip().lstrip(".") for word in spared.split(",")]
    host = f".{parts.hostname}"
    if parts.scheme == "http" or any(
        each and (each == "*" or host.endswith(f".{each}")) for each in names
    ):
        return {}
    return {"https": proxy} if proxy else {}
