"""Which images a project has."""

from __future__ import annotations

import os

import pytest

from aksci.core.errors import ConfigError
from aksci.images.discovery.globs import Exclude, find_files

ALL = '[discover]\ndockerfiles = ["**/*ockerfile*"]\n'


def found(root, *globs, exclude=()):
    matches = find_files(root, globs, Exclude(exclude))
    return sorted(map(str, set().union(*matches.values())))


def test_an_image_is_named_by_its_folder_and_by_what_its_file_adds(discover):
    files = ["Dockerfile", "web/Dockerfile", "api/Dockerfile", "api/Dockerfile.base",
             "api/worker.Dockerfile", "api/Dockerfile.dockerignore"]  # fmt: skip
    specs = discover(dict.fromkeys(files, "FROM scratch\n"))
    assert {name: spec.dockerfile for name, spec in specs.items()} == {
        "api": "api/Dockerfile",
        "api-base": "api/Dockerfile.base",
        "api-worker": "api/worker.Dockerfile",
        "shop": "Dockerfile",
        "web": "web/Dockerfile",
    }
    assert specs["api-base"].context == "api"
    assert specs["shop"].context == "."
    assert specs["web"].repository == "shop/web"
    assert specs["web"].tags == ("latest",)


def test_one_dockerfile_makes_four_images_by_argument_and_target(discover):
    toml = "".join(
        f'[images.app-{at}]\ndockerfile = "Dockerfile"\nrepository = "shop/app"\n'
        f'tags = ["{at}"]\n{extra}\n'
        for at, extra in enumerate(
            ['args = { V = "1" }', 'args = { V = "2" }', 'target = "debug"', ""]
        )
    )
    specs = discover({"Dockerfile": "FROM scratch AS debug\n"}, toml)
    assert len(specs) == 4
    assert {spec.repository for spec in specs.values()} == {"shop/app"}


def test_a_dockerfile_that_a_table_names_is_not_found_again(discover):
    files = {"web/Dockerfile": "FROM scratch\n", "api/Dockerfile": "FROM scratch\n"}
    specs = discover(files, ALL + '[images.front]\ndockerfile = "web/Dockerfile"\n')
    assert list(specs) == ["api", "front"]


def test_a_table_without_a_dockerfile_adds_to_what_a_glob_found(discover):
    specs = discover(
        {"web/Dockerfile": "FROM scratch\n"}, ALL + '[images.web]\nargs = { A = "1" }\n'
    )
    assert specs["web"].dockerfile == "web/Dockerfile"
    assert specs["web"].args == {"A": "1"}


def test_a_table_whose_image_nobody_knows_needs_a_dockerfile(discover):
    compose = {"compose.yaml": "services: {worker: {build: .}}", "Dockerfile": "FROM scratch"}
    with pytest.raises(ConfigError, match=r"images.wroker.dockerfile.*Did you mean 'worker'"):
        discover(compose, '[discover]\ncompose = ["compose.yaml"]\n[images.wroker]\ntarget = "x"\n')


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ('[images.a]\ndockerfile = "no/Dockerfile"', r"images.a.dockerfile: no/Dockerfile"),
        ('[images.a]\ndockerfile = "Dockerfile"\ncontext = "no"', r"images.a.context.*folder no"),
        ('[images.a]\ndockerfile = "Dockerfile"\nrequires = ["b"]', r"images.a.requires.*'b'"),
        ('[images.a]\ndockerfile = "Dockerfile"\nrequires = { X = "a" }', "need itself"),
        (
            '[images.a]\ndockerfile = "Dockerfile"\ncontexts = { x = "image:b" }',
            r"images.a.contexts.x: there is no image 'b'",
        ),
        (
            '[images.a]\ndockerfile = "Dockerfile"\ncontexts = { x = "https://e.org/x.git" }',
            r"images.a.contexts.x: 'https://e.org/x.git' is no folder",
        ),
        (
            '[images.a]\ndockerfile = "Dockerfile"\ncontexts = { x = "docker-image://Up" }',
            r"images.a.contexts.x: 'Up'",
        ),
        ('[discover]\ndockerfiles = ["/etc/*"]', r"discover.dockerfiles: '/etc/\*'"),
        ('[discover]\ndockerfiles = ["../*"]', r"discover.dockerfiles"),
        ('[discover]\nexclude = [""]', r"discover.exclude"),
        ("", "no image to build"),
    ],
)
def test_a_mistake_is_told_with_its_key(discover, toml, message):
    with pytest.raises(ConfigError, match=message):
        discover({"Dockerfile": "FROM scratch\n"}, toml)


def test_an_unknown_name_is_answered_with_a_close_one(discover):
    toml = (
        '[images.catalog]\ndockerfile = "Dockerfile"\n'
        '[images.web]\ndockerfile = "Dockerfile"\nrequires = ["katalog"]\n'
    )
    with pytest.raises(ConfigError, match="Did you mean 'catalog'"):
        discover({"Dockerfile": "FROM scratch\n"}, toml)


def test_requires_as_a_table_gives_the_reference_as_an_argument(discover):
    toml = (
        '[images.base]\ndockerfile = "base/Dockerfile"\nrepository = "team/base"\ntags = ["v2"]\n'
        '[images.web]\ndockerfile = "web/Dockerfile"\nrequires = { BASE = "base" }\n'
    )
    files = {"base/Dockerfile": "FROM scratch", "web/Dockerfile": "ARG BASE\nFROM $BASE\n"}
    specs = discover(files, toml)
    assert specs["web"].args == {"BASE": "team/base:v2"}
    assert specs["web"].requires == ("base",)


def test_two_files_of_one_name_are_refused_until_a_table_claims_one(discover):
    files = {"a/Dockerfile.x": "FROM scratch", "a/x.Dockerfile": "FROM scratch"}
    with pytest.raises(ConfigError, match="Two Dockerfiles would be the image 'a-x'"):
        discover(files)
    assert set(discover(files, ALL + '[images.y]\ndockerfile = "a/x.Dockerfile"')) == {"a-x", "y"}


@pytest.mark.parametrize("folder", ["a b", "a..b", "x/a___b", "ü"])
def test_a_name_that_no_image_can_have_is_told_with_the_table_that_helps(discover, folder):
    with pytest.raises(ConfigError, match=f"^{folder}/Dockerfile: .* can't be the name") as caught:
        discover({f"{folder}/Dockerfile": "FROM scratch"})
    assert "[images.some-name]" in caught.value.hint
    assert f'exclude = ["{folder}/Dockerfile"]' in caught.value.hint


def test_folders_that_begin_or_end_oddly_have_names_without_that(discover):
    folders = [".devcontainer", "a/.hidden", "_x-/y", "web"]
    files = {f"{folder}/Dockerfile": "FROM scratch" for folder in folders}
    assert list(discover(files)) == ["a/hidden", "devcontainer", "web", "x/y"]


@pytest.mark.parametrize(
    "toml",
    [
        '[images."a..b"]\ndockerfile = "Dockerfile"\n',
        '[images.a]\ndockerfile = "Dockerfile"\nrepository = "a..b"\n',
    ],
)
def test_a_repository_that_no_registry_takes_is_told_with_its_table(discover, toml):
    with pytest.raises(ConfigError, match=r"images\.a.*a\.\.b' can't be the name of a repository"):
        discover({"Dockerfile": "FROM scratch"}, toml)


def test_a_glob_that_finds_nothing_is_told(discover):
    discover({"Dockerfile": "FROM scratch"}, '[discover]\ndockerfiles = ["Dockerfile", "no/*"]')
    assert discover.notes == ["aksci.toml: discover.dockerfiles: 'no/*' finds nothing"]


@pytest.mark.parametrize(
    ("globs", "expected"),
    [
        (["Dockerfile"], ["Dockerfile"]),
        (["**/Dockerfile"], ["Dockerfile", "a/Dockerfile", "a/b/Dockerfile", "docs/x/Dockerfile"]),
        (["*/Dockerfile"], ["a/Dockerfile"]),
        (["a/**"], ["a/Dockerfile", "a/b/Dockerfile", "a/b/api.Dockerfile"]),
        (["a/**/*.Dockerfile"], ["a/b/api.Dockerfile"]),
        (["[!b-z]/Docker???e"], ["a/Dockerfile"]),
        (["./a//Dockerfile"], ["a/Dockerfile"]),
        (["node_modules/*/Dockerfile"], ["node_modules/lib/Dockerfile"]),
        ([".git/Dockerfile", "**/.aksci/Dockerfile"], []),
        (["a/Dockerfile/**"], []),
        (["A/Dockerfile"], []),
        (["a/Dockerfile", "*/Dockerfile", "a/b"], ["a/Dockerfile"]),
    ],
)
def test_globs_find_what_they_say(tmp_path, globs, expected):
    for name in ["Dockerfile", "a/Dockerfile", "a/b/Dockerfile", "a/b/api.Dockerfile",
                 "docs/x/Dockerfile", "node_modules/lib/Dockerfile", ".git/Dockerfile",
                 "a/.aksci/Dockerfile"]:  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("FROM scratch")
    assert found(tmp_path, *globs) == expected


@pytest.mark.parametrize("exclude", ["**/testdata/**", "**/testdata", "a/testdata/", "a/*/*/*"])
def test_what_is_excluded_is_not_found(tmp_path, exclude):
    for name in ["a/Dockerfile", "a/testdata/x/Dockerfile"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("FROM scratch")
    assert found(tmp_path, "**/Dockerfile", exclude=(exclude,)) == ["a/Dockerfile"]
    assert found(tmp_path, "a/testdata/x/Dockerfile", exclude=(exclude,)) == []


def test_a_link_to_a_dockerfile_of_the_same_folder_counts_once(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM scratch")
    (tmp_path / "ADockerfile").symlink_to("Dockerfile")
    (tmp_path / "Dockerfile.gone").symlink_to("nothing")
    assert found(tmp_path, "*Dockerfile*") == ["Dockerfile"]


def test_a_shared_dockerfile_that_is_linked_into_several_folders_makes_several_images(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM scratch")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Dockerfile").symlink_to("../Dockerfile")
    assert found(tmp_path, "*/Dockerfile") == ["a/Dockerfile", "b/Dockerfile"]


def test_a_linked_folder_counts_once_and_loops_end(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/Dockerfile").write_text("FROM scratch")
    (tmp_path / "a/loop").symlink_to("..")
    (tmp_path / "0").symlink_to("a")
    (tmp_path / "itself").symlink_to("itself")
    assert found(tmp_path, "**/Dockerfile", "*/Dockerfile", "*/loop/*/Dockerfile") == [
        "a/Dockerfile"
    ]


def test_a_folder_that_only_names_lead_to_is_not_read(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/Dockerfile").write_text("FROM scratch")
    (tmp_path / "a").chmod(0o311)  # may be entered, not read
    real = os.geteuid() == 0  # who may read anything
    assert real or found(tmp_path, "a/*") == []
    assert found(tmp_path, "a/Dockerfile") == ["a/Dockerfile"]
