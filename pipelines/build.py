"""build → scan → sign → push: from sources to a signed release. Each is also a session."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from aksci.config import CONFIG_NAME
from aksci.errors import ConfigError, UsageError
from aksci.images import (
    ENGINE_BUILDER,
    BuildRecord,
    BuildSettings,
    BuildxBuilder,
    build_graph,
    build_images,
    load_secrets,
    publish_tags,
    read_build_record,
    write_build_record,
)
from aksci.options import BUILD_STAGES
from aksci.supply import (
    make_release,
    require_pass,
    scan_images,
    sign_image,
    sign_release,
    verdicts_markdown,
    verdicts_table,
    verify_image,
    write_release_file,
)
from pipelines.plan import base_resolver, plan
from pipelines.platform import make_toolbox, prepare
from pipelines.supplies import make_scanner, make_signer, reach_registry, source_commit

if TYPE_CHECKING:
    from collections.abc import Callable

    from aksci.context import Context
    from aksci.images import Graph
    from aksci.options import Options
    from aksci.registry import RegistryClient
    from aksci.supply import NotationSigner, TrivyScanner, Verdict
    from aksci.tools import Toolbox
    from pipelines.platform import Surroundings

__all__ = ["build", "push", "scan", "sign"]

_GATE_TOOLS = ("notation", "trivy")
_SIGNERS = 4


@dataclass(frozen=True, kw_only=True)
class _Bench:
    """What the four steps work with; each thing is made or fetched once, when first needed."""

    context: Context
    toolbox: Toolbox
    found: Surroundings
    registry: RegistryClient

    @cached_property
    def scanner(self) -> TrivyScanner:
        return make_scanner(self.context, self.toolbox, self.found)

    @cached_property
    def signer(self) -> NotationSigner:
        return make_signer(self.context, self.toolbox, self.found)

    @cached_property
    def record(self) -> BuildRecord:
        """The last build's: in ``build``, the one that its first step wrote."""
        context = self.context
        record = read_build_record(context.work)
        if record.environment != context.environment_name:
            raise UsageError(
                f"The last build was for {record.environment!r}, not {context.environment_name!r}.",
                hint=f"nox -s build -- --env {context.environment_name}",
            )
        return record

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """On the images of the record, remembered or new."""
        return scan_images(
            {name: image.ref for name, image in self.record.images.items()},
            scanner=self.scanner,
            policy=self.context.config.scan,
            registry=self.registry,
            reporter=self.context.reporter,
            now=self.context.now(),
        )


def build(context: Context, options: Options) -> dict[str, Any]:
    """Build what changed, and take it through scan, sign and push, as far as ``--until``."""
    if options.plan:
        return plan(context, options)
    # From here on the last build and release are not what the sources say.
    for name in ("build.json", "release.json"):
        (context.work / name).unlink(missing_ok=True)
    graph = build_graph(context.root, context.config)
    _require_services(context, graph)
    bench = _bench(context)
    bench.toolbox.ensure("buildx")
    steps: dict[str, Callable[[], dict[str, Any]]] = {
        "build": lambda: _build_while_tools_arrive(bench, graph, options),
        "scan": lambda: _scan(bench),
        "sign": lambda: _sign(bench),
        "push": lambda: _push(bench),
    }
    details: dict[str, Any] = {}
    for name in BUILD_STAGES[: BUILD_STAGES.index(options.until) + 1]:
        with context.reporter.group(name):
            details[name] = steps[name]()
    return details


def scan(context: Context, _options: Options) -> dict[str, Any]:
    """Scan the last build's images; fail unless the policy passes all of them."""
    return _scan(_bench(context))


def sign(context: Context, _options: Options) -> dict[str, Any]:
    """Sign the last build's images, each with its passing verdict bound in."""
    return _sign(_bench(context))


def push(context: Context, _options: Options) -> dict[str, Any]:
    """Move the stable tags to the last build's signed images; store and sign the release."""
    return _push(_bench(context))


def _bench(context: Context) -> _Bench:
    toolbox = make_toolbox(context)
    found = prepare(context, toolbox, cluster=False)
    registry = reach_registry(context, found)
    return _Bench(context=context, toolbox=toolbox, found=found, registry=registry)


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


def _build_while_tools_arrive(bench: _Bench, graph: Graph, options: Options) -> dict[str, Any]:
    """Build the images; on a fresh machine the gate's tools are made meanwhile.

    Builds wait for the network much of the time. A tool that fails is told when its turn comes.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="tools") as pool:
        if options.until != "build":
            pool.submit(bench.toolbox.ensure_all, _GATE_TOOLS)
        try:
            return _build(bench, graph, options)
        except BaseException:
            bench.context.runner.terminate_all()
            raise


def _build(bench: _Bench, graph: Graph, options: Options) -> dict[str, Any]:
    context = bench.context
    config = context.config
    commit = source_commit(context)
    images = build_images(
        graph,
        registry=bench.registry,
        builder=BuildxBuilder(
            buildx=bench.toolbox.ensure("buildx"),
            runner=context.runner,
            config_dir=context.state / "buildx",
            builder_name=_builder_name(bench),
            endpoint=bench.found.buildkit,
            hint="nox -s up" if bench.found.embedded else None,
        ),
        resolve_external=base_resolver(context, bench.registry),
        settings=BuildSettings(
            concurrency=config.build.concurrency,
            timeout=config.build.timeout,
            secrets=load_secrets(config, root=context.root, variables=context.variables),
            source=config.project.source,
            revision=commit,
        ),
        reporter=context.reporter,
        now=context.now,
        force=frozenset(options.force),
    )
    record = BuildRecord(
        run_id=context.run_id,
        commit=commit,
        environment=context.environment_name,
        images=images,
    )
    write_build_record(context.work, record)
    built = [name for name, image in images.items() if image.action == "built"]
    context.reporter.line(f"{len(built)} built, {len(images) - len(built)} unchanged")
    return {
        "commit": commit,
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


def _builder_name(bench: _Bench) -> str:
    """Return the configured builder, the embedded BuildKit's, or the Docker Engine's own."""
    configured = bench.context.environment.builder
    if isinstance(configured, str):
        return configured
    return "aksci" if bench.found.embedded else ENGINE_BUILDER


def _scan(bench: _Bench) -> dict[str, Any]:
    context = bench.context
    verdicts = bench.verdicts
    for line in verdicts_table(verdicts).splitlines():
        context.reporter.line(line)
    context.reporter.summary(verdicts_markdown(verdicts))
    require_pass(verdicts.values(), policy=context.config.scan, now=context.now())
    return {
        name: {"passed": verdict.passed, "verdict": str(verdict.stored)}
        for name, verdict in verdicts.items()
    }


def _sign(bench: _Bench) -> dict[str, Any]:
    context = bench.context
    record, verdicts = bench.record, bench.verdicts
    require_pass(verdicts.values(), policy=context.config.scan, now=context.now())
    signer = bench.signer  # made here, before several threads would

    def one(name: str) -> bool:
        image = record.images[name]
        return sign_image(image.ref, verdicts[name], input_key=image.input_key, signer=signer)

    with ThreadPoolExecutor(_SIGNERS, thread_name_prefix="sign") as pool:
        added = dict(zip(record.images, pool.map(one, record.images), strict=True))
    signed = sum(added.values())
    context.reporter.line(f"{signed} signed, {len(added) - signed} already were")
    return {"signed": sorted(name for name, new in added.items() if new)}


def _push(bench: _Bench) -> dict[str, Any]:
    context = bench.context
    record = bench.record
    if source_commit(context) != record.commit:
        raise UsageError(
            f"The sources are not those of the last build, which was of {record.commit!r}.",
            hint="nox -s build",
        )
    _require_signed(record, bench.verdicts, bench.signer)
    for move in publish_tags(record, bench.registry):
        context.reporter.line(f"{move.repository}:{move.tag} is now {move.new}")
    release = make_release(
        record,
        config=context.config,
        root=context.root,
        verdicts=bench.verdicts,
        registry=bench.registry,
    )
    sign_release(release, signer=bench.signer)
    write_release_file(context.work, release, run=context.run_id)
    context.reporter.line(f"release {release.ref}")
    context.reporter.output("release", str(release.ref))
    return {"release": str(release.ref)}


def _require_signed(
    record: BuildRecord, verdicts: dict[str, Verdict], signer: NotationSigner
) -> None:
    """Verify every image before any tag moves; a verdict that is not stored has no signature."""

    def one(name: str) -> None:
        image, stored = record.images[name], verdicts[name].stored
        digest = stored.digest if stored else ""
        verify_image(image.ref, verdict=digest, input_key=image.input_key, signer=signer)

    with ThreadPoolExecutor(_SIGNERS, thread_name_prefix="verify") as pool:
        list(pool.map(one, record.images))
