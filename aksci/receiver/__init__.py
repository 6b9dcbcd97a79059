"""The webhook receiver: registries tell of pushes, and cascades start."""

from __future__ import annotations

from aksci.receiver.events import Push, parse_acr, parse_distribution
from aksci.receiver.intake import Intake, Reply
from aksci.receiver.server import ReceiverServer, open_server
from aksci.receiver.starts import CascadeHere, CascadeThere
from aksci.receiver.store import Batch, EventStore
from aksci.receiver.wanted import Wanted
from aksci.receiver.worker import Start, Worker

__all__ = [
    "Batch",
    "CascadeHere",
    "CascadeThere",
    "EventStore",
    "Intake",
    "Push",
    "ReceiverServer",
    "Reply",
    "Start",
    "Wanted",
    "Worker",
    "open_server",
    "parse_acr",
    "parse_distribution",
]
