"""Helm 4: command lines as pure functions, and the state of releases.

Helm applies and keeps the revisions; waiting is the tracker's, so an upgrade is never given
``--wait``. Helm 4.3.1 then waits for hooks only (``hookOnly``, its default; source:
pkg/cmd/flags.go).
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aksci.core.errors import ConfigError, DeployError, ProcessError, ProcessTimeout
from aksci.deploy.kubernetes.manifest_images import check_namespaces, parse_manifests
from aksci.deploy.kubernetes.manifest_records import check_records
from aksci.deploy.program_limits import LIMITS, ran_out
from aksci.deploy.targets.deploy_target import Revision, ServiceState
from aksci.deploy.targets.post_render import PLUGIN, raise_refusal, write_plugin
from aksci.supply.release.chart_content import check_chart

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aksci.core.process import Runner
    from aksci.deploy.kubernetes.cluster import Cluster
    from aksci.deploy.targets.deploy_target import Change
    from aksci.oci.references import ImageRef

__all__ = [
    "DESIRED",
    "RELEASE",
    "REVISION",
    "Helm",
    "read_helm_states",
    "set_images",
    "template_argv",
    "upgrade_argv",
]

DESIRED, RELEASE, REVISION = "aksci.dev/desired", "aksci.dev/release", "aksci.dev/revision"
_HISTORY = "10"


def read_helm_states(cluster: Cluster) -> dict[str, ServiceState]:
    """Read the states of all releases in the namespace with one call, and without starting Helm.

    Helm keeps each revision in a Secret labelled with name, status, version and our own
    ``--labels`` (source: Helm, pkg/storage/driver/secrets.go). Only metadata is asked for: no
    values travel.
    """
    found: dict[str, list[Revision]] = {}
    for secret in cluster.list("Secret", labels="owner=helm", metadata_only=True):
        labels = secret["metadata"].get("labels", {})
        # Anybody may label a Secret so.
        if not labels.get("version", "").isdigit() or "name" not in labels:
            continue
        number = int(labels["version"])
        # `helm upgrade` by hand inherits our labels, but not the number of its own revision.
        ours = labels.get(REVISION) == str(number)
        revision = Revision(
            number=number,
            status=labels.get("status", "unknown"),
            desired=labels.get(DESIRED, "") if ours else "",
            release=labels.get(RELEASE, ""),
        )
        found.setdefault(labels["name"], []).append(revision)
    return {
        name: ServiceState(name=name, revisions=tuple(sorted(each))) for name, each in found.items()
    }


def set_images(images: Mapping[str, ImageRef]) -> list[str]:
    """Turn ``{values key: image}`` into Helm's flags: ``KEY.repository`` and ``KEY.digest``."""
    pairs = [
        pair
        for key, image in sorted(images.items())
        for pair in (f"{key}.repository={image.name}", f"{key}.digest={image.digest}")
    ]
    # Strings: a digest or a name that looks like a number stays one.
    return [word for pair in pairs for word in ("--set-string", pair)]


def template_argv(
    name: str,
    chart: Path,
    *,
    namespace: str,
    values: Sequence[Path],
    images: Mapping[str, ImageRef],
    kube_version: str = "",
) -> list[str]:
    """Render a chart without a cluster, checking its values schema."""
    argv = ["template", name, str(chart), "--namespace", namespace]
    for path in values:
        argv += ["--values", str(path)]
    argv += set_images(images)
    return [*argv, "--kube-version", kube_version] if kube_version else argv


def upgrade_argv(
    name: str,
    chart: Path,
    *,
    values: Sequence[Path],
    images: Mapping[str, ImageRef],
    labels: Mapping[str, str],
    timeout: int,
    force: bool = False,
) -> list[str]:
    """Install or upgrade one release. The time-out, in seconds, is for hooks.

    :param force: take fields back that somebody else has set: without it, server-side apply
        refuses what ``kubectl set image`` has changed. Helm 4 only.
    """
    argv = ["upgrade", "--install", name, str(chart), "--post-renderer", PLUGIN]
    for path in values:
        argv += ["--values", str(path)]
    argv += set_images(images)
    argv += ["--labels", ",".join(f"{key}={value}" for key, value in sorted(labels.items()))]
    # Both: conflicts can only be forced where the API server merges.
    argv += ["--server-side=true", "--force-conflicts"] if force else []
    # Without it, Helm may take over values that somebody has set by hand: the same release would
    # not give the same objects.
    return [*argv, "--reset-values", "--history-max", _HISTORY, "--timeout", f"{timeout}s"]


@dataclass(frozen=True, kw_only=True)
class Helm:
    """The helm program, bound to one namespace of one cluster."""

    program: Path
    runner: Runner
    kubeconfig: Path
    context: str | None
    namespace: str

    def observe(self, cluster: Cluster) -> Mapping[str, ServiceState]:
        """Return the state of each release; the program is not started."""
        return read_helm_states(cluster)

    def render(self, change: Change) -> Sequence[Mapping[str, Any]]:
        """Render a chart as it will be applied.

        :raises ConfigError: a template is wrong, or values do not fit the chart's
            values.schema.json; it can be read in two ways; or it brings what runs in another
            namespace, what Helm takes for a record of its own, or what no rendering shows.
        """
        # What is in crds, Helm installs before it renders anything.
        check_chart(change.chart)
        argv = template_argv(
            change.service, change.chart, namespace=self.namespace, values=change.values,
            images=change.images, kube_version=change.kube_version,
        )  # fmt: skip
        try:
            # No cluster is named: rendering must not depend on what one has.
            text = self._run(argv, bound=False)
        except ProcessError as error:
            files = ", ".join(str(path) for path in change.values) or "its own values"
            raise ConfigError(
                f"services.{change.service}: the chart does not render with {files}. Helm says:"
                f"\n\n{_words(error)}"
            ) from None
        manifests = parse_manifests(change.service, text)
        check_namespaces(change.service, manifests, self.namespace)
        check_records(change.service, manifests)
        return manifests

    def apply(self, cluster: Cluster, change: Change) -> None:
        """Upgrade, with what tells the next run what this one has applied."""
        self._at(cluster).upgrade(
            change.service,
            change.chart,
            values=change.values,
            images=change.images,
            labels={
                DESIRED: change.desired,
                RELEASE: change.release,
                REVISION: str(change.number),
            },
            timeout=change.timeout,
            force=change.force,
            allowed=change.allowed,
        )

    def objects(self, cluster: Cluster, service: str) -> Sequence[Mapping[str, Any]]:
        """Return the objects of a release's latest revision, hooks aside."""
        try:
            return self._at(cluster).manifest(service)
        except ProcessError:
            read_helm_states(cluster)  # waits for an API server that was away for a moment
            return self._at(cluster).manifest(service)

    def status(self, cluster: Cluster, service: str, *, timeout: float) -> str:  # noqa: ARG002
        """Say nothing: what Helm applies are objects, whose rollout tells all."""
        return ""

    def restore(self, cluster: Cluster, service: str, number: int, *, timeout: int) -> None:
        """Make a new revision out of an earlier one."""
        self._at(cluster).rollback(service, number, timeout=timeout)

    def remove(self, cluster: Cluster, service: str, *, timeout: int) -> None:
        """Remove a release with its history."""
        self._at(cluster).uninstall(service, timeout=timeout)

    def stop(self) -> None:
        """End the programs that run."""
        self.runner.terminate_all()

    def _at(self, cluster: Cluster) -> Helm:
        # The very context that is locked, even if the kubeconfig's current one changes meanwhile.
        return replace(self, context=cluster.context_name or self.context)

    def upgrade(
        self,
        name: str,
        chart: Path,
        *,
        values: Sequence[Path],
        images: Mapping[str, ImageRef],
        labels: Mapping[str, str],
        timeout: int,
        force: bool = False,
        allowed: frozenset[str] = frozenset(),
    ) -> None:
        """Install or upgrade a release and return as soon as Kubernetes has accepted it.

        :param allowed: the images that it may run; none: ``images``.
        :raises ConfigError: what Helm has rendered can be read in two ways, or runs something in
            another namespace. Nothing was applied, which is so for the next one, too.
        :raises TrustError: it runs an image that is not allowed.
        """
        argv = upgrade_argv(
            name,
            chart,
            values=values,
            images=images,
            labels=labels,
            timeout=timeout,
            force=force,
        )
        with tempfile.TemporaryDirectory(prefix="aksci-helm-") as folder:
            write_plugin(
                Path(folder),
                service=name,
                namespace=self.namespace,
                allowed=allowed or {str(ref) for ref in images.values()},
            )
            plugins = {"HELM_PLUGINS": folder}
            try:
                # Helm's own time-out comes first: it then ends the revision in order.
                self._change(name, "apply it", argv, timeout=timeout + 60, variables=plugins)
            except DeployError:
                raise_refusal(Path(folder))
                raise

    def rollback(self, name: str, revision: int, *, timeout: int) -> None:
        """Make a new revision out of an earlier one."""
        argv = ["rollback", name, str(revision)]
        argv += ["--history-max", _HISTORY, "--timeout", f"{timeout}s"]
        self._change(name, "roll it back", argv, timeout=timeout + 60)

    def uninstall(self, name: str, *, timeout: int) -> None:
        """Remove a release with its history; one that does not exist is fine."""
        # With --wait, the only one: a new installation would meet what is still being deleted.
        argv = ["uninstall", name, "--ignore-not-found", "--wait", "--timeout", f"{timeout}s"]
        self._change(name, "uninstall it", argv, timeout=timeout + 60)

    def manifest(self, name: str) -> list[dict[str, Any]]:
        """Return the objects of a release's latest revision, hooks aside."""
        return parse_manifests(name, self._run(["get", "manifest", name]))

    def _change(
        self,
        name: str,
        what: str,
        argv: list[str],
        *,
        timeout: float,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        try:
            self._run(argv, timeout=timeout, variables=variables)
        except ProcessError as error:
            raise DeployError(
                f"services.{name}: Helm could not {what}:\n\n{_words(error)}"
            ) from None

    def _run(
        self,
        argv: list[str],
        *,
        bound: bool = True,
        timeout: float = 120,
        variables: Mapping[str, str] | None = None,
    ) -> str:
        where = ["--namespace", self.namespace, "--kubeconfig", str(self.kubeconfig)]
        where += ["--kube-context", self.context] if self.context else []
        whole: list[str | Path] = [self.program, *argv, *(where if bound else [])]
        # Of Helm's own variables none is passed on: they could name another cluster or namespace
        # than the one that is locked, or a storage driver that hides the revisions from us.
        rest = self.runner.environment.items()
        env = {key: value for key, value in rest if not key.upper().startswith("HELM_")}
        # Where read_helm_states looks.
        env["HELM_DRIVER"] = "secret"
        env.update(variables or {})
        return self.runner.run(whole, env=env, only_env=True, timeout=timeout, limits=LIMITS).stdout


def _words(error: ProcessError) -> str:
    """Return what Helm says, but for the thousands of lines with which Go ends without memory."""
    if ran_out(error.status) and not isinstance(error, ProcessTimeout):
        return f"  It took more than {LIMITS.memory >> 20} MiB, or {LIMITS.cpu} s of work."
    return _indent(error.output or error.message)


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines()[-20:])
