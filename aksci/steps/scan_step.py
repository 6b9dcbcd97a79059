"""The step ``scan``: the verdicts on a build's images."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aksci.environment import Environment
    from aksci.images.build.build_record import Build
    from aksci.supply.scan.verdict import Verdict
    from aksci.supply.scan.verdicts import Verdicts

__all__ = ["scan"]


def scan(env: Environment, build: Build, *, quiet: bool = False) -> Verdicts:
    """Decide on each image by [scan]; what was decided before under the same conditions holds.

    >>> verdicts = scan(env, env.last_build())  # doctest: +SKIP
    >>> verdicts["web"].passed, [one.id for one in verdicts["web"].failing]  # doctest: +SKIP
    (False, ['CVE-2024-5535'])
    >>> verdicts.require()  # doctest: +SKIP

    Findings raise no error here: ``require`` does that, and ``sign`` calls it.

    :param quiet: don't report the verdicts, since another job has reported them.
    :raises GateError: an image could not be scanned, which is never "clean".
    :raises ConfigError: a file that [scan] names is missing or damaged.
    """
    from aksci.supply.scan.own_verdicts import write_verdict_record
    from aksci.supply.scan.verdicts import Verdicts

    build.require_environment(env.name)
    with env.reporter.group("scan"):
        found = _scan(env, build) if build.images else {}
        if found:
            write_verdict_record(env.work_folder, found.values())
        verdicts = Verdicts(
            found=found,
            policy=env.config.scan,
            environment=env.name,
            now=env.now(),
            complete=build.complete,
            earlier=partial(_earlier, env, found),
        )
        if not quiet:
            _tell(env, verdicts)
    env.note(
        "scan",
        {
            name: {"passed": verdict.passed, "verdict": str(verdict.stored)}
            for name, verdict in verdicts.items()
        },
    )
    return verdicts


def _scan(env: Environment, build: Build) -> dict[str, Verdict]:
    from aksci.supply.scan.scan_images import scan_images

    images = build.images.values()

    def trusted(verdict: Verdict) -> bool:
        keys = {image.input_key for image in images if image.ref == verdict.image}
        return env.trust.trusts_verdict(verdict, keys)

    own = {name: image.ref.repository for name, image in build.images.items()}
    base_of = partial(env.resolver.base_of, host=env.registry.host, own=own)
    return scan_images(
        {name: image.ref for name, image in build.images.items()},
        scanner=env.scanner,
        policy=env.config.scan,
        registry=env.registry,
        reporter=env.reporter,
        now=env.now(),
        root=env.root,
        bases={name: base_of(image) for name, image in build.images.items()},
        outside=env.resolver.client,
        trusted=trusted,
    )


def _earlier(env: Environment, found: Mapping[str, Verdict]) -> Mapping[str, Verdict] | None:
    from aksci.supply.release.release_evidence import verdicts_before

    return verdicts_before(
        found,
        project=env.config.project.name,
        registry=env.registry,
        trusted=env.trust.trusts_release,
    )


def _tell(env: Environment, verdicts: Verdicts) -> None:
    # Of all formats these two only: a build with nothing to do waits for no other.
    from aksci.report.verdict_report import verdicts_markdown, verdicts_table
    from aksci.supply.scan.ignores import ignore_warnings

    for text in (*ignore_warnings(env.config.scan, env.now()), *_unmet(env, verdicts)):
        env.reporter.warning(text)
    for line in verdicts_table(verdicts, verdicts.before).splitlines():
        env.reporter.line(line)
    env.reporter.summary(verdicts_markdown(verdicts, verdicts.before))


def _unmet(env: Environment, verdicts: Verdicts) -> Iterator[str]:
    """Yield what people may think decides here, and does not."""
    from aksci.supply.scan.unread_settings import UNREAD_HINT, unread_settings

    # Of a part of the images, it is not known what the others have.
    if env.config.scan.vex and verdicts.complete:
        from aksci.supply.scan.vex_notes import vex_notes

        yield from vex_notes(env.config.scan, env.root, verdicts.values())
    if unread := unread_settings(env.root, env.config.scan):
        text = f"{', '.join(unread)}: {UNREAD_HINT}"
        if verdicts.passed:
            env.reporter.line(text)  # each run would warn of a file that other jobs need
        else:
            yield text
