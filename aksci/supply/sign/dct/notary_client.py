"""Notary's own client, ``notary``: each call with a trust folder of its own, made for it.

A folder that is used again holds metadata from before, and with a server that is down the client
goes on with that. So nothing is ever kept but the keys.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.core.secret import Secret
from aksci.supply.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from aksci.core.process import Result, Runner
    from aksci.supply.sign.dct.notary_server import TrustServer
    from aksci.supply.sign.dct.private_keys import KeyStore

__all__ = ["NotaryClient", "NotaryHome", "add_words"]

_TIMEOUT = 120.0  # seconds


@dataclass(frozen=True, kw_only=True)
class NotaryClient:
    """The program, the server that it publishes to, and the passphrases of the keys."""

    notary: Path
    runner: Runner
    server: TrustServer
    passphrase: Secret | None
    """Of the signing role's key."""
    root_passphrase: Secret | None = None

    def home(
        self, keys: KeyStore, lent: Iterable[Path], pins: Mapping[str, list[str]]
    ) -> NotaryHome:
        """Make a trust folder with these keys and nothing else; use it in a ``with`` statement.

        :param pins: repository -> identifiers of its root certificates.
        """
        return NotaryHome(self, keys, lent, pins)


class NotaryHome:
    """A trust folder for one task."""

    def __init__(
        self,
        client: NotaryClient,
        keys: KeyStore,
        lent: Iterable[Path],
        pins: Mapping[str, list[str]],
    ) -> None:
        self._client = client
        self._sandbox = Sandbox(client.runner.environment)
        self._trust = self._sandbox.files / "trust"
        self.private = self._trust / "private"
        """Where the client keeps private keys, new ones too."""
        keys.lend(lent, self.private)
        remote = {"url": client.server.url}
        if client.server.ca:
            remote["root_ca"] = str(client.server.ca)
        pinning = {"certs": dict(pins), "disable_tofu": bool(pins)}
        settings = {
            "trust_dir": str(self._trust),
            "remote_server": remote,
            "trust_pinning": pinning,
        }
        self._config = self._sandbox.write("notary.json", json.dumps(settings))

    def write(self, name: str, text: str) -> Path:
        """Write a file for the client to read."""
        return self._sandbox.write(name, text)

    def run(self, *words: str | Path) -> Result:
        """Run the client; its status tells whether it succeeded."""
        return self._client.runner.run(
            [self._client.notary, "--configFile", self._config, *words],
            cwd=self._sandbox.empty,
            env=self._environment(),
            only_env=True,
            timeout=_TIMEOUT,
            check=False,
        )

    def _environment(self) -> dict[str, str | Secret]:
        variables: dict[str, str | Secret] = dict(self._sandbox.environment)
        if self._client.passphrase:
            for role in ("TARGETS", "DELEGATION", "SNAPSHOT"):
                variables[f"NOTARY_{role}_PASSPHRASE"] = self._client.passphrase
        if self._client.root_passphrase:
            variables["NOTARY_ROOT_PASSPHRASE"] = self._client.root_passphrase
        if self._client.server.login:
            user, password = self._client.server.login
            pair = base64.b64encode(f"{user}:{password.reveal()}".encode()).decode()
            variables["NOTARY_AUTH"] = Secret(pair)
        return variables

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._sandbox.__exit__(kind, error, trace)


def add_words(
    gun: str, target: str, *, digest: str, size: int, custom: Path, role: str
) -> tuple[str, ...]:
    """Return the arguments that sign a digest as it is, whatever any tag points to."""
    return (
        "addhash",
        gun,
        target,
        str(size),
        f"--sha256={digest.removeprefix('sha256:')}",
        f"--custom={custom}",
        f"--roles={role}",
        "--publish",
    )
