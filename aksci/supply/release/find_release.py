"""Find releases in the registry: by tag, by a part of the digest, the last one, all of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aksci.core.concurrency import gather
from aksci.core.errors import ConfigError, RegistryError, TrustError, UnreachableError, UsageError
from aksci.oci.references import ImageRef
from aksci.supply.release.make_release import load_release
from aksci.supply.release.release import release_repository, release_tag
from aksci.supply.release.sign_release import LATEST
from aksci.supply.release.verify_release import prove_release
from aksci.supply.sign.signer import NotSignedError

if TYPE_CHECKING:
    from aksci.oci.registry import Registry
    from aksci.supply.release.release import Release
    from aksci.supply.sign.signer import Proof, Signer

__all__ = ["ListedRelease", "ReleaseList", "find_release", "latest_release", "list_releases"]

_TAG = re.compile(r"r-[0-9a-f]{12}")
_PREFIX = re.compile(r"(?:sha256:)?(?P<digits>[0-9a-f]{4,64})")
_THREADS = 8
_MOST = 20_000
"""Releases that are listed; each takes some requests."""
_MOST_ALIKE = 100
"""Tags that begin alike; each takes a request."""


@dataclass(frozen=True, kw_only=True)
class ListedRelease:
    """One release of a registry."""

    tag: str
    digest: str
    """Empty where the tag vanished meanwhile."""
    state: str
    """``signed``; or ``UNSIGNED``, ``UNTRUSTED`` or ``DAMAGED``."""
    why: str
    """What is wrong; empty where nothing is."""
    release: Release | None
    """What it says, trusted or not; None where it is damaged."""
    proofs: tuple[Proof, ...]


@dataclass(frozen=True, kw_only=True)
class ReleaseList:
    """The releases of a project in a registry."""

    releases: tuple[ListedRelease, ...]
    """The last signed first."""


def latest_release(registry: Registry, project: str) -> ImageRef | None:
    """Return what the tag ``latest`` names: a hint, to be verified; None: there is no release."""
    repository = release_repository(project)
    digest = registry.resolve(repository, LATEST)
    return ImageRef(registry.host, repository, digest) if digest else None


def find_release(registry: Registry, project: str, text: str) -> ImageRef:
    """Return the release that a person means.

    :param text: ``registry/repository@sha256:…``, ``repository@sha256:…``, ``latest``, a tag
        ``r-…``, or as much of the digest as only one release has, four digits at least.
    :raises UsageError: it names none, or several.
    """
    if "@" in text:
        return _of_digest(registry, text)
    if text == LATEST:
        found = latest_release(registry, project)
        if found is None:
            raise _no_such(registry, project, text)
        return found
    digits = _PREFIX.fullmatch(text.removeprefix("r-"))
    if digits is None:
        raise UsageError(
            f"{text!r} names no release.",
            hint="name one as registry/repository@sha256:…, r-…, latest or by its digest's start.",
        )
    return _of_prefix(registry, project, text, digits["digits"])


def list_releases(registry: Registry, project: str, *, signer: Signer) -> ReleaseList:
    """Return every release with its signature's proof, the last signed first.

    What a release names is not verified here: there may be hundreds.

    :raises RegistryError: the registry can't be asked. A damaged release is listed as that.
    """
    tags = [tag for tag in registry.tags(release_repository(project)) if _TAG.fullmatch(tag)]
    if len(tags) > _MOST:
        raise RegistryError(
            f"{registry.host}/{release_repository(project)} has {len(tags):,} releases; no more "
            f"than {_MOST:,} can be listed.",
            hint="delete those that are not needed, and check who has push access.",
        )
    found = gather(
        lambda tag: _listed(registry, project, tag, signer),
        sorted(tags),
        limit=_THREADS,
        name="list",
    )
    return ReleaseList(releases=tuple(sorted(found, key=_signing_time, reverse=True)))


def _listed(registry: Registry, project: str, tag: str, signer: Signer) -> ListedRelease:
    repository = release_repository(project)
    digest = registry.resolve(repository, tag) or ""
    state, why = "signed", ""
    release: Release | None = None
    proofs: tuple[Proof, ...] = ()
    try:
        if release_tag(digest) != tag:
            raise RegistryError(f"the tag {tag} was moved: it names {digest or 'nothing'}")  # noqa: TRY301
        release = load_release(registry, ImageRef(registry.host, repository, digest))
        proofs = prove_release(release.ref, signer=signer)
    except UnreachableError:
        raise
    except NotSignedError as error:
        state, why = "UNSIGNED", error.message
    except TrustError as error:
        state, why = "UNTRUSTED", error.message
    except RegistryError as error:
        state, why = "DAMAGED", error.message
    return ListedRelease(
        tag=tag, digest=digest, state=state, why=why, release=release, proofs=proofs
    )


def _signing_time(entry: ListedRelease) -> tuple[float, str]:
    times = [proof.signed_at.timestamp() for proof in entry.proofs if proof.signed_at]
    return (min(times) if times else 0, entry.tag)


def _of_digest(registry: Registry, text: str) -> ImageRef:
    name = text if text.startswith(f"{registry.host}/") else f"{registry.host}/{text}"
    try:
        return ImageRef.parse(name)
    except ConfigError:
        raise UsageError(
            f"{text!r} names no release in {registry.host}.",
            hint=f"write it as {registry.host}/repository@sha256:<64 hex digits>.",
        ) from None


def _of_prefix(registry: Registry, project: str, text: str, digits: str) -> ImageRef:
    repository = release_repository(project)
    start = f"r-{digits[:12]}"
    tags = [t for t in registry.tags(repository) if _TAG.fullmatch(t) and t.startswith(start)]
    if len(tags) > _MOST_ALIKE:
        raise UsageError(f"{text!r} may name {len(tags):,} releases.", hint="write more digits.")
    found = set()
    for tag in tags:
        digest = registry.resolve(repository, tag) or ""
        if release_tag(digest) == tag and digest.startswith(f"sha256:{digits}"):
            found.add(digest)
    if not found:
        raise _no_such(registry, project, text)
    if len(found) > 1:
        names = ", ".join(sorted(map(release_tag, found)))
        raise UsageError(f"{text!r} names {len(found)} releases: {names}.")
    return ImageRef(registry.host, repository, found.pop())


def _no_such(registry: Registry, project: str, text: str) -> UsageError:
    return UsageError(
        f"There is no release {text!r} in {registry.host}/{release_repository(project)}.",
        hint="nox -s release -- list shows which there are.",
    )
