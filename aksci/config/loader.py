"""Read aksci.toml, and tell every error in it with file, key and suggestion."""

from __future__ import annotations

import json
import os
import re
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from aksci.config.deploy_models import EnvironmentConfig
from aksci.config.models import Config
from aksci.config.secret_names import secret_names
from aksci.config.supply_models import BUILT_IN_SCANNERS, BUILT_IN_SIGNERS
from aksci.core.errors import ConfigError
from aksci.core.git import repository_of
from aksci.core.inside import Inside
from aksci.core.secret_variables import is_own_secret
from aksci.core.spelling import did_you_mean
from aksci.core.text import short_line

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = [
    "CONFIG_NAME",
    "LOCAL",
    "SMALLEST",
    "environment_settings",
    "find_project",
    "json_schema",
    "load_config",
]

CONFIG_NAME = "aksci.toml"
LOCAL = "local"
"""The environment that there is without a table in aksci.toml: the embedded platform's."""
_KINDS = frozenset({"job", "http", "=name", "=buildx", "=own", "=file", "=files"})
SMALLEST = """\
schema = 1

[project]
name = "shop"

[discover]
dockerfiles = ["**/Dockerfile"]
"""
"""What an aksci.toml must have: every Dockerfile of the project is an image."""
_SCALARS = (str, int, float, bool)
_DOTS = 1000
"""Of one line."""
_REBASE = re.compile(r"cascade\.(owners\.[0-9]+\.)?rebase")
_NO_REBASE = (
    "rebase was removed, since BuildKit makes the same images from its shared cache (COPY --link). "
    "Delete the key: what is based on a base that moved is rebuilt, and the owners of other "
    "repositories are asked by 'target'."
)


def find_project(start: Path) -> Path:
    """Return the nearest folder, from ``start`` upwards, that holds an aksci.toml.

    :raises ConfigError: none does.
    """
    for folder in (start, *start.parents):
        if (folder / CONFIG_NAME).is_file():
            return folder
    raise ConfigError(
        f"No {CONFIG_NAME} in {start} or in any folder above it.",
        hint=f"run from the project's folder, name it with -C FOLDER, or create {CONFIG_NAME}; "
        f"the smallest one:\n\n{SMALLEST.rstrip()}",
    )


def load_config(path: Path) -> Config:
    """Read and check one aksci.toml.

    :raises ConfigError: it can't be read, is not TOML, or a key is unknown, missing or wrong. All
        errors are listed at once.
    """
    # Several projects of a repository may share one by a link.
    inside = Inside(repository_of(Path(os.path.realpath(path.parent))), name="the repository")
    try:
        # Editors on Windows put a mark of byte order before it.
        text = inside.read(path.absolute()).decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            f"{path} does not exist.", hint="name the project's folder with -C FOLDER."
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} can't be read: it is not UTF-8.") from None
    try:
        config = Config.model_validate_json(_as_json(path, text))
    except ValidationError as error:
        lines = [_explain(path, detail) for detail in error.errors(include_url=False)]
        raise ConfigError("\n".join(lines)) from None
    _check_references(path, config)
    return config


def _as_json(path: Path, text: str) -> str:
    """Return it as JSON: strict models take a list for a tuple, and a text for a date, only so."""
    # tomllib copies the whole of a key (a.b.c…) for each of its parts. It may not break the line.
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > _DOTS:
            raise ConfigError(f"{path}: line {number} has more than {_DOTS} dots.")
    try:
        return json.dumps(tomllib.loads(text), default=str)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {short_line(error, 500)}.") from None
    except ValueError:
        raise ConfigError(f"{path} has a number of more digits than Python reads.") from None
    except RecursionError:
        raise ConfigError(f"{path} is nested too deep.") from None


def environment_settings(config: Config, name: str, root: Path) -> EnvironmentConfig:
    """Return the table of an environment; the local one is there without any.

    :raises ConfigError: there is none of that name.
    """
    if name in config.environments:
        return config.environments[name]
    # A table of that name comes first: a project may set its own.
    if name == LOCAL:
        return EnvironmentConfig(
            platform="embedded", namespace=config.project.name, create_namespace=True
        )
    known = ", ".join(sorted({*config.environments, LOCAL}))
    raise ConfigError(
        f"{root / CONFIG_NAME}: there is no environment {name!r}; it has: {known}.",
        hint=f"add [environments.{name}], or choose one with -- --env NAME.",
    )


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of aksci.toml."""
    schema = Config.model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": CONFIG_NAME,
        **schema,
    }


def _explain(path: Path, detail: ErrorDetails) -> str:
    # pydantic puts the kind of a step or a builder into the place, where no key is called so.
    parts = [str(part) for part in detail["loc"]]
    where = ".".join(part for part in parts if part not in _KINDS)
    known = _known_keys(detail["loc"][:-1])
    # Beside our keys, [scan] and [sign] take only tables: with any other value, the key is unknown.
    no_table = detail["type"] == "dict_type" and parts[-1] not in known
    if detail["type"] == "extra_forbidden" or no_table:
        if _REBASE.fullmatch(where):
            return f"{path}: {where}: {_NO_REBASE}"
        return _unknown_key(path, where, known)
    if detail["type"] == "missing":
        return f"{path}: {where}: this key is required."
    message = detail["msg"].removeprefix("Value error, ")
    value = detail.get("input")
    # Of a whole table, the text would be longer than the file.
    shown = f" (it is {short_line(repr(value))})" if isinstance(value, _SCALARS) else ""
    return f"{path}: {short_line(where)}: {message}{shown}."


def _unknown_key(path: Path, where: str, known: list[str]) -> str:
    meant = did_you_mean(where.rpartition(".")[2], known)
    suggestion = meant or f" Known keys: {', '.join(known)}."
    return f"{path}: {short_line(where)}: unknown key.{suggestion}"


def _known_keys(loc: tuple[int | str, ...]) -> list[str]:
    """Follow a location through the models to the keys that its table may have."""
    found: list[type[BaseModel]] = [Config]
    for part in loc:
        found = [model for parent in found for model in _step_into(parent, str(part))] or found
    return sorted(
        {field.alias or name for model in found for name, field in model.model_fields.items()}
    )


def _step_into(model: type[BaseModel], part: str) -> list[type[BaseModel]]:
    for name, field in model.model_fields.items():
        if part in {name, field.alias}:
            return _models_in(field.annotation)
    return []


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]


def _check_references(path: Path, config: Config) -> None:
    """Refuse names that point at nothing inside the file itself."""
    discover = config.discover
    read = (*discover.dockerfiles, *discover.imported)
    problems = [
        f"{path}: images.{name}.dockerfile: this key is required."
        for name, image in config.images.items()
        if image.dockerfile is None and not read
    ]
    secrets = secret_names(config) if discover.variables else ()
    problems += [
        f"{path}: discover.variables: {name} holds a secret of aksci's, which no such file gets."
        for name in discover.variables
        if name in secrets or is_own_secret(name)
    ]
    problems += [
        f"{path}: services.{name}.needs: there is no service {needed!r}."
        + did_you_mean(needed, config.services)
        for name, service in config.services.items()
        for needed in service.needs
        if needed not in config.services
    ]
    problems += [
        _unknown_key(path, f"{section}.{name}", sorted({*type(table).model_fields, *chosen}))
        for section, table, chosen in (
            ("scan", config.scan, {config.scan.scanner} - BUILT_IN_SCANNERS),
            ("sign", config.sign, {*config.sign.signers} - BUILT_IN_SIGNERS),
        )
        for name in table.own_tables
        if name not in chosen
    ]
    # First of all: graphlib would take a service that does not exist for one without needs.
    if problems:
        raise ConfigError("\n".join(problems))
    # The order of services is the deployment's; here, only a circle is an error.
    order = TopologicalSorter({name: each.needs for name, each in config.services.items()})
    try:
        order.prepare()
    except CycleError as error:
        circle = " → ".join(error.args[1])
        raise ConfigError(f"{path}: services need each other in a circle: {circle}.") from None
