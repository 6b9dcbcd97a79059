"""The step ``build``: each image of the project, built where its inputs have changed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from aksci.config.loader import CONFIG_NAME
from aksci.config.supply_models import BUILT_IN_SCANNERS, BUILT_IN_SIGNERS
from aksci.images.build.build_images import build_images
from aksci.images.build.build_record import (
    Failure,
    read_failures,
    update_failures,
    write_build_record,
)
from aksci.images.missing_mounts import require_mounts
from aksci.images.selection import names_of, select
from aksci.images.services import require_services
from aksci.steps.graph_step import graph
from aksci.steps.policy_bases import policy_bases

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from aksci.environment import Environment
    from aksci.images.build.build_record import Build, BuiltImage
    from aksci.images.graph import Graph

__all__ = ["build"]


def build(
    env: Environment,
    *,
    only: Collection[str] = (),
    with_dependents: bool = False,
    force: Collection[str] = (),
    keep_going: bool = False,
    trusted: bool = True,
    gate: Callable[[str, BuiltImage], object] | None = None,
) -> Build:
    """Build what is not built yet, parents first, and validate it; a failure stops its dependents.

    >>> made = build(env, only=["web"])  # doctest: +SKIP
    >>> made.images["web"].ref.digest, made.images["web"].action  # doctest: +SKIP
    ('sha256:…', 'built')

    What is finished stays when others fail, and the next build goes on from there. ``last_build``
    reads the build again in a later job.

    :param only: these images and what they need; empty: all.
    :param with_dependents: with ``only``, also all that is built on those images.
    :param force: images that are built even if they are published, without layer cache.
    :param keep_going: return what was built where images failed; ``require`` raises it later.
    :param trusted: a finished build counts only if it is signed or our own: what is signed later
        must be. The programs of the gate arrive meanwhile.
    :param gate: called with the name and the ``BuiltImage`` of each image that is done, built or
        found, before anything is built on it, in several threads. An ``AksciError`` that it raises
        fails the image. ``steps.gate`` makes the one that scans and signs.
    :raises AksciError: images failed; its exit status is theirs.
    :raises UsageError: ``gate`` is another environment's.
    :raises ConfigError: there is no such image, a service could not be released, or a RUN requires
        a secret or an ssh agent that aksci.toml does not have.
    """
    if gate is not None:
        from aksci.supply.scan_and_sign import ScanAndSign

        if isinstance(gate, ScanAndSign):
            gate.require_environment(env.name)
    with ThreadPoolExecutor(1) as meanwhile:
        meanwhile.submit(lambda: env.commit)  # git looks at the tree while we read Dockerfiles
        found = graph(env)
        selected = select(found, only, with_dependents=with_dependents)
        require_services(env.config, root=env.root, images=found.images)
        require_mounts(found, env.config, selected)
        if trusted:
            require_gate_parts(env)
        # From here on the last build and release are not what the sources say.
        for name in ("build.json", "release.json"):
            env.work_folder.remove(name)
        with env.reporter.group("build"):
            made = _build(
                env, found, selected, names_of(force, "force"), trusted=trusted, gate=gate
            )
            _keep(env, found, made)
            _keep_verdicts(env, gate)
            if not keep_going:
                made.require()
            write_build_record(env.work_folder, made)
    return made


def _build(
    env: Environment,
    found: Graph,
    selected: frozenset[str],
    force: frozenset[str],
    *,
    trusted: bool,
    gate: Callable[[str, BuiltImage], object] | None,
) -> Build:
    with _tools_arriving(env, gate_tools(env) if trusted else ()):
        return build_images(
            found,
            registry=env.registry,
            builder=env.builder,
            bases=policy_bases(env, found),
            settings=env.build_settings,
            reporter=env.reporter,
            now=env.now,
            force=force,
            selected=selected,
            validator=env.image_check,
            failures=read_failures(env.work_folder),
            trusted=env.trust.trusts_build if trusted else None,
            gate=gate,
        )


def gate_tools(env: Environment) -> tuple[str, ...]:
    """Return the programs that scan and sign here; parts that a team brings have their own."""
    from aksci.supply.sign.make_signer import signing_tools

    own = env.own_parts
    ours = own.scanner is None and env.config.scan.scanner == "trivy"
    signing = () if own.signer else signing_tools(env.config.sign.signers)
    return (*(["trivy"] if ours else []), *signing)


def require_gate_parts(env: Environment) -> None:
    """Refuse a scanner or a signer that there is not, and not once all is built.

    :raises ConfigError: aksci.toml names one that no installed package offers.
    """
    own = env.own_parts
    scanner = None if own.scanner else env.config.scan.scanner
    signers = () if own.signer else env.config.sign.signers
    if {scanner, *signers} <= {None, *BUILT_IN_SCANNERS, *BUILT_IN_SIGNERS}:
        return
    from aksci.own_parts import require_offered  # an ordinary run pays nothing for it

    require_offered(scanner, signers, where=str(env.root / CONFIG_NAME))


@contextmanager
def _tools_arriving(env: Environment, names: tuple[str, ...]) -> Iterator[None]:
    """Make programs on a fresh machine meanwhile: builds wait for the network much of the time.

    If one fails, the error is raised when a step needs the program.
    """
    if not names:
        yield
        return
    with ThreadPoolExecutor(1, thread_name_prefix="tools") as pool:
        pool.submit(env.toolbox.ensure_all, names)
        try:
            yield
        except BaseException:
            env.runner.terminate_all()
            raise


def _keep(env: Environment, found: Graph, made: Build) -> None:
    """Write down what was built, and what was not."""
    failures = {
        name: Failure(key=made.keys.get(name), error=_summary(message), run=env.run_id)
        for name, message in made.failed.items()
    }
    update_failures(env.work_folder, failures, succeeded=made.images, known=found.images)
    # With what a gate refused: it need not be built once more to be asked about again.
    done = {**made.refused, **made.images}
    if any(image.made for image in done.values()):
        # Else nothing is new, and git need not be asked what it brings.
        env.trust.remember(done.values())
    copied = sum(bool(image.same_as) for image in made.images.values())
    new = sum(image.made for image in made.images.values())
    also = f", {copied} the same build by another name" if copied else ""
    failed = f", {len(made.failed)} failed" if made.failed else ""
    env.reporter.line(f"{new - copied} built{also}, {len(made.images) - new} unchanged{failed}")
    env.note("build", _details(made))


def _keep_verdicts(env: Environment, gate: Callable[[str, BuiltImage], object] | None) -> None:
    """Write down the verdicts of our own gate: no signature covers one that fails."""
    if gate is None:
        return
    from aksci.supply.scan.own_verdicts import write_verdict_record
    from aksci.supply.scan_and_sign import ScanAndSign

    if isinstance(gate, ScanAndSign) and gate.verdicts:
        write_verdict_record(env.work_folder, gate.verdicts.values())


def _details(made: Build) -> dict[str, Any]:
    return {
        "commit": made.commit,
        "failed": list(made.missing),
        "images": {
            name: {
                "digest": image.ref.digest,
                "action": image.action,
                "reasons": list(image.reasons),
                "seconds": round(image.seconds, 3),
            }
            for name, image in made.images.items()
        },
    }


def _summary(message: str) -> str:
    """Return a failure on one line: the first, and where that only announces, the last, too."""
    first, *more = filter(None, map(str.strip, message.splitlines()))
    return f"{first} {more[-1]}" if first.endswith(":") and more else first
