"""build → validate → scan → sign → push: from sources to a signed release. Each is a session."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

from aksci.cli.options import BUILD_STAGES, Options
from aksci.config.loader import CONFIG_NAME
from aksci.core.errors import AksciError, ConfigError, TrustError, UsageError
from aksci.images.build.build_images import build_images
from aksci.images.build.build_record import (
    BuildRecord,
    Failure,
    read_failures,
    update_failures,
    write_build_record,
)
from aksci.images.build.tags import publish_tags
from aksci.images.selection import select
from pipelines.bench import Bench
from pipelines.graph import project_graph
from pipelines.output import deliver, renderer_of
from pipelines.plan import plan
from pipelines.supplies import source_commit

if TYPE_CHECKING:
    from collections.abc import Callable

    from aksci.context import Context
    from aksci.images.build.build_images import BuildResult
    from aksci.images.graph import Graph
    from aksci.supply.scan.verdict import Verdict
    from aksci.supply.sign.signer import Origin, Signer

__all__ = ["build", "push", "scan", "sign", "validate"]

_GATE_TOOLS = ("notation", "trivy")
_SIGNERS = 4


def build(context: Context, options: Options) -> dict[str, Any]:
    """Build what changed, and take it through the stages, as far as ``--until``.

    With ``--keep-going``, failures are told at the end, when all other images went through the
    stages before ``push``.
    """
    if options.plan:
        return plan(context, options)
    with closing(Bench(context=context)) as bench, ThreadPoolExecutor(1) as meanwhile:
        meanwhile.submit(lambda: bench.commit)  # git looks at the tree while we read Dockerfiles
        graph = project_graph(context)
        selected = select(graph, options.only, with_dependents=options.with_dependents)
        _require_services(context, graph)
        # From here on the last build and release are not what the sources say.
        for name in ("build.json", "release.json"):
            (context.work / name).unlink(missing_ok=True)
        return _apply(bench, graph, selected, options)


def validate(context: Context, _options: Options) -> dict[str, Any]:
    """Run the last build's images that have not passed yet."""
    with closing(Bench(context=context)) as bench:
        return _validate(bench)


def scan(context: Context, options: Options) -> dict[str, Any]:
    """Scan the last build's images; fail unless the policy passes all of them.

    ``--format`` shows the verdicts in one of several formats, whether they pass or not.
    """
    from aksci.report.verdict_formats import CODE_FORMATS, VERDICT_FORMATS, render_verdicts

    renderer_of("scan", options, VERDICT_FORMATS)
    bench = Bench(context=context)
    if options.output or options.format != Options.format:
        text = render_verdicts(bench.verdicts, options.format, bench.before)
        deliver(context, options, text, code=options.format in CODE_FORMATS)
    return _scan(bench)


def sign(context: Context, _options: Options) -> dict[str, Any]:
    """Sign the last build's images, each with its passing verdict bound in."""
    return _sign(Bench(context=context))


def push(context: Context, _options: Options) -> dict[str, Any]:
    """Move the stable tags to the last build's signed images; store and sign the release."""
    return _push(Bench(context=context))


def _apply(
    bench: Bench, graph: Graph, selected: frozenset[str], options: Options
) -> dict[str, Any]:
    context = bench.context
    details: dict[str, Any] = {}
    with context.reporter.group("build"):
        result = _build_while_tools_arrive(bench, graph, selected, options)
        details["build"] = _keep(bench, graph, result, options)
    stages: dict[str, Callable[[Bench], dict[str, Any]]] = {
        "validate": _validate,
        "scan": _scan,
        "sign": _sign,
        "push": _push,
    }
    last = BUILD_STAGES.index(options.until)
    try:
        for name in BUILD_STAGES[1 : last + 1]:
            if result.error and (name == "push" or not result.images):
                break
            with context.reporter.group(name):
                details[name] = stages[name](bench)
    except AksciError as error:
        if result.error is None:
            raise
        context.reporter.error(error.message)  # the build's own failure is told last
    if result.error:
        raise result.error
    return details


def _require_services(context: Context, graph: Graph) -> None:
    """Refuse services that could not be released, before anything is built for them."""
    path = context.root / CONFIG_NAME
    for name, service in context.config.services.items():
        if not (context.root / service.chart / "Chart.yaml").is_file():
            raise ConfigError(
                f"{path}: services.{name}.chart: there is no chart in {service.chart} "
                "(no Chart.yaml)."
            )
        jobs = [step.image for step in (*service.pre, *service.post) if step.kind == "job"]
        for image in (*service.images.values(), *jobs):
            if image not in graph.images:
                known = ", ".join(graph.images)
                raise ConfigError(
                    f"{path}: services.{name}: there is no image {image!r}; there are: {known}."
                )


def _build_while_tools_arrive(
    bench: Bench, graph: Graph, selected: frozenset[str], options: Options
) -> BuildResult:
    """Build the images; on a fresh machine the gate's tools are made meanwhile.

    Builds wait for the network much of the time. A tool that fails is told when its turn comes.
    """
    if not _reaches(options, "scan"):
        return _build(bench, graph, selected, options)
    with ThreadPoolExecutor(1, thread_name_prefix="tools") as pool:
        pool.submit(bench.toolbox.ensure_all, _GATE_TOOLS)
        try:
            return _build(bench, graph, selected, options)
        except BaseException:
            bench.context.runner.terminate_all()
            raise


def _reaches(options: Options, stage: str) -> bool:
    """Tell whether a build goes on as far as a stage."""
    return BUILD_STAGES.index(options.until) >= BUILD_STAGES.index(stage)


def _build(bench: Bench, graph: Graph, selected: frozenset[str], options: Options) -> BuildResult:
    context = bench.context
    trusted = bench.vouches if _reaches(options, "sign") else None
    return build_images(
        graph,
        registry=bench.registry,
        builder=bench.builder,
        bases=bench.bases_under_policy(graph),
        settings=bench.settings,
        reporter=context.reporter,
        now=context.now,
        force=frozenset(options.force),
        selected=selected,
        validator=bench.check,
        failures=read_failures(context.work),
        trusted=trusted,
    )


def _keep(bench: Bench, graph: Graph, result: BuildResult, options: Options) -> dict[str, Any]:
    """Write down what was built, and what was not.

    :raises AksciError: images failed, and the others are not to go on.
    """
    context = bench.context
    update_failures(
        context.work,
        {
            name: Failure(
                key=result.keys.get(name),
                error=_summary(error.message),
                run=context.run_id,
            )
            for name, error in result.failed.items()
        },
        succeeded=result.images,
        known=graph.images,
    )
    images = result.images
    bench.remember_own(images.values())
    built = [name for name, image in images.items() if image.made]
    failed = f", {len(result.failed)} failed" if result.failed else ""
    context.reporter.line(f"{len(built)} built, {len(images) - len(built)} unchanged{failed}")
    if result.error and not options.keep_going:
        raise result.error
    missing = {*result.failed, *result.blocked}
    record = BuildRecord(
        run_id=context.run_id,
        commit=bench.commit,
        environment=context.environment_name,
        images=images,
        left_out=tuple(sorted(set(graph.images) - set(images) - missing)),
        failed=tuple(sorted(missing)),
    )
    write_build_record(context.work, record)
    return {
        "commit": record.commit,
        "failed": list(record.failed),
        "images": {
            name: {
                "digest": image.ref.digest,
                "action": image.action,
                "reasons": list(image.reasons),
                "seconds": round(image.seconds, 3),
            }
            for name, image in images.items()
        },
    }


def _summary(message: str) -> str:
    """Return a failure on one line: the first, and where that only announces, the last, too."""
    first, *more = filter(None, map(str.strip, message.splitlines()))
    return f"{first} {more[-1]}" if first.endswith(":") and more else first


def _validate(bench: Bench) -> dict[str, Any]:
    if bench.validator is None:
        return {}
    results = bench.validator.check_all({n: i.ref for n, i in bench.record.images.items()})
    return {name: result.finding for name, result in results.items()}


def _scan(bench: Bench) -> dict[str, Any]:
    from aksci.report.verdict_report import verdicts_markdown, verdicts_table
    from aksci.supply.scan.ignores import ignore_warnings

    context = bench.context
    policy, verdicts = context.config.scan, bench.verdicts
    for text in ignore_warnings(policy, context.now()):
        context.reporter.warning(text)
    for line in verdicts_table(verdicts, bench.before).splitlines():
        context.reporter.line(line)
    context.reporter.summary(verdicts_markdown(verdicts, bench.before))
    _require_pass(bench)
    return {
        name: {"passed": verdict.passed, "verdict": str(verdict.stored)}
        for name, verdict in verdicts.items()
    }


def _require_pass(bench: Bench) -> None:
    from aksci.supply.scan.scan_policy import require_pass

    context = bench.context
    require_pass(
        bench.verdicts.values(),
        policy=context.config.scan,
        now=context.now(),
        complete=bench.record.complete,
    )


def _sign(bench: Bench) -> dict[str, Any]:
    from aksci.supply.sign.signer import sign_image

    context = bench.context
    record, verdicts = bench.record, bench.verdicts
    _require_pass(bench)
    signer, origin = bench.signer, _origin(bench)
    _require_vouched(bench)

    def one(name: str) -> bool:
        image = record.images[name]
        return sign_image(
            image.ref,
            verdicts[name],
            input_key=image.input_key,
            signer=signer,
            origin=origin,
            validated=bench.validated(name, image.ref),
        )

    with ThreadPoolExecutor(_SIGNERS, thread_name_prefix="sign") as pool:
        added = dict(zip(record.images, pool.map(one, record.images), strict=True))
    signed = sum(added.values())
    context.reporter.line(f"{signed} signed, {len(added) - signed} already were")
    return {"signed": sorted(name for name, new in added.items() if new)}


def _origin(bench: Bench) -> Origin:
    """Return what signatures tell of where something comes from."""
    from aksci.supply.sign.signer import Origin

    return Origin(commit=bench.record.commit, run=bench.record.run_id)


def _require_vouched(bench: Bench) -> None:
    """Sign nothing that somebody else may have put where our build would be.

    :raises TrustError: naming each image; a build that signs would have built it again.
    """
    with ThreadPoolExecutor(_SIGNERS, thread_name_prefix="vouch") as pool:
        images = bench.record.images.values()
        known = pool.map(lambda image: bench.vouches(image.ref, image.input_key), images)
        strange = [str(image.ref) for image, good in zip(images, known, strict=True) if not good]
    if strange:
        raise TrustError(
            "Neither a trusted signature nor .aksci/built.json vouches for what the last build "
            "found in the registry:\n" + "\n".join(f"  - {ref}" for ref in strange),
            hint="hand .aksci of the job that built to the one that signs; or build them again: "
            "nox -s build -- --force IMAGE.",
        )


def _push(bench: Bench) -> dict[str, Any]:
    """Move the tags; of a build of all images, make the release."""
    context = bench.context
    record = bench.record
    if record.failed:
        raise UsageError(
            f"{len(record.failed)} images of the last build did not build, so there is nothing to "
            f"release: {', '.join(record.failed)}.",
            hint="nox -s build",
        )
    if source_commit(context) != record.commit:
        raise UsageError(
            f"The sources are not those of the last build, which was of {record.commit!r}.",
            hint="nox -s build",
        )
    _require_signed(record, bench.verdicts, bench.signer)
    for move in publish_tags(record, bench.registry):
        context.reporter.line(f"{move.repository}:{move.tag} is now {move.new}")
    if not record.complete:
        context.reporter.line(
            f"no release: {len(record.left_out)} of the project's images were left out (--only)"
        )
        return {"release": None}
    return _release(bench)


def _release(bench: Bench) -> dict[str, Any]:
    from aksci.supply.release.make_release import make_release
    from aksci.supply.release.release_file import write_release_file
    from aksci.supply.release.sign_release import publish_release

    context = bench.context
    release = make_release(
        bench.record,
        config=context.config,
        root=context.root,
        verdicts=bench.verdicts,
        registry=bench.registry,
    )
    publish_release(release, registry=bench.registry, signer=bench.signer, origin=_origin(bench))
    write_release_file(context.work, release, run=context.run_id)
    context.reporter.line(f"release {release.ref}")
    context.reporter.output("release", str(release.ref))
    return {"release": str(release.ref)}


def _require_signed(record: BuildRecord, verdicts: dict[str, Verdict], signer: Signer) -> None:
    """Verify every image before any tag moves; a verdict that is not stored has no signature."""
    from aksci.supply.sign.signer import verify_image

    def one(name: str) -> None:
        image, stored = record.images[name], verdicts[name].stored
        digest = stored.digest if stored else ""
        verify_image(image.ref, verdict=digest, input_key=image.input_key, signer=signer)

    with ThreadPoolExecutor(_SIGNERS, thread_name_prefix="verify") as pool:
        list(pool.map(one, record.images))
