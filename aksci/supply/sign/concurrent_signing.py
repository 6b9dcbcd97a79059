"""Sign so that the signature stays, where several sign one digest at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.concurrency import backoff, retry
from aksci.core.errors import TrustError
from aksci.oci.locks import hold
from aksci.supply.sign.signer import BindingError, NotSignedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from aksci.oci.references import ImageRef

__all__ = ["sign_and_check"]

_ATTEMPTS = 3


def sign_and_check(
    ref: ImageRef, *, sign: Callable[[], object], check: Callable[[], object]
) -> None:
    """Sign under a lock, then read back: another machine may have overwritten the list.

    On registries without a referrers API, all that refers to a digest shares a tag, and parallel
    writers lose entries. Whatever writes there takes the same lock: other signers, the scan.

    :param check: verifies, from the pinned keys only.
    :raises TrustError: it can't be signed; or the signature can't be verified, or does not stay.
    """

    def sign_once() -> None:
        sign()
        check()

    with hold(ref.digest):
        try:
            retry(sign_once, again=_is_lost, waits=backoff(0, attempts=_ATTEMPTS))
        except (NotSignedError, BindingError) as error:
            raise TrustError(
                f"{ref} was signed {_ATTEMPTS} times, but the signature does not stay: "
                f"another program writes at the same time.\n\n{error.message}",
                hint="run again when it has ended.",
            ) from None


def _is_lost(error: Exception) -> bool:
    return isinstance(error, NotSignedError | BindingError)
