"""The step ``gate``: what scans and signs an image before anything is built on it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from aksci.environment import Environment
    from aksci.images.build.build_record import BuiltImage
    from aksci.images.graph import Graph
    from aksci.oci.references import ImageRef
    from aksci.supply.scan.scan_images import ImageScans
    from aksci.supply.scan.verdict import Verdict
    from aksci.supply.scan_and_sign import ScanAndSign

__all__ = ["gate"]


def gate(
    env: Environment,
    *,
    check: Callable[[str, BuiltImage], object] | None = None,
    graph: Graph | None = None,
) -> ScanAndSign:
    """Return what takes images through scan and signature one by one.

    >>> gated = gate(env)  # doctest: +SKIP
    >>> made = build(env, gate=gated)  # doctest: +SKIP
    >>> publish(env, made, gated.verdicts)  # doctest: +SKIP

    Scanner and signer are made when the first image comes. Called with an image, it raises
    ``GateError`` where [scan] refuses it, and ``TrustError`` where it can't be signed.

    :param check: one of your own, called with the name of each image that passed the scan. An
        ``AksciError`` that it raises refuses the image, which is then not signed.
    :param graph: of the project, where it is known already.
    """
    from aksci.supply.scan_and_sign import ScanAndSign
    from aksci.supply.sign.signer import Origin

    @cache
    def own() -> dict[str, str]:
        from aksci.steps.graph_step import graph as project_graph

        images = (graph or project_graph(env)).images
        return {name: image.spec.repository for name, image in images.items()}

    def base_of(image: BuiltImage) -> ImageRef | None:
        return env.resolver.base_of(image, host=env.registry.host, own=own())

    def make_scans(trusted: Callable[[Verdict], bool]) -> ImageScans:
        from aksci.supply.scan.scan_images import ImageScans

        return ImageScans.make(
            env.scanner,
            env.config.scan,
            env.registry,
            env.reporter,
            env.now(),
            env.root,
            env.resolver.client,
            trusted,
        )

    return ScanAndSign(
        make_gate=make_scans,
        signer=lambda: env.signer,
        trust=env.trust,
        policy=env.config.scan,
        environment=env.name,
        now=env.now,
        origin=Origin(commit=env.commit, run=env.run_id),
        base_of=base_of,
        check=check,
    )
