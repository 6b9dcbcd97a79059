"""One task as ACR Tasks reads it.

Source: "ACR Tasks reference: YAML". Before the YAML is read, ``$Alias`` is filled in (``$$`` is a
dollar), then ``{{ }}`` as a Go template; ``build`` then goes to ``/bin/sh``
(github.com/Azure/acr-builder). Each text here is written through all of them.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aksci.azure.acr_tasks.acr_export import AcrExport, AcrTask

__all__ = ["one_line", "task_yaml"]

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
            *(f"# {one_line(comment)}" for comment in comments),
            "version: v1.1.0",
            f"stepTimeout: {export.step_timeout}",
            "steps:",
            "  - id: build",
            f"    build: {_quoted(_build(task, references))}",
            "    env:",
            '      - "DOCKER_BUILDKIT=1"',
            "  - id: push",
            "    push:",
            *(f"      - {_quoted(reference)}" for reference in references),
            "",
        ]
    )


def one_line(text: str) -> str:
    """Return a text that can't end the line it is in, nor begin a template."""
    return _UNPRINTABLE.sub("", " ".join(text.split())).replace("{{", "{ {")


def _build(task: AcrTask, references: list[str]) -> str:
    """Return the arguments of ``docker build``.

    The Dockerfile, the target and the context come last: of several, the last counts.
    """
    words = [word for reference in references for word in ("-t", reference)]
    for arg, rest in task.registry_args.items():
        words += ["--build-arg", f"{arg}=$Registry{_data(rest)}"]
    for arg, value in task.args.items():
        words += ["--build-arg", _data(f"{arg}={value}")]
    words += ["--platform", task.platform]
    if task.target:
        words += ["--target", _data(task.target)]
    return " ".join([*words, "-f", _path(task.dockerfile), _path(task.context)])


def _path(text: str) -> str:
    return _data(f"./{text}" if text.startswith("-") else text)


def _data(text: str) -> str:
    """Write a text so that shell, template and aliases all leave it as it is."""
    quoted = shlex.quote(text) if text else ""
    return quoted.replace("$", "$$").replace("{{", "{{`{{`}}")


def _quoted(text: str) -> str:
    """Return a text as YAML has it in double quotes: JSON's way, but for what YAML can't print."""
    return _UNPRINTABLE.sub(
        lambda one: f"\\u{ord(one[0]):04x}", json.dumps(text, ensure_ascii=False)
    )
