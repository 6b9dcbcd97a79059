"""The session ``release``: show one, the difference of two, or the list. It changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.core.errors import TrustError, UsageError
from aksci.report.release_comparison import (
    comparison_document,
    comparison_markdown,
    comparison_text,
)
from aksci.report.release_report import (
    ShownRelease,
    list_document,
    list_markdown,
    list_text,
    release_markdown,
    release_text,
    release_view,
)
from aksci.supply.release.commits import read_commits
from aksci.supply.release.compare import compare_releases
from aksci.supply.release.find_release import find_release, last_release, list_releases
from aksci.supply.release.make_release import load_release
from aksci.supply.release.release_evidence import load_evidence
from aksci.supply.release.release_file import read_release_file
from aksci.supply.release.sign_release import verify_release
from pipelines.output import as_json, deliver, renderer_of
from pipelines.platform import locate, make_toolbox
from pipelines.signers import make_signer
from pipelines.supplies import reach_registry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aksci.cli.options import Options
    from aksci.context import Context
    from aksci.oci.client import RegistryClient
    from aksci.oci.references import ImageRef
    from aksci.supply.release.compare import Comparison
    from aksci.supply.release.find_release import ListedRelease
    from aksci.supply.sign.signer import Signer

__all__ = ["release"]

_USAGE = "nox -s release -- show [REF] | diff REF [REF] | list"


@dataclass(frozen=True, kw_only=True)
class _Desk:
    """What all three need."""

    context: Context
    options: Options
    registry: RegistryClient
    signer: Signer

    @property
    def project(self) -> str:
        return self.context.config.project.name


def release(context: Context, options: Options) -> dict[str, Any]:
    """Show a release, what differs between two, or which there are.

    :raises TrustError: what was shown is not verified; it is shown first, and marked.
    """
    verb, *refs = options.words or ("show",)
    if verb not in _VERBS:
        raise UsageError(f"{verb!r} is nothing that can be done with a release.", hint=_USAGE)
    run, most, formats = _VERBS[verb]
    if len(refs) > most:
        raise UsageError(f"release {verb} takes {most} references at most.", hint=_USAGE)
    renderer_of(f"release {verb}", options, formats)
    found = locate(context)
    registry = reach_registry(context, found)
    signer = make_signer(context, make_toolbox(context), found, registry)
    run(_Desk(context=context, options=options, registry=registry, signer=signer), refs)
    return {}


def _show(desk: _Desk, refs: Sequence[str]) -> None:
    ref = find_release(desk.registry, desk.project, refs[0]) if refs else _default(desk)
    shown = _verified(desk, ref)
    _deliver(desk, SHOW_FORMATS, shown)
    _require_verified([shown])


def _diff(desk: _Desk, refs: Sequence[str]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    if not refs:
        raise UsageError("Which release is it to be compared with?", hint=_USAGE)
    ends = [find_release(desk.registry, desk.project, text) for text in refs]
    ends += [_default(desk)] if len(ends) == 1 else []
    with ThreadPoolExecutor(len(ends), thread_name_prefix="release") as pool:
        old, new = pool.map(lambda ref: _verified(desk, ref), ends)
    for shown in (old, new):
        if shown.problem:
            desk.context.reporter.error(f"{shown.release.ref} is NOT VERIFIED: {shown.problem}")
    comparison = compare_releases(
        old.release,
        new.release,
        evidence_before=load_evidence(desk.registry, old.release, other=new.release),
        evidence_after=load_evidence(desk.registry, new.release, other=old.release),
        commits=read_commits(
            desk.context.root,
            old.release.commit,
            new.release.commit,
            runner=desk.context.runner,
        ),
    )
    _deliver(desk, DIFF_FORMATS, comparison)
    _require_verified([old, new])


def _list(desk: _Desk, _refs: Sequence[str]) -> None:
    _deliver(desk, LIST_FORMATS, list_releases(desk.registry, desk.project, signer=desk.signer))


def _default(desk: _Desk) -> ImageRef:
    """Return the last build's release; without a build here, the registry's last."""
    try:
        return read_release_file(desk.context.work)
    except UsageError:
        found = last_release(desk.registry, desk.project)
        if found is None:
            raise
        return found


def _verified(desk: _Desk, ref: ImageRef) -> ShownRelease:
    loaded = load_release(desk.registry, ref)
    try:
        proofs = verify_release(loaded, signer=desk.signer)
    except TrustError as error:
        return ShownRelease(release=loaded, proofs=(), problem=error.message)
    return ShownRelease(release=loaded, proofs=proofs, problem="")


def _require_verified(shown: Sequence[ShownRelease]) -> None:
    bad = [one for one in shown if one.problem]
    if bad:
        raise TrustError(
            "What is shown above is not verified:\n"
            + "\n".join(f"  - {one.release.ref}: {one.problem}" for one in bad)
        )


def _deliver(desk: _Desk, formats: dict[str, Callable[[Any], str]], value: Any) -> None:
    text = formats[desk.options.format](value)
    deliver(desk.context, desk.options, text, code=desk.options.format == "json")


SHOW_FORMATS: dict[str, Callable[[ShownRelease], str]] = {
    "text": release_text,
    "json": lambda shown: as_json(release_view(shown)),
    "markdown": release_markdown,
}
DIFF_FORMATS: dict[str, Callable[[Comparison], str]] = {
    "text": comparison_text,
    "json": lambda comparison: as_json(comparison_document(comparison)),
    "markdown": comparison_markdown,
}
LIST_FORMATS: dict[str, Callable[[Sequence[ListedRelease]], str]] = {
    "text": list_text,
    "json": lambda releases: as_json(list_document(releases)),
    "markdown": list_markdown,
}
_VERBS: dict[str, tuple[Callable[[_Desk, Sequence[str]], None], int, dict[str, Any]]] = {
    "show": (_show, 1, SHOW_FORMATS),
    "diff": (_diff, 2, DIFF_FORMATS),
    "list": (_list, 0, LIST_FORMATS),
}
