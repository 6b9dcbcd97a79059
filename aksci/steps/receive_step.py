"""The step ``receive``: wait for webhooks of registries, and start cascades."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError
from aksci.core.secret import Secret
from aksci.steps.graph_step import graph as project_graph

if TYPE_CHECKING:
    from pathlib import Path

    from aksci.cascade.receiver.push_filter import PushFilter
    from aksci.cascade.receiver.start_cascades import Start
    from aksci.environment import Environment

__all__ = ["receive"]

_SECRET = re.compile(r"[\x21-\x7e]{16,}")
_QUEUE = "receiver.sqlite"
_OURS = "AKSCI_RUN_ID"
"""Each cascade is a run of its own."""


def receive(env: Environment) -> None:
    """Receive until Ctrl-C or SIGTERM, which is how a receiver ends well.

    What is to be done is kept in ``.aksci/receiver.sqlite``. Cascades run here, one at a time, as
    programs of their own; or in the pipeline that ``[cascade.receiver] target`` names.

    >>> receive(env)  # doctest: +SKIP

    :raises ConfigError: the secret or the target's token is not set.
    :raises UsageError: the queue's file is damaged or in use.
    :raises TrustError: git brings the queue's file with the sources.
    :raises PortTakenError: the port is in use.
    """
    from aksci.cascade.receiver.event_store import EventStore
    from aksci.cascade.receiver.intake import Intake
    from aksci.cascade.receiver.server import open_server, serve_beside
    from aksci.cascade.receiver.start_cascades import Worker

    config = env.config.cascade.receiver
    secret = _secret(env)
    start = _start(env)
    push_filter = _push_filter(env)
    store = EventStore(
        _queue(env),
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
        serve_beside(server, worker.run, reporter=env.reporter)
    finally:
        store.close()


def _queue(env: Environment) -> Path:
    """Return the queue's file, and its journal's beside it: real files that no commit brings.

    SQLite opens them by name, and plays a journal that it finds back into the file.
    """
    for name in (f"{_QUEUE}-journal", _QUEUE):
        env.work_folder.require_untracked(name)
    return env.work_folder.make() / _QUEUE


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
    from aksci.cascade.receiver.push_filter import push_filter_for

    receiver = env.config.cascade.receiver
    graph = None if receiver.bases and receiver.target else project_graph(env)
    here = env.looking.endpoints
    mirror = here.registry if here.embedded else ""
    return push_filter_for(env.config, graph, registry=here.registry, mirror=mirror)
