"""What an image needs, read from manifests that anybody who may push can have written."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from aksci.core.errors import RegistryError
from aksci.oci.closure import read_closure
from aksci.oci.manifest import OCI_INDEX
from aksci.oci.references import ImageRef
from aksci.testing.memory_registry import MemoryRegistry
from aksci.testing.reporter import RecordingReporter


@pytest.mark.parametrize("entry", [{"size": 2}, {"mediaType": "x"}, {"mediaType": 5, "size": 2}])
def test_an_entry_that_could_be_a_manifest_or_a_blob_is_damage(entry):
    registry = MemoryRegistry()
    index = {"schemaVersion": 2, "manifests": [{"digest": "sha256:" + "1" * 64, **entry}]}
    digest = registry.put_manifest("shop/web", json.dumps(index).encode(), OCI_INDEX)
    ref = ImageRef(registry.host, "shop/web", digest)
    with ThreadPoolExecutor(1) as pool, pytest.raises(RegistryError, match="is damaged"):
        read_closure(registry, [ref], pool=pool, reporter=RecordingReporter())
