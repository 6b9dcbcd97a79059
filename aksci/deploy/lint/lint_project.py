"""Checks that need neither a build nor a cluster: of Dockerfiles, charts and manifests."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from aksci.core.errors import ConfigError
from aksci.core.inside import Inside
from aksci.core.strict_json import MALFORMED, parse_json
from aksci.core.text import sanitise, short_line
from aksci.deploy.kubernetes.manifest_images import check_namespaces, parse_manifests
from aksci.deploy.kubernetes.manifest_records import check_records
from aksci.deploy.program_limits import LIMITS, ran_out
from aksci.deploy.state.desired import values_files
from aksci.deploy.targets.helm import template_argv
from aksci.oci.references import ImageRef
from aksci.supply.release.chart import read_chart
from aksci.supply.release.chart_content import check_chart

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from aksci.config.deploy_models import EnvironmentConfig
    from aksci.config.models import Config
    from aksci.core.process import Runner

__all__ = ["LintFinding", "LintReport", "LintTools", "check_manifests", "lint_project"]

Level = Literal["error", "warning", "info"]

# Nothing is built yet: any digest will do to see whether the chart takes one.
_DUMMY = "sha256:" + "0" * 64
_POD_KINDS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod"})
_HADOLINT = (".hadolint.yaml", ".hadolint.yml")
_SERVING = frozenset({"Deployment", "StatefulSet", "DaemonSet"})


@dataclass(frozen=True, kw_only=True, order=True)
class LintFinding:
    """One thing that is wrong, and where."""

    path: str
    """Relative to the project where it is inside."""
    line: int
    """0: the whole file."""
    level: Level
    rule: str
    message: str

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return asdict(self)

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else self.path
        return f"{where}: {self.level}: {self.message} [{self.rule}]"


@dataclass(frozen=True, kw_only=True)
class LintReport:
    """All that is wrong."""

    findings: tuple[LintFinding, ...]
    """Sorted by path and line."""

    @property
    def errors(self) -> tuple[LintFinding, ...]:
        """Those that must not be deployed."""
        return tuple(finding for finding in self.findings if finding.level == "error")

    def require(self) -> None:
        """Require that no finding is an error.

        :raises ConfigError: one is.
        """
        if self.errors:
            raise ConfigError(f"lint found {len(self.errors)} errors; the first: {self.errors[0]}")


@dataclass(frozen=True, kw_only=True)
class LintTools:
    """Programs and schemas; a None leaves its checks out."""

    runner: Runner
    helm: Path | None = None
    hadolint: Path | None = None
    kubeconform: Path | None = None
    schema_location: str = ""
    """kubeconform's template of the offline schemas."""
    kube_version: str = ""
    """The version of Kubernetes that charts are rendered for; empty: Helm's own."""


def lint_project(
    config: Config, root: Path, dockerfiles: Sequence[Path], tools: LintTools
) -> LintReport:
    """Check every Dockerfile, and every service's chart with the values of every environment.

    :param dockerfiles: those that were discovered, absolute.
    """
    inside = Inside(root)
    findings = _lint_dockerfiles(dockerfiles, root, tools)
    for name, service in config.services.items():
        chart = root / service.chart
        if why := _no_chart(inside, name, service.chart):
            findings.append(_error(service.chart, "aksci-chart", why))
            continue
        if tools.helm is None:
            continue
        # With each: a value that only production sets is where a mistake hides.
        for environment_name, environment in config.environments.items():
            images = {
                key: ImageRef(environment.registry or "localhost:5000", image, _DUMMY)
                for key, image in service.images.items()
            }
            findings += _lint_chart(
                name, chart, root, environment_name, environment, images, tools, tools.helm
            )
    # Once each: environments may share their values.
    return LintReport(findings=tuple(sorted(set(findings))))


def _no_chart(inside: Inside, service: str, chart: str) -> str:
    """Say why there is nothing that Helm may read; empty: there is."""
    where = f"services.{service}.chart"
    try:
        if not inside.has_file(f"{chart}/Chart.yaml", where=where):
            return f"{where}: there is no chart here (no Chart.yaml)"
        found = inside.find(chart, where=where)
        read_chart(found)
        check_chart(found)
    except ConfigError as error:
        return error.message
    return ""


def check_manifests(path: str, manifests: Sequence[Mapping[str, Any]]) -> list[LintFinding]:
    """Check manifests for what we ask beyond Kubernetes' schema: digests, probes, resources."""
    findings = []
    for each in manifests:
        kind, spec = str(each.get("kind")), _pod_spec(each)
        if kind not in _POD_KINDS or spec is None:
            continue
        place = f"{kind}/{short_line(_table(each, 'metadata').get('name'))}"
        for container in [*_containers(spec, "initContainers"), *_containers(spec, "containers")]:
            where = f"{place}, container {short_line(container.get('name'))}"
            if "@sha256:" not in str(container.get("image", "")):
                image = short_line(container.get("image"))
                message = f"{where}: image {image!r} is not named by digest"
                findings.append(_error(path, "aksci-digest", message))
            resources = _table(container, "resources")
            if not resources.get("requests") or not _table(resources, "limits").get("memory"):
                message = f"{where}: set resources.requests and resources.limits.memory"
                findings.append(_error(path, "aksci-resources", message))
        for container in _containers(spec, "containers") if kind in _SERVING else []:
            for probe in ("readinessProbe", "livenessProbe"):
                if probe not in container:
                    where = f"{place}, container {short_line(container.get('name'))}"
                    findings.append(_error(path, "aksci-probe", f"{where}: no {probe}"))
    return findings


def _table(node: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return what is there, if it is a mapping: a chart may render anything."""
    found = node.get(key)
    return found if isinstance(found, dict) else {}


def _containers(spec: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    found = spec.get(key)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _pod_spec(manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    spec = _table(manifest, "spec")
    if manifest.get("kind") == "CronJob":
        spec = _table(_table(spec, "jobTemplate"), "spec")
    if manifest.get("kind") != "Pod":
        spec = _table(_table(spec, "template"), "spec")
    return spec or None


def _lint_dockerfiles(paths: Sequence[Path], root: Path, tools: LintTools) -> list[LintFinding]:
    if tools.hadolint is None or not paths:
        return []
    # Named each time: hadolint looks for both by itself, and shows what it can't read of them.
    settings = [root / name for name in _HADOLINT if Inside(root).has_file(name)]
    options = ["--config", str(settings[0])] if settings else []
    argv: list[str | Path] = [tools.hadolint, "--no-fail", "--format", "json", *options, *paths]
    # --no-fail: findings are no failure of the tool, so any other status than 0 is one.
    result = tools.runner.run(argv, cwd=root, timeout=120, limits=LIMITS)
    try:
        found = parse_json(result.stdout or "[]")
    except MALFORMED:
        # Its output was cut off at the limit.
        return [_error("Dockerfile", "hadolint", f"it found more than {LIMITS.output >> 20} MB")]
    levels: dict[str, Level] = {"error": "error", "warning": "warning"}
    return [
        LintFinding(
            path=_relative(each["file"], root),
            line=each["line"],
            level=levels.get(each["level"], "info"),
            rule=each["code"],
            message=sanitise(each["message"]),
        )
        for each in found
    ]


def _lint_chart(
    name: str,
    chart: Path,
    root: Path,
    environment_name: str,
    environment: EnvironmentConfig,
    images: Mapping[str, ImageRef],
    tools: LintTools,
    helm: Path,
) -> list[LintFinding]:
    path = f"{_relative(str(chart), root)} ({environment_name})"
    try:
        values = values_files(root, environment, name)
    except ConfigError as error:
        return [_error(path, "aksci-values", error.message)]
    rendering = template_argv(
        name, chart, namespace=environment.namespace, values=values, images=images,
        kube_version=tools.kube_version,
    )  # fmt: skip
    # `helm lint` takes the same flags as `helm template`, but no release name.
    linting = ["lint", "--quiet", "--strict", *rendering[2:]]
    run = partial(tools.runner.run, timeout=120, check=False, limits=LIMITS)
    lint = run([helm, *linting])
    if ran_out(lint.status):
        taken = f"it takes more than {LIMITS.memory >> 20} MiB, or {LIMITS.cpu} s of work"
        return [_error(path, "helm-lint", f"Helm can't render it: {taken}")]
    # What does not lint may not render: its one error is enough.
    if lint.status != 0:
        return [_error(path, "helm-lint", line) for line in _words(lint.stdout + lint.stderr)]
    rendered = run([helm, *rendering])
    if rendered.status != 0:
        return [_error(path, "helm-template", line) for line in _words(rendered.stderr)]
    try:
        manifests = parse_manifests(name, rendered.stdout)
        check_namespaces(name, manifests, environment.namespace)
        check_records(name, manifests)
    except ConfigError as error:
        return [_error(path, "aksci-manifest", " ".join(error.message.split()))]
    return [*check_manifests(path, manifests), *_conform(path, rendered.stdout, tools)]


def _conform(path: str, manifests: str, tools: LintTools) -> list[LintFinding]:
    if tools.kubeconform is None:
        return []
    where = ["-schema-location", tools.schema_location] if tools.schema_location else []
    version = ["-kubernetes-version", tools.kube_version] if tools.kube_version else []
    argv: list[str | Path] = [
        tools.kubeconform,
        # An unknown key is a typing error that Kubernetes would drop without a word.
        "-strict",
        "-output",
        "json",
        *version,
        *where,
        "-",
    ]
    result = tools.runner.run(argv, stdin=manifests, timeout=120, check=False, limits=LIMITS)
    try:
        resources = parse_json(result.stdout).get("resources") or []
    except MALFORMED:
        return [_error(path, "kubeconform", sanitise(result.stderr.strip() or "it did not answer"))]
    return [
        _error(path, "kubeconform", f"{each['kind']}/{each['name']}: {message}")
        for each in resources
        if each["status"] in {"statusInvalid", "statusError"}
        for message in _messages(each)
    ]


def _messages(resource: Mapping[str, Any]) -> list[str]:
    errors = resource.get("validationErrors") or []
    return [f"{each['path'] or '/'}: {sanitise(each['msg'])}" for each in errors] or [
        sanitise(str(resource.get("msg", "")))
    ]


def _words(text: str) -> list[str]:
    lines = [line.strip() for line in sanitise(text).splitlines()]
    return [line for line in lines if line and not line.startswith(("==>", "Error: 1 chart(s)"))]


def _relative(path: str, root: Path) -> str:
    return path.removeprefix(f"{root}/")


def _error(path: str, rule: str, message: str) -> LintFinding:
    return LintFinding(path=path, line=0, level="error", rule=rule, message=message)
