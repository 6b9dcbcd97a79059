"""Three-way merge of configurations: the base's, the image's own, and which key is whose.

Whose a key is, the Dockerfile says and not the values: a variable that an image sets to what its
old base had by chance stays the image's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aksci.images.rebase.settings import SETTINGS, env_names, env_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aksci.images.rebase.recorded import RebaseFacts
    from aksci.images.rebase.settings import Settings

__all__ = ["differences", "merged", "missing"]


def merged(base: Settings, image: Settings, facts: RebaseFacts) -> tuple[dict[str, Any], str]:
    """Return the configuration and the author that a build on a base would give.

    :param image: where the values of the image's own keys come from.
    """
    found = {key: value for key, value in base.config.items() if key != "OnBuild"}
    own = set(facts.owned) | ({"Cmd"} if facts.cmd == "own" else set())
    for key in own & SETTINGS.keys():
        found[key] = image.config.get(key)
    if facts.cmd == "none":
        found["Cmd"] = None
    if facts.args_escaped:
        found["ArgsEscaped"] = True
    found["Env"] = _env(base, image, facts.env)
    found["Labels"] = _added(base, image, "Labels", facts.labels)
    found["ExposedPorts"] = _added(base, image, "ExposedPorts", facts.ports)
    found["Volumes"] = _added(base, image, "Volumes", facts.volumes)
    config = {
        key: found[key]
        for key in SETTINGS
        if found.get(key) or (key == "Healthcheck" and found.get(key) is not None)
    }
    return config, image.author if "author" in facts.owned else base.author


def missing(image: Settings, facts: RebaseFacts) -> list[str]:
    """Return what the Dockerfile sets and the image does not have."""
    wanted = {
        "Env": facts.env,
        "Labels": facts.labels,
        "ExposedPorts": facts.ports,
        "Volumes": facts.volumes,
    }
    return [
        f"{key} {name}"
        for key, names in wanted.items()
        for name in names
        if name not in (env_names(image.config) if key == "Env" else image.config.get(key, ()))
    ]


def differences(config: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return the keys in which two configurations differ."""
    return [key for key in SETTINGS if config.get(key) != other.get(key)]


def _env(base: Settings, image: Settings, names: Iterable[str]) -> list[str]:
    """Replace variables in their places, and append others."""
    values, own = env_of(base.config), env_of(image.config)
    values.update((name, own[name]) for name in names if name in own)
    return [f"{name}={value}" for name, value in values.items()]


def _added(base: Settings, image: Settings, key: str, names: Iterable[str]) -> dict[str, Any]:
    own = image.config.get(key, {})
    found = {**base.config.get(key, {}), **{name: own[name] for name in names if name in own}}
    return dict(sorted(found.items()))
