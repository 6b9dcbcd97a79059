"""What builds leave in ``.aksci`` for later sessions.

``build.json``: what the last build did. ``failed.json``: which images failed in the last builds; it
explains, and decides nothing.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from aksci.core.errors import BuildError, GateError, RegistryError, UsageError
from aksci.core.strict_json import MALFORMED, parse_json
from aksci.core.work_folder import WorkFolderError
from aksci.oci.references import ImageRef

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from aksci.core.errors import AksciError
    from aksci.core.work_folder import WorkFolder


__all__ = [
    "Base",
    "Build",
    "BuiltImage",
    "Failure",
    "read_build_record",
    "read_failures",
    "recorded_reasons",
    "update_failures",
    "write_build_record",
]

Action = Literal["built", "reused", "kept"]
"""``kept``: a cascade left what is published as it is."""
_SCHEMA = 1
_BUILD = "build.json"
_FAILED = "failed.json"


@dataclass(frozen=True, kw_only=True)
class Base:
    """What an image was built from: one edge of the graph, with the digest that it meant."""

    reference: str
    """In full, as ``docker.io/library/debian:bookworm-slim``."""
    digest: str
    type: str
    """Of the edge: ``runtime``, ``stage``, ``copy``, ``mount``, ``context``, ``requires``…"""
    image: str = ""
    """The image of this project that it is; empty: it comes from outside."""
    runtime: bool = False
    """It is what the final stage is based on: the image's own layers lie on top of its layers.
    ``build.json`` calls it ``stands_on``."""


@dataclass(frozen=True, kw_only=True)
class BuiltImage:
    """One image of a build, wherever it came from."""

    name: str
    ref: ImageRef
    input_key: str
    tags: tuple[str, ...]
    """Stable tags that ``push`` will move."""
    action: Action
    reasons: tuple[dict[str, Any], ...]
    """Why it was built: ``[{"code": "SOURCE", …}]``; empty when it was reused."""
    seconds: float
    bases: tuple[Base, ...] = ()
    """What it was built from, by reference."""

    @property
    def made(self) -> bool:
        """Whether this run has made it."""
        return self.action == "built"


@dataclass(frozen=True, kw_only=True)
class Build:
    """What became of each image that a build was asked for.

    ``.aksci/build.json`` keeps it for later sessions, without ``errors``, ``refused`` and ``keys``.
    """

    run_id: str
    commit: str
    """Of the source tree, ``-dirty`` appended where files have changed; empty without git."""
    environment: str
    images: Mapping[str, BuiltImage]
    """Those that are finished, by name, sorted."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """Images that did not build, and why."""
    blocked: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Images that were not tried, and the failures that are to blame."""
    left_out: tuple[str, ...] = ()
    """Images of the project that ``--only`` did not select."""
    errors: Mapping[str, AksciError] = field(default_factory=dict, compare=False, repr=False)
    """What made images fail; of a build that was read from ``.aksci``, nothing."""
    refused: Mapping[str, BuiltImage] = field(default_factory=dict, compare=False, repr=False)
    """Images that are built, and failed since a gate has refused them."""
    keys: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """Input keys, of failed images too, as far as this run has computed them."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Images that failed, and those that need them."""
        return tuple(sorted({*self.failed, *self.blocked}))

    @property
    def complete(self) -> bool:
        """Whether it holds all images, so that a release can be made of it."""
        return not self.left_out and not self.missing

    @property
    def error(self) -> AksciError | None:
        """All failures as one error; None when there is none."""
        if self.errors:
            return _one_error(self)
        if not self.missing:
            return None
        return UsageError(
            f"{len(self.missing)} images of the last build did not build, so there is nothing to "
            f"release: {', '.join(self.missing)}.",
            hint="nox -s build",
        )

    def require(self) -> Mapping[str, BuiltImage]:
        """Return every image by name, or raise all failures as one error.

        :raises AksciError: with the exit status of the failures, if they are of one kind.
        """
        if error := self.error:
            raise error
        return self.images

    def require_environment(self, name: str) -> None:
        """Refuse a build of another environment.

        :raises UsageError: its digests are of another registry, its verdicts of another policy.
        """
        if self.environment != name:
            raise UsageError(
                f"The last build was for {self.environment!r}, not {name!r}.",
                hint=f"nox -s build -- --env {name}",
            )

    def require_commit(self, commit: str) -> None:
        """Refuse a build of other sources.

        :param commit: of the sources now, as ``Environment.commit`` tells it.
        :raises UsageError: the build is not of these.
        """
        if self.commit != commit:
            raise UsageError(
                f"The sources are not those of the last build, which was of {self.commit!r}.",
                hint="nox -s build",
            )


def _one_error(build: Build) -> AksciError:
    """Make one error of all failures: its exit status that of the worst, its end their output."""
    errors = [build.errors[name] for name in sorted(build.errors)]
    # The registry failed, or the configuration is wrong: for most images alike, so it is told once.
    if not any(isinstance(error, BuildError) for error in errors):
        return _told_once(errors)
    failed = ", ".join(sorted(build.errors))
    lines = [f"{len(errors)} of the images did not build: {failed}."]
    if build.blocked:
        alike: dict[str, list[str]] = {}
        for name, blame in sorted(build.blocked.items()):
            alike.setdefault(", ".join(sorted(blame)), []).append(name)
        blocked = (
            f"{', '.join(names)} ({'needs' if len(names) == 1 else 'need'} {blame})"
            for blame, names in alike.items()
        )
        lines.append(f"Not tried: {'; '.join(blocked)}.")
    if build.images:
        lines.append(f"Done, and kept: {_names(build.images)}.")
    hint = next((error.hint for error in errors if error.hint), None)
    text = "\n\n".join(dict.fromkeys(error.message for error in errors))
    kinds = {type(error) for error in errors}
    # Failures of one kind keep its exit status, such as a validation's.
    kind = kinds.pop() if len(kinds) == 1 else BuildError
    return kind("\n".join(lines) + f"\n\n{text}", hint=hint)


def _told_once(errors: list[AksciError]) -> AksciError:
    messages = dict.fromkeys(error.message for error in errors)
    for kind in (RegistryError, GateError):
        if len(messages) > 1 and all(isinstance(error, kind) for error in errors):
            return kind("\n".join(messages), hint=errors[0].hint)
    return errors[0]


def _names(images: Mapping[str, BuiltImage]) -> str:
    """Return the names of what was built; what was there before is only counted."""
    built = [name for name, image in images.items() if image.made]
    reused = len(images) - len(built)
    return ", ".join([*built, *([f"{reused} unchanged"] if reused else [])])


def write_build_record(work: WorkFolder, build: Build) -> Path:
    """Write ``build.json`` in the project's ``.aksci`` folder, atomically."""
    document = {
        "schema": _SCHEMA,
        "run": build.run_id,
        "commit": build.commit,
        "environment": build.environment,
        "leftOut": list(build.left_out),
        "failed": list(build.missing),
        "errors": dict(sorted(build.failed.items())),
        "blocked": {name: sorted(blame) for name, blame in sorted(build.blocked.items())},
        "images": {
            name: {
                "ref": str(image.ref),
                "inputKey": image.input_key,
                "tags": list(image.tags),
                "action": image.action,
                "reasons": list(image.reasons),
                "seconds": round(image.seconds, 3),
                "bases": [_base_document(base) for base in image.bases],
            }
            for name, image in sorted(build.images.items())
        },
    }
    return work.write_own(_BUILD, document)


def read_build_record(work: WorkFolder) -> Build:
    """Read the last build.

    :raises UsageError: there is none, or it is unreadable.
    :raises TrustError: a run of ours may not have written it.
    """
    path = work.path / _BUILD
    try:
        document = work.read_own(_BUILD)
        if document["schema"] != _SCHEMA:
            raise ValueError(f"schema {document['schema']!r}")
        images = {name: _image(name, entry) for name, entry in document["images"].items()}
        blocked = document.get("blocked", {})
        # Files of earlier versions name what did not build, and say no more.
        unexplained = dict.fromkeys(set(document.get("failed", ())) - set(blocked), "")
        return Build(
            run_id=document["run"],
            commit=document["commit"],
            environment=document["environment"],
            images=images,
            left_out=tuple(document.get("leftOut", ())),
            failed=unexplained | document.get("errors", {}),
            blocked={name: frozenset(blame) for name, blame in blocked.items()},
        )
    except FileNotFoundError:
        raise UsageError(
            f"There is no build yet: {path} does not exist.", hint="nox -s build"
        ) from None
    except (OSError, *MALFORMED) as error:
        raise UsageError(
            f"{path} is damaged ({error!r}).", hint="nox -s build writes it again."
        ) from None


def _base_document(base: Base) -> dict[str, Any]:
    document = asdict(base)
    document["stands_on"] = document.pop("runtime")
    return document


def _base(entry: dict[str, Any]) -> Base:
    return Base(**{"runtime" if key == "stands_on" else key: entry[key] for key in entry})


def _image(name: str, entry: dict[str, Any]) -> BuiltImage:
    return BuiltImage(
        name=name,
        ref=ImageRef.parse(entry["ref"]),
        input_key=entry["inputKey"],
        tags=tuple(entry["tags"]),
        action=entry["action"],
        reasons=tuple(entry["reasons"]),
        seconds=entry["seconds"],
        bases=tuple(_base(base) for base in entry.get("bases", ())),
    )


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One image that did not build."""

    key: str | None
    """Its input key; None where it failed before that was known."""
    error: str
    """The first line."""
    run: str


def read_failures(work: WorkFolder) -> dict[str, Failure]:
    """Return the failures by image; none where the file is missing or damaged."""
    try:
        document = parse_json(work.read(_FAILED))
        return {name: _failure(entry) for name, entry in document.items()}
    except (OSError, WorkFolderError, *MALFORMED):
        return {}


def update_failures(
    work: WorkFolder,
    failed: Mapping[str, Failure],
    *,
    succeeded: Iterable[str],
    known: Iterable[str],
) -> None:
    """Enter new failures, and take out what has succeeded since or is no image any more.

    :param known: all images of the project.
    """
    before = read_failures(work)
    kept = {name: before[name] for name in before.keys() & set(known) - set(succeeded)}
    after = dict(sorted({**kept, **failed}.items()))
    if after == before:
        return
    document = {
        name: {"key": one.key, "error": one.error, "run": one.run} for name, one in after.items()
    }
    work.write(_FAILED, json.dumps(document, indent=2) + "\n")


def _failure(entry: Mapping[str, Any]) -> Failure:
    return Failure(key=entry["key"], error=entry["error"], run=entry["run"])


def recorded_reasons(
    work: WorkFolder, run: str, image: str, digest: str
) -> tuple[dict[str, Any], ...]:
    """Return why a run built a digest of an image; nothing where no record here says it.

    A record of another machine is not here. It explains, and decides nothing.

    :param work: the project's ``.aksci`` folder.
    :param run: as the registry tells it: anybody may have written that.
    """
    for name in (_BUILD, "cascade.json", *_run_records(work, run)):
        try:
            document = parse_json(work.read(name))
            if document["run"] != run:
                continue
            for entry in _images_of(document):
                if entry["image"] == image and _digest_of(entry) == digest and entry["reasons"]:
                    return tuple(entry["reasons"])
        except (OSError, WorkFolderError, *MALFORMED):
            continue
    return ()


def _run_records(work: WorkFolder, run: str) -> list[str]:
    """Return the records of a run's sessions, the last first: a run may build several times."""
    # As text, and in no pattern or path: the registry says which run it was.
    try:
        files = work.files("runs")
    except WorkFolderError:
        return []
    found = [name for name in files if name.startswith(run) and name.endswith(".json")]
    found.sort(key=lambda name: files[name].st_mtime, reverse=True)
    return [f"runs/{name}" for name in found]


def _images_of(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the images of a build's or cascade's own file, or of the record of the session."""
    for part in (document, document.get("build", {}), document.get("cascade", {})):
        images = part.get("images", [])
        if isinstance(images, dict):
            images = [{"image": name, **entry} for name, entry in images.items()]
        yield from images


def _digest_of(entry: Mapping[str, Any]) -> str:
    return str(entry.get("digest") or entry.get("after") or entry.get("ref", "").rpartition("@")[2])
