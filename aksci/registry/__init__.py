"""Registries: references by digest, the client, and writing images and artifacts."""

from __future__ import annotations

from aksci.registry.client import RegistryClient, is_loopback
from aksci.registry.protocol import Manifest, Registry
from aksci.registry.push import push_artifact, push_image
from aksci.registry.referrers import list_referrers
from aksci.registry.refs import ImageRef

__all__ = [
    "ImageRef",
    "Manifest",
    "Registry",
    "RegistryClient",
    "is_loopback",
    "list_referrers",
    "push_artifact",
    "push_image",
]
