"""Whoever signs by aksci.toml: notation, cosign, Docker Content Trust, or several of them."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aksci.core.files import home_of
from aksci.supply.sign.signer import require_proofs, signatures_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Mapping

    from azure.core.credentials import TokenCredential

    from aksci.config.supply_models import SignConfig
    from aksci.core.process import Runner
    from aksci.local.endpoints import Endpoints
    from aksci.oci.manifest import Descriptor
    from aksci.oci.references import ImageRef
    from aksci.oci.registry import Registry
    from aksci.supply.sign.dct.dct_signer import DctSigner
    from aksci.supply.sign.signer import Proof, Signer
    from aksci.tools.toolbox import Toolbox

__all__ = ["RememberingSigner", "SignerMaker", "signing_tools"]

_TOOLS = {"notation": "notation", "cosign": "cosign", "dct": "notary"}
"""Signer -> the program of the toolbox that it needs."""


def signing_tools(signers: Iterable[str]) -> tuple[str, ...]:
    """Return the programs that signers of aksci.toml need; those of own ones are theirs."""
    return tuple(_TOOLS[name] for name in signers if name in _TOOLS)


@dataclass(frozen=True, kw_only=True)
class SignerMaker:
    """Makes the signers of one registry. Their programs are installed when they are made."""

    config: SignConfig
    found: Endpoints
    registry: Registry
    toolbox: Toolbox
    runner: Runner
    root: Path
    """The project's folder, which paths in aksci.toml are relative to."""
    state: Path
    """The per-user state folder, with local test keys."""
    variables: Mapping[str, str] = field(repr=False)
    now: Callable[[], dt.datetime]
    platform: Path
    """The embedded platform's state folder."""
    offered: Callable[[str], Signer]
    """Makes one that an installed package offers."""
    credential: Callable[[], TokenCredential | None] = lambda: None
    """Tells who we are to the registry, where it is Azure's."""

    def make(self, names: Iterable[str]) -> Signer:
        """Return several as one signer that asks each question once."""
        from aksci.supply.sign.signer import AllSigners

        makers = {"notation": self._notation, "cosign": self._cosign, "dct": self.dct}
        signers = [makers[name]() if name in makers else self.offered(name) for name in names]
        return RememberingSigner(signers[0] if len(signers) == 1 else AllSigners(signers))

    def dct(self) -> DctSigner:
        """Return Docker Content Trust, with the server that belongs to the registry."""
        from aksci.local.layout import endpoints
        from aksci.supply.sign.dct.configure import dct_signer, trust_server

        config, variables = self.config.dct, self.variables
        platform = endpoints(self.platform) if self.found.embedded else None
        server = trust_server(
            config,
            registry=self.found.registry,
            root=self.root,
            embedded=(platform.notary, platform.notary_ca) if platform else None,
            credential=self.credential(),
            docker_config=self._docker_config(),
            variables=variables,
        )
        return dct_signer(
            config,
            notary=self.toolbox.ensure(_TOOLS["dct"]),
            runner=self.runner,
            registry=self.registry,
            root=self.root,
            state=self.state,
            local=self.found.embedded,
            server=server,
            variables=variables,
            now=self.now,
        )

    def _notation(self) -> Signer:
        from aksci.supply.sign.notation.notation_signer import notation_signer

        config_home = self.variables.get("XDG_CONFIG_HOME") or home_of(self.variables) / ".config"
        return notation_signer(
            self.config.notation,
            notation=self.toolbox.ensure(_TOOLS["notation"]),
            runner=self.runner,
            registry=self.registry,
            root=self.root,
            state=self.state,
            user_config=Path(config_home),
            local=self.found.embedded,
            plain_http=self.found.plain_http,
            now=self.now(),
            docker_config=self._docker_config(),
            clock=self.now,
        )

    def _cosign(self) -> Signer:
        from aksci.supply.sign.cosign.cosign_signer import cosign_signer

        return cosign_signer(
            self.config.cosign,
            cosign=self.toolbox.ensure(_TOOLS["cosign"]),
            runner=self.runner,
            registry=self.registry,
            root=self.root,
            state=self.state,
            variables=self.variables,
            local=self.found.embedded,
            plain_http=self.found.plain_http,
            now=self.now(),
            docker_config=self._docker_config(),
        )

    def _docker_config(self) -> Path | None:
        """Return the folder of Docker's config.json, where the registry may ask for a login."""
        if self.found.embedded:
            return None
        folder = Path(self.variables.get("DOCKER_CONFIG") or home_of(self.variables) / ".docker")
        return folder if (folder / "config.json").is_file() else None


class RememberingSigner:
    """Wrap a signer. Only successes are remembered, for as long as this object lives.

    Within one run, the build, the scan, the signing and the release ask of the same digest. A proof
    that covers more than was asked for answers the next question too. Safe in several threads.
    """

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._lock = threading.Lock()
        self._proofs: dict[ImageRef, list[tuple[Proof, ...]]] = defaultdict(list)

    @property
    def name(self) -> str:
        """The wrapped signer's."""
        return self._signer.name

    def sign(self, ref: ImageRef, claims: Mapping[str, str]) -> None:
        """Pass on."""
        self._signer.sign(ref, claims)

    def stored_signatures(
        self, ref: ImageRef, listed: tuple[Descriptor, ...]
    ) -> dict[str, Mapping[str, str]]:
        """Pass on; see ``signatures_of``."""
        return signatures_of(self._signer, ref, listed)

    def verify(self, ref: ImageRef, claims: Mapping[str, str]) -> tuple[Proof, ...]:
        """Pass on what is not proved yet."""
        with self._lock:
            known = tuple(self._proofs[ref])
        for proofs in known:
            if all(claims.items() <= proof.claims.items() for proof in proofs):
                return proofs
        found = require_proofs(
            self._signer.verify(ref, claims), ref, claims, signer=self._signer.name
        )
        with self._lock:
            self._proofs[ref].append(found)
        return found
