"""Bring a release from the environment before: verify, gates, copy, verify there, deploy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aksci.cli.options import Options
from aksci.core.errors import (
    ConfigError,
    DamagedInRegistry,
    GateError,
    NotFoundInRegistry,
    UsageError,
)
from aksci.deploy.environment_status import read_status
from aksci.deploy.state.deploy_record import read_record
from aksci.oci.copy import apply_transfer
from aksci.oci.copy_plan import plan_transfer
from aksci.oci.references import ImageRef
from aksci.pipelines.deploy import deploy_ref, verified_release
from aksci.pipelines.output import show
from aksci.supply.release.promotion_gates import (
    ReleaseFacts,
    RunningRelease,
    check_gates,
    running_since,
)
from aksci.supply.release.sign_release import LATEST
from aksci.supply.scan.stored_verdict import read_verdict
from aksci.supply.sign.signer import ensure_signed, image_claims, kind_claims

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aksci.environment import Environment
    from aksci.oci.copy_plan import TransferPlan
    from aksci.oci.registry import Registry
    from aksci.supply.release.release import Release, ReleaseImage

__all__ = ["gate_refusals", "previous", "promote"]


def promote(env: Environment, options: Options) -> dict[str, Any]:
    """Bring a release from the environment that ``promote_from`` names, and deploy it.

    It is what runs there now, or what ``--release`` names in the registry there.

    :raises UsageError: the environment names none to promote from, or nothing runs there.
    :raises GateError: the gates of the environment refuse it.
    :raises TrustError: it can't be verified, where it is or where it has come to.
    """
    source, target = previous(env), env
    ref = _chosen(source, options.release)
    _start(source)
    release = verified_release(source, ref)
    refusals = _refusals(source, target, release)
    _start(target)
    plan = plan_transfer(
        source.registry,
        target.registry,
        _parts(release),
        reporter=env.reporter,
        tags=dict.fromkeys((release.tag, LATEST), release.ref),
    )
    details = {
        "release": str(ref),
        "from": source.name,
        "gates": list(refusals),
        "transfer": plan.as_json(),
    }
    if options.plan:
        show(_text(source, target, release, refusals, plan))
        return details
    if refusals:
        raise _refused(target, release, refusals)
    env.reporter.line(plan.text())
    done = apply_transfer(plan, source.registry, target.registry, reporter=env.reporter)
    if done.manifests:
        env.reporter.line(
            f"copied {done.manifests} manifests; {done.streamed} blobs sent, {done.mounted} mounted"
        )
    _sign_again(source, target, release)
    return {**details, "deploy": deploy_ref(env, _at(target, ref))}


def _start(env: Environment) -> None:
    """Start the embedded platform, with all that a deployment needs."""
    if env.settings.platform == "embedded":
        env.prepare(cluster=True)


def previous(env: Environment) -> Environment:
    """Return the environment that releases are promoted from.

    :raises UsageError: the environment names none.
    :raises ConfigError: there is none of that name.
    """
    here, name = env.name, env.settings.promote_from
    if name is None:
        raise UsageError(
            f"{here!r} names no environment that releases are promoted from.",
            hint=f'promote_from = "…" under [environments.{here}] in aksci.toml; '
            f"or nox -s deploy -- --env {here}",
        )
    if name == here:
        raise ConfigError(f"environments.{here}.promote_from names the environment itself.")
    known = env.config.environments
    if name not in known and name != Options.env:
        raise ConfigError(
            f"environments.{here}.promote_from is {name!r}, which there is not; there are: "
            f"{', '.join(sorted({*known, Options.env}))}."
        )
    return env.at(name)


def gate_refusals(env: Environment, ref: ImageRef) -> tuple[str, ...]:
    """Ask the environment's gates alone, and change nothing; return why they refuse a release.

    :param ref: in the registry of the environment that it is promoted from.
    """
    source = previous(env).looking
    return _refusals(source, env.looking, verified_release(source, ref))


def _chosen(source: Environment, named: str | None) -> ImageRef:
    """Return the release that is named, or the one that runs in the environment before."""
    if named:
        return ImageRef.parse(named)
    name = source.name
    with source.looking.cluster() as cluster:
        current = read_record(cluster).current
    if not current:
        raise UsageError(
            f"Nothing runs in {name!r} that could be promoted.",
            hint=f"nox -s deploy -- --env {name}; or name a release with --release.",
        )
    return ImageRef.parse(current)


def _parts(release: Release) -> Iterator[ImageRef]:
    """Yield all that a release is made of."""
    yield release.ref
    yield from (image.ref for image in release.images.values())
    yield from (service.chart for service in release.services.values())


def _refusals(source: Environment, target: Environment, release: Release) -> tuple[str, ...]:
    """Ask the gates; what no gate asks about is not looked up."""
    gates = target.settings.gates
    proofs = source.signer.verify(release.ref, kind_claims(release.ref, "release"))
    facts = ReleaseFacts(
        signed_at=[proof.signed_at for proof in proofs],
        databases={} if gates.verdict_max_age is None else _databases(source.registry, release),
        running=_running(source, release) if gates.soak else RunningRelease(),
    )
    return check_gates(facts, gates, now=target.now(), previous=source.name)


def _databases(registry: Registry, release: Release) -> dict[str, str]:
    """Return image -> the database of the verdict that its signature binds."""
    return {name: _database(registry, image) for name, image in release.images.items()}


def _database(registry: Registry, image: ReleaseImage) -> str:
    """Return the identity of a verdict's database; nothing where the verdict does not tell it."""
    try:
        return read_verdict(registry, image.ref, image.verdict).database
    except (NotFoundInRegistry, DamagedInRegistry):
        return ""


def _running(source: Environment, release: Release) -> RunningRelease:
    """Look how the release does in the environment before."""
    with source.looking.cluster() as cluster:
        status = read_status(cluster, release.services)
    history = [(entry.release, entry.at) for entry in status.history]
    problems = [
        f"the service {service.name!r} is not healthy"
        for service in status.services
        if not service.healthy
    ]
    if status.unfinished:
        problems.append(f"the deployment of {status.unfinished} has begun and has not ended")
    return RunningRelease(since=running_since(history, str(release.ref)), problems=tuple(problems))


def _sign_again(source: Environment, target: Environment, release: Release) -> None:
    """Let Docker Content Trust sign at the target: its signatures name the registry.

    Each has the claims of the signature that has been verified at the source. The other signers'
    have been copied, and don't sign again: what they signed must be trusted there as it is.
    """
    if "dct" not in target.config.sign.signers:
        return
    signer = target.signers.dct()
    for ref, required in _claims(release).items():
        proofs = source.signer.verify(ref, required)
        claims = {**_common(proof.claims for proof in proofs), **required}
        if ensure_signed(_at(target, ref), claims, required=required, signer=signer):
            target.reporter.line(f"signed {_at(target, ref)}")


def _claims(release: Release) -> dict[ImageRef, dict[str, str]]:
    """Return what the signature of each part of a release must bind."""
    images = {
        image.ref: image_claims(image.ref, verdict=image.verdict, input_key=image.input_key)
        for image in release.images.values()
    }
    charts = {each.chart: kind_claims(each.chart, "chart") for each in release.services.values()}
    return {**images, **charts, release.ref: kind_claims(release.ref, "release")}


def _common(claims: Iterator[Mapping[str, str]]) -> dict[str, str]:
    """Return what all of several signatures claim alike."""
    first, *others = claims
    return {key: text for key, text in first.items() if all(o.get(key) == text for o in others)}


def _at(target: Environment, ref: ImageRef) -> ImageRef:
    return ImageRef(target.registry.host, ref.repository, ref.digest)


def _text(
    source: Environment,
    target: Environment,
    release: Release,
    refusals: tuple[str, ...],
    plan: TransferPlan,
) -> str:
    """Return for people what would be done."""
    places = source.name, target.name
    lines = [f"{release.tag}, {places[0]} → {places[1]}"]
    lines += [f"  refused  {refusal}" for refusal in refusals] or ["  gates    all are open"]
    return "\n".join([*lines, f"  copy     {plan.text()}"])


def _refused(target: Environment, release: Release, refusals: tuple[str, ...]) -> GateError:
    name = target.name
    lines = "\n".join(f"  - {refusal}" for refusal in refusals)
    return GateError(
        f"{release.ref} may not come to {name!r}:\n{lines}",
        hint=f"nox -s promote -- --env {name} --plan shows the gates; they are set under "
        f"[environments.{name}.gates] in aksci.toml.",
    )
