"""Images of Compose files."""

from __future__ import annotations

import json

import pytest

from aksci.core.errors import ConfigError
from aksci.images.discovery.importers.interpolation import fill_in, read_env_file

COMPOSE = '[discover]\ncompose = ["compose.yaml"]\n'
SHOP = """
name: store
x-build: &common
  args: {VERSION: 3.20, DEBUG: on, N: 010, FLAG: true, WHOLE: 2.0, EMPTY: "", UNSET: }
services:
  web:
    image: ghcr.io/acme/web:${TAG:-dev}
    build:
      <<: *common
      context: ./web
      dockerfile: docker/Dockerfile.prod
      target: final
      platforms: [linux/amd64, linux/arm64]
      tags: ["ghcr.io/acme/web:latest", "docker.io/acme/other:1"]
      additional_contexts:
        base: service:base
        assets: ./assets
        alpine: docker-image://alpine:3
    ports: ["8080:80"]
  base:
    build: base
  Tools:
    profiles: [dev]
    build:
      dockerfile_inline: |
        FROM scratch
        COPY x /
  db:
    image: postgres:15
"""
FILES = {
    "web/docker/Dockerfile.prod": "FROM scratch AS final\nCOPY --from=base / /\n",
    "base/Dockerfile": "FROM scratch\n",
    "assets/x": "",
    "x": "",
}


def test_services_with_a_build_are_images(discover):
    specs = discover({**FILES, "compose.yaml": SHOP}, COMPOSE)
    assert list(specs) == ["base", "tools", "web"]
    web = specs["web"]
    assert (web.dockerfile, web.context) == ("web/docker/Dockerfile.prod", "web")
    assert web.target == "final"
    assert web.platforms == ("linux/amd64", "linux/arm64")
    assert (web.repository, web.tags) == ("shop/acme/web", ("dev", "latest"))
    assert web.aliases == (
        "ghcr.io/acme/web:dev", "ghcr.io/acme/web:latest", "docker.io/acme/other:1",
        "docker.io/acme/web:dev", "docker.io/acme/web:latest",
    )  # fmt: skip
    assert web.contexts == {
        "base": "image:base", "assets": "assets", "alpine": "docker-image://alpine:3"
    }  # fmt: skip
    assert specs["base"].repository == "shop/base"
    assert specs["base"].aliases == ("docker.io/library/store-base:latest",)


def test_arguments_are_written_as_go_writes_them(discover):
    specs = discover({**FILES, "compose.yaml": SHOP}, COMPOSE)
    assert specs["web"].args == {
        "VERSION": "3.2", "DEBUG": "on", "N": "8", "FLAG": "true", "WHOLE": "2", "EMPTY": ""
    }  # fmt: skip
    specs = discover({}, COMPOSE, UNSET="from the environment")
    assert specs["web"].args["UNSET"] == "from the environment"


def test_an_inline_dockerfile_is_kept_beside_the_runs(discover):
    spec = discover({**FILES, "compose.yaml": SHOP}, COMPOSE)["tools"]
    assert spec.dockerfile == ".aksci/dockerfiles/tools.Dockerfile"
    assert (discover.root / spec.dockerfile).read_text() == "FROM scratch\nCOPY x /\n"
    assert spec.context == "."


def test_variables_come_from_the_environment_then_from_the_file_beside(discover):
    compose = "services: {a: {image: 'x/a:${TAG}', build: {context: ., args: [V=$V, W, Z]}}}"
    files = {"compose.yaml": compose, "Dockerfile": "FROM scratch", ".env": "TAG=one\nV=1\nW='$x'"}
    spec = discover(files, COMPOSE, TAG="two")["a"]
    assert spec.tags == ("two",)
    assert spec.args == {"V": "1", "W": "$x"}


def test_an_unset_variable_is_told(discover):
    compose = "services: {a: {build: {context: ., args: [V=$NO]}}}"
    discover({"compose.yaml": compose, "Dockerfile": "FROM scratch"}, COMPOSE)
    (note,) = discover.notes
    assert "compose.yaml: services.a: the variable NO is not set" in note


def test_one_image_that_two_services_run_is_one(discover):
    compose = "services:\n" + "".join(
        f"  {name}: {{image: app, build: {{context: ., args: [A=1]}}}}\n" for name in ("web", "job")
    )
    assert list(discover({"compose.yaml": compose, "Dockerfile": "FROM scratch"}, COMPOSE)) == [
        "web"
    ]


def test_images_that_share_a_repository_differ_by_tag(discover):
    compose = "services:\n" + "".join(
        f"  {name}: {{image: 'ghcr.io/demo:1-{name}', build: {{context: {name}}}}}\n"
        for name in ("a", "b")
    )
    files = {"compose.yaml": compose, "a/Dockerfile": "FROM scratch", "b/Dockerfile": ""}
    specs = discover(files, COMPOSE)
    assert {(spec.repository, spec.tags) for spec in specs.values()} == {
        ("shop/demo", ("1-a",)), ("shop/demo", ("1-b",))
    }  # fmt: skip


def test_later_files_change_earlier_ones(discover):
    files = {
        "compose.yaml": "services:\n  a: {build: {context: a, args: [X=1, Y=1], tags: [r/a:1]}}\n"
        "  b: {build: b}\n  c: {build: c}\n",
        "dev/compose.yaml": "services:\n  a: {build: {target: t, args: {Y: 2}, tags: [r/a:2]}}\n"
        "  b: !reset null\n  c: {build: !override {context: a, target: z}}\n",
        "a/Dockerfile": "FROM scratch AS t",
        "b/Dockerfile": "",
        "c/Dockerfile": "",
    }
    specs = discover(files, '[discover]\ncompose = ["compose.yaml", "dev/compose.yaml"]\n')
    assert list(specs) == ["a", "c"]
    a = specs["a"]
    assert (a.context, a.target, a.args, a.tags) == ("a", "t", {"X": "1", "Y": "2"}, ("1", "2"))
    assert (specs["c"].context, specs["c"].target) == ("a", "z")


def test_extends_and_include_bring_folders_of_their_own(discover):
    files = {
        "compose.yaml": "include: [sub/compose.yaml, {path: other/c.yaml, env_file: v.env}]\n"
        "services:\n  a: {extends: {service: base, file: common/base.yaml}, build: {target: t}}\n"
        "  b: {extends: a}\n",
        "common/base.yaml": "services: {base: {build: {context: src, args: [V=1]}}}",
        "common/src/Dockerfile": "FROM scratch AS t",
        "sub/compose.yaml": "services: {inner: {build: {context: ., args: ['T=${T}']}}}",
        "sub/.env": "T=sub",
        "sub/Dockerfile": "FROM scratch",
        "other/c.yaml": "services: {o: {build: {context: ., args: ['T=${T}']}}}",
        "other/Dockerfile": "FROM scratch",
        "v.env": "T=v",
    }
    specs = discover(files, COMPOSE)
    assert list(specs) == ["a", "b", "inner", "o"]
    for name in "ab":
        assert (specs[name].context, specs[name].target, specs[name].args) == (
            "common/src", "t", {"V": "1"}
        )  # fmt: skip
    assert (specs["inner"].context, specs["inner"].args) == ("sub", {"T": "sub"})
    assert specs["o"].args == {"T": "v"}


def test_what_is_not_built_here_is_told(discover):
    compose = (
        "services:\n  a: {build: .}\n  git: {build: 'https://github.com/x/y.git#main'}\n"
        "  out: {build: ../elsewhere}\n  ctx: {build: {context: ., additional_contexts: "
        "{x: 'https://e.org/x.git'}}}\n  net: {build: {context: ., network: host, "
        "secrets: [npm, {source: pip}], ssh: [default]}}\n"
    )
    toml = COMPOSE + '[build.secrets.npm]\nenv = "NPM"\n'
    specs = discover({"compose.yaml": compose, "Dockerfile": "FROM scratch"}, toml)
    assert list(specs) == ["a", "net"]
    assert [note.partition(": services.")[2] for note in discover.notes] == [
        (
            "git: not an image of this project: its context is the address "
            "https://github.com/x/y.git#main, not a folder"
        ),
        (
            f"out: not an image of this project: its context ../elsewhere is outside of "
            f"{discover.root}"
        ),
        "ctx: not an image of this project: its named context https://e.org/x.git is no folder",
        "net.build: not taken over: network",
        "net.build: the secret pip is not taken over: add [build.secrets.pip]",
        "net.build: the SSH key default is not taken over: add it to [build.ssh]",
    ]


def test_a_table_takes_the_place_of_what_a_service_says(discover):
    toml = (
        COMPOSE + '[images.web]\ntarget = "debug"\nargs = { B = "2" }\nrepository = "my/web"\n'
        'tags = ["x"]\n'
    )
    compose = "services: {web: {image: 'bad::', build: {context: ., target: t, args: [A=1, B=1]}}}"
    spec = discover({"compose.yaml": compose, "Dockerfile": "FROM scratch AS debug"}, toml)["web"]
    assert (spec.target, spec.args) == ("debug", {"A": "1", "B": "2"})
    assert (spec.repository, spec.tags) == ("my/web", ("x",))


def test_a_table_changes_the_dockerfile_and_keeps_the_context(discover):
    toml = COMPOSE + '[images.web]\ndockerfile = "docker/Dockerfile"\n'
    compose = "services: {web: {build: {context: src, dockerfile_inline: FROM a}}}"
    files = {"compose.yaml": compose, "docker/Dockerfile": "FROM scratch", "src/x": ""}
    spec = discover(files, toml)["web"]
    assert (spec.dockerfile, spec.context) == ("docker/Dockerfile", "src")


def test_a_dockerfile_of_a_service_is_not_found_again_by_a_glob(discover):
    toml = COMPOSE + 'dockerfiles = ["**/Dockerfile"]\nexclude = ["old"]\n'
    compose = "services: {web: {build: front}, gone: {build: old}}"
    files = {"compose.yaml": compose, "front/Dockerfile": "FROM scratch", "api/Dockerfile": ""}
    assert list(discover(files, toml)) == ["api", "web"]


@pytest.mark.parametrize(
    ("compose", "message"),
    [
        (None, "compose.yaml does not exist"),
        ("a: [", "compose.yaml is not valid YAML: line "),
        ("a: 1\na: 2", "line 2: a key is there twice"),
        ("- a", "compose.yaml must hold a mapping"),
        ("services: [a]", "compose.yaml: services: must be a mapping"),
        ("services: {a: {build: [x]}}", "services.a.build: must be a folder or a mapping"),
        ("services: {a: {build: no}}", r"services.a.dockerfile: no/Dockerfile does not exist"),
        ("services: {a: {build: {context: ., args: ['X=${X:?why}']}}}", "X must be set: why"),
        ("services: {a: {build: '${X'}}", r"services.a.build: a \$\{ has no end"),
        ("services: {a: {build: '$.'}}", r"write \$\$"),
        ("services: {a: {image: '${R}/x:', build: .}}", "services.a: '/x:' is not the name"),
        ("services: {a: {extends: b}}", "services.a.extends: there is no service 'b'"),
        ("services: {a: {extends: b}, b: {extends: a}}", "extend each other"),
        ("include: [compose.yaml]", "includes itself"),
        ("include: ['oci://x']", "include: oci://x can't be read"),
        (
            "services: {a: {build: {context: ., additional_contexts: {x: 'service:b'}}}}",
            "additional_contexts.x: there is no service 'b'",
        ),
        (
            "services: {a: {build: {context: ., dockerfile: x, dockerfile_inline: y}}}",
            "both dockerfile and dockerfile_inline",
        ),
        ("services: {a: {build: .}, A: {build: {context: ., target: x}}}", "would be called 'a'"),
    ],
)
def test_a_mistake_is_told_with_file_and_key(discover, compose, message):
    files = {"Dockerfile": "FROM scratch"}
    with pytest.raises(ConfigError, match=message):
        discover(files | ({"compose.yaml": compose} if compose else {}), COMPOSE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$A-${A}", "1-1"),
        ("$$A $${A}", "$A ${A}"),
        ("${E:-x}|${E-x}|${N:-x}|${N-x}", "x||x|x"),
        ("${E:+x}|${E+x}|${N+x}|${A:+y$A}", "|x||y1"),
        ("${N:-${M:-$A}}", "1"),
        ("${N:-}}", "}"),
        ("${A:?no} ${A?no}", "1 1"),
        ("$N!", "!"),
    ],
)
def test_variables_are_filled_in_as_compose_does(text, expected):
    assert fill_in(text, {"A": "1", "E": ""}, where="x") == expected


def test_an_env_file_has_quotes_comments_and_references(tmp_path):
    path = tmp_path / ".env"
    path.write_bytes(
        b"\xef\xbb\xbf# head\r\nA=1\r\nexport B = two # note\nC='$A # no'\nD=\"$A\\n#\"\nE=x#y\n"
        b"F: ${A}${H}\nG=\nONLY\nI='a\nb'\nJ=\"\\$A\"\n"
    )
    assert read_env_file(path, {"H": "h", "A": "9"}, ".env") == {
        "A": "1", "B": "two", "C": "$A # no", "D": "9\n#", "E": "x#y", "F": "9h", "G": "",
        "I": "a\nb", "J": "$A",
    }  # fmt: skip
    path.write_text("A B\n")
    with pytest.raises(ConfigError, match=r"\.env: line 1 is not NAME=value"):
        read_env_file(path, {}, ".env")


@pytest.mark.parametrize(
    ("head", "variables", "named"),
    [
        ("name: ${PROJECT:-Depot.X}", {}, "depotx"),
        ("name: ${PROJECT:-depot}", {"PROJECT": "other"}, "other"),
        ("name: depot", {"COMPOSE_PROJECT_NAME": "given"}, "given"),
        ("", {}, ""),  # the folder's
    ],
)
def test_the_projects_name_is_a_variable_and_services_are_called_by_it(
    discover, project, head, variables, named
):
    text = (
        "services:\n  base: {image: '${COMPOSE_PROJECT_NAME}/base:dev', build: base}\n"
        "  tool: {build: tool}\n"
    )
    files = {"compose.yaml": f"{head}\n{text}", "base/Dockerfile": "FROM scratch",
             "tool/Dockerfile": "FROM scratch"}  # fmt: skip
    specs = discover(files, COMPOSE, **variables)
    called = specs["base"].repository.removeprefix("shop/").removesuffix("/base")
    assert called == (named or discover.root.name.lower())
    assert f"docker.io/library/{called}-tool:latest" in specs["tool"].aliases


def test_a_name_that_no_image_can_have_stops_nothing(discover):
    files = {"compose.yaml": "name: a_-b\nservices: {web: {build: .}}\n", "Dockerfile": "FROM x"}
    assert discover(files, COMPOSE)["web"].aliases == ()


TWO = {
    "a/compose.yaml": "services: {app-a: {image: acme/a, build: .}}\n",
    "b/compose.yaml": "services: {app-b: {image: acme/b, build: .}}\n",
    "a/Dockerfile": "FROM scratch\nCOPY name /\n",
    "b/Dockerfile": "FROM scratch\nCOPY name /\n",
}


def two(*projects):
    """Return aksci.toml's table for Compose files: names, or a list for each project."""
    return f"[discover]\ncompose = {json.dumps(list(projects))}\n"


def test_a_file_in_another_folder_is_read_from_where_the_first_one_is_and_that_is_told(discover):
    """As Compose does with -f -f (docker/compose issue 3874)."""
    specs = discover(TWO, two("a/compose.yaml", "b/compose.yaml"))
    assert specs["app-b"].context == "a"
    (note,) = [note for note in discover.notes if "first" in note]
    assert note.startswith("b/compose.yaml: ")
    assert "app-b, a and not b" in note
    assert '[["a/compose.yaml"], ["b/compose.yaml"]] makes two projects' in note


@pytest.mark.parametrize("build", ["../b", "{context: '..', dockerfile: b/Dockerfile}", "$PWD/b"])
def test_a_folder_that_is_meant_from_the_first_file_is_not_told(discover, build):
    files = TWO | {"b/compose.yaml": f"services: {{app-b: {{image: acme/b, build: {build}}}}}\n"}
    specs = discover(files, two("a/compose.yaml", "b/compose.yaml"), PWD=str(discover.root))
    assert specs["app-b"].dockerfile == "b/Dockerfile"
    assert not [note for note in discover.notes if "first" in note]


def test_a_list_for_each_project_is_read_by_itself(discover):
    specs = discover(TWO, two(["a/compose.yaml"], ["b/compose.yaml"]))
    assert (specs["app-a"].context, specs["app-b"].context) == ("a", "b")
    assert not [note for note in discover.notes if "first" in note]
    # One list says that they are one project.
    specs = discover(TWO, two(["a/compose.yaml", "b/compose.yaml"]))
    assert specs["app-b"].context == "a"
    assert not [note for note in discover.notes if "first" in note]


def test_services_of_one_name_in_two_projects_are_two_images(discover):
    """Compose calls their images ``a-web`` and ``b-web``; Dockerfiles of a project mean its own."""
    text = (
        "services:\n  web:\n    build:\n      context: .\n"
        "      additional_contexts: {base: 'service:base'}\n"
        "  base: {build: {context: ., dockerfile_inline: 'FROM scratch'}}\n"
    )
    files = TWO | {"a/compose.yaml": text, "b/compose.yaml": text + "  only: {build: sub}\n",
                   "b/sub/Dockerfile": ""}  # fmt: skip
    specs = discover(files, two(["a/compose.yaml"], ["b/compose.yaml"]))
    assert list(specs) == ["b-base", "b-web", "base", "only", "web"]
    assert specs["b-web"].contexts == {"base": "image:b-base"}
    assert specs["b-web"].context == "b"
    assert specs["web"].contexts == {"base": "image:base"}
    assert specs["b-base"].repository == "shop/b-base"


def test_a_service_to_which_a_later_file_gives_another_build_is_told(discover):
    files = TWO | {
        "a/compose.yaml": "services:\n  web: {build: .}\n  job: {build: .}\n  x: {build: .}\n",
        "a/dev.yaml": "services:\n  web: {build: {dockerfile: Dockerfile.dev}}\n"
        "  job: {build: {target: dev}}\n  x: {image: x}\n  new: {build: .}\n",
        "a/Dockerfile.dev": "FROM scratch\n",
        "a/Dockerfile": "FROM scratch AS dev\n",
    }
    discover(files, two("a/compose.yaml", "a/dev.yaml"))
    (note,) = [note for note in discover.notes if "another build" in note]
    assert note.startswith("a/dev.yaml: ")
    assert "web, a (Dockerfile) → a (Dockerfile.dev)\n" in note
    del discover.notes[:]
    discover(files, two(["a/compose.yaml", "a/dev.yaml"]))
    assert not [note for note in discover.notes if "another build" in note]


def test_files_and_projects_are_not_mixed(discover):
    with pytest.raises(ConfigError, match="one project, or has a list for each"):
        discover(TWO, two("a/compose.yaml", ["b/compose.yaml"]))
    with pytest.raises(ConfigError, match="inside the project"):
        discover(TWO, two(["../compose.yaml"]))


@pytest.mark.parametrize("build", ["a", "{context: a, platforms: ['${PLATFORM:-}']}"])
def test_an_empty_platform_asks_for_none(discover, build):
    """As getsentry/self-hosted has it: ``platform: ${DOCKER_PLATFORM:-}``."""
    text = f"services: {{web: {{platform: '${{PLATFORM:-}}', build: {build}}}}}\n"
    files = {"compose.yaml": text, "a/Dockerfile": "FROM scratch"}
    assert len(discover(files, COMPOSE)["web"].platforms) == 1
    assert discover(files, COMPOSE, PLATFORM="linux/arm64")["web"].platforms == ("linux/arm64",)


def test_projects_of_one_folder_are_told_apart_by_their_names(discover):
    """As zabbix/zabbix-docker has them: a file for each system, the services called alike."""
    files = {
        f"{name}.yaml": f"name: {name}\nservices: {{web: {{build: {name}}}}}\n" for name in "abc"
    }
    files |= {f"{name}/Dockerfile": f"FROM {name}" for name in "abc"}
    lists = two(*(["a.yaml"], ["b.yaml"], ["c.yaml"]))
    assert list(discover(files, lists)) == ["b-web", "c-web", "web"]
    nameless = {path: text.partition("\n")[2] for path, text in files.items() if "yaml" in path}
    with pytest.raises(ConfigError, match="Two images would be called") as caught:
        discover(nameless, lists)
    assert "name: in each file" in caught.value.hint
