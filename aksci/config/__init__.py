"""aksci.toml: models, loader and JSON Schema."""

from __future__ import annotations

from aksci.config.loader import CONFIG_NAME, find_project, json_schema, load_config
from aksci.config.models import (
    BuildConfig,
    Config,
    Discover,
    EnvironmentConfig,
    HttpStep,
    ImageConfig,
    JobStep,
    LocalConfig,
    Project,
    ScanConfig,
    ScanIgnore,
    SecretFile,
    ServiceConfig,
    SignConfig,
    Step,
)

__all__ = [
    "CONFIG_NAME",
    "BuildConfig",
    "Config",
    "Discover",
    "EnvironmentConfig",
    "HttpStep",
    "ImageConfig",
    "JobStep",
    "LocalConfig",
    "Project",
    "ScanConfig",
    "ScanIgnore",
    "SecretFile",
    "ServiceConfig",
    "SignConfig",
    "Step",
    "find_project",
    "json_schema",
    "load_config",
]
