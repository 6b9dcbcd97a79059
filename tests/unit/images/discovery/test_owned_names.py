"""Whose repositories and tags a file of another tool may name: those of its project alone."""

from __future__ import annotations

import json
import re

import pytest

from aksci.core.errors import ConfigError
from aksci.oci.own_names import is_own_repository, is_own_tag

COMPOSE = '[discover]\ncompose = ["compose.yaml"]\n'
SKAFFOLD = '[discover]\nskaffold = ["skaffold.yaml"]\n'
DOCKERFILE = {"Dockerfile": "FROM scratch\n"}


def service(reference, name="api"):
    return {
        **DOCKERFILE,
        "compose.yaml": json.dumps(
            {"services": {name: {"image": reference, "build": {"context": "."}}}}
        ),
    }


@pytest.mark.parametrize(
    ("reference", "repository"),
    [
        ("other/api:prod", "shop/other/api"),
        ("ghcr.io/other/api:prod", "shop/other/api"),
        ("localhost:5000/other/api:prod", "shop/other/api"),
        ("docker.io/library/python:prod", "shop/python"),  # "library/" is Docker Hub's own
        ("python:prod", "shop/python"),
        ("shop:prod", "shop/shop"),  # beside the project's own, and not below
        ("shop2/api:prod", "shop/shop2/api"),
        ("other/release:prod", "shop/other/release"),
        ("other/charts/web:prod", "shop/other/charts/web"),
        ("other/shop/api:prod", "shop/other/shop/api"),
    ],
)
def test_a_compose_file_names_no_repository_of_another_project(discover, reference, repository):
    api = discover(service(reference), COMPOSE)["api"]
    assert api.repository == repository
    assert api.tags == ("prod",)


def test_the_name_that_is_not_taken_over_is_told_with_the_line_that_keeps_it(discover):
    discover(service("other/api:prod"), COMPOSE)
    (note,) = discover.notes
    assert "compose.yaml: services.api: other/api is published as shop/other/api" in note
    assert '[images.NAME] repository = "…"' in note


def test_only_aksci_toml_names_another_repository(discover):
    toml = COMPOSE + '[images.api]\nrepository = "other/api"\n'
    assert discover(service("other/api:prod"), toml)["api"].repository == "other/api"
    assert discover(service("evil/api:prod"), toml)["api"].repository == "other/api"
    assert not discover.notes


def test_a_name_below_the_project_is_taken_over(discover):
    assert discover(service("ghcr.io/shop/tools/api:2"), COMPOSE)["api"].repository == (
        "shop/tools/api"
    )
    assert not discover.notes


def test_tags_of_x_bake_and_of_the_list_are_mapped_too(discover):
    build = {"context": ".", "tags": ["other/a:1", "other/a:2"], "x-bake": {"tags": "other/a:3"}}
    files = {**DOCKERFILE, "compose.yaml": json.dumps({"services": {"api": {"build": build}}})}
    api = discover(files, COMPOSE)["api"]
    assert (api.repository, api.tags) == ("shop/other/a", ("1", "2", "3"))


def test_an_artifact_of_skaffold_names_no_repository_of_another_project(discover):
    document = {"apiVersion": "skaffold/v4", "build": {"artifacts": [{"image": "gcr.io/o/api"}]}}
    files = {**DOCKERFILE, "skaffold.yaml": json.dumps(document)}
    assert discover(files, SKAFFOLD)["api"].repository == "shop/o/api"


def test_a_dockerfile_goes_on_naming_an_image_as_its_file_does(discover, project):
    files = {
        "compose.yaml": "services:\n"
        "  base: {image: ghcr.io/acme/base:1, build: {context: base}}\n"
        "  web: {build: {context: web}}\n  api: {build: {context: api}}\n"
        "  job: {build: {context: job}}\n",
        "base/Dockerfile": "FROM scratch\n",
        "web/Dockerfile": "FROM ghcr.io/acme/base:1\n",
        "api/Dockerfile": "FROM acme/base:1\n",
        "job/Dockerfile": "FROM registry.example/acme/base:1\n",
    }
    toml = COMPOSE + ('[environments.prod]\nregistry = "registry.example"\nnamespace = "shop"\n')
    graph = project(files, toml)
    assert graph.images["base"].spec.repository == "shop/acme/base"
    assert {(edge.base, edge.to) for edge in graph.edges} == {
        ("base", "web"), ("base", "api"), ("base", "job")
    }  # fmt: skip


@pytest.mark.parametrize("name", ["release", "cascade", "charts", "charts/web", "release/x"])
def test_no_image_is_where_aksci_keeps_its_own(discover, name):
    found = re.escape(f"shop/{name} is where aksci itself keeps")
    with pytest.raises(ConfigError, match=found):  # by its folder
        discover({f"{name}/Dockerfile": "FROM scratch\n"})
    with pytest.raises(ConfigError, match=found):  # by a table
        discover(DOCKERFILE, f'[images."{name}"]\ndockerfile = "Dockerfile"\n')
    with pytest.raises(ConfigError, match=found):  # by the word of aksci.toml
        discover(DOCKERFILE, f'[images.a]\ndockerfile = "Dockerfile"\nrepository = "shop/{name}"\n')
    with pytest.raises(ConfigError, match=found):  # by a service
        discover(service(f"example.org/{name}:1", name), COMPOSE)
    with pytest.raises(ConfigError, match=found) as caught:  # by a reference
        discover(service(f"ghcr.io/shop/{name}:1"), COMPOSE)
    assert '[images."api"] repository = "shop/…"' in caught.value.hint


def test_a_name_that_only_begins_or_ends_so_is_free(discover):
    names = ["releases", "my/release", "release-notes", "chartsy", "a/charts/web"]
    files = {f"{name}/Dockerfile": "FROM scratch\n" for name in names}
    assert sorted(discover(files)) == sorted(names)


@pytest.mark.parametrize(
    "tag",
    [
        "in-" + "0" * 64, "in-", "unchecked-" + "0" * 64, "cache-api", "verdict-" + "0" * 16,
        "sha256-" + "0" * 64, "sha256-" + "0" * 64 + ".sig", "sha256-x.att", "sha512-x",
    ],
)  # fmt: skip
def test_no_image_has_a_tag_by_which_something_else_is_found(discover, tag):
    with pytest.raises(ConfigError, match=f"the tag '{re.escape(tag)}'"):
        discover(service(f"other/api:{tag}"), COMPOSE)
    with pytest.raises(ConfigError, match=f"the tag '{re.escape(tag)}'"):
        discover(DOCKERFILE, f'[images.a]\ndockerfile = "Dockerfile"\ntags = ["{tag}"]\n')


def test_an_image_of_a_file_is_in_no_repository_of_one_that_the_file_does_not_name(discover):
    toml = COMPOSE + (
        '[images.web]\ndockerfile = "web/Dockerfile"\nrepository = "shop/api"\ntags = ["1"]\n'
    )
    files = {**service("shop/api:2"), "web/Dockerfile": "FROM scratch\n"}
    with pytest.raises(
        ConfigError, match="shop/api is the repository of the image 'web'"
    ) as caught:
        discover(files, toml)
    assert '[images."api"] repository = "shop/api"' in caught.value.hint
    shared = discover(files, toml + '[images.api]\nrepository = "shop/api"\ntags = ["2"]\n')
    assert {spec.repository for spec in shared.values()} == {"shop/api"}


def test_nor_is_one_in_the_repository_that_an_image_has_by_its_name(discover):
    files = {**service("shop/web:2", "evil"), "web/Dockerfile": "FROM scratch\n"}
    toml = COMPOSE + 'dockerfiles = ["web/Dockerfile"]\n'
    with pytest.raises(ConfigError, match="shop/web is the repository of the image 'web'"):
        discover(files, toml)
    files |= service("web:2", "evil")  # the same, below the project
    with pytest.raises(ConfigError, match="shop/web is the repository of the image 'web'"):
        discover(files, toml)


def test_what_is_mapped_onto_the_name_of_another_image_is_refused(project):
    compose = {
        "services": {
            "api": {"image": "other/x:1", "build": {"context": "."}},
            "web": {"image": "shop/other/x:1", "build": {"context": ".", "target": "t"}},
        }
    }
    files = {"Dockerfile": "FROM scratch AS t\n", "compose.yaml": json.dumps(compose)}
    with pytest.raises(ConfigError, match="api and web are both shop/other/x:1"):
        project(files, COMPOSE)


def test_each_mark_that_aksci_sets_is_its_own():
    from aksci.images.keys import in_tag, unchecked_tag
    from aksci.oci.referrers import fallback_tag

    key = "0" * 64
    marks = [in_tag(key), unchecked_tag(key), fallback_tag(f"sha256:{key}")]
    assert all(map(is_own_tag, marks))
    assert not any(map(is_own_tag, ["latest", "1.2.3", "v1", "main", "indigo", "cached", "r-1"]))


def test_each_repository_that_aksci_writes_beside_images_is_its_own():
    from aksci.supply.release.release import chart_repository, release_repository

    own = [release_repository("shop"), chart_repository("shop", "web"), "shop/cascade"]
    assert all(is_own_repository("shop", each) for each in own)
    assert not is_own_repository("shop", "other/release")
