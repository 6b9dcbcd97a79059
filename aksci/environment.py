"""One environment of a project: its configuration, and all that steps work with."""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from aksci.config.loader import CONFIG_NAME, LOCAL, environment_settings, find_project, load_config
from aksci.config.secret_names import secret_names, withheld_names
from aksci.core.errors import ConfigError, UsageError
from aksci.core.files import user_folder
from aksci.core.git import repository_of, tracked_files
from aksci.core.process import Runner
from aksci.core.reporting import Concealing
from aksci.core.seal_key import SEAL_VARIABLE
from aksci.core.secret import Secret
from aksci.core.secret_variables import secret_values
from aksci.core.text import one_line
from aksci.core.work_folder import WorkFolder
from aksci.environment_parts import WORK, EnvironmentParts
from aksci.parts import Parts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    from aksci.config.models import Config
    from aksci.core.reporting import Reporter
    from aksci.images.build.build_record import Build
    from aksci.oci.references import ImageRef

__all__ = ["Environment"]

_RUN_ID = "AKSCI_RUN_ID"
_SHORTEST = 4  # characters; "a" would be hidden in every word


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Environment(EnvironmentParts):
    """One environment; get it by ``Environment.open``.

    Each thing is opened by whoever reads it first, in whatever thread, and closed with the
    environment that was opened, the last first. Where nothing is to be done, nothing is started.
    """

    def __post_init__(self) -> None:
        self._family.members[self.name, self.start] = self

    def __repr__(self) -> str:
        # Short: failed tests and tracebacks show it, and what it holds would fill their pages.
        return f"{type(self).__name__}({self.name!r}, root={str(self.root)!r})"

    @classmethod
    def open(
        cls,
        name: str = LOCAL,
        *,
        root: Path | None = None,
        start: bool = True,
        reporter: Reporter | None = None,
        variables: Mapping[str, str] | None = None,
        now: Callable[[], datetime] | None = None,
        run_id: str | None = None,
        runner: Runner | None = None,
        parts: Parts | None = None,
    ) -> Self:
        """Open an environment of a project: a context manager, which closes it.

        What is not handed in comes from the process: nothing below asks it for anything.

        :param root: where to look for aksci.toml, upwards. Default: the working directory.
        :param start: start the embedded platform when it is needed; otherwise only look.
        :param now: the clock, in UTC.
        :param run_id: default: ``AKSCI_RUN_ID``, or a new one.
        :param runner: what starts programs, for whoever wants to end them all.
        :param parts: what it works with in place of what aksci.toml asks for.
        :raises ConfigError: there is no aksci.toml or an error in it, or no such environment.
        :raises UsageError: the run's id can't name files.
        """
        variables = os.environ if variables is None else variables
        if reporter is None:
            from aksci.ci.choose import choose_reporter

            reporter = choose_reporter(variables, sys.stderr)
        now = now or (lambda: datetime.now(UTC))
        variables = _without_relative_path(variables)
        runner = runner or Runner(environment=dict(variables), log=reporter.line)
        for value in secret_values(variables):
            runner.conceal(Secret(value))
        # Resolved: programs run in other folders, and a link must not make two projects of one.
        root = find_project((root or Path.cwd()).resolve())
        config = load_config(root / CONFIG_NAME)
        named = secret_names(config)
        for secret in (*named, SEAL_VARIABLE):
            _conceal(variables.get(secret, ""), runner, reporter)
        # Programs get these only by a call that hands them over: few need a signing key's password.
        withheld = withheld_names(named, variables)
        kept = {key: text for key, text in runner.environment.items() if key not in withheld}
        runner.environment = dict(_without_relative_path(kept))
        # Before anything is done: what is done there, through a link, would be done elsewhere.
        WorkFolder(root / WORK).require_real()
        cache = user_folder(variables, "XDG_CACHE_HOME", ".cache")
        state = user_folder(variables, "XDG_STATE_HOME", ".local/state")
        for folder in (cache, state):
            _require_untracked(root, folder, runner=runner)
        return cls(
            root=root,
            config=config,
            name=name,
            settings=environment_settings(config, name, root),
            variables=variables,
            now=now,
            runner=runner,
            reporter=reporter,
            cache=cache,
            state=state,
            run_id=_run_id(run_id or variables.get(_RUN_ID), now()),
            start=start,
            parts=parts or Parts(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all that was opened. What ``at`` and ``looking`` gave is closed with its origin."""
        # What its origin opened, others may still use.
        if self._family.first is self:
            self._family.closing.close()

    def at(self, name: str) -> Environment:
        """Return another environment of the project: same run, same tools, the rest its own.

        :raises ConfigError: there is none of that name.
        """
        return self._sibling(name, start=self.start)

    @property
    def looking(self) -> Environment:
        """The same environment, only looked at: nothing is started for it."""
        return self._sibling(self.name, start=False)

    @property
    def promoted_from(self) -> Environment:
        """The environment that releases are promoted from, as aksci.toml says it.

        :raises UsageError: the environment names none.
        :raises ConfigError: there is none of that name, or it names itself.
        """
        here, name = self.name, self.settings.promote_from
        if name is None:
            raise UsageError(
                f"{here!r} names no environment that releases are promoted from.",
                hint=f'promote_from = "…" under [environments.{here}] in aksci.toml; '
                f"or nox -s deploy -- --env {here}",
            )
        if name == here:
            raise ConfigError(f"environments.{here}.promote_from names the environment itself.")
        known = {*self.config.environments, LOCAL}
        if name not in known:
            raise ConfigError(
                f"environments.{here}.promote_from is {name!r}, which there is not; there are: "
                f"{', '.join(sorted(known))}."
            )
        return self.at(name)

    def _sibling(self, name: str, *, start: bool) -> Environment:
        family = self._family
        # Two threads that ask at once must get the same one, with the same connections.
        with family.lock:
            if (name, start) in family.members:
                return cast("Environment", family.members[name, start])
            settings = self.settings
            if name != self.name:
                settings = environment_settings(self.config, name, self.root)
            # ``replace`` gives it a family of its own, as the field is no parameter; frozen forbids
            # to assign ours.
            made = replace(self, name=name, settings=settings, start=start)
            vars(made)["_family"] = family
            family.members[name, start] = made
            return made

    # -- What this run, and earlier ones, have left --

    @property
    def notes(self) -> Mapping[str, Any]:
        """What each step has noted for the run record, as JSON: by the step's name."""
        return dict(self._family.notes)

    def note(self, step: str, details: Any) -> None:
        """Note for the run record what a step has decided and done.

        :param step: the name under which ``.aksci/runs`` shows it; a later note replaces it.
        :param details: what JSON can hold. No secrets.
        :raises TypeError: JSON can't hold it.
        """
        json.dumps(details)  # told here, where it was noted, and not when the record is written
        with self._family.lock:
            self._family.notes[step] = details

    def last_build(self) -> Build:
        """Read the last build.

        :raises UsageError: there is none, or it is of another environment.
        :raises TrustError: a run of ours may not have written it.
        :raises ConfigError: it names a repository or a tag that no image of the project can have.
        """
        from aksci.images.build.build_record import read_build_record

        build = read_build_record(self.work_folder)
        build.require_environment(self.name)
        _require_own_places(build, self.config)
        return build

    def last_release(self) -> ImageRef:
        """Read which release the last build made.

        :raises UsageError: there is none, or the file is unreadable.
        :raises TrustError: a run of ours may not have written it.
        """
        from aksci.supply.release.release_file import read_release_file

        return read_release_file(self.work_folder)


def _without_relative_path(variables: Mapping[str, str]) -> Mapping[str, str]:
    """Return the variables, without folders of ``PATH`` that depend on where a program is started.

    An empty one is the working directory, too (POSIX, "PATH"). There, and in
    ``node_modules/.bin``, a pull request may have put a ``git`` of its own.
    """
    folders = variables.get("PATH", "").split(os.pathsep)
    real = [one for one in folders if os.path.isabs(one)]  # noqa: PTH117 - text, not yet a path
    if real == folders or "PATH" not in variables:
        return variables
    return {**variables, "PATH": os.pathsep.join(real)}


def _require_untracked(root: Path, folder: Path, *, runner: Runner) -> None:
    """Refuse a user's folder that the sources bring: programs are kept there, keys and facts.

    :raises ConfigError: git tracks files in it.
    """
    place = folder.resolve()
    # As a rule, it is elsewhere, and nothing is asked.
    if not place.is_relative_to(repository_of(root)) or not place.is_dir():
        return
    asked = os.path.relpath(place, root)
    files = tracked_files(root, asked, sources=CONFIG_NAME, runner=runner).files
    if files:
        raise ConfigError(
            f"git tracks files of {folder}, such as {one_line(files[0], 100)}: a pull request "
            "could put any program there.",
            hint="let XDG_CACHE_HOME and XDG_STATE_HOME (or HOME) name folders outside of the "
            "checkout, or remove the files from git.",
        )


def _require_own_places(build: Build, config: Config) -> None:
    """Refuse a record by which something would be signed, or tagged, that is not the project's."""
    from aksci.oci.own_names import is_own_repository, is_own_tag

    project = config.project.name
    for name, image in build.images.items():
        where = image.ref.repository
        table = config.images.get(name)
        if table is None or table.repository != where:
            ours = where.startswith(f"{project}/") and not is_own_repository(project, where)
            if not ours:
                raise ConfigError(
                    f"The last build's record says that {name} is in {where}, where no image of "
                    f"{project!r} is.",
                    hint="nox -s build, once more.",
                )
        for tag in filter(is_own_tag, image.tags):
            raise ConfigError(
                f"The last build's record gives {name} the tag {tag!r}, which no image can have.",
                hint="nox -s build, once more.",
            )


def _conceal(value: str, runner: Runner, reporter: Reporter) -> None:
    """Hide what a variable holds that aksci.toml names as a secret's."""
    if len(value) >= _SHORTEST:
        runner.conceal(Secret(value))
        if isinstance(reporter, Concealing):
            reporter.conceal(value)


def _run_id(given: str | None, now: datetime) -> str:
    if not given:
        # The time sorts; the rest tells two runs of one second apart.
        return f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    # It becomes a part of files' names: no slash, and no dot first.
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", given):
        raise UsageError(
            f"{_RUN_ID}={given!r} can't name files: letters, digits, '.', '_' and '-' can."
        )
    return given
