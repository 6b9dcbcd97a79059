"""The files of an export: each is read by what reads it, and data stays data on the way."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from aksci.azure.acr_tasks.export_files import export_files, task_yaml
from aksci.azure.acr_tasks.plan_tasks import AcrExport, AcrTask
from aksci.azure.acr_tasks.source_location import SourceLocation

GOLDEN = Path(__file__).parent / "shop"
ALIASES = {"Registry": "shopstaging.azurecr.io", "ID": "ca1", "Date": "today"}
HOSTILE = (
    "$(touch /tmp/owned)",
    "`id`",
    "'; exit 1; '",
    '"; exit 1; "',
    "$Registry $$Registry $",
    "{{.Run.ID}} {{{ }}",
    "a\nsteps:\n  - cmd: bash evil",
    "# no comment",
    "\\ \\n \x85 \u2028 é 😀",
    "",
)
TASK = AcrTask(
    image="web",
    name="shop-web",
    repository="shop/web",
    tags=("latest",),
    dockerfile="web/Dockerfile",
    context="web",
    target=None,
    args={},
    registry_args={},
    platform="linux/amd64",
    trigger="Runtime",
)
EXPORT = AcrExport(
    project="shop",
    registry="shopstaging",
    source=SourceLocation(repository="https://github.com/example/shop.git", folder="examples/shop"),
    tasks=(TASK,),
    left_out=(),
    step_timeout=3600,
)


def run_as_acr_tasks(text):
    """Return the words that ``docker build`` gets, by the steps that acr-builder takes."""
    lines = [line for line in text.split("\n") if not re.match(r"\s*#", line)]
    assert lines[0] == "version: v1.1.0"
    aliased = re.sub(
        r"\$(\$|[A-Za-z0-9]*)",
        lambda one: "$" if one[1] == "$" else ALIASES.get(one[1], one[0]),
        "\n".join(lines),
    )
    rendered = re.sub(
        r"\{\{(?:`([^`]*)`|\.Run\.ID)\}\}",
        lambda one: "ca1" if one[1] is None else one[1],
        aliased,
    )
    build = yaml.safe_load(rendered)["steps"][0]["build"]
    script = f"printf '%s\\0' {build}"
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_build_argument_reaches_docker_as_it_is(value):
    words = run_as_acr_tasks(task_yaml(replace(TASK, args={"A": value}), EXPORT))
    assert words == [
        "-t", "shopstaging.azurecr.io/shop/web:latest",
        "-t", "shopstaging.azurecr.io/shop/web:ca1",
        "--build-arg", f"A={value}",
        "--platform", "linux/amd64",
        "-f", "web/Dockerfile",
        "web",
    ]  # fmt: skip


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_any_build_argument_reaches_docker_as_it_is(value):
    words = run_as_acr_tasks(task_yaml(replace(TASK, args={"A": value}), EXPORT))
    assert words[5] == f"A={value}"


def test_the_registry_is_filled_in_where_an_argument_begins_with_it():
    task = replace(TASK, registry_args={"BASE": "/shop/base:latest"})
    words = run_as_acr_tasks(task_yaml(task, EXPORT))
    assert words[4:6] == ["--build-arg", "BASE=shopstaging.azurecr.io/shop/base:latest"]


@pytest.mark.parametrize("note", HOSTILE)
def test_a_note_stays_a_comment(note):
    noted = yaml.safe_load(task_yaml(replace(TASK, notes=(note,)), EXPORT))
    assert noted == yaml.safe_load(task_yaml(TASK, EXPORT))


# Scripts


def run_script(tmp_path, files, name, **variables):
    """Run a script with an ``az`` that writes down what it is told; return status and calls."""
    (tmp_path / "az").write_text(
        '#!/bin/sh\nprintf "%s\\0" "$@" >> calls\nprintf "\\036" >> calls\ncat >> stdin\n'
    )
    (tmp_path / "az").chmod(0o755)
    script = tmp_path / name
    script.write_text(files[name])
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", **variables}
    done = subprocess.run(
        ["bash", script], cwd=tmp_path, env=environment, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    calls = tmp_path / "calls"
    told = calls.read_text().split("\036")[:-1] if calls.exists() else []
    return done, [call.split("\0")[:-1] for call in told]


def test_the_script_makes_a_task(tmp_path):
    done, calls = run_script(tmp_path, export_files(EXPORT, tasks="acr"), "create-tasks.sh")
    assert (done.returncode, done.stderr) == (0, "")
    assert calls == [
        [
            "acr", "task", "create", "--registry", "shopstaging", "--name", "shop-web",
            "--context", "https://github.com/example/shop.git#main:examples/shop",
            "--file", "acr/shop-web.yaml", "--platform", "linux/amd64", "--timeout", "7200",
            "--base-image-trigger-enabled", "true", "--base-image-trigger-type", "Runtime",
            "--commit-trigger-enabled", "false", "--pull-request-trigger-enabled", "false",
            "--output", "none",
        ]
    ]  # fmt: skip


def test_a_token_goes_by_stdin_and_is_no_argument(tmp_path):
    files = export_files(EXPORT, tasks="acr")
    done, calls = run_script(
        tmp_path, files, "create-tasks.sh", GIT_ACCESS_TOKEN="s3cret", COMMITS="true"
    )
    assert done.returncode == 0
    assert calls[0][-4:] == ["--git-access-token", "@-", "--output", "none"]
    assert "s3cret" not in str(calls)
    assert (tmp_path / "stdin").read_text() == "s3cret\n"


def test_commits_without_a_token_are_refused_before_anything_is_made(tmp_path):
    files = export_files(EXPORT, tasks="acr")
    done, calls = run_script(tmp_path, files, "create-tasks.sh", COMMITS="true")
    assert (done.returncode, calls) == (2, [])
    assert "GIT_ACCESS_TOKEN" in done.stderr


@pytest.mark.parametrize("name", ["create-tasks.sh", "run-tasks.sh"])
def test_a_registry_that_is_not_known_must_be_named(tmp_path, name):
    files = export_files(replace(EXPORT, registry=None), tasks="acr")
    done, calls = run_script(tmp_path, files, name)
    assert (done.returncode != 0, calls) == (True, [])
    assert "REGISTRY" in done.stderr
    done, calls = run_script(tmp_path, files, name, REGISTRY="other")
    assert calls[0][4] == "other"


@pytest.mark.parametrize("value", [each for each in HOSTILE if each])
def test_addresses_and_folders_stay_data_in_the_script(tmp_path, value):
    source = SourceLocation(repository=value, folder=value)
    files = export_files(replace(EXPORT, source=source), tasks=value)
    done, calls = run_script(tmp_path, files, "create-tasks.sh")
    assert (done.returncode, done.stderr) == (0, "")
    (words,) = calls
    assert f"{value}#main:{value}" in words
    assert f"{value}/shop-web.yaml" in words


def test_each_task_is_run_once_in_the_order_of_the_bases(tmp_path):
    export = replace(EXPORT, tasks=(replace(TASK, name="shop-base"), TASK))
    done, calls = run_script(tmp_path, export_files(export, tasks="acr"), "run-tasks.sh")
    assert done.returncode == 0
    assert [call[-1] for call in calls] == ["shop-base", "shop-web"]


# The template


def strings(node):
    if isinstance(node, dict):
        for value in node.values():
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)
    elif isinstance(node, str):
        yield node


def test_the_template_carries_the_task_files():
    files = export_files(EXPORT, tasks="acr")
    (resource,) = json.loads(files["tasks.json"])["resources"]
    step = resource["properties"]["step"]
    assert resource["type"] == "Microsoft.ContainerRegistry/registries/tasks"
    assert resource["name"] == "[concat(parameters('registryName'), '/shop-web')]"
    assert step["type"] == "EncodedTask"
    assert base64.b64decode(step["encodedTaskContent"]).decode() == files["shop-web.yaml"]


def test_the_template_s_expressions_name_what_is_there():
    template = json.loads(export_files(EXPORT, tasks="acr")["tasks.json"])
    for text in strings(template):
        if text.startswith("["):
            assert text.endswith("]")
            assert set(re.findall(r"parameters\('(\w+)'\)", text)) <= template["parameters"].keys()
            assert set(re.findall(r"variables\('(\w+)'\)", text)) <= template["variables"].keys()


def test_the_template_s_token_is_a_secure_parameter_and_empty():
    token = json.loads(export_files(EXPORT, tasks="acr")["tasks.json"])["parameters"][
        "gitAccessToken"
    ]
    assert (token["type"], token["defaultValue"]) == ("securestring", "")


def test_an_address_is_no_expression_in_the_template():
    source = SourceLocation(repository="[resourceGroup().id]", folder=".")
    template = json.loads(export_files(replace(EXPORT, source=source), tasks="acr")["tasks.json"])
    assert template["parameters"]["source"]["defaultValue"] == "[[resourceGroup().id]"


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ("linux/amd64", {"os": "Linux", "architecture": "amd64"}),
        ("linux/arm/v7", {"os": "Linux", "architecture": "arm", "variant": "v7"}),
    ],
)
def test_the_template_names_the_platform(platform, expected):
    export = replace(EXPORT, tasks=(replace(TASK, platform=platform),))
    template = json.loads(export_files(export, tasks="acr")["tasks.json"])
    assert template["resources"][0]["properties"]["platform"] == expected


# All of it


def test_the_files_of_the_shop_are(export_of):
    document = json.loads((GOLDEN.parent / "cases/shop.json").read_text())
    left_out = {"docs/Dockerfile": "FROM --platform=$BUILDPLATFORM debian\n"}
    files = export_files(export_of(document["files"] | left_out), tasks="acr-tasks")
    assert files == {path.name: path.read_text() for path in GOLDEN.iterdir()}
    for name, content in files.items():
        if name.endswith(".sh"):
            subprocess.run(["bash", "-n"], input=content.encode(), check=True)


def test_nothing_can_end_a_line_or_a_cell_of_the_readme():
    task = replace(TASK, notes=("a | b\n# c <script> [x](y) `z`",))
    text = export_files(replace(EXPORT, tasks=(task,)), tasks="acr")["README.md"]
    (row,) = [line for line in text.splitlines() if line.startswith("| web")]
    assert row.endswith(r"| a \| b \# c \<script\> \[x\]\(y\) \`z\` |")
