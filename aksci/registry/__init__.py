"""Registries: references by digest, the client, and writing images and artifacts."""

from __future__ import annotations

from aksci.registry.client import RegistryClient, is_loopback
from aksci.registry.protocol import Manifest, Registry, TransferRegistry
from aksci.registry.push import push_artifact, push_image
from aksci.registry.referrers import list_referrers
from aksci.registry.refs import ImageRef
from aksci.registry.transfer import Transfer, apply_transfer, copy_image
from aksci.registry.transfer_plan import TransferPlan, plan_transfer

__all__ = [
    "ImageRef",
    "Manifest",
    "Registry",
    "RegistryClient",
    "Transfer",
    "TransferPlan",
    "TransferRegistry",
    "apply_transfer",
    "copy_image",
    "is_loopback",
    "list_referrers",
    "plan_transfer",
    "push_artifact",
    "push_image",
]
