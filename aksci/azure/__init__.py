"""Azure: what the other rooms need of it, and what it needs of us."""

from __future__ import annotations

from aksci.azure.folder import write_folder
from aksci.azure.model import AcrExport, AcrTask, LeftOut
from aksci.azure.render import export_files
from aksci.azure.source import SourceLocation, locate_source
from aksci.azure.tasks import plan_acr_tasks, registry_name

__all__ = [
    "AcrExport",
    "AcrTask",
    "LeftOut",
    "SourceLocation",
    "export_files",
    "locate_source",
    "plan_acr_tasks",
    "registry_name",
    "write_folder",
]
