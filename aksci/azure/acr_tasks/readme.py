"""What an export tells a person: what is there, how to use it, and what it does not do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aksci.azure.acr_tasks.taskfile import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aksci.azure.acr_tasks.acr_export import AcrExport

__all__ = ["readme"]

_MARKUP = re.compile(r"([\\`*_<>|\[\]])")
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
        notes = " ".join(_text(note) for note in task.notes)
        yield f"| {_text(task.image)} | `{task.name}` | {notes} |"
    yield ""


def _left_out(export: AcrExport) -> Iterator[str]:
    if not export.left_out:
        return
    yield "## Images without a task"
    yield ""
    yield "ACR Tasks can't build these as they are."
    yield ""
    for one in export.left_out:
        yield f"- **{_text(one.image)}**"
        yield from (f"  - {_text(reason)}" for reason in one.reasons)
    yield ""


def _text(text: str) -> str:
    """Return a text as Markdown that means nothing but itself."""
    return _MARKUP.sub(r"\\\1", one_line(text))
