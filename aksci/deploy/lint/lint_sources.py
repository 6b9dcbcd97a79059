"""What is known of a project's own files, before anything is built: findings of ``lint``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aksci.core.inside import Inside
from aksci.core.wide_text import wide_encoding
from aksci.deploy.lint.lint_project import LintFinding
from aksci.images.context.hasher import ignore_file
from aksci.supply.scan.ignores import ignore_notes
from aksci.supply.scan.unread_settings import UNREAD_HINT, unread_settings

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from aksci.config.models import Config
    from aksci.images.graph import Graph

__all__ = ["dates_note", "lint_sources"]

_CONFIG = "aksci.toml"
_EPOCH = "SOURCE_DATE_EPOCH"


def lint_sources(graph: Graph, config: Config, *, now: dt.datetime) -> list[LintFinding]:
    """Return the graph's warnings, and what ignore files and the gate's settings mean."""
    return [
        *_of_graph(graph),
        *_ignore_files(graph),
        *_gate(graph, config, now),
    ]


def _of_graph(graph: Graph) -> Iterator[LintFinding]:
    for one in graph.warnings:
        rule = f"aksci-{one.code.lower().replace('_', '-')}"
        # Its place is said once: in front of it, where it is one.
        places = (f"{one.path}, line {one.line}: ", f"{one.path}: ")
        alone = next((place for place in places if one.message.startswith(place)), "")
        yield LintFinding(
            path=one.path,
            line=one.line,
            level=one.level,
            rule=rule,
            message=one.message.removeprefix(alone),
        )


def _ignore_files(graph: Graph) -> Iterator[LintFinding]:
    """Yield one for each ignore file that BuildKit can't read: then it ignores nothing."""
    root, inside = graph.root, Inside(graph.root)
    specs = (image.spec for image in graph.images.values())
    for name in sorted({ignore_file(root, spec.context, spec.dockerfile) for spec in specs}):
        if (root / name).is_file() and (wide := wide_encoding(inside.read(root / name))):
            message = f"it is {wide}, which BuildKit takes for UTF-8: it leaves out nothing"
            yield _warning(name, "aksci-encoding", message)


def dates_note(graph: Graph, config: Config) -> str:
    """Return a line where images say that they are from 1970, and aksci.toml does not say that.

    Two builds have one digest for it. What goes by an image's date takes each for the oldest, or
    knows no newest: ``docker image prune --filter until=…`` (docker/docs issue 10297), or Argo CD
    Image Updater (its issue 311). Azure Container Registry's purge and retention do not: they go
    by the time of the push.
    """
    if "source_date_epoch" in config.build.model_fields_set:
        return ""
    names = [
        name for name, image in graph.images.items() if image.spec.args.get(_EPOCH, "0") == "0"
    ]
    if not names:
        return ""
    who = "all images" if len(names) == len(graph.images) else ", ".join(names)
    return (
        f"the date of {who} is 1970-01-01, so that what prunes or sorts by an image's date can't "
        "tell old from new; [build] source_date_epoch sets it, and 0 there says that it is meant"
    )


def _gate(graph: Graph, config: Config, now: dt.datetime) -> Iterator[LintFinding]:
    contexts = (image.spec.context for image in graph.images.values())
    for name in unread_settings(graph.root, config.scan, contexts):
        yield _warning(name, "aksci-unread", UNREAD_HINT)
    for text in ignore_notes(config.scan, now):
        yield _warning(_CONFIG, "aksci-ignore", text)


def _warning(path: str, rule: str, message: str) -> LintFinding:
    return LintFinding(path=path, line=0, level="warning", rule=rule, message=message)
