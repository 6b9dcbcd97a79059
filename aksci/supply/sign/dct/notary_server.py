"""Ask a Notary server for metadata: its HTTP API, with the registry's own way to log in."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from aksci.core.errors import ConfigError, TrustError
from aksci.oci.client import is_loopback
from aksci.oci.connection import Session
from aksci.oci.transport import Request, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from azure.core.credentials import TokenCredential

    from aksci.core.secret import Secret
    from aksci.oci.transport import Response

__all__ = ["TrustServer"]

_OK, _NOT_FOUND = 200, 404


@dataclass(kw_only=True)
class TrustServer:
    """One Notary server. Safe in several threads.

    :raises ConfigError: its address is not HTTPS, and not on this machine.
    """

    url: str
    """``https://host[:port]``."""
    ca: Path | None = None
    """A CA certificate (PEM), the only one that is then trusted for it."""
    credential: TokenCredential | None = None
    login: tuple[str, Secret] | None = None
    proxy: Callable[[str], str | None] | None = None
    hint: str = "check the name, the network and the proxy."
    sleep: Callable[[float], None] = time.sleep
    _session: Session | None = field(default=None, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        self.url = self.url.rstrip("/")
        loopback = parts.scheme == "http" and is_loopback(parts.netloc)
        if not parts.netloc or not (parts.scheme == "https" or loopback):
            raise ConfigError(
                f"The trust server {self.url!r} is not an https:// address.",
                hint="server under [sign.dct] in aksci.toml is https://host[:port].",
            )

    def get(self, gun: str, name: str, *, largest: int) -> bytes | None:
        """Return a document of metadata; None when the server answers 404, only then.

        :param name: ``root``, ``2.root``, ``targets/ci``, ``snapshot.<sha256>``…
        :param largest: more bytes than these are refused, and not read.
        :raises TrustError: it can't be asked, or refuses.
        """
        address = f"{self.url}/v2/{quote(gun, safe='/:')}/_trust/tuf/{quote(name)}.json"
        try:
            answer = self._opened().send(Request(method="GET", url=address), stream=True)
            with contextlib.closing(answer):
                return self._content(answer, gun, name, largest)
        except TransportError as error:
            from aksci.core.text import sanitise

            raise TrustError(
                f"The trust server {self.url} does not answer: {sanitise(str(error))[:300]}",
                hint=self.hint,
            ) from None

    def _content(self, answer: Response, gun: str, name: str, largest: int) -> bytes | None:
        if answer.status_code == _NOT_FOUND:
            return None
        if answer.status_code != _OK:
            raise TrustError(
                f"The trust server {self.url} answered {answer.status_code} for {name} of {gun}.",
                hint="check that this identity may pull from the repository.",
            )
        content = bytearray()
        for chunk in answer.iter_raw():
            content += chunk
            if len(content) > largest:
                raise TrustError(
                    f"The trust server {self.url} sent more than {largest} bytes for {name} of "
                    f"{gun}."
                )
        return bytes(content)

    def _opened(self) -> Session:
        with self._lock:
            if self._session is None:
                parts = urlsplit(self.url)
                self._session = Session(
                    parts.netloc,
                    parts.scheme,
                    credential=self.credential,
                    login=self.login,
                    verify=str(self.ca) if self.ca else True,
                    proxy=self.proxy,
                    wait=self.sleep,
                )
            return self._session
