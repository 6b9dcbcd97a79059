"""Which images a project has, each as one thing to build."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from aksci.core.errors import ConfigError
from aksci.core.inside import Inside
from aksci.core.spelling import did_you_mean
from aksci.core.work_folder import WorkFolder, WorkFolderError
from aksci.images.discovery.build_words import (
    require_argument_names,
    require_context_name,
)
from aksci.images.discovery.candidates import find_candidates
from aksci.images.discovery.importers.import_notes import ImportNote, note_lines
from aksci.images.discovery.importers.imported import Importer, split_references
from aksci.images.dockerfile.contexts import DOCKER_IMAGE, OUR_IMAGE
from aksci.images.engines.builder import Attestations
from aksci.images.platforms import parse_platforms
from aksci.oci.own_names import is_own_repository, is_own_tag
from aksci.oci.references import is_repository, parse_reference, says_hub

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aksci.config.models import Config
    from aksci.core.secret_variables import VisibleVariables
    from aksci.images.discovery.importers.imported import Imported

__all__ = ["INLINE", "ImageSpec", "discover_images"]

INLINE = ".aksci/dockerfiles"
"""Where Dockerfiles are kept that another tool's file holds as text."""
_SHOWN = 3
"""Of the names that are published as another: the rest is alike."""


@dataclass(frozen=True, kw_only=True)
class ImageSpec:
    """One thing to build."""

    name: str
    dockerfile: str
    """Relative to the project, with slashes; as is ``context``."""
    context: str
    target: str | None
    args: Mapping[str, str]
    platforms: tuple[str, ...]
    """At least one."""
    builder_platform: str
    repository: str
    """Without the registry."""
    tags: tuple[str, ...]
    requires: tuple[str, ...] = ()
    """Images of this project that it needs beyond what its Dockerfile says."""
    contexts: Mapping[str, str] = field(default_factory=dict)
    """Named contexts: name -> ``image:NAME``, ``docker-image://REFERENCE`` or a folder."""
    attestations: Attestations = field(default_factory=Attestations)
    aliases: tuple[str, ...] = ()
    """Further full references by which Dockerfiles may mean it: what Bake, Compose or Skaffold
    call it, with their registry."""
    said: frozenset[str] = frozenset()
    """Those of ``aliases`` that are written with ``docker.io/`` there."""
    standard_frontends: tuple[str, ...] = ()
    """Names of docker/dockerfile in mirrors, without a tag."""


def discover_images(
    root: Path,
    config: Config,
    *,
    builder_platform: str,
    importer: Importer | None = None,
    notes: list[ImportNote] | None = None,
) -> dict[str, ImageSpec]:
    """Return all images of a project by name, sorted.

    :param builder_platform: of images whose platforms are not configured.
    :param importer: for other tools' files (``[discover] bake``, ``compose``, ``skaffold``).
    :param notes: gets what is read in another way than those files say.
    :raises ConfigError: a Dockerfile or a context does not exist, a name is wrong or taken twice,
        or there is no image.
    """
    importer = (importer or Importer()).for_project(config, root)
    importer = replace(importer, notes=[] if notes is None else notes)
    try:
        candidates = find_candidates(root, config, importer)
    finally:
        importer.tell_notes()  # also where an error follows: it may be their consequence
    if not candidates:
        raise _no_image(config)
    inside = Inside(root)
    specs = _specs(config, candidates, builder_platform, inside)
    _tell_mapped(config, specs, candidates, importer)
    found = {
        name: _with_bases(spec, candidates[name], specs, inside) for name, spec in specs.items()
    }
    _require_no_secret(found, candidates, importer.visible)
    return found


def _specs(
    config: Config, candidates: Mapping[str, Imported], builder_platform: str, inside: Inside
) -> dict[str, ImageSpec]:
    """Return what is to be built, by name, sorted.

    :raises ConfigError: all that is wrong, at once.
    """
    specs = {}
    wrong: dict[str, str | None] = {}
    for name in sorted(candidates):
        try:
            specs[name] = _spec(config, candidates[name], builder_platform, inside)
        except ConfigError as error:
            wrong[error.message] = error.hint
    if wrong:
        hints = dict.fromkeys(hint for hint in wrong.values() if hint)
        raise ConfigError("\n".join(wrong), hint="\n      ".join(hints) or None)
    return specs


def _no_image(config: Config) -> ConfigError:
    discover = config.discover
    read = discover.imported
    if read:
        return ConfigError(
            f"There is no image to build: {', '.join(read)} has none that this project can build.",
            hint="the warnings above name what was left out; [discover] bake_targets chooses "
            "targets of Bake, and [images.NAME] adds images.",
        )
    return ConfigError(
        "There is no image to build: aksci.toml has no [images.NAME], and [discover] finds no "
        "Dockerfile.",
        hint='[discover] dockerfiles = ["**/Dockerfile"]',
    )


def _spec(config: Config, one: Imported, builder_platform: str, inside: Inside) -> ImageSpec:
    if one.unknown:
        arg, why = next(iter(one.unknown.items()))
        raise ConfigError(f"{why}.", hint=f'[images."{one.name}"] args = {{ {arg} = "…" }}')
    dockerfile = one.dockerfile
    if one.inline is not None:
        dockerfile = _write_inline(Path(inside.top), one.name, one.inline)
    elif not inside.has_file(dockerfile, where=f"{one.where}.dockerfile"):
        raise ConfigError(f"{one.where}.dockerfile: {dockerfile} does not exist.")
    if not inside.has_folder(one.context, where=f"{one.where}.context"):
        raise ConfigError(f"{one.where}.context: the folder {one.context} does not exist.")
    repository, tags, aliases = _names(config, one)
    require_argument_names({**one.args, **one.base_args}, one.where)
    return ImageSpec(
        name=one.name,
        dockerfile=dockerfile,
        context=one.context,
        target=one.target,
        args={**_common_args(config), **one.args},
        platforms=_platforms(config, one, builder_platform),
        builder_platform=builder_platform,
        repository=repository,
        tags=tags,
        requires=one.requires,
        contexts=dict(one.contexts),
        attestations=Attestations(provenance=config.build.provenance, sbom=config.build.sbom),
        aliases=aliases,
        said=_said_in_full((*one.references, *one.aliases)) & {*aliases},
        standard_frontends=config.build.standard_frontends,
    )


def _said_in_full(references: tuple[str, ...]) -> frozenset[str]:
    """Return the full references that are written with Docker Hub's name."""
    found = set()
    for one in filter(says_hub, references):
        with contextlib.suppress(ConfigError):  # a table names it in another way
            found.add(str(parse_reference(one)))
    return frozenset(found)


def _platforms(config: Config, one: Imported, builder: str) -> tuple[str, ...]:
    """Return what an image is built for: as said of it, or of all images, or the builder's."""
    own = parse_platforms(one.platforms, f"{one.where}.platforms", builder=builder)
    if own:
        return own
    common = parse_platforms(config.build.platforms, "aksci.toml: build.platforms", builder=builder)
    return common or (builder,)


def _common_args(config: Config) -> dict[str, str]:
    """Return the arguments of every image: the time of creation, where it is not the default."""
    epoch = config.build.source_date_epoch
    return {"SOURCE_DATE_EPOCH": str(epoch)} if epoch else {}


def _names(config: Config, one: Imported) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Return repository, tags and aliases.

    aksci.toml may name any repository. What a file says that is read for it, which a pull request
    may bring, is below the project's name: what is signed as ``other/api``, and which of its tags
    move, is that project's matter. Two names stay two, and one that images share stays one.
    """
    project = config.project.name
    named = one.repository is not None and one.tags is not None
    try:
        said, tags, aliases = split_references(one.references, one.where)
    except ConfigError:
        if not named:
            raise
        said, tags, aliases = None, (), ()
    further = split_references(one.aliases, one.where)[2]
    below = said if said and said.startswith(f"{project}/") else f"{project}/{said or one.name}"
    repository = one.repository or below
    if said and said != repository:
        # Dockerfiles go on naming it as the file does, with the registry of an environment or none.
        hosts = {"", *(f"{env.registry}/" for env in config.environments.values() if env.registry)}
        names = [f"{host}{said}:{tag}" for host in sorted(hosts) for tag in tags]
        further = (*further, *split_references(names, one.where)[2])
    tags = one.tags if one.tags is not None else tags or ("latest",)
    _require_free(project, one, repository, tags)
    return repository, tags, tuple(dict.fromkeys((*aliases, *further)))


def _require_free(project: str, one: Imported, repository: str, tags: tuple[str, ...]) -> None:
    """Refuse a repository that can't be, or a name under which aksci keeps something itself."""
    table = f'[images."{one.name}"]'
    if not is_repository(repository):
        raise ConfigError(
            f"{one.where}: {repository!r} can't be the name of a repository.",
            hint=f'{table} repository = "…", of words of a-z and 0-9 with . _ __ or '
            "dashes between them, and / between words.",
        )
    if is_own_repository(project, repository):
        raise ConfigError(
            f"{one.where}: {repository} is where aksci itself keeps releases, charts or requests: "
            "no image can be there.",
            hint=f'{table} repository = "{project}/…", with another name.',
        )
    for tag in filter(is_own_tag, tags):
        raise ConfigError(
            f"{one.where}: the tag {tag!r} is one of those by which aksci and signers find what "
            "belongs to an image.",
            hint=f'{table} tags = ["…"], or another one in that file.',
        )


def _tell_mapped(
    config: Config,
    specs: Mapping[str, ImageSpec],
    candidates: Mapping[str, Imported],
    importer: Importer,
) -> None:
    """Warn of images that are published under another name than a file gives them.

    :raises ConfigError: a file gives one the repository of an image that it does not name.
    """
    given = {
        specs[name].repository: name
        for name, one in candidates.items()
        if one.repository or not one.references
    }
    notes = []
    for name, spec in specs.items():
        one = candidates[name]
        if one.repository or not one.references:
            continue
        if spec.repository in given:
            raise ConfigError(
                f"{one.where}: {spec.repository} is the repository of the image "
                f"{given[spec.repository]!r}.",
                hint=f'[images."{name}"] repository = "{spec.repository}" shares it.',
            )
        said = split_references(one.references, one.where)[0]
        if said != spec.repository:
            notes.append(ImportNote.at(one.where, f"{said} is published as {spec.repository}"))
    importer.notes.extend(notes)
    if lines := note_lines(notes):
        more = [f"and {len(lines) - _SHOWN} more like these"] if len(lines) > _SHOWN else []
        importer.warn(
            "\n".join([*lines[:_SHOWN], *more]) + f"\nOnly aksci.toml names repositories outside "
            f'of {config.project.name}/: [images.NAME] repository = "…" keeps a name, or this one.'
        )


def _require_no_secret(
    specs: Mapping[str, ImageSpec],
    candidates: Mapping[str, Imported],
    variables: VisibleVariables,
) -> None:
    """Refuse what would publish a secret of aksci's, by whatever way it came there.

    :raises ConfigError: a text that is a part of an image's description has one in it.
    """
    texts = {name: "\0".join(_texts(spec)) for name, spec in specs.items()}
    # Of all images at once: hundreds of short texts take longer to search than one that is long.
    if variables.holder_of("\0".join(texts.values())) is None:
        return
    for name, text in texts.items():
        if holder := variables.holder_of(text):
            raise ConfigError(
                f"{candidates[name].where}: its arguments, target, tags or names would publish "
                f"what the variable {holder} holds: a secret.",
                hint="a build gets secrets by [build.secrets] and RUN --mount=type=secret.",
            )


def _texts(spec: ImageSpec) -> Iterator[str]:
    """Yield what is published of an image's description, or shown."""
    yield from (spec.name, spec.repository, spec.dockerfile, spec.context, spec.target or "")
    for words in (spec.tags, spec.platforms, spec.aliases):
        yield from words
    for table in (spec.args, spec.contexts):
        yield from (*table, *table.values())


def _write_inline(root: Path, name: str, text: str) -> str:
    """Keep a Dockerfile that is in no file of its own where a build can read it."""
    relative = f"{INLINE}/{name}.Dockerfile"
    folder, _, place = relative.partition("/")
    work = WorkFolder(root / folder)
    try:
        known = work.read(place)
    except (FileNotFoundError, WorkFolderError):  # a link in its place is replaced
        known = None
    # Not written anew: a build of another session that reads it would take that for a change.
    if known != text.encode():
        work.write(place, text, mode=0o644)
    return relative


def _with_bases(
    spec: ImageSpec, one: Imported, specs: Mapping[str, ImageSpec], inside: Inside
) -> ImageSpec:
    """Check the names of other images; give those that are arguments as references."""
    for name in one.requires:
        _require_image(name, specs, f"{one.where}.requires", spec.name)
    for key, value in one.contexts.items():
        require_context_name(key, one.where)
        where = f"{one.where}.contexts.{key}"
        if value.startswith(OUR_IMAGE):
            _require_image(value.removeprefix(OUR_IMAGE), specs, where, spec.name)
        elif value.startswith(DOCKER_IMAGE):
            _require_reference(value.removeprefix(DOCKER_IMAGE), where)
        elif (
            "://" in value or ".." in value.split("/") or not inside.has_folder(value, where=where)
        ):
            raise ConfigError(
                f"{where}: {value!r} is no folder of this project.",
                hint="a named context is image:NAME, docker-image://REFERENCE or a folder.",
            )
    if not one.base_args:
        return spec
    references = {arg: _reference(specs[name]) for arg, name in one.base_args.items()}
    return replace(spec, args={**spec.args, **references})


def _require_image(name: str, specs: Mapping[str, ImageSpec], where: str, own: str) -> None:
    if name == own:
        raise ConfigError(f"{where}: the image {own} can't need itself.")
    if name not in specs:
        suggestion = did_you_mean(name, specs) or f" Known: {', '.join(specs)}."
        raise ConfigError(f"{where}: there is no image {name!r}.{suggestion}")


def _require_reference(reference: str, where: str) -> None:
    try:
        parse_reference(reference)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error.message}", hint=error.hint) from None


def _reference(spec: ImageSpec) -> str:
    """Return ``repository:tag``, as a Dockerfile of the project names the image."""
    tag = spec.tags[0] if spec.tags else "latest"
    first = spec.repository.partition("/")[0]
    # What looks like a host would be taken for one.
    prefix = "docker.io/" if "." in first and "/" in spec.repository else ""
    return f"{prefix}{spec.repository}:{tag}"
