"""Which digests this project's own runs have seen pass which check: ``.aksci/validations.json``.

A result in the registry could be anybody's who may push there. One that is named here is a run's of
ours, or was covered by a trusted signature when a run of ours looked; a CI system carries the file
to the jobs that follow, as it does ``build.json``.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from aksci.core.strict_json import MALFORMED
from aksci.images.validate.result import Validation
from aksci.oci.references import ImageRef

if TYPE_CHECKING:
    from aksci.core.work_folder import WorkFolder

__all__ = ["OwnValidations"]

_NAME = "validations.json"
_SCHEMA = 1

_Passed = dict[str, dict[str, dict[str, str]]]
"""Image by digest -> ``spec_hash`` -> ``{"finding", "stored"}``; the latest image last."""


class OwnValidations:
    """The passing results that count. Safe in several threads.

    :param work: the project's ``.aksci`` folder.
    :param most: images that are kept, the last ones.
    """

    def __init__(self, work: WorkFolder, *, most: int = 1000) -> None:
        self._most = most
        self._work = work
        self._lock = threading.Lock()
        self._known: _Passed | None = None

    def find(self, image: str, ref: ImageRef, spec: str) -> Validation | None:
        """Return the pass of a digest; None where none is known, and in any doubt."""
        with self._lock:
            found = self._read().get(str(ref), {}).get(spec)
        if found is None:
            return None
        stored = found["stored"]
        return Validation(
            image=image,
            ref=ref,
            passed=True,
            finding=found["finding"],
            spec=spec,
            stored=ImageRef(ref.registry, ref.repository, stored) if stored else None,
            remembered=True,
        )

    def add(self, result: Validation) -> None:
        """Remember a pass, at once: what dies later need not run the image again."""
        entry = {
            "finding": result.finding,
            "stored": result.stored.digest if result.stored else "",
        }
        with self._lock:
            known = self._read()
            # What another session has added to the file meanwhile stays.
            known |= {ref: known.get(ref, {}) | specs for ref, specs in self._load().items()}
            known[str(result.ref)] = {**known.pop(str(result.ref), {}), result.spec: entry}
            kept = dict(list(known.items())[-self._most :])
            self._known = kept
            self._work.write_own(_NAME, {"schema": _SCHEMA, "passed": kept})

    def _read(self) -> _Passed:
        if self._known is None:
            self._known = self._load()
        return self._known

    def _load(self) -> _Passed:
        """Read the file; a damaged one, and one that is not ours, is the same as none."""
        try:
            document = self._work.find_own(_NAME) or {}
            if document["schema"] != _SCHEMA:
                return {}
            return {
                str(ref): {
                    str(spec): {name: str(entry[name]) for name in ("finding", "stored")}
                    for spec, entry in specs.items()
                }
                for ref, specs in document["passed"].items()
            }
        except MALFORMED:
            return {}
