"""All files of an export: the tasks, an ARM template, the Azure CLI's commands, a README.

The template carries the tasks' files in itself. Source: "Microsoft.ContainerRegistry
registries/tasks", API version 2019-04-01: the newest that is no preview, and it has all that is
used here. Strings that begin with ``[`` are expressions ("Syntax and expressions in ARM
templates"), so data is in parameters and in base64.

The commands: "az acr task" in the Azure CLI reference. ``--git-access-token @-`` reads the token
from stdin ("Use the Azure CLI successfully", "@" loads a value), so that no list of processes
shows it.

A task's own file: "ACR Tasks reference: YAML". Before the YAML is read, ``$Alias`` is filled in
(``$$`` is a dollar), then ``{{ }}`` as a Go template; ``build`` then goes to ``/bin/sh``
(github.com/Azure/acr-builder). Each text there is written through all of them.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
from typing import TYPE_CHECKING, Any

from aksci.core.text import escape_markdown, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aksci.azure.acr_tasks.plan_tasks import AcrExport, AcrTask

__all__ = [
    "arm_template",
    "create_script",
    "export_files",
    "readme",
    "run_script",
    "task_yaml",
]


def export_files(export: AcrExport, *, tasks: str) -> dict[str, str]:
    """Return the content of each file by name.

    :param tasks: the folder that they go to, from the project's folder on.
    """
    return {
        "README.md": readme(export),
        "create-tasks.sh": create_script(export, tasks=tasks),
        "run-tasks.sh": run_script(export),
        "tasks.json": arm_template(export),
        **{f"{task.name}.yaml": task_yaml(task, export) for task in export.tasks},
    }


# Each task

_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def task_yaml(task: AcrTask, export: AcrExport) -> str:
    """Return a task's file."""
    references = [f"$Registry/{task.repository}:{tag}" for tag in (*task.tags, "{{.Run.ID}}")]
    comments = (
        f"The image {task.image} of the project {export.project}.",
        'Written by "nox -s export -- acr-tasks"; the next export writes it anew.',
        "Not validated, not scanned, not signed, and in no release: README.md tells.",
        *task.notes,
    )
    return "\n".join(
        [
            *(f"# {_comment(comment)}" for comment in comments),
            "version: v1.1.0",
            f"stepTimeout: {export.step_timeout}",
            "steps:",
            "  - id: build",
            f"    build: {_quoted(_build(task, references))}",
            "    env:",
            # Without it, acr-builder switches BuildKit off, and so RUN --mount.
            '      - "DOCKER_BUILDKIT=1"',
            "  - id: push",
            "    push:",
            *(f"      - {_quoted(reference)}" for reference in references),
            "",
        ]
    )


def _comment(text: str) -> str:
    """Return a text that can't end the line it is in, nor begin a template."""
    return _UNPRINTABLE.sub("", one_line(text)).replace("{{", "{ {")


def _build(task: AcrTask, references: list[str]) -> str:
    """Return the arguments of ``docker build``.

    The Dockerfile, the target and the context come last: of several, the last counts.
    """
    words = [word for reference in references for word in ("-t", reference)]
    # Unquoted, for acr-builder fills $Registry in before the shell reads the line.
    for arg, rest in task.registry_args.items():
        words += ["--build-arg", f"{arg}=$Registry{_data(rest)}"]
    for arg, value in task.args.items():
        words += ["--build-arg", _data(f"{arg}={value}")]
    words += ["--platform", task.platform]
    if task.target:
        words += ["--target", _data(task.target)]
    return " ".join([*words, "-f", _path(task.dockerfile), _path(task.context)])


def _path(text: str) -> str:
    # A file may be called like an option.
    return _data(f"./{text}" if text.startswith("-") else text)


def _data(text: str) -> str:
    """Write a text so that shell, template and aliases all leave it as it is."""
    # In the reverse order of reading: shell first, then aliases and templates.
    quoted = shlex.quote(text) if text else ""
    return quoted.replace("$", "$$").replace("{{", "{{`{{`}}")


def _quoted(text: str) -> str:
    """Return a text as YAML has it in double quotes: JSON's way, but for what YAML can't print."""
    # YAML 1.2, 5.1 and 5.4: these are not printable, or older parsers end a line there.
    return _UNPRINTABLE.sub(
        lambda one: f"\\u{ord(one[0]):04x}", json.dumps(text, ensure_ascii=False)
    )


# The template

_SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
_API_VERSION = "2019-04-01"
_TOKEN = "[if(empty(parameters('gitAccessToken')), null(), parameters('gitAccessToken'))]"  # noqa: S105 - an expression
_CONTEXT = "[concat(parameters('source'), '#', parameters('branch'), parameters('folder'))]"


def arm_template(export: AcrExport) -> str:
    """Return the template, to be deployed into the registry's resource group."""
    return (
        json.dumps(
            {
                "$schema": _SCHEMA,
                "contentVersion": "1.0.0.0",
                "parameters": _parameters(export),
                "variables": {"context": _CONTEXT, "sourceTriggers": [_source_trigger(export)]},
                "resources": [_resource(export, task) for task in export.tasks],
            },
            indent=2,
        )
        + "\n"
    )


def _parameters(export: AcrExport) -> dict[str, Any]:
    return {
        "registryName": _parameter("The container registry.", export.registry)
        | {"minLength": 5, "maxLength": 50},
        "location": {
            "type": "string",
            "defaultValue": "[resourceGroup().location]",
            "metadata": {"description": "The registry's region."},
        },
        "source": _parameter("The Git repository.", export.source.repository or None),
        "branch": _parameter("The branch that is built.", "main"),
        "folder": _parameter(
            "The project's folder in the repository, after a colon.", export.source.suffix
        ),
        "commitTrigger": {
            "type": "bool",
            "defaultValue": False,
            "metadata": {"description": "Run at each commit, too; needs gitAccessToken."},
        },
        "gitAccessToken": {
            "type": "securestring",
            "defaultValue": "",
            "metadata": {"description": "For a private repository, or for commitTrigger."},
        },
    }


def _parameter(description: str, value: str | None) -> dict[str, Any]:
    # "[[" is how ARM writes one bracket ("Escape characters").
    default = {} if value is None else {"defaultValue": f"[{value}" if value[:1] == "[" else value}
    return {"type": "string", **default, "metadata": {"description": description}}


def _source_trigger(export: AcrExport) -> dict[str, Any]:
    return {
        "name": "commits",
        "status": "Enabled",
        "sourceTriggerEvents": ["commit"],
        "sourceRepository": {
            "sourceControlType": export.source.kind,
            "repositoryUrl": _CONTEXT,
            "branch": "[parameters('branch')]",
            "sourceControlAuthProperties": {
                "tokenType": "PAT",
                "token": "[parameters('gitAccessToken')]",
                "scope": "repo",
            },
        },
    }


def _resource(export: AcrExport, task: AcrTask) -> dict[str, Any]:
    # ARM would read a text that begins with a bracket as an expression.
    content = base64.b64encode(task_yaml(task, export).encode()).decode()
    system, _, machine = task.platform.partition("/")
    architecture, _, variant = machine.partition("/")
    return {
        "type": "Microsoft.ContainerRegistry/registries/tasks",
        "apiVersion": _API_VERSION,
        "name": f"[concat(parameters('registryName'), '/{task.name}')]",
        "location": "[parameters('location')]",
        "properties": {
            "status": "Enabled",
            "platform": {"os": system.capitalize(), "architecture": architecture}
            | ({"variant": variant} if variant else {}),
            "agentConfiguration": {"cpu": 2},
            "timeout": export.run_timeout,
            "step": {
                "type": "EncodedTask",
                "contextPath": "[variables('context')]",
                "contextAccessToken": _TOKEN,
                "encodedTaskContent": content,
            },
            "trigger": {
                "sourceTriggers": "[if(parameters('commitTrigger'), variables('sourceTriggers'), "
                "json('[]'))]",
                "baseImageTrigger": {
                    "name": "bases",
                    "status": "Enabled",
                    "baseImageTriggerType": task.trigger,
                },
            },
        },
    }


# The commands

_HEAD = """\
#!/usr/bin/env bash
# {title}
# Written by "nox -s export -- acr-tasks"; the next export writes it anew.
set -euo pipefail
{registry}
"""
_CREATE = """\
{source}
branch=${{BRANCH:-main}}
context=$source#$branch{folder}
# Where the task files are in that repository, from the project's folder on.
default_tasks={tasks}
tasks=${{TASKS:-$default_tasks}}
commits=${{COMMITS:-false}}
token=()
if [[ -n ${{GIT_ACCESS_TOKEN:-}} ]]; then
    token=(--git-access-token @-)
elif [[ $commits == true ]]; then
    echo "COMMITS=true needs GIT_ACCESS_TOKEN: ACR Tasks makes a webhook in the repository." >&2
    exit 2
fi
"""
_TASK = """
az acr task create --registry "$registry" --name {name} \\
    --context "$context" --file "$tasks"/{file} \\
    --platform {platform} --timeout {timeout} \\
    --base-image-trigger-enabled true --base-image-trigger-type {trigger} \\
    --commit-trigger-enabled "$commits" --pull-request-trigger-enabled false \\
    ${{token[@]+"${{token[@]}}"}} --output none <<<"${{GIT_ACCESS_TOKEN:-}}"
"""


def create_script(export: AcrExport, *, tasks: str) -> str:
    """Return the script that makes the tasks.

    :param tasks: the folder of their files, from the project's folder on.
    """
    if export.source.repository:
        source = (
            f"default_source={shlex.quote(export.source.repository)}\n"
            "source=${SOURCE:-$default_source}"
        )
    else:
        source = "source=${SOURCE:?the address of the Git repository}"
    return (
        _head(export, f"Make the ACR tasks of the project {export.project}.")
        + _CREATE.format(
            source=source,
            folder=shlex.quote(export.source.suffix) if export.source.suffix else "",
            tasks=shlex.quote(tasks),
        )
        + "".join(_create(export, task) for task in export.tasks)
    )


def run_script(export: AcrExport) -> str:
    """Return the script that runs each task once, bases first.

    "About base image updates for ACR Tasks": a task follows no base before it has run.
    """
    return _head(
        export, "Run each task once, bases first: before that, it follows none."
    ) + "".join(
        f'az acr task run --registry "$registry" --name {shlex.quote(task.name)}\n'
        for task in export.tasks
    )


def _head(export: AcrExport, title: str) -> str:
    if export.registry:
        registry = f"registry=${{REGISTRY:-{shlex.quote(export.registry)}}}"
    else:
        registry = "registry=${REGISTRY:?the name of the container registry, without .azurecr.io}"
    return _HEAD.format(title=_comment(title), registry=registry)


def _create(export: AcrExport, task: AcrTask) -> str:
    return _TASK.format(
        name=shlex.quote(task.name),
        file=shlex.quote(f"{task.name}.yaml"),
        platform=shlex.quote(task.platform),
        timeout=export.run_timeout,
        trigger=task.trigger,
    )


# The README

_USE = """\
Either deploy the template, which has the task files in itself:

```
az deployment group create --resource-group GROUP --template-file tasks.json
```

(for a private repository with `--parameters gitAccessToken=@- <<<"$GIT_ACCESS_TOKEN"`, which shows
the token in no list of processes), or commit this folder and run `create-tasks.sh`. Git ignores
`.aksci` as a rule: `--output acr-tasks` writes elsewhere. The script reads from the environment:

| variable | means |
| --- | --- |
| `REGISTRY` | the registry's name |
| `SOURCE`, `BRANCH` | the Git repository, and its branch (main) |
| `TASKS` | where this folder is in it, from the project's folder on |
| `GIT_ACCESS_TOKEN` | for a private repository, or for `COMMITS` |
| `COMMITS=true` | run at each commit, too |

Then run `run-tasks.sh`: a task follows no base before it has run once.
"""
_LIMITS = """\
- An image is pushed to its stable tag as soon as it is built: it is not validated, not scanned and
  not signed, has no lineage and is in no release. `deploy` takes releases only, so it never rolls
  it out; `build` moves the tag back to its own image, and `cascade` finds one there that it knows
  nothing of. Let only one of them move a tag.
- Only what FROM names is followed, and by Microsoft's documentation only for the final stage: not
  COPY --from, RUN --mount and `# syntax=`.
- Followed are tags in this registry and in other Azure registries, at once, and in public
  repositories of Docker Hub and Microsoft's registry, within 10 to 60 minutes. There are no version
  ranges, no `update = "batch"` and no `"ignore"`.
- Tasks know no order. Each runs when the tag of its base is pushed: an image with two bases may be
  built twice, and on a mixture of old and new. Nothing is all or nothing, and nobody is told what a
  failure blocks.
- Nothing is skipped: each run builds.
- One platform each. No named contexts, no `requires`, no SSH. Secrets only from Azure Key Vault, by
  hand (`secrets:` in a task file); none is exported.

Sources: Microsoft's "About base image updates for ACR Tasks", "ACR Tasks overview", "ACR Tasks
reference: YAML", "az acr task" and "Microsoft.ContainerRegistry registries/tasks";
github.com/Azure/acr-builder, which runs the tasks.
"""


def readme(export: AcrExport) -> str:
    """Return the README.md of an export."""
    return "\n".join(
        [
            f"# ACR tasks of the project {export.project}",
            "",
            "Written by `nox -s export -- acr-tasks`; the next export writes it anew.",
            "",
            *_tasks(export),
            *_left_out(export),
            "## How to use them",
            "",
            _USE,
            "## What they do not do",
            "",
            _LIMITS,
        ]
    )


def _tasks(export: AcrExport) -> Iterator[str]:
    yield "| image | task | what it follows |"
    yield "| --- | --- | --- |"
    for task in export.tasks:
        notes = " ".join(escape_markdown(note) for note in task.notes)
        yield f"| {escape_markdown(task.image)} | `{task.name}` | {notes} |"
    yield ""


def _left_out(export: AcrExport) -> Iterator[str]:
    if not export.left_out:
        return
    yield "## Images without a task"
    yield ""
    yield "ACR Tasks can't build these as they are."
    yield ""
    for one in export.left_out:
        yield f"- **{escape_markdown(one.image)}**"
        yield from (f"  - {escape_markdown(reason)}" for reason in one.reasons)
    yield ""
