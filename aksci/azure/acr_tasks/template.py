"""The tasks as one ARM template, which carries their files in itself.

Source: "Microsoft.ContainerRegistry registries/tasks", API version 2019-04-01: the newest that is
no preview, and it has all that is used here. Strings that begin with ``[`` are expressions
("Syntax and expressions in ARM templates"), so data is in parameters and in base64.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from aksci.azure.acr_tasks.taskfile import task_yaml

if TYPE_CHECKING:
    from aksci.azure.acr_tasks.acr_export import AcrExport, AcrTask

__all__ = ["arm_template"]

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
