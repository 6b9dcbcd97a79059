"""YAML of Compose and Skaffold, with Compose's own tags (Compose specification, "Merge")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aksci.core.errors import ConfigError
from aksci.core.inside import read_file
from aksci.core.strict_yaml import YamlError, parse_yaml

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Override", "Reset", "read_documents"]


class Reset:
    """Compose's ``!reset``: forget what earlier files say."""


class Override:
    """Compose's ``!override``: take this in place of what earlier files say."""

    def __init__(self, value: Any) -> None:
        self.value = value


_TAGS = {"!reset": lambda _value: Reset(), "!override": Override}


def read_documents(path: Path, shown: str) -> list[dict[str, Any]]:
    """Return the documents of a YAML file, without empty ones.

    :param path: links followed, so that it surely is in the project.
    :param shown: what messages call the file.
    :raises ConfigError: it can't be read, is not YAML, can be read in two ways, or holds something
        else than mappings.
    """
    try:
        content = read_file(path, shown=shown)
        documents = parse_yaml(content, dialect="compose", tags=_TAGS)
    except FileNotFoundError:
        raise ConfigError(f"{shown} does not exist.") from None
    except YamlError as error:
        raise ConfigError(f"{shown} is not valid YAML: {error}.") from None
    if any(not isinstance(one, dict) for one in documents):
        raise ConfigError(f"{shown} must hold a mapping of keys to values.")
    return documents
