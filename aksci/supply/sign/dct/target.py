"""A digest as a target of Notary's: the name that it is signed by, and what is bound to it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from aksci.supply.sign.dct.canonical_json import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.oci.references import ImageRef
    from aksci.supply.sign.dct.metadata import FileMeta

__all__ = ["read_claims", "target_name"]


def target_name(ref: ImageRef, claims: Mapping[str, str]) -> str:
    """Return the name that a digest is signed by: one for each digest and set of claims.

    A tag's name would be overwritten by the next signature; these never are by another one.
    """
    bound = hashlib.sha256(encode(dict(claims))).hexdigest()[:12]
    return f"{ref.digest.replace(':', '-')}-{bound}"


def read_claims(file: FileMeta) -> dict[str, str]:
    """Return the texts that a target's signer has written beside its digest."""
    custom = file.custom if isinstance(file.custom, dict) else {}
    return {name: value for name, value in custom.items() if isinstance(value, str)}
