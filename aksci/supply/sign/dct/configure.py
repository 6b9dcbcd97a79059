"""The signer and the server that ``[sign.dct]`` asks for: whose keys, which roots, which login."""

from __future__ import annotations

import base64
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError, TrustError
from aksci.core.http import ca_bundle, proxy_for
from aksci.core.inside import place_named
from aksci.core.secret import Secret
from aksci.core.strict_json import MALFORMED, parse_json
from aksci.core.text import sanitise
from aksci.supply.sign.dct.dct_signer import DctSigner
from aksci.supply.sign.dct.notary_client import NotaryClient
from aksci.supply.sign.dct.notary_server import TrustServer
from aksci.supply.sign.dct.private_keys import KeyStore, local_passphrase
from aksci.supply.sign.dct.seen_metadata import Memories

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping

    from azure.core.credentials import TokenCredential

    from aksci.config.supply_models import DctConfig
    from aksci.core.process import Runner
    from aksci.oci.registry import Registry

__all__ = ["dct_signer", "docker_login", "trust_server"]

_USUAL_KEYS = "~/.docker/trust/private"


def dct_signer(
    config: DctConfig,
    *,
    notary: Path,
    runner: Runner,
    registry: Registry,
    root: Path,
    state: Path,
    local: bool,
    server: TrustServer,
    variables: Mapping[str, str],
    now: Callable[[], dt.datetime],
) -> DctSigner:
    """Make the signer that ``[sign.dct]`` asks for.

    :param root: the project's folder, which ``keys`` is relative to.
    :param state: the per-user state folder, with the local test keys and what was seen before.
    :param local: the environment is on this machine. The test keys sign for nothing else.
    :param variables: where the passphrases are.
    :raises ConfigError: no root is pinned, although the environment is not local.
    """
    roots = dict(config.roots)
    home = state / "signing" / "dct"
    phrase: Secret | None
    root_phrase: Secret | None
    if config.keys is None and local:
        phrase = root_phrase = local_passphrase(home)
        keys = KeyStore(home / "private")
    else:
        phrase = _secret(variables, config.passphrase_env)
        root_phrase = _secret(variables, config.root_passphrase_env)
        keys = KeyStore(
            place_named(root, Path(config.keys or _USUAL_KEYS).expanduser(), where="sign.dct.keys")
        )
    client = NotaryClient(
        notary=notary,
        runner=runner,
        server=server,
        passphrase=phrase,
        root_passphrase=root_phrase,
    )
    if config.keys is None and local:
        _ensure_root_key(keys, client)
        roots = roots or {"*": keys.of_role("root")}
    if not roots:
        raise ConfigError(
            "sign.dct.roots is empty: no root key is pinned, so nothing can be verified.",
            hint='pin its identifier: roots = {"*" = ["…"]} under [sign.dct] in aksci.toml.',
        )
    return DctSigner(
        client=client,
        registry=registry,
        roots=roots,
        keys=keys,
        memories=Memories(state / "trust" / "dct"),
        locks=home / "locks",
        now=now,
        role=config.role,
        local=local and config.server is None,
    )


def trust_server(
    config: DctConfig,
    *,
    registry: str,
    root: Path,
    embedded: tuple[str, Path] | None = None,
    credential: TokenCredential | None = None,
    docker_config: Path | None = None,
    variables: Mapping[str, str],
) -> TrustServer:
    """Return the server that is configured: by default the registry's, under its own name.

    :param root: the project's folder, which ``server_ca`` is relative to.
    :param embedded: address and CA of the embedded platform's server, for its registry.
    :param credential: an identity to read with, for ACR; a server elsewhere never sees it.
    :param docker_config: the folder of Docker's config.json, with the login to publish with.
    :param variables: name the proxy and the certificates to trust (``aksci.core.http``).
    :raises ConfigError: the address is not HTTPS.
    """
    if config.server is None and embedded:
        return TrustServer(url=embedded[0], ca=embedded[1], hint="nox -s up")
    url = config.server or f"https://{registry}"
    host = url.partition("://")[2].rstrip("/")
    login = docker_login(docker_config, host) if docker_config else None
    bundle = ca_bundle(variables)
    ca = None
    if config.server_ca:
        named = Path(config.server_ca).expanduser()
        ca = place_named(root, named, where="sign.dct.server_ca")
    return TrustServer(
        url=url,
        ca=ca or (Path(bundle) if bundle else None),
        # Whoever gets its token can act as this identity in the registry: nobody else may.
        credential=credential if host == registry and not login else None,
        login=login,
        proxy=partial(proxy_for, variables=variables),
    )


def docker_login(folder: Path, host: str) -> tuple[str, Secret] | None:
    """Return what ``docker login`` has stored for a host in config.json, if it is there itself.

    ``az acr login`` stores an identity token, which ACR takes for a password.

    :raises ConfigError: the file can't be read.
    """
    path = folder / "config.json"
    try:
        auths = parse_json(path.read_bytes()).get("auths") or {}
        entry = auths.get(host) or auths.get(f"https://{host}") or {}
        pair = base64.b64decode(entry.get("auth") or "", validate=True).decode()
    except FileNotFoundError:
        return None
    except (OSError, *MALFORMED):
        raise ConfigError(f"Docker's configuration {path} can't be read.") from None
    user, _, password = pair.partition(":")
    secret = entry.get("identitytoken") or password
    return (user, Secret(secret)) if user and secret else None


def _ensure_root_key(keys: KeyStore, client: NotaryClient) -> None:
    """Make the local test root key on first use."""
    from filelock import FileLock

    if keys.of_role("root"):
        return
    with FileLock(keys.folder.parent / "lock"):
        if keys.of_role("root"):
            return
        with client.home(keys, (), {}) as place:
            done = place.run("key", "generate", "ecdsa")
            keys.adopt(place.private)
    if done.status or not keys.of_role("root"):
        raise TrustError(f"The local root key could not be made.\n\n{sanitise(done.stdout)}")


def _secret(variables: Mapping[str, str], name: str) -> Secret | None:
    value = variables.get(name)
    return Secret(value) if value else None
