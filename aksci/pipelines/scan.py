"""The session ``scan``: the verdicts on the last build's images, and the gate."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from aksci.cli.options import Options
from aksci.core.errors import RegistryError
from aksci.pipelines.output import deliver, renderer_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aksci.environment import Environment
    from aksci.images.build.build_record import Build
    from aksci.supply.scan.verdict import Verdict

__all__ = ["apply_gate", "require_pass_all", "scan", "scan_build", "verdicts_before"]


def scan(env: Environment, options: Options) -> dict[str, Any]:
    """Scan the last build's images; fail unless the policy passes all of them.

    ``--format`` shows the verdicts in one of several formats, whether they pass or not.
    """
    from aksci.report.verdict_formats import CODE_FORMATS, VERDICT_FORMATS, render_verdicts

    renderer_of("scan", options, VERDICT_FORMATS)
    record = env.last_build()
    verdicts = scan_build(env, record)
    before = verdicts_before(env, verdicts)
    if options.output or options.format != Options.format:
        text = render_verdicts(verdicts, options.format, before)
        deliver(env, options, text, code=options.format in CODE_FORMATS)
    return _tell(env, record, verdicts, before)


def apply_gate(env: Environment, record: Build, verdicts: dict[str, Verdict]) -> dict[str, Any]:
    """Show what was found, and fail unless the policy passes all images."""
    return _tell(env, record, verdicts, verdicts_before(env, verdicts))


def scan_build(env: Environment, record: Build) -> dict[str, Verdict]:
    """Return the verdicts on a build's images, remembered or new."""
    from aksci.supply.scan.own_verdicts import write_verdict_record
    from aksci.supply.scan.scan_images import scan_images

    def trusted(verdict: Verdict) -> bool:
        images = record.images.values()
        return env.trust.trusts_verdict(
            verdict, {one.input_key for one in images if one.ref == verdict.image}
        )

    own = {name: image.ref.repository for name, image in record.images.items()}
    base_of = partial(env.resolver.base_of, host=env.registry.host, own=own)
    found = scan_images(
        {name: image.ref for name, image in record.images.items()},
        scanner=env.scanner,
        policy=env.config.scan,
        registry=env.registry,
        reporter=env.reporter,
        now=env.now(),
        root=env.root,
        bases={name: base_of(image) for name, image in record.images.items()},
        outside=env.resolver.client,
        trusted=trusted,
    )
    write_verdict_record(env.work, found.values())
    return found


def require_pass_all(env: Environment, record: Build, verdicts: Mapping[str, Verdict]) -> None:
    """Fail unless the policy passes all images.

    :raises GateError: naming those that it refuses.
    """
    from aksci.supply.scan.gate import require_pass

    require_pass(verdicts.values(), policy=env.config.scan, now=env.now(), complete=record.complete)


def _tell(
    env: Environment,
    record: Build,
    verdicts: dict[str, Verdict],
    before: dict[str, Verdict] | None,
) -> dict[str, Any]:
    from aksci.report.verdict_report import verdicts_markdown, verdicts_table
    from aksci.supply.scan.ignores import ignore_warnings

    for text in ignore_warnings(env.config.scan, env.now()):
        env.reporter.warning(text)
    for line in verdicts_table(verdicts, before).splitlines():
        env.reporter.line(line)
    env.reporter.summary(verdicts_markdown(verdicts, before))
    require_pass_all(env, record, verdicts)
    return {
        name: {"passed": verdict.passed, "verdict": str(verdict.stored)}
        for name, verdict in verdicts.items()
    }


def verdicts_before(env: Environment, verdicts: Mapping[str, Verdict]) -> dict[str, Verdict] | None:
    """Return the verdicts of the last release, to tell what changed; None: there is none.

    The tag ``latest`` may be anybody's: findings would not be told as new on his word.
    """
    from aksci.supply.release.find_release import latest_release
    from aksci.supply.release.make_release import load_release
    from aksci.supply.release.release_evidence import release_verdicts

    ref = latest_release(env.registry, env.config.project.name)
    try:
        if ref is None or not env.trust.trusts_release(ref):
            return None
        release = load_release(env.registry, ref)
    except RegistryError:
        return None  # a hint that leads nowhere; nothing depends on it
    stored = {one.stored.digest: one for one in verdicts.values() if one.stored}
    same = {n: stored[i.verdict] for n, i in release.images.items() if i.verdict in stored}
    others = {n: image for n, image in release.images.items() if n not in same}
    return {**same, **release_verdicts(env.registry, replace(release, images=others))}
