"""aksci.toml: models, loader and JSON Schema."""

from __future__ import annotations

from aksci.config.loader import CONFIG_NAME, find_project, json_schema, load_config
from aksci.config.models import (
    BuildConfig,
    BuilderConfig,
    CacheConfig,
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
    ValidateConfig,
)

__all__ = [
    "CONFIG_NAME",
    "BuildConfig",
    "BuilderConfig",
    "CacheConfig",
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
    "ValidateConfig",
    "find_project",
    "json_schema",
    "load_config",
]
