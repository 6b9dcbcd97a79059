"""build → validate → scan → sign → push: from sources to a signed release. Each is a session."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aksci.cli.options import BUILD_STAGES
from aksci.config.loader import CONFIG_NAME
from aksci.core.concurrency import gather
from aksci.core.errors import AksciError, ConfigError, TrustError, UsageError
from aksci.core.git import source_commit
from aksci.core.once import once
from aksci.images.build.build_images import build_images
from aksci.images.build.build_record import (
    Build,
    Failure,
    read_failures,
    update_failures,
    write_build_record,
)
from aksci.images.build.stable_tags import publish_tags
from aksci.images.selection import select
from aksci.pipelines.scan import apply_gate, require_pass_all, scan_build
from aksci.steps.graph_step import graph as project_graph
from aksci.steps.policy_bases import policy_bases

if TYPE_CHECKING:
    from collections.abc import Callable

    from aksci.cli.options import Options
    from aksci.environment import Environment
    from aksci.images.graph import Graph
    from aksci.supply.scan.verdict import Verdict
    from aksci.supply.sign.signer import Origin, Signer

__all__ = ["build", "push", "sign", "validate"]

_GATE_TOOLS = ("notation", "trivy")
_SIGNERS = 4


def build(env: Environment, options: Options) -> dict[str, Any]:
    """Build what changed, and take it through the stages, as far as ``--until``.

    With ``--keep-going``, failures are told at the end, when all other images went through the
    stages before ``push``.
    """
    if options.plan:
        # Here: what draws plans and graphs is nothing that a build waits for.
        from aksci.pipelines.plan import plan

        return plan(env, options)
    with ThreadPoolExecutor(1) as meanwhile:
        meanwhile.submit(lambda: env.commit)  # git looks at the tree while we read Dockerfiles
        graph = project_graph(env)
        selected = select(graph, options.only, with_dependents=options.with_dependents)
        _require_services(env, graph)
        # From here on the last build and release are not what the sources say.
        for name in ("build.json", "release.json"):
            (env.work / name).unlink(missing_ok=True)
        return _apply(env, graph, selected, options)


def validate(env: Environment, _options: Options) -> dict[str, Any]:
    """Run the last build's images that have not passed yet."""
    return _validate(_LastBuild(env))


def sign(env: Environment, _options: Options) -> dict[str, Any]:
    """Sign the last build's images, each with its passing verdict bound in."""
    return _sign(_LastBuild(env))


def push(env: Environment, _options: Options) -> dict[str, Any]:
    """Move the stable tags to the last build's signed images; store and sign the release."""
    return _push(_LastBuild(env))


@dataclass(frozen=True)
class _LastBuild:
    """The last build, scanned once for all stages."""

    env: Environment

    @once
    def record(self) -> Build:
        """In ``build``, the one that its first stage wrote."""
        return self.env.last_build()

    @once
    def verdicts(self) -> dict[str, Verdict]:
        """On its images, remembered or new."""
        return scan_build(self.env, self.record)


def _apply(
    env: Environment, graph: Graph, selected: frozenset[str], options: Options
) -> dict[str, Any]:
    details: dict[str, Any] = {}
    with env.reporter.group("build"):
        result = _build_while_tools_arrive(env, graph, selected, options)
        details["build"] = _keep(env, graph, result, options)
    last = _LastBuild(env)
    stages: dict[str, Callable[[_LastBuild], dict[str, Any]]] = {
        "validate": _validate,
        "scan": _scan,
        "sign": _sign,
        "push": _push,
    }
    try:
        for name in BUILD_STAGES[1 : BUILD_STAGES.index(options.until) + 1]:
            if result.error and (name == "push" or not result.images):
                break
            with env.reporter.group(name):
                details[name] = stages[name](last)
    except AksciError as error:
        if result.error is None:
            raise
        env.reporter.error(error.message)  # the build's own failure is told last
    if result.error:
        raise result.error
    return details


def _require_services(env: Environment, graph: Graph) -> None:
    """Refuse services that could not be released, before anything is built for them."""
    path = env.root / CONFIG_NAME
    for name, service in env.config.services.items():
        if not (env.root / service.chart / "Chart.yaml").is_file():
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
    env: Environment, graph: Graph, selected: frozenset[str], options: Options
) -> Build:
    """Build the images; on a fresh machine the gate's tools are made meanwhile.

    Builds wait for the network much of the time. A tool that fails is told when its turn comes.
    """
    if not _reaches(options, "scan"):
        return _build(env, graph, selected, options)
    with ThreadPoolExecutor(1, thread_name_prefix="tools") as pool:
        pool.submit(env.toolbox.ensure_all, _GATE_TOOLS)
        try:
            return _build(env, graph, selected, options)
        except BaseException:
            env.runner.terminate_all()
            raise


def _reaches(options: Options, stage: str) -> bool:
    """Tell whether a build goes on as far as a stage."""
    return BUILD_STAGES.index(options.until) >= BUILD_STAGES.index(stage)


def _build(env: Environment, graph: Graph, selected: frozenset[str], options: Options) -> Build:
    trusted = env.trust.trusts_build if _reaches(options, "sign") else None
    return build_images(
        graph,
        registry=env.registry,
        builder=env.builder,
        bases=policy_bases(env, graph),
        settings=env.build_settings,
        reporter=env.reporter,
        now=env.now,
        force=frozenset(options.force),
        selected=selected,
        validator=env.image_check,
        failures=read_failures(env.work),
        trusted=trusted,
    )


def _keep(env: Environment, graph: Graph, result: Build, options: Options) -> dict[str, Any]:
    """Write down what was built, and what was not.

    :raises AksciError: images failed, and the others are not to go on.
    """
    update_failures(
        env.work,
        {
            name: Failure(
                key=result.keys.get(name),
                error=_summary(error.message),
                run=env.run_id,
            )
            for name, error in result.errors.items()
        },
        succeeded=result.images,
        known=graph.images,
    )
    images = result.images
    built = [name for name, image in images.items() if image.made]
    if built:  # else nothing is new, and git need not be asked what it brings
        env.trust.remember(images.values())
    failed = f", {len(result.failed)} failed" if result.failed else ""
    env.reporter.line(f"{len(built)} built, {len(images) - len(built)} unchanged{failed}")
    if result.error and not options.keep_going:
        raise result.error
    write_build_record(env.work, result)
    return {
        "commit": result.commit,
        "failed": list(result.missing),
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


def _validate(last: _LastBuild) -> dict[str, Any]:
    validator = last.env.validator
    if validator is None:
        return {}
    results = validator.check_all({n: i.ref for n, i in last.record.images.items()})
    return {name: result.finding for name, result in results.items()}


def _scan(last: _LastBuild) -> dict[str, Any]:
    return apply_gate(last.env, last.record, last.verdicts)


def _sign(last: _LastBuild) -> dict[str, Any]:
    from aksci.supply.sign.signer import sign_image

    env, record, verdicts = last.env, last.record, last.verdicts
    require_pass_all(env, record, verdicts)
    signer, origin = env.signer, _origin(record)
    _require_trusted(env, record)

    def one(name: str) -> bool:
        image = record.images[name]
        return sign_image(
            image.ref,
            verdicts[name],
            input_key=image.input_key,
            signer=signer,
            origin=origin,
            validated=env.trust.validated(name, image.ref),
        )

    new = gather(one, record.images, limit=_SIGNERS, name="sign")
    added = dict(zip(record.images, new, strict=True))
    signed = sum(added.values())
    env.reporter.line(f"{signed} signed, {len(added) - signed} already were")
    return {"signed": sorted(name for name, new in added.items() if new)}


def _origin(record: Build) -> Origin:
    """Return what signatures tell of where something comes from."""
    from aksci.supply.sign.signer import Origin

    return Origin(commit=record.commit, run=record.run_id)


def _require_trusted(env: Environment, record: Build) -> None:
    """Sign nothing that somebody else may have put where our build would be.

    :raises TrustError: naming each image; a build that signs would have built it again.
    """
    images = record.images.values()
    known = gather(
        lambda image: env.trust.trusts_build(image.ref, image.input_key),
        images,
        limit=_SIGNERS,
        name="trust",
    )
    strange = [str(image.ref) for image, good in zip(images, known, strict=True) if not good]
    if strange:
        raise TrustError(
            "Neither a trusted signature nor .aksci/built.json covers what the last build "
            "found in the registry:\n" + "\n".join(f"  - {ref}" for ref in strange),
            hint="hand .aksci of the job that built to the one that signs; or build them again: "
            "nox -s build -- --force IMAGE.",
        )


def _push(last: _LastBuild) -> dict[str, Any]:
    """Move the tags; of a build of all images, make the release."""
    env, record = last.env, last.record
    record.require()
    if source_commit(env.root, runner=env.runner, variables=env.variables) != record.commit:
        raise UsageError(
            f"The sources are not those of the last build, which was of {record.commit!r}.",
            hint="nox -s build",
        )
    _require_signed(record, last.verdicts, env.signer)
    for move in publish_tags(record, env.registry):
        env.reporter.line(f"{move.repository}:{move.tag} is now {move.new}")
    if not record.complete:
        env.reporter.line(
            f"no release: {len(record.left_out)} of the project's images were left out (--only)"
        )
        return {"release": None}
    return _release(last)


def _release(last: _LastBuild) -> dict[str, Any]:
    from aksci.supply.release.make_release import make_release
    from aksci.supply.release.release_file import write_release_file
    from aksci.supply.release.sign_release import publish_release

    env, record = last.env, last.record
    release = make_release(
        record,
        config=env.config,
        root=env.root,
        verdicts=last.verdicts,
        registry=env.registry,
    )
    publish_release(release, registry=env.registry, signer=env.signer, origin=_origin(record))
    write_release_file(env.work, release, run=env.run_id)
    env.reporter.line(f"release {release.ref}")
    env.reporter.output("release", str(release.ref))
    return {"release": str(release.ref)}


def _require_signed(record: Build, verdicts: dict[str, Verdict], signer: Signer) -> None:
    """Verify every image before any tag moves; a verdict that is not stored has no signature."""
    from aksci.supply.sign.signer import verify_image

    def one(name: str) -> None:
        image, stored = record.images[name], verdicts[name].stored
        digest = stored.digest if stored else ""
        verify_image(image.ref, verdict=digest, input_key=image.input_key, signer=signer)

    gather(one, record.images, limit=_SIGNERS, name="verify")
