"""Tokens for registries: challenges, ACR's two-step exchange, and a cache shared by all threads.

The challenge is that of the distribution project's "Token Authentication Specification"; the
exchange is described in ACR's "AAD-OAuth" document (Azure/acr on GitHub).
"""

from __future__ import annotations

import base64
import re
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlencode, urlsplit

from aksci.core.concurrency import import_first
from aksci.core.errors import RegistryError
from aksci.core.strict_json import parse_json
from aksci.oci.transport import Request, Response, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.core.credentials import TokenCredential

    from aksci.core.secret import Secret

__all__ = ["Authenticator", "Challenge", "Tokens", "parse_challenges"]

_AUDIENCE = "https://containerregistry.azure.net/.default"
_EARLY = 60.0  # seconds before its expiry at which a token is renewed
_LONGEST_LIFE = 86400.0  # seconds; a token is asked for anew each day at least
_DEFAULT_LIFE = 60.0  # seconds; what the token specification says where expires_in is missing
_WORD = re.compile(r'([A-Za-z][\w-]*)(\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?')
_REPOSITORY = re.compile(r"/v2/(.+)/(?:manifests|blobs|tags|referrers)/")
_HTTP_OK = 200
_HTTP_UNAUTHORIZED = 401


@dataclass(frozen=True)
class Challenge:
    """One challenge of a ``WWW-Authenticate`` header."""

    scheme: str
    """Lower case: ``bearer`` or ``basic``."""
    parameters: dict[str, str] = field(default_factory=dict)


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """Read a ``WWW-Authenticate`` header; it may hold several challenges (RFC 9110, 11.6.1)."""
    challenges: list[Challenge] = []
    for name, value, quoted, plain in _WORD.findall(header):
        if not value:
            challenges.append(Challenge(name.lower()))
        elif challenges:
            challenges[-1].parameters[name.lower()] = re.sub(r"\\(.)", r"\1", quoted) or plain
    return tuple(challenges)


@dataclass(kw_only=True)
class Authenticator:
    """Answer one registry's challenges with what the caller was given, or anonymously."""

    host: str
    scheme: str
    fetch: Callable[[Request], Response]
    """Send a request without authentication and return its response, read."""
    credential: TokenCredential | None = None
    """For ACR: an identity's access token is exchanged for the registry's own."""
    login: tuple[str, Secret] | None = None
    """User name and password, as ``docker login`` stores them."""
    _refresh: tuple[str, float] | None = field(default=None, repr=False)

    def answer(self, header: str) -> tuple[str, float] | None:
        """Return an Authorization header and its life in seconds; None if nothing can answer."""
        for challenge in parse_challenges(header):
            if challenge.scheme == "bearer" and "realm" in challenge.parameters:
                token, life = self._token(challenge.parameters)
                return f"Bearer {token}", life
            if challenge.scheme == "basic" and self.login:
                return self._basic(), float("inf")
        return None

    def _basic(self) -> str:
        user, password = self.login  # type: ignore[misc]
        return "Basic " + base64.b64encode(f"{user}:{password.reveal()}".encode()).decode()

    def _token(self, parameters: dict[str, str]) -> tuple[str, float]:
        known = ("service", "scope")
        asked: dict[str, str] = {key: parameters[key] for key in known if key in parameters}
        # The realm is the server's word: an identity's token goes to the registry's own host only.
        if self.credential is not None:
            refresh = {"grant_type": "refresh_token", "refresh_token": self._acr_refresh_token()}
            return self._ask(self._form("/oauth2/token", {**asked, **refresh}))
        realm = parameters["realm"]
        if urlsplit(realm).scheme != "https" and self.scheme == "https":
            raise RegistryError(
                f"{self.host} asks for a token from {realm}, which is not HTTPS; refused."
            )
        separator = "&" if urlsplit(realm).query else "?"
        headers = {"Authorization": self._basic()} if self.login else {}
        url = f"{realm}{separator}{urlencode(asked)}"
        return self._ask(Request(method="GET", url=url, headers=headers))

    def _acr_refresh_token(self) -> str:
        if self._refresh and time.monotonic() < self._refresh[1]:
            return self._refresh[0]
        if self.credential is None:  # pragma: no cover - the caller has looked
            raise RegistryError(f"No identity to log in to {self.host} with.")
        identity = _identity_token(self.credential)
        form = {"grant_type": "access_token", "service": self.host, "access_token": identity}
        token, life = self._ask(self._form("/oauth2/exchange", form))
        self._refresh = (token, time.monotonic() + life)
        return token

    def _form(self, path: str, form: dict[str, str]) -> Request:
        return Request(
            method="POST",
            url=f"{self.scheme}://{self.host}{path}",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            content=urlencode(form).encode(),
        )

    def _ask(self, request: Request) -> tuple[str, float]:
        response = self.fetch(request)
        where = request.url.partition("?")[0]
        if response.status_code != _HTTP_OK:
            raise RegistryError(
                f"{where} answered {response.status_code} when asked for a token for {self.host}.",
                hint="check that this identity may use it (ACR: role AcrPull or AcrPush).",
            )
        try:
            answer = parse_json(response.content)
            token = answer.get("access_token") or answer.get("token") or answer.get("refresh_token")
        except (ValueError, AttributeError):
            token = None
        if not isinstance(token, str) or not (token.isascii() and token.isprintable()):
            raise RegistryError(f"{where} answered without a token for {self.host}.")
        life = answer.get("expires_in")
        # ACR tells no life, but its tokens do.
        if not isinstance(life, int | float) or not life:
            life = _life_of(token) or _DEFAULT_LIFE
        return token, max(1.0, min(max(0.0, life), _LONGEST_LIFE) - _EARLY)


def _identity_token(credential: TokenCredential) -> str:
    import_first("azure.core.exceptions")
    from azure.core.exceptions import AzureError

    try:
        return credential.get_token(_AUDIENCE).token
    except AzureError as error:  # not logged in, or Entra ID does not answer
        raise TransportError(str(error)) from error


def _life_of(token: str) -> float | None:
    """Return the life of a JSON web token in seconds, by its issuer's clock alone."""
    try:
        payload = token.split(".")[1]
        claims = parse_json(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"]) - float(claims.get("iat") or claims["nbf"])
    except (IndexError, KeyError, TypeError, ValueError, OverflowError):
        return None


class Tokens:
    """The tokens of one registry: each of one repository and purpose, fetched once and kept.

    Other hosts (a blob's storage account, after a redirect) never see one. Several threads may use
    it.
    """

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._lock = threading.Lock()
        self._headers: dict[tuple[str, bool], tuple[str, float]] = {}

    def send(self, request: Request, deliver: Callable[[Request], Response]) -> Response:
        """Send a request with its token, and once more when it was challenged.

        :param deliver: sends what it is given.
        """
        if not self._is_home(request.url):
            return deliver(request)
        key = _purpose(request.method, request.url)
        used = self._cached(key)
        response = deliver(_authorized(request, used))
        challenge = response.headers.get("WWW-Authenticate")
        if response.status_code != _HTTP_UNAUTHORIZED or not challenge:
            return response
        renewed = self._renew(key, used, challenge)
        if renewed is None or not _rewind(request):
            return response
        response.close()
        return deliver(_authorized(request, renewed))

    def _is_home(self, url: str) -> bool:
        """Tell whether a token may go there: after a redirect it may be elsewhere, or not TLS."""
        parts, home = urlsplit(url), self._authenticator
        return parts.netloc == home.host and parts.scheme in {home.scheme, "https"}

    def _cached(self, key: tuple[str, bool]) -> str | None:
        with self._lock:
            header, expiry = self._headers.get(key, ("", 0.0))
        return header if time.monotonic() < expiry else None

    def _renew(self, key: tuple[str, bool], used: str | None, challenge: str) -> str | None:
        with self._lock:  # threads that wait here find the token that the first one fetched
            header, expiry = self._headers.get(key, ("", 0.0))
            if header and header != used and time.monotonic() < expiry:
                return header
            answer = self._authenticator.answer(challenge)
            if answer is None:
                return None
            self._headers[key] = (answer[0], time.monotonic() + answer[1])
            return answer[0]


def _purpose(method: str, url: str) -> tuple[str, bool]:
    """Return the repository and whether it is written to: what a registry scopes its tokens by."""
    match = _REPOSITORY.search(unquote(urlsplit(url).path))
    return (match.group(1) if match else "", method not in {"GET", "HEAD"})


def _authorized(request: Request, header: str | None) -> Request:
    if not header:
        return request
    return replace(request, headers={**request.headers, "Authorization": header})


def _rewind(request: Request) -> bool:
    content = request.content
    if content is None or isinstance(content, bytes):
        return True
    try:
        content.seek(0)
    except OSError:
        return False
    return True
