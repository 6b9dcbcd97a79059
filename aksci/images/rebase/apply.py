"""Store a rebased image: layers, configurations, manifests, index, in this order; no tag."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from aksci.core.errors import RegistryError, UnreachableError
from aksci.images.rebase.model import Rebased
from aksci.oci.names import parse_reference
from aksci.oci.registry import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aksci.images.rebase.plan import RebasePlan
    from aksci.oci.registry import TransferRegistry

__all__ = ["apply_rebase"]

_THREADS = 8
_BUILDER = "urn:aksci:rebase"
_BUILD_TYPE = "urn:aksci:rebase:v1"


def apply_rebase(plan: RebasePlan, registry: TransferRegistry) -> Rebased:
    """Store what a plan says, each part after what it needs.

    It takes one request for each layer that the new base has and the image had not, three for each
    configuration, and one for each manifest. The same plan always gives the same digest.

    :raises RegistryError: the registry refuses or fails. What was stored stays, without a tag.
    """
    repository = plan.image.repository
    _each(
        [
            *(partial(_bring, plan, registry, *layer) for layer in plan.layers),
            *(partial(registry.put_blob, repository, config) for config in plan.configs),
        ]
    )
    for group in (plan.manifests, (plan.index,) if plan.index else ()):
        _each(
            [
                partial(registry.put_manifest, repository, one.content, one.media_type)
                for one in group
            ]
        )
    last = plan.index or plan.manifests[0]
    manifest = Manifest(media_type=last.media_type, digest=last.digest, content=last.content)
    return Rebased(digest=plan.digest, manifest=manifest, provenance=_provenance(plan))


def _each(work: list[Callable[[], Any]]) -> None:
    """Do all of it, at once where it is more than one thing."""
    if len(work) == 1:
        work[0]()
        return
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="rebase") as pool:
        futures = [pool.submit(one) for one in work]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _bring(plan: RebasePlan, registry: TransferRegistry, digest: str, size: int) -> None:
    """Take a layer over from the base's repository, or copy it."""
    repository, source = plan.image.repository, plan.source
    if source.registry.host == registry.host:
        if source.repository == repository:
            return
        try:
            if registry.mount_blob(repository, digest, source.repository):
                return
        except UnreachableError:
            raise
        except RegistryError:  # it may be written here, and not be mounted from there
            pass
    if not registry.has_blob(repository, digest):
        registry.write_blob(
            repository,
            digest,
            size,
            lambda: source.registry.stream_blob(source.repository, digest),
        )


def _provenance(plan: RebasePlan) -> Mapping[str, Any]:
    """Return what the image was made from (SLSA provenance v0.2).

    Only the new base is written as BuildKit writes an image that a build used, ``pkg:docker``: it
    is in the image's key. The old image and the old base are not, and a reader of materials as
    strict as ``require_known_bases`` would refuse them: they are written as ``pkg:oci``, the
    package-url specification's type for what is in any registry.
    """
    name = f"{plan.image.registry}/{plan.image.repository}"
    host = plan.source.registry.host
    old_base = _oci(f"{host}/{plan.source.repository}", plan.old_base)
    return {
        "builder": {"id": _BUILDER},
        "buildType": _BUILD_TYPE,
        "invocation": {
            "configSource": {},
            "parameters": {
                "image": str(plan.image),
                "base": plan.runtime,
                "from": plan.old_base,
                "to": plan.new_base,
            },
        },
        "materials": [
            _material(_docker(plan.runtime, plan.new_base), plan.new_base),
            _material(_oci(name, plan.image.digest), plan.image.digest),
            _material(old_base, plan.old_base),
        ],
        "metadata": {
            "completeness": {"parameters": True, "environment": True, "materials": False},
            "reproducible": True,
        },
    }


def _material(uri: str, digest: str) -> dict[str, Any]:
    kind, _, value = digest.partition(":")
    return {"uri": uri, "digest": {kind: value}}


def _docker(reference: str, digest: str) -> str:
    parsed = parse_reference(reference)
    name = parse_reference(parsed.name).familiar
    version = "" if parsed.digest else f"@{quote(parsed.tag)}"
    return f"pkg:docker/{quote(name, safe='/:')}{version}?digest={digest}"


def _oci(name: str, digest: str) -> str:
    short = name.rpartition("/")[2]
    return (
        f"pkg:oci/{quote(short)}@{quote(digest, safe='')}?repository_url={quote(name, safe='/:')}"
    )
