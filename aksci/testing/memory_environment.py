"""Open an environment whose external services are in memory: ``open_environment``."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from aksci.config.loader import CONFIG_NAME, LOCAL, environment_settings, find_project, load_config
from aksci.core.errors import ToolError
from aksci.environment import Environment
from aksci.parts import Parts
from aksci.testing.memory_world import MemoryWorld
from aksci.testing.no_programs import NoPrograms
from aksci.testing.reporter import RecordingReporter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aksci.config.models import Config
    from aksci.core.process import Runner
    from aksci.deploy.kubernetes.cluster import Cluster
    from aksci.local.endpoints import Endpoints
    from aksci.oci.registry import Registry

__all__ = ["MemoryEnvironment", "open_environment"]

_LOCAL_REGISTRY = "localhost:5000"
_NO_GIT = {"PATH": ""}
"""git is optional; without it, a release names no commit, and is the same wherever it is made."""


def open_environment(
    root: Path | str,
    name: str = LOCAL,
    *,
    world: MemoryWorld | None = None,
    parts: Parts | None = None,
    reporter: RecordingReporter | None = None,
    variables: Mapping[str, str] | None = None,
    runner: Runner | None = None,
    run_id: str = "test",
    work: Path | None = None,
) -> MemoryEnvironment:
    """Open an environment of a project, as a context manager, without any external service.

    Registries, builder, scanner, signer and cluster are those of ``world``, in memory; the rest is
    aksci's real code. It uses no program, network, daemon or home folder, and writes a run's files
    to a temporary folder, so that ``root`` can be the repository under test.

    >>> with open_environment(folder) as env:  # doctest: +SKIP
    ...     build = steps.build(env)
    ...     env.world.builder.built
    ['base', 'web']

    :param root: where to look for aksci.toml, upwards.
    :param world: that of an earlier environment, to continue in it. Default: a new one.
    :param parts: your own parts, such as a scanner, which replace those of ``world``.
    :param reporter: records the messages. Default: a new one.
    :param variables: the process's environment variables. Default: none.
    :param runner: starts programs. Default: one that refuses to. If the PATH of ``variables`` has
        git, aksci asks git for the commit.
    :param run_id: the run's id.
    :param work: the folder instead of ``.aksci``, such as an earlier run's. Default: an empty one.
    :raises ConfigError: there is no aksci.toml or an error in it, or no such environment.
    """
    world = world or MemoryWorld()
    root = find_project(Path(root).resolve())
    config = _elsewhere(load_config(root / CONFIG_NAME), root)
    variables = dict(_NO_GIT if variables is None else variables)
    folder = tempfile.TemporaryDirectory(prefix="aksci-test-")  # until it is closed
    temporary = Path(folder.name)
    env = MemoryEnvironment(
        root=root,
        config=config,
        name=name,
        settings=environment_settings(config, name, root),
        variables=variables,
        now=world.clock,
        runner=runner or NoPrograms(),
        reporter=reporter or RecordingReporter(),
        cache=temporary / "cache",
        state=temporary / "state",
        run_id=run_id,
        parts=_parts(world, config, parts or Parts()),
        world=world,
        memory=work or temporary / ".aksci",
    )
    env.memory.mkdir(parents=True, exist_ok=True)
    env._family.closing.enter_context(folder)  # noqa: SLF001 - our own class
    return env


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MemoryEnvironment(Environment):
    """An environment with external services in memory; made by ``open_environment``."""

    reporter: RecordingReporter
    """Records the run's messages."""
    world: MemoryWorld
    """The external services."""
    memory: Path
    """The folder in place of ``.aksci``."""

    @property
    def work(self) -> Path:
        """What its runs leave behind; not in the project's folder."""
        return self.memory

    def next_run(self, run_id: str = "next-run") -> MemoryEnvironment:
        """Return the environment as a later run finds it, closed with this one.

        It reads sources and aksci.toml again, and forgets what this run has cached: the digests of
        bases' tags, and what is signed.
        """
        later = open_environment(
            self.root,
            self.name,
            world=self.world,
            parts=self.parts,
            reporter=self.reporter,
            variables=self.variables,
            runner=self.runner,
            run_id=run_id,
            work=self.work,
        )
        return self._family.closing.enter_context(later)

    def _user_key(self) -> bytes:
        # The next run has another state folder, and the same files.
        return f"a test's key for {self.root}".encode()

    def prepare(self, *, cluster: bool = False, notary: bool = False) -> Endpoints:  # noqa: ARG002
        """Start nothing: everything is in memory."""
        return self.endpoints

    @property
    def toolbox(self) -> Any:
        """A toolbox without tools: each request for one is an error."""
        return _NoTools()

    def _connect(self, host: str, *, plain_http: bool = False, hint: str | None = None) -> Registry:
        del plain_http, hint  # it is reached without a connection
        return self.own_parts.other_registry(host) or self.world.connect(host)

    def _reach(self, namespace: str, *, create: bool, only_look: bool = False) -> Cluster:
        own = self.own_parts.cluster
        if own is not None:
            return own.lent()
        from aksci.deploy.kubernetes.cluster import open_cluster

        return open_cluster(
            self.world.cluster(self.name).client(),
            address=f"the cluster of {self.name!r}, in memory",
            namespace=namespace,
            hint="",
            create_namespace=create,
            only_look=only_look,
        )


class _NoTools:
    """Has no tool, and complains when one is needed."""

    def ensure(self, name: str) -> NoReturn:
        raise ToolError(f"A test has no tools, and this needs {name!r}.")

    def ensure_all(self, names: Iterable[str]) -> Mapping[str, Path]:
        del names  # to have them early is no need yet
        return _Missing(self)


class _Missing(dict[str, Path]):
    def __init__(self, tools: _NoTools) -> None:
        self._tools = tools

    def __missing__(self, name: str) -> NoReturn:
        self._tools.ensure(name)


def _elsewhere(config: Config, root: Path) -> Config:
    """Return a configuration whose environments all have a registry and a cluster that exist.

    So nothing looks after the embedded platform or Docker Engine.
    """
    there = {"platform": "external", "builder": None}
    found = {}
    for name in sorted({*config.environments, LOCAL}):
        settings = environment_settings(config, name, root)
        host = settings.registry or _LOCAL_REGISTRY
        found[name] = settings.model_copy(update={**there, "registry": host})
    return config.model_copy(update={"environments": found})


def _parts(world: MemoryWorld, config: Config, own: Parts) -> Parts:
    """Return the parts of all environments: the world's, unless there are others."""
    hosts = {name: str(each.registry) for name, each in config.environments.items()}
    world.hosts.update(hosts.values())
    ours = Parts(
        builder=world.builder,
        image_runner=world.image_runner,
        scanner=world.scanner,
        signer=world.signer,
    )
    everywhere = replace(own, at={})
    at = {
        # What is handed in for all environments comes before ours for each.
        name: _over(
            _over(Parts(registry=world.connect(host), target=world.target(name)), everywhere),
            own.at.get(name, Parts()),
        )
        for name, host in hosts.items()
    }
    return replace(_over(ours, own), at=at)


def _over(ours: Parts, own: Parts) -> Parts:
    """Return parts with those that are given in place of ours."""
    given = {each.name: getattr(own, each.name) for each in fields(own)}
    return replace(ours, **{name: part for name, part in given.items() if part})
