"""The step ``promote``: a release, with all its evidence, into the next environment's registry."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from aksci.core.errors import UsageError
from aksci.oci.copy import apply_transfer
from aksci.steps.deployment import verified_release
from aksci.steps.plan_promote_step import ask_gates, plan_promote, prepare_platform, require_way
from aksci.supply.release.promotion import PromotionPlan
from aksci.supply.release.sign_again import sign_again
from aksci.supply.sign.signer import NotSignedError

if TYPE_CHECKING:
    from aksci.environment import Environment
    from aksci.oci.references import ImageRef
    from aksci.supply.release.release import Release

__all__ = ["promote"]


def promote(
    source: Environment,
    target: Environment,
    release_or_plan: Release | ImageRef | str | PromotionPlan | None = None,
) -> Release:
    """Copy a release that the gates let through, and verify it where it has come to.

    >>> staging, production = env.at("staging"), env.at("production")  # doctest: +SKIP
    >>> release = promote(staging, production)  # doctest: +SKIP
    >>> deploy(production, release)  # doctest: +SKIP

    It is not deployed. Digests stay the same; what the target has is not sent again. Docker Content
    Trust signs there again, where it is one of ``[sign]``.

    :param release_or_plan: what ``plan_promote`` takes, or its plan: then just that is copied, once
        the release is verified and the gates are asked again.
    :returns: the release in the registry of ``target``.
    :raises GateError: a gate is closed, or was when it was planned.
    :raises TrustError: something is not trusted, where it is or where it has come to.
    :raises UsageError: as ``plan_promote``, or the plan is for other environments.
    :raises RegistryError: a registry refuses or fails; the next run copies what is missing.
    """
    if isinstance(release_or_plan, PromotionPlan):
        plan = _again(source, target, release_or_plan)
    else:
        plan = plan_promote(source, target, release_or_plan)
    plan.require()
    reporter = target.reporter
    reporter.line(plan.transfer.text())
    done = apply_transfer(plan.transfer, source.registry, target.registry, reporter=reporter)
    if done.manifests:
        reporter.line(
            f"copied {done.manifests} manifests; {done.streamed} blobs sent, {done.mounted} mounted"
        )
    _sign_again(source, target, plan.release)
    ref = replace(plan.release.ref, registry=target.registry.host)
    promoted = _verified(target, ref)
    details = {"manifests": done.manifests, "blobs": done.streamed, "bytes": done.bytes}
    target.note("promote", {"release": str(ref), "from": source.name, "to": target.name} | details)
    return promoted


def _verified(target: Environment, ref: ImageRef) -> Release:
    """Verify a release where it has come to; it was signed where it comes from."""
    try:
        return verified_release(target, ref, tell=False)
    except NotSignedError as error:
        raise NotSignedError(
            f"{error.message.removesuffix('.')} there: its signatures did not come along.",
            hint="a signer of your own says what it stores by artifact_types or stored_signatures; "
            f"or name its types as artifacts under [environments.{target.name}] in aksci.toml.",
        ) from None


def _again(source: Environment, target: Environment, plan: PromotionPlan) -> PromotionPlan:
    """Verify what was planned, and ask the gates, which may have closed since."""
    if (source.name, target.name) != (plan.source, plan.target):
        raise UsageError(
            f"The plan is for {plan.source!r} → {plan.target!r}, and this is "
            f"{source.name!r} → {target.name!r}."
        )
    require_way(source, target)
    prepare_platform(source)
    release = verified_release(source, plan.release.ref, tell=False)
    prepare_platform(target)
    refusals = plan.refusals or ask_gates(source, target, release)
    return replace(plan, release=release, refusals=refusals)


def _sign_again(source: Environment, target: Environment, release: Release) -> None:
    """Let Docker Content Trust sign at the target: its signatures name the registry."""
    if "dct" not in target.config.sign.signers:
        return
    sign_again(
        release,
        target.registry.host,
        verified_by=source.signer,
        signer=target.signers.dct(),
        tell=lambda ref: target.reporter.line(f"signed {ref}"),
    )
