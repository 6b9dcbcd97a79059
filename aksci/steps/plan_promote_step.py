"""The step ``plan_promote``: whether a release may come to the next environment, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.errors import UsageError
from aksci.deploy.namespace_status import read_status, running_release
from aksci.deploy.state.deploy_record import read_record
from aksci.oci.references import ImageRef
from aksci.steps.deployment import as_reference, verified_release
from aksci.supply.release.promotion import PromotionPlan, plan_release_transfer, read_facts
from aksci.supply.release.promotion_gates import check_gates

if TYPE_CHECKING:
    from aksci.environment import Environment
    from aksci.supply.release.promotion_gates import RunningRelease
    from aksci.supply.release.release import Release

__all__ = ["ask_gates", "gate_refusals", "plan_promote", "prepare_platform", "require_way"]


def plan_promote(
    source: Environment, target: Environment, release: Release | ImageRef | str | None = None
) -> PromotionPlan:
    """Verify a release where it is, ask the gates of the next environment, and plan the copy.

    >>> plan = plan_promote(env.promoted_from, env)  # doctest: +SKIP
    >>> plan.refusals  # doctest: +SKIP
    ("soak: the release has run in 'staging' for 1 h 5 min; it must for 2 h. 55 min are left, …",)

    What is refused is planned all the same; ``plan.require()`` raises it.

    :param source: usually ``target.promoted_from``.
    :param release: in the registry of ``source``; a text is ``registry/repository@sha256:…``.
        Default: what runs there now.
    :raises UsageError: nothing runs there, the release is in another registry, or aksci.toml says
        that ``target`` is promoted to from elsewhere.
    :raises TrustError: something of the release is not trusted.
    :raises RegistryError: something is not there, or a registry can't be asked.
    """
    require_way(source, target)
    ref = _running_in(source) if release is None else as_reference(release)
    prepare_platform(source)
    verified = verified_release(source, ref)
    refusals = ask_gates(source, target, verified)
    # Only now: what can't be verified starts nothing where it would come to.
    prepare_platform(target)
    transfer = plan_release_transfer(
        verified,
        source.registry,
        target.registry,
        reporter=target.reporter,
        signer=source.signer,
        kinds=target.settings.artifacts,
    )
    plan = PromotionPlan(
        source=source.name,
        target=target.name,
        release=verified,
        refusals=refusals,
        transfer=transfer,
    )
    target.note("plan_promote", plan.as_json())
    return plan


def require_way(source: Environment, target: Environment) -> None:
    """Refuse a way that leaves out the environment in which a release has to prove itself.

    :raises UsageError: ``promote_from`` of the target names another environment.
    """
    named = target.settings.promote_from
    if named is not None and named != source.name:
        raise UsageError(
            f"Releases come to {target.name!r} from {named!r}, and not from {source.name!r}.",
            hint=f"promote_from under [environments.{target.name}] in aksci.toml says so.",
        )


def gate_refusals(source: Environment, target: Environment, ref: ImageRef) -> tuple[str, ...]:
    """Ask the gates alone, start and change nothing; return why they refuse a release.

    :param ref: in the registry of ``source``.
    """
    return ask_gates(source.looking, target.looking, verified_release(source.looking, ref))


def ask_gates(source: Environment, target: Environment, release: Release) -> tuple[str, ...]:
    """Return why the gates of ``target`` refuse a verified release of ``source``."""

    def look() -> RunningRelease:
        with source.looking.cluster() as cluster:
            status = read_status(cluster, release.services, source.looking.target.observe)
            return running_release(status, str(release.ref))

    gates = target.settings.gates
    facts = read_facts(release, gates, signer=source.signer, registry=source.registry, look=look)
    return check_gates(facts, gates, now=target.now(), previous=source.name)


def prepare_platform(env: Environment) -> None:
    """Start the embedded platform with its cluster, where the environment is on it."""
    if env.settings.platform == "embedded":
        env.prepare(cluster=True)


def _running_in(source: Environment) -> ImageRef:
    """Return the release that runs in an environment."""
    with source.looking.cluster() as cluster:
        current = read_record(cluster).current
    if not current:
        name = source.name
        raise UsageError(
            f"Nothing runs in {name!r} that could be promoted.",
            hint=f"nox -s deploy -- --env {name}; or name a release with --release.",
        )
    return ImageRef.parse(current)
