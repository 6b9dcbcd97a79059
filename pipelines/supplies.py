"""What several pipelines need: the registry's client, the scanner, the commit, logins."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

from aksci.oci.client import RegistryClient

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.core.credentials import TokenCredential

    from aksci.context import Context
    from aksci.supply.scan.trivy import TrivyScanner
    from aksci.tools.toolbox import Toolbox
    from pipelines.platform import Surroundings

__all__ = [
    "connect_registry",
    "credential_for",
    "docker_config",
    "in_sources",
    "make_scanner",
    "proxies_for",
    "reach_registry",
    "source_commit",
]

_ACR = (".azurecr.io", ".azurecr.cn", ".azurecr.us")
_GIT_TIMEOUT = 60.0  # seconds
_AZ_TIMEOUT = 60  # seconds; az itself needs several to start


def connect_registry(
    host: str, *, plain_http: bool, variables: Mapping[str, str], hint: str | None = None
) -> RegistryClient:
    """Return a client; for ACR with the identity that the Azure CLI is logged in with.

    The usual variables tell the proxy (``HTTPS_PROXY``, ``NO_PROXY``) and the certificates to
    trust (``REQUESTS_CA_BUNDLE``, ``SSL_CERT_FILE``).
    """
    if plain_http:  # loopback only
        return RegistryClient(host, plain_http=True, hint=hint)
    bundle = variables.get("REQUESTS_CA_BUNDLE") or variables.get("SSL_CERT_FILE")
    return RegistryClient(
        host,
        credential=credential_for(host),
        verify=bundle or True,
        proxies=proxies_for(host, variables),
        hint=hint,
    )


def credential_for(host: str) -> TokenCredential | None:
    """Return the identity that the Azure CLI is logged in with, for an ACR; else nothing."""
    if not host.endswith(_ACR):
        return None
    from azure.identity import AzureCliCredential

    return AzureCliCredential(process_timeout=_AZ_TIMEOUT)


def reach_registry(context: Context, found: Surroundings) -> RegistryClient:
    """Return the client of the environment's registry."""
    return connect_registry(
        found.registry,
        plain_http=found.plain_http,
        variables=context.variables,
        hint="nox -s up" if found.embedded else None,
    )


def proxies_for(host: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the proxy for a host, as curl's manual describes the variables."""
    proxy = variables.get("https_proxy") or variables.get("HTTPS_PROXY")
    spared = variables.get("no_proxy") or variables.get("NO_PROXY") or ""
    name = host.partition(":")[0]
    for each in filter(None, (word.strip().lstrip(".") for word in spared.split(","))):
        if each in {"*", name} or name.endswith(f".{each}"):
            return {}
    return {"https": proxy} if proxy else {}


def make_scanner(
    context: Context, toolbox: Toolbox, found: Surroundings, registry: RegistryClient
) -> TrivyScanner:
    """Return Trivy with a database that is fresh enough, for images in a registry."""
    from aksci.supply.scan.database import DatabaseSource, ensure_database
    from aksci.supply.scan.trivy import TrivyScanner

    trivy = toolbox.ensure("trivy")
    cache = context.cache / "trivy"
    database = ensure_database(
        cache,
        source=DatabaseSource(
            kind=context.config.scan.database,
            maker=lambda: toolbox.ensure("trivydb"),
            trivy=trivy,
            local=found.embedded,
            java=context.config.scan.java,
        ),
        max_age=dt.timedelta(hours=context.config.scan.database_max_age),
        now=context.now(),
        runner=context.runner,
        reporter=context.reporter,
    )
    return TrivyScanner(
        trivy=trivy,
        cache=cache / "blobs",
        registry=registry,
        runner=context.runner,
        database=database,
        release=toolbox.pins["trivy"].version,
    )


def source_commit(context: Context) -> str:
    """Return the commit of the project's folder, ``-dirty`` appended where files have changed.

    Empty without git, or outside a repository.
    """
    import shutil

    if shutil.which("git", path=context.variables.get("PATH")) is None:
        return ""
    # "Porcelain Format Version 2" of git's manual: headers begin with #, all else is a change.
    status = context.runner.ask(
        ["git", "-C", context.root, "status", "--porcelain=v2", "--branch", "--", "."],
        timeout=_GIT_TIMEOUT,
    )
    lines = status.stdout.splitlines()
    heads = [line.split()[2] for line in lines if line.startswith("# branch.oid ")]
    if status.status != 0 or not heads or heads[0] == "(initial)":
        return ""
    changed = any(not line.startswith("# ") for line in lines)
    return heads[0] + ("-dirty" if changed else "")


def in_sources(context: Context, folder: Path) -> tuple[str, ...]:
    """Return the files of a folder that git brings with the sources; none where there is no git."""
    import shutil

    if shutil.which("git", path=context.variables.get("PATH")) is None or not folder.is_dir():
        return ()
    listed = context.runner.ask(["git", "-C", folder, "ls-files", "-z"], timeout=_GIT_TIMEOUT)
    return tuple(filter(None, listed.stdout.split("\0"))) if listed.status == 0 else ()


def docker_config(context: Context, found: Surroundings) -> Path | None:
    """Return the folder of Docker's config.json, where the registry may ask for credentials."""
    if found.embedded:
        return None
    folder = Path(context.variables.get("DOCKER_CONFIG") or Path.home() / ".docker")
    return folder if (folder / "config.json").is_file() else None
