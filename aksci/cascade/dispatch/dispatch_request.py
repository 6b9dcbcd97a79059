"""What another project's pipeline is asked to do, and who asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from aksci.core.errors import DispatchError
from aksci.oci.references import parse_reference

__all__ = ["DispatchRequest", "Dispatcher", "MaybeAskedError"]


@dataclass(frozen=True, kw_only=True)
class DispatchRequest:
    """A cascade for some bases.

    The receiving pipeline hands ``words`` to ``--base``, so each base must be an image's name and
    nothing else: a reference with a space in it would be two.

    :raises ConfigError: one is no image's name.
    """

    bases: tuple[tuple[str, str], ...]
    """Full reference and digest of each image that has changed."""
    chain: str = ""
    """The projects that have asked each other so far; empty: this is the first."""
    key: str = ""
    """The same for the same change: whoever is asked twice can tell."""

    def __post_init__(self) -> None:
        for reference, digest in self.bases:
            parse_reference(f"{reference}@{digest}")

    @property
    def words(self) -> str:
        """The bases as ``REFERENCE@DIGEST``, with spaces between them."""
        return " ".join(f"{reference}@{digest}" for reference, digest in self.bases)


class Dispatcher(Protocol):
    """Ask one pipeline to run."""

    def ask(self, ask: DispatchRequest) -> str:
        """Ask it, and return an address or a number by which people find the run.

        :raises MaybeAskedError: it may have been asked: the answer never came.
        :raises DispatchError: it was not asked.
        """


class MaybeAskedError(DispatchError):
    """The request was sent, and no answer came: the pipeline may run, or may not."""

    code = "dispatch-unknown"
