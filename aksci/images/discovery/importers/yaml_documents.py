"""YAML as Go's tools read it: the core schema of YAML 1.2, and no key twice."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from aksci.core.errors import ConfigError
from aksci.core.inside import read_file

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Override", "Reset", "read_documents"]


class Reset:
    """Compose's ``!reset``: forget what earlier files say."""


class Override:
    """Compose's ``!override``: take this in place of what earlier files say."""

    def __init__(self, value: Any) -> None:
        self.value = value


class _Loader(yaml.SafeLoader):
    """``on`` and ``yes`` are words, not booleans; 1:30 is no number; a date is text."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's way

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            name = self.construct_object(key, deep=True)
            if not isinstance(name, str | int | float | bool | None):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key must be a word", key.start_mark
                )
            if name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {name!r} is there twice", key.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep)


def _resolve(tag: str, pattern: str, first: str) -> None:
    regex = re.compile(f"(?:{pattern})$")
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", regex, list(first))


_resolve("bool", "true|True|TRUE|false|False|FALSE", "tTfF")
_resolve("null", "~|null|Null|NULL|", "~nN\0")
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("$"), [""])
_resolve("int", "[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+|0[0-7]+", "-+0123456789")
_resolve(
    "float",
    r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?",
    "-+.0123456789",
)
_resolve("merge", "<<", "<")


def _int(_loader: _Loader, node: Any) -> int:
    word = str(node.value)
    digits = word.lstrip("-+")
    old = len(digits) > 1 and digits.startswith("0") and digits.isdigit()  # as YAML 1.1, as Go's
    return int(word, 8) if old else int(word, 0)


def _tagged(loader: Any, node: Any) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    kind = _Loader.resolve(loader, yaml.ScalarNode, node.value, (node.style is None, False))  # type: ignore[no-untyped-call]
    return loader.construct_object(yaml.ScalarNode(kind, node.value, node.start_mark))


_Loader.add_constructor("tag:yaml.org,2002:int", _int)
_Loader.add_constructor("!reset", lambda _loader, _node: Reset())
_Loader.add_constructor("!override", lambda loader, node: Override(_tagged(loader, node)))


def read_documents(path: Path, shown: str) -> list[dict[str, Any]]:
    """Return the documents of a YAML file, without empty ones.

    :param path: links followed, so that it surely is in the project.
    :param shown: what messages call the file.
    :raises ConfigError: it can't be read, is not YAML, or holds something else than mappings.
    """
    try:
        content = read_file(path, shown=shown).decode("utf-8-sig")
        documents = [one for one in yaml.load_all(content, _Loader) if one is not None]
    except FileNotFoundError:
        raise ConfigError(f"{shown} does not exist.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{shown} can't be read: it is not UTF-8.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{shown} is not valid YAML: {_words(error)}.") from None
    if any(not isinstance(one, dict) for one in documents):
        raise ConfigError(f"{shown} must hold a mapping of keys to values.")
    return documents


def _words(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"line {mark.line + 1}: {problem}" if mark else str(problem)
