"""The session ``receive``: wait for webhooks of registries, and start cascades."""

from __future__ import annotations

import re
import sys
import threading
from typing import TYPE_CHECKING, Any

from aksci.core.errors import ConfigError, Interrupted
from aksci.core.secret import Secret
from aksci.steps.graph_step import graph as project_graph

if TYPE_CHECKING:
    from aksci.cascade.receiver.push_filter import PushFilter
    from aksci.cascade.receiver.server import ReceiverServer
    from aksci.cascade.receiver.start_cascades import Start, Worker
    from aksci.cli.options import Options
    from aksci.environment import Environment
    from aksci.images.graph import Graph

__all__ = ["receive"]

_SECRET = re.compile(r"[\x21-\x7e]{16,}")
_OURS = "AKSCI_RUN_ID"
"""Each cascade is a run of its own."""


def receive(env: Environment, _options: Options) -> dict[str, Any]:
    """Receive until Ctrl-C or SIGTERM, which is how a receiver ends well.

    :raises ConfigError: the secret or the target's token is not set.
    :raises UsageError: the queue's file is damaged or in use.
    :raises PortTakenError: the port is in use.
    """
    from aksci.cascade.receiver.event_store import EventStore
    from aksci.cascade.receiver.intake import Intake
    from aksci.cascade.receiver.server import open_server
    from aksci.cascade.receiver.start_cascades import Worker

    config = env.config.cascade.receiver
    secret = _secret(env)
    start = _start(env)
    push_filter = _push_filter(env)
    env.work.mkdir(exist_ok=True)
    store = EventStore(
        env.work / "receiver.sqlite",
        now=env.now,
        attempts=config.attempts,
        # An event of the near future is accepted, and stays so for twice as long.
        remember=2 * config.max_age,
    )
    try:
        worker = Worker(store=store, start=start, settle=config.settle, reporter=env.reporter)
        intake = Intake(
            store=store,
            push_filter=push_filter,
            max_age=config.max_age,
            now=env.now,
            reporter=env.reporter,
            wake=worker.wake,
        )
        server = open_server(config.listen, intake=intake, secret=secret, status=store.status)
        _run(env, server, worker)
    finally:
        store.close()
    return {}


def _run(env: Environment, server: ReceiverServer, worker: Worker) -> None:
    """Serve in a thread of its own, and work here, where Ctrl-C arrives."""
    serving = threading.Thread(target=server.serve_forever, name="receiver", daemon=True)
    host, port = server.server_address[:2]
    env.reporter.line(f"receiving at {host!s}:{port}")
    serving.start()
    try:
        worker.run()
    except (KeyboardInterrupt, Interrupted):
        env.reporter.line("told to end; what waits is kept.")
    finally:
        server.shutdown()
        server.server_close()
        serving.join()


def _secret(env: Environment) -> Secret:
    name = env.config.cascade.receiver.secret_env
    value = env.variables.get(name, "").strip()
    if not _SECRET.fullmatch(value):
        what = (
            "is not set" if not value else "is no secret of 16 characters or more, without spaces"
        )
        raise ConfigError(
            f"{name} {what}: it is what registries must show to the receiver.",
            hint=f"export {name}=$(openssl rand -hex 32), and give it to the registry's webhook.",
        )
    env.reporter.mask(value)
    env.runner.conceal(Secret(value))
    return Secret(value)


def _start(env: Environment) -> Start:
    """Return what starts cascades: here, or in the pipeline of the configured target."""
    from aksci.cascade.receiver.start_cascades import CascadeHere, CascadeThere

    config = env.config.cascade
    if config.receiver.target is None:
        hidden = {config.receiver.secret_env, _OURS}
        return CascadeHere(
            runner=env.runner,
            python=sys.executable,
            root=env.root,
            environment_name=env.name,
            variables={name: value for name, value in env.variables.items() if name not in hidden},
            reporter=env.reporter,
        )
    from aksci.cascade.dispatch.dispatchers import make_dispatcher

    target = config.targets[config.receiver.target]
    dispatcher = make_dispatcher(target, variables=env.variables)
    return CascadeThere(dispatcher=dispatcher, reporter=env.reporter)


def _push_filter(env: Environment) -> PushFilter:
    """Return which pushes count.

    With globs and a target, nothing but aksci.toml is needed: the container has no checkout.
    """
    from aksci.cascade.receiver.push_filter import PushFilter

    config = env.config
    receiver = config.cascade.receiver
    found = None if receiver.bases and receiver.target else project_graph(env)
    own = {image.repository for image in config.images.values() if image.repository}
    own |= {f"{config.project.name}/{name}" for name in config.images}
    if found is not None:
        own = {image.spec.repository for image in found.images.values()}
    here = env.looking.endpoints
    registries = {each.registry for each in config.environments.values() if each.registry}
    bases, ranges = _bases(env, found) if found is not None else (None, {})
    return PushFilter(
        bases=bases,
        ranges=ranges,
        globs=receiver.bases,
        project=config.project.name,
        own=frozenset(own),
        registries=frozenset({*registries, here.registry}),
        mirror=here.registry if here.embedded else "",
    )


def _bases(env: Environment, found: Graph) -> tuple[frozenset[str], dict[str, tuple[str, ...]]]:
    """Return the bases that cascades take; and by repository those that follow its tags."""
    from aksci.cascade.base_policy import policy_of
    from aksci.oci.references import parse_reference

    bases, ranges = set(), dict[str, tuple[str, ...]]()
    for one in found.external:
        policy = policy_of(env.config.cascade, one.reference, one.type)
        if one.previous or "@" in one.reference or policy.digest or policy.update != "now":
            continue
        bases.add(one.reference)
        if policy.tags:
            name = parse_reference(one.reference).name
            ranges[name] = tuple({*ranges.get(name, ()), one.reference})
    return frozenset(bases), ranges
