"""Which environment variables hold secrets, and what is left of them for files of the sources.

A Compose file may say ``${COSIGN_PASSWORD}``. Its author may be the author of a pull request, and
build arguments are published: on command lines, in logs, in the image's lineage. So variables that
hold secrets do not exist for files of other tools. Which ones do is told by aksci.toml (see
``aksci.config.secret_names``), by their names, and by what they hold.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from aksci.core.secret import SHORTEST, spellings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

__all__ = [
    "VisibleVariables",
    "is_identity",
    "is_own_secret",
    "is_secretive",
    "secret_values",
]

_SECRETIVE = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|PASSCODE|PASSFILE|SECRET|(?<!M(?:AX|IN)_)TOKEN(?!I[SZ])|CREDENTIAL"
    r"|CONN(?:ECTION)?_?STR|[A-Z0-9]_PWD(?:_|$)|(?:^|_)AUTH(?:$|_CONFIG|_HEADER)"
    r"|(?<!BY)(?<!COM)(?<!TRES)PASS$"
    # A public key is none, and some words end so.
    r"|(?<!PUBLIC_)(?<!PUB)(?<!MON|DON|TUR|HOC|JOC|HOT)(?<!WHIS)KEY$"
    r"|(?:^|_)(?<!PUBLIC_)KEYS?(?!_?VAULT)(?:_|$)"
    r"|(?:^|_)(?:PASS|PW|PATS?|JWT|PIN|SAS|CREDS?|DSN|COOKIES?|BEARER|WEBHOOK)(?:_|$)",
    re.IGNORECASE,
)
_SETTING = re.compile(
    r"_(?:ALGORITHM|COLUMN|COUNT|DAYS|DOMAIN|ENABLED|EXPIR(?:Y|ES|ATION)|HOURS|LENGTH|LIFETIME|LIMIT"
    r"|MAX_AGE|MINUTES|NAME|PREFIX|SECONDS|SIZE|TTL|VERSION)$",
    re.IGNORECASE,
)
"""What is said of a secret, such as ``TOKEN_TTL``, and is none."""
_SIGNING = re.compile(
    r"(?:COSIGN|SIGSTORE|NOTATION|NOTARY|DOCKER_CONTENT_TRUST|DCT|AKSCI)_", re.IGNORECASE
)
"""Whose variables are for signing and for aksci itself."""
_IDENTITIES = frozenset({
    "AAD_SERVICE_PRINCIPAL_CLIENT_SECRET", "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_RUNTIME_TOKEN", "ARM_CLIENT_SECRET", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD", "AZURE_CLIENT_SECRET", "AZURE_PASSWORD", "GH_TOKEN",
    "GITHUB_TOKEN", "IDENTITY_HEADER", "MSI_SECRET", "SYSTEM_ACCESSTOKEN", "VAULT_TOKEN",
})  # fmt: skip
"""Who a pipeline is to clouds and to its CI system. Helm's and buildx's helpers log in with them,
so programs keep them."""
_CLOUDS = ("AZURE_", "AWS_", "GOOGLE_", "VAULT_", "IDENTITY_", "MSI_")
_IN_ADDRESS = re.compile(
    # A password, unless it is a port, or a tag before a digest.
    r"://[^/@\s:]*:(?!\d+/)([^@\s]{1,512})@(?!sha256:)"
    # A token in the user's place. Azure Repos has the organisation there, and once more behind it.
    r"|https?://([^/@\s:]{8,})@(?!dev\.azure\.com/\2/)"
)
_TELLING = re.compile(
    # Tokens of GitHub, GitLab, Docker Hub, npm, PyPI and Slack; JSON Web Tokens (RFC 7519).
    r"(?<![\w-])(?:(?:gh[oprsu]_|github_pat_|glpat-|dckr_pat_|npm_|pypi-)[\w-]{20,}"
    r"|xox[a-z]-[\w-]{10,}|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*)"
    # Connection strings, and addresses that Azure Storage has signed.
    r"|(?<![^;?&\s])(?:password|pwd|accountkey|sharedaccesskey|sig)=([^;&\s]{8,})",
    re.IGNORECASE,
)
_PULLED = re.compile(r"GITHUB_(?:HEAD_REF|REF|REF_NAME)|BUILD_SOURCE\w*|SYSTEM_PULLREQUEST_\w*")
"""What CI systems repeat of a pull request: branches and messages. Its author must not choose which
words a log leaves out."""
_PRIVATE_KEY = "PRIVATE KEY-----"
_NO_SECRET = re.compile(r"\.{0,2}/.*|[a-z]+://[^@]*|[0-9.]+", re.DOTALL)
"""A path, an address without a password, a number."""


def is_secretive(name: str) -> bool:
    """Tell whether a variable is called like one that holds a secret."""
    return bool(_SIGNING.match(name)) or _holds_by_name(name)


def is_own_secret(name: str) -> bool:
    """Tell whether a variable holds, by its name, a secret that aksci and its signers work with."""
    return bool(_SIGNING.match(name)) and _called_secret(name)


def is_identity(name: str) -> bool:
    """Tell whether a variable says who asks a cloud or a CI system, secret or not."""
    return name in _IDENTITIES or name.startswith(_CLOUDS)


def secret_values(variables: Mapping[str, str]) -> Iterator[str]:
    """Yield what is not to be shown of variables, by their names and by what they hold.

    Short values and paths are left out: to hide each ``true`` would make a log unreadable.
    """
    for name, value in variables.items():
        if _PULLED.fullmatch(name):
            continue
        for match in (*_IN_ADDRESS.finditer(value), *_TELLING.finditer(value)):
            found = next(filter(None, match.groups()), match[0])
            if len(found) >= SHORTEST:
                yield found
        # Of the variables of signers and of aksci, some say only where, or how: a log that lacks
        # the run's id, or the environment's name, tells nothing.
        secret = _holds_by_name(name) or _PRIVATE_KEY in value
        if secret and len(value) >= SHORTEST and not _NO_SECRET.fullmatch(value):
            yield value


def _holds_by_name(name: str) -> bool:
    return _called_secret(name) or name in _IDENTITIES


def _called_secret(name: str) -> bool:
    return bool(_SECRETIVE.search(name)) and not _SETTING.search(name)


class VisibleVariables(dict[str, str]):
    """The variables that files of other tools may read.

    Those that hold secrets are not among them. Who asks for one learns that it is not set, and
    ``tell`` gets its name.

    :param ours: the names that aksci.toml gives to secrets; nothing allows them.
    :param allowed: names that aksci.toml lets such files read, though they look like secrets'.
    """

    def __init__(
        self,
        variables: Mapping[str, str],
        *,
        ours: Collection[str] = (),
        allowed: Collection[str] = (),
        tell: Callable[[str], None] = lambda _name: None,
    ) -> None:
        self._given = variables
        own = {
            name
            for name in variables
            if name in ours or is_own_secret(name) or name in _IDENTITIES
        }  # fmt: skip
        self._spelt = {
            name: tuple(spellings(variables[name]))
            for name in sorted(own)
            if len(variables[name]) >= SHORTEST
        }
        self.ours = frozenset(own | {*ours})
        """Variables that hold secrets of aksci, from whatever source."""
        self.withheld = frozenset(
            name
            for name, value in variables.items()
            if name in self.ours or (name not in allowed and self._is_secret(name, value))
        )
        self.tell = tell
        super().__init__({name: variables[name] for name in variables.keys() - self.withheld})

    def __repr__(self) -> str:
        return f"{type(self).__name__}({sorted(self)})"

    def for_project(self, *, ours: Collection[str], allowed: Collection[str]) -> VisibleVariables:
        """Return what is left by the word of a project's aksci.toml."""
        return VisibleVariables(self._given, ours=ours, allowed=allowed, tell=self.tell)

    def telling(self, tell: Callable[[str], None]) -> VisibleVariables:
        """Return the same variables with another ``tell``."""
        found = self.over({})
        found.tell = tell
        return found

    def over(self, others: Mapping[str, str]) -> VisibleVariables:
        """Return these and, where they lack one, a file's. None of these is aksci's secret."""
        found = VisibleVariables({})
        found.update({name: text for name, text in others.items() if name not in self.ours})
        found.update(self)
        found._given, found._spelt = self._given, self._spelt
        found.tell = self.tell
        found.ours = self.ours
        found.withheld = self.withheld - found.keys()
        return found

    def holder_of(self, text: str) -> str | None:
        """Return the variable of aksci's whose secret is in a text, however it is spelt."""
        for name, spelt in self._spelt.items():
            if any(one in text for one in spelt):
                return name
        return None

    def __contains__(self, name: object) -> bool:
        there = super().__contains__(name)
        if not there and name in self.withheld:
            self.tell(str(name))
        return there

    def get(self, name: str, default: Any = None, /) -> Any:
        """Return a variable's value; one that is withheld is not set."""
        return super().get(name, default) if name in self else default

    def __missing__(self, name: str) -> str:
        if name in self.withheld:
            self.tell(name)
        raise KeyError(name)

    def _is_secret(self, name: str, value: str) -> bool:
        return (
            is_secretive(name)
            or bool(_IN_ADDRESS.search(value) or _TELLING.search(value))
            or _PRIVATE_KEY in value
            or self.holder_of(value) is not None
        )
