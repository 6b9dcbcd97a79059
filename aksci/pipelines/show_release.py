"""The session ``release``: show one, the difference of two, or the list. It changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aksci.core.concurrency import gather
from aksci.core.errors import TrustError, UsageError
from aksci.core.text import safe_json
from aksci.pipelines.output import deliver, renderer_of
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
from aksci.supply.release.find_release import find_release, latest_release, list_releases
from aksci.supply.release.make_release import load_release
from aksci.supply.release.release_evidence import load_evidence
from aksci.supply.release.verify_release import verify_release

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aksci.cli.options import Options
    from aksci.environment import Environment
    from aksci.oci.references import ImageRef
    from aksci.supply.release.compare import Comparison
    from aksci.supply.release.find_release import ListedRelease

__all__ = ["release"]

_USAGE = "nox -s release -- show [REF] | diff REF [REF] | list"


def release(env: Environment, options: Options) -> dict[str, Any]:
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
    run(env.looking, options, refs)
    return {}


def _show(env: Environment, options: Options, refs: Sequence[str]) -> None:
    ref = find_release(env.registry, env.config.project.name, refs[0]) if refs else _default(env)
    shown = _verified(env, ref)
    _deliver(env, options, SHOW_FORMATS, shown)
    _require_verified([shown])


def _diff(env: Environment, options: Options, refs: Sequence[str]) -> None:
    if not refs:
        raise UsageError("Which release is it to be compared with?", hint=_USAGE)
    ends = [find_release(env.registry, env.config.project.name, text) for text in refs]
    ends += [_default(env)] if len(ends) == 1 else []
    old, new = gather(lambda ref: _verified(env, ref), ends, limit=len(ends), name="release")
    for shown in (old, new):
        if shown.problem:
            env.reporter.error(f"{shown.release.ref} is NOT VERIFIED: {shown.problem}")
    comparison = compare_releases(
        old.release,
        new.release,
        evidence_before=load_evidence(env.registry, old.release, other=new.release),
        evidence_after=load_evidence(env.registry, new.release, other=old.release),
        commits=read_commits(
            env.root,
            old.release.commit,
            new.release.commit,
            runner=env.runner,
        ),
    )
    _deliver(env, options, DIFF_FORMATS, comparison)
    _require_verified([old, new])


def _list(env: Environment, options: Options, _refs: Sequence[str]) -> None:
    _deliver(
        env,
        options,
        LIST_FORMATS,
        list_releases(env.registry, env.config.project.name, signer=env.signer),
    )


def _default(env: Environment) -> ImageRef:
    """Return the last build's release; without a build here, the registry's last."""
    try:
        return env.last_release()
    except UsageError:
        found = latest_release(env.registry, env.config.project.name)
        if found is None:
            raise
        return found


def _verified(env: Environment, ref: ImageRef) -> ShownRelease:
    loaded = load_release(env.registry, ref)
    try:
        proofs = verify_release(loaded, signer=env.signer)
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


def _deliver(
    env: Environment, options: Options, formats: dict[str, Callable[[Any], str]], value: Any
) -> None:
    deliver(env, options, formats[options.format](value), code=options.format == "json")


SHOW_FORMATS: dict[str, Callable[[ShownRelease], str]] = {
    "text": release_text,
    "json": lambda shown: safe_json(release_view(shown)),
    "markdown": release_markdown,
}
DIFF_FORMATS: dict[str, Callable[[Comparison], str]] = {
    "text": comparison_text,
    "json": lambda comparison: safe_json(comparison_document(comparison)),
    "markdown": comparison_markdown,
}
LIST_FORMATS: dict[str, Callable[[Sequence[ListedRelease]], str]] = {
    "text": list_text,
    "json": lambda releases: safe_json(list_document(releases)),
    "markdown": list_markdown,
}
_VERBS: dict[
    str, tuple[Callable[[Environment, Options, Sequence[str]], None], int, dict[str, Any]]
] = {
    "show": (_show, 1, SHOW_FORMATS),
    "diff": (_diff, 2, DIFF_FORMATS),
    "list": (_list, 0, LIST_FORMATS),
}
