"""Whoever signs by aksci.toml: notation, cosign, Docker Content Trust, or several of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.supplies import credential_for, docker_config, proxies_for

if TYPE_CHECKING:
    from aksci.context import Context
    from aksci.oci.client import RegistryClient
    from aksci.supply.sign.dct.dct_signer import DctSigner
    from aksci.supply.sign.signer import Signer
    from aksci.tools.toolbox import Toolbox
    from pipelines.platform import Surroundings

__all__ = ["make_dct", "make_signer"]


def make_signer(
    context: Context, toolbox: Toolbox, found: Surroundings, registry: RegistryClient
) -> Signer:
    """Return all of ``sign.signers`` as one signer that asks each question once."""
    from aksci.supply.sign.remembering import RememberingSigner
    from aksci.supply.sign.signer import AllSigners

    makers = {"notation": _notation, "cosign": _cosign, "dct": make_dct}
    wanted = context.config.sign.signers
    signers = [makers[name](context, toolbox, found, registry) for name in wanted]
    return RememberingSigner(signers[0] if len(signers) == 1 else AllSigners(signers))


def _notation(
    context: Context, toolbox: Toolbox, found: Surroundings, registry: RegistryClient
) -> Signer:
    from aksci.supply.sign.notation.notation_signer import notation_signer

    config_home = context.variables.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return notation_signer(
        context.config.sign.notation,
        notation=toolbox.ensure("notation"),
        runner=context.runner,
        registry=registry,
        root=context.root,
        state=context.state,
        user_config=Path(config_home),
        local=found.embedded,
        plain_http=found.plain_http,
        now=context.now(),
        docker_config=docker_config(context, found),
    )


def _cosign(
    context: Context, toolbox: Toolbox, found: Surroundings, registry: RegistryClient
) -> Signer:
    from aksci.supply.sign.cosign.cosign_signer import cosign_signer

    return cosign_signer(
        context.config.sign.cosign,
        cosign=toolbox.ensure("cosign"),
        runner=context.runner,
        registry=registry,
        root=context.root,
        state=context.state,
        variables=context.variables,
        local=found.embedded,
        plain_http=found.plain_http,
        now=context.now(),
        docker_config=docker_config(context, found),
    )


def make_dct(
    context: Context, toolbox: Toolbox, found: Surroundings, registry: RegistryClient
) -> DctSigner:
    """Return the signer of Docker Content Trust, with the server that belongs to the registry."""
    from aksci.local.layout import endpoints
    from aksci.supply.sign.dct.configure import dct_signer, trust_server
    from pipelines.platform import platform_state

    config, variables = context.config.sign.dct, context.variables
    platform = endpoints(platform_state(context)) if found.embedded else None
    server = trust_server(
        config,
        registry=found.registry,
        root=context.root,
        embedded=(platform.notary, platform.notary_ca) if platform else None,
        credential=credential_for(found.registry),
        docker_config=docker_config(context, found),
        bundle=variables.get("REQUESTS_CA_BUNDLE") or variables.get("SSL_CERT_FILE"),
        proxies=proxies_for(found.registry, variables),
    )
    return dct_signer(
        config,
        notary=toolbox.ensure("notary"),
        runner=context.runner,
        registry=registry,
        root=context.root,
        state=context.state,
        local=found.embedded,
        server=server,
        variables=variables,
        now=context.now,
    )
